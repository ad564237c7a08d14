"""Studies of localisation: where raters heard the sounds, from responses to what `mos.json` holds of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visaudio_bench.bench.mos.analysis import told_apart
from visaudio_bench.bench.mos.plain import plain
from visaudio_bench.bench.mos.questions import AZIMUTH
from visaudio_bench.bench.mos.responses import ResponseRules, Responses
from visaudio_bench.bench.mos.study import Study, counts, in_order, partly_asked
from visaudio_bench.cells import number
from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.opinion_localisation import SCORES, compare_errors, localisation
from visaudio_bench.metrics.uncertainty import tie_groups
from visaudio_bench.sheets import read_sheet

LIMIT = 90  # degrees to either side


def points(responses: Responses) -> bool:
    """Whether the responses say where a sound was heard."""
    return set(responses.get("dimension")) == {AZIMUTH.key}


def read_directions(path: Path) -> dict[str, float]:
    """True azimuths in degrees by clip, from a list with the columns clip and azimuth_deg.

    Raises:
        UsageError: it is no such list, names a clip twice, or a source is not in front.
    """
    sheet = read_sheet(path, known=("clip", "azimuth_deg"))
    for name in ("clip", "azimuth_deg"):
        if name not in sheet.header:
            raise UsageError(f'{path}:1: no column "{name}"; clip and azimuth_deg (positive left) were expected.')
    azimuths: dict[str, float] = {}
    for clip, text, line in zip(sheet.column("clip"), sheet.column("azimuth_deg"), sheet.lines, strict=True):
        try:
            value = number(text)
        except ValueError as error:
            raise UsageError(f'{path}:{line}: azimuth "{text}" is {error}.') from error
        if not (math.isfinite(value) and abs(value) <= LIMIT):
            raise UsageError(f"{path}:{line}: azimuth {text}; a source in front, -{LIMIT} to {LIMIT}, was expected.")
        if clip in azimuths:
            raise UsageError(f'{path}:{line}: clip "{clip}" has a second azimuth; one source a clip can be pointed at.')
        azimuths[clip] = value
    return azimuths


def with_truth(expected: Mapping[str, float], clips: Sequence[str], path: Path) -> dict[str, str]:
    """Look up the azimuth of each clip of a study, as its key is to have it.

    Args:
        expected: degrees by clip, positive to the left.
        clips: of the study.
        path: of the file of azimuths, for the message.

    Returns:
        Degrees by clip, as text.

    Raises:
        UsageError: a clip has none.
    """
    absent = [clip for clip in clips if clip not in expected]
    if absent:
        raise UsageError(f'{path} has no azimuth for {len(absent)} of the clips, such as "{absent[0]}".')
    return {clip: f"{expected[clip]:g}" for clip in clips}


def localisation_studies(
    files: Sequence[Responses], rules: ResponseRules, confidence: float, order: Sequence[str]
) -> list[dict[str, Any]]:
    """Analyse every study of localisation in the files.

    Args:
        files: the responses.
        rules: what of them is allowed; scale and dimension are those of the design.
        confidence: coverage of the intervals, in (0, 1).
        order: systems in the order in which they are shown; others follow by name.

    Returns:
        The studies as `mos.json` holds them.

    Raises:
        UsageError: a response that is no azimuth, or a clip without a true one.
    """
    return [_document(study, confidence, order) for study in partly_asked("localisation", files, rules)]


def _document(study: Study, confidence: float, order: Sequence[str]) -> dict[str, Any]:
    votes = study.votes
    if np.isnan(votes.expected).any():
        clip = votes.clips[votes.clip[np.isnan(votes.expected)][0]]
        raise UsageError(
            f'study "{study.study_id}": clip "{clip}" has no true azimuth. The key of bench mos page --design '
            "localisation has it in its column expected: --codes KEY"
        )
    beyond = votes.clip[np.abs(votes.expected) > LIMIT]
    if len(beyond):
        raise UsageError(
            f'study "{study.study_id}": the true azimuth of clip "{votes.clips[beyond[0]]}" is not in front, '
            f"-{LIMIT} to {LIMIT}."
        )
    systems = in_order((votes.systems[code] for code in np.unique(votes.system)), order)
    pointed = localisation(votes, systems, confidence)
    pairs = compare_errors(votes, systems, confidence)
    ranking = sorted(pointed, key=lambda result: result.error.mean)
    ranks = tie_groups([result.system for result in ranking], told_apart(pairs))
    return {
        "study_id": study.study_id,
        "design": "localisation",
        "confidence": confidence,
        "systems": systems,
        "question": AZIMUTH.question,
        "report": counts(study),
        "scores": [
            {"system": result.system, "n_votes": result.n_votes, "rank": ranks[result.system],
             **{name: plain(getattr(result, name)) for name in SCORES}}
            for result in pointed
        ],
        "pairs": plain(pairs),
    }  # fmt: skip
