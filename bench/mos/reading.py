"""One file of responses, in whatever form, to `Responses`."""

from __future__ import annotations

from pathlib import Path

from visaudio_bench.bench.mos.forms import read_own_form, unblind
from visaudio_bench.bench.mos.importers import IMPORTERS, Context
from visaudio_bench.bench.mos.responses import ResponseRules, Responses, understood


def read_responses(path: Path, form: str, rules: ResponseRules, dimension: str, codes: Path | None) -> Responses:
    """Read responses, put systems where they have codes, and numbers where ratings are written otherwise.

    `form` is one of ours, "auto", or a tool's name; `dimension` is for tools whose files do not name what was rated.
    """
    if form in IMPORTERS:
        responses = IMPORTERS[form](path, Context(dimension, rules.dimensions, rules.scale))
    else:
        responses = read_own_form(path, form, rules.dimensions)
    return understood(unblind(responses, codes) if codes else responses, rules.scale)
