"""One file of responses, in whatever form, to `Responses`."""

from __future__ import annotations

from pathlib import Path

from visaudio_bench.bench.mos.collected import answers_of, key_of, need_key, read_database
from visaudio_bench.bench.mos.forms import read_own_form, unblind
from visaudio_bench.bench.mos.importers import IMPORTERS, Context
from visaudio_bench.bench.mos.preference import compares
from visaudio_bench.bench.mos.recruited import with_completion
from visaudio_bench.bench.mos.responses import ResponseRules, Responses, rules_for, understood


def read_responses(
    path: Path, form: str, rules: ResponseRules, dimension: str, codes: Path | None, recruited: Path | None = None
) -> Responses:
    """Read responses, put systems where they have codes, and numbers where ratings are written otherwise.

    Args:
        path: of a file, or of the folder of a questionnaire, whose answers and key lie beside it.
        form: one of ours, "auto", or a tool's name.
        rules: dimensions, scale, and what else is allowed.
        dimension: of what was rated, for tools whose files do not name it.
        codes: of a key; None where it lies beside the questionnaire, or nothing is hidden.
        recruited: of a recruiting service's list of participants.

    Returns:
        A vote a row with named systems; ratings are whole steps of the scale, or empty.

    Raises:
        UsageError: what cannot be read as it was meant, or systems are hidden and there is no key.
    """
    path = answers_of(path)
    responses = read_database(path)
    if responses is not None:
        codes = codes or key_of(path)
    elif form in IMPORTERS:
        responses = IMPORTERS[form](path, Context(dimension, rules.dimensions, rules.scale))
    else:
        responses = read_own_form(path, form, rules.dimensions)
    if recruited:
        responses = with_completion(responses, recruited)
    if codes:
        responses = unblind(responses, codes)
    else:
        need_key(responses)
    return responses if compares(responses) else understood(responses, rules_for(responses, rules).scale)
