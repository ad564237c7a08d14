"""Studies of paired preferences: from responses to what `mos.json` holds of them.

A response says of two samples of a clip, `system` shown first and `compared_with`, that the first is better (1), the
other (-1), or that there is no difference (0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visaudio_bench.bench.mos.plain import plain
from visaudio_bench.bench.mos.questions import MATCHING, PREFERENCE
from visaudio_bench.bench.mos.responses import Responses, codes_of, damaged
from visaudio_bench.bench.mos.study import Piece, by_study, in_order
from visaudio_bench.cells import nothing
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.opinion_tables import ALPHA
from visaudio_bench.metrics.opinion_preference import Preferences, compare_pairs, strengths
from visaudio_bench.registry import did_you_mean

NEEDED = ("rater_id", "clip_id", "system", "compared_with", "rating")
CHOICES = {"1": 1, "0": 0, "-1": -1}


def compares(responses: Responses) -> bool:
    """Whether the responses are preferences between two."""
    return any(responses.get("compared_with")) and set(responses.get("dimension")) != {MATCHING.key}


def preference_studies(
    files: Sequence[Responses], systems: Sequence[str], confidence: float, seed: int
) -> list[dict[str, Any]]:
    """Analyse every study of paired preferences in the files.

    Args:
        files: the responses.
        systems: their order, and the only ones that may occur; empty for that of the key.
        confidence: coverage of the intervals, in (0, 1).
        seed: of the resampling.

    Returns:
        The studies as `mos.json` holds them.

    Raises:
        UsageError: a response that is no preference, or a second one on the same pair.
    """
    for responses in files:
        _check(responses, systems)
    order = systems or tuple(dict.fromkeys(name for responses in files for name in responses.order))
    return [_study(name, pieces, order, confidence, seed) for name, pieces in by_study(files).items()]


def _check(responses: Responses, systems: Sequence[str]) -> None:
    for name in NEEDED:
        if name not in responses.columns:
            raise UsageError(f'{responses.path}: no column "{name}"; preferences need {", ".join(NEEDED)}.')
    rows = zip(*(responses.columns[name] for name in NEEDED), strict=True)
    for row, (rater, clip, first, second, rating) in enumerate(rows):
        if not (rater and clip and first and second) or first == second:
            raise UsageError(f"{responses.where(row)}: a rater, a clip and two different systems were expected.")
        if rating not in CHOICES and not nothing(rating):
            raise UsageError(
                f'{responses.where(row)}: the preference is "{rating}"; 1 (the first is better), -1 (the second is) or '
                "0 (no difference) was expected."
            )
        for name in (first, second):
            if systems and name not in systems:
                raise UsageError(
                    f'{responses.where(row)}: unknown system "{name}".{did_you_mean(name, systems)} '
                    "The expected ones were given with --systems."
                )
    damaged(responses)


def _study(name: str, pieces: list[Piece], order: Sequence[str], confidence: float, seed: int) -> dict[str, Any]:
    votes = _preferences(pieces, order)
    pairs = compare_pairs(votes, confidence)
    apart = sum(pair.p_holm <= ALPHA for pair in pairs)
    files = [responses for responses, _ in pieces]
    return {
        "study_id": name,
        "design": "preference",
        "confidence": confidence,
        "seed": seed,
        "question": PREFERENCE.question,
        "systems": list(votes.systems),
        "report": {
            "raters": len(votes.raters),
            "clips": len(votes.clips),
            "votes": len(votes.choice),
            "no_difference": int(np.count_nonzero(votes.choice == 0)),
            "pairs_apart": apart,
            "sources": [responses.path.name for responses in files],
        },
        "strengths": plain(strengths(votes, confidence, seed)),
        "pairs": plain(pairs),
    }


def _preferences(pieces: list[Piece], order: Sequence[str]) -> Preferences:
    columns: dict[str, list[str]] = {name: [] for name in NEEDED}
    where: dict[tuple[str, ...], str] = {}
    for responses, rows in pieces:
        for row in rows:
            vote = tuple(responses.columns[name][row] for name in NEEDED)
            if nothing(vote[-1]):
                continue
            pair = (*vote[:2], *sorted(vote[2:4]))
            if pair in where:
                raise UsageError(
                    f"{responses.where(row)}: a second preference of rater {pair[0]} on clip {pair[1]} between "
                    f"{pair[2]} and {pair[3]}; the first is {where[pair]}. Take one of them out."
                )
            where[pair] = responses.where(row)
            for name, value in zip(NEEDED, vote, strict=True):
                columns[name].append(value)
    if not where:
        raise UsageError(f"{pieces[0][0].path}: no preferences found.")
    systems = in_order({*columns["system"], *columns["compared_with"]}, order)
    rater, raters = codes_of(columns["rater_id"])
    clip, clips = codes_of(columns["clip_id"])
    places = {name: place for place, name in enumerate(systems)}
    return Preferences(
        rater,
        clip,
        np.array([places[name] for name in columns["system"]]),
        np.array([places[name] for name in columns["compared_with"]]),
        np.array([CHOICES[rating] for rating in columns["rating"]]),
        raters,
        clips,
        tuple(systems),
    )
