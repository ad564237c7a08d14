"""Studies of matching: which of two sounds belongs to a video, from responses to what `mos.json` holds of them.

A response says of two sounds of one system that the first (1) or the other (-1) was made for the video; the key says
which was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visaudio_bench.bench.mos.analysis import told_apart
from visaudio_bench.bench.mos.plain import plain
from visaudio_bench.bench.mos.questions import MATCHING
from visaudio_bench.bench.mos.responses import ResponseRules, Responses
from visaudio_bench.bench.mos.study import Study, counts, in_order, partly_asked
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.opinion_tables import ALPHA
from visaudio_bench.metrics.opinion_comparison import compare_scores
from visaudio_bench.metrics.opinion_matching import matching, right_answers
from visaudio_bench.metrics.uncertainty import tie_groups

CHOICES = ("1", "-1")


def matches(responses: Responses) -> bool:
    """Whether the responses say which of two sounds belongs to a video."""
    return set(responses.get("dimension")) == {MATCHING.key}


def matching_votes(files: Sequence[Responses], rules: ResponseRules) -> list[Study]:
    """Read the votes of studies of matching, each with the right answer.

    Args:
        files: responses.
        rules: which of them count.

    Returns:
        The studies with the votes of their systems and anchors.

    Raises:
        UsageError: a response that is no choice, or one of which nobody knows whether it is right.
    """
    for responses in files:
        _check(responses)
    return partly_asked("matching", files, rules)


def matching_studies(
    files: Sequence[Responses], rules: ResponseRules, confidence: float, order: Sequence[str]
) -> list[dict[str, Any]]:
    """Analyse studies of matching.

    Args:
        files: responses.
        rules: which of them count.
        confidence: level of the intervals, in (0, 1).
        order: in which systems are listed; others follow.

    Returns:
        Each study as `mos.json` has it.

    Raises:
        UsageError: a response that is no choice, or one of which nobody knows whether it is right.
    """
    return [_document(study, confidence, order) for study in matching_votes(files, rules)]


def _check(responses: Responses) -> None:
    for row, (rating, expected) in enumerate(zip(responses.get("rating"), responses.get("expected"), strict=True)):
        if rating and rating not in CHOICES:
            raise UsageError(
                f'{responses.where(row)}: the answer is "{rating}"; 1 (the first sound belongs to the video) or -1 '
                "(the other one) was expected."
            )
        if expected not in CHOICES:
            raise UsageError(
                f'{responses.where(row)}: the right answer is "{expected}", 1 or -1 was expected. The key of bench mos '
                "page --design matching has it in its column expected: --codes KEY"
            )


def _document(study: Study, confidence: float, order: Sequence[str]) -> dict[str, Any]:
    votes = study.votes
    systems = in_order((votes.systems[code] for code in np.unique(votes.system)), order)
    shares = matching(votes, systems, confidence)
    pairs = compare_scores({system: right_answers(votes, system) for system in systems}, confidence)
    ranking = sorted(shares, key=lambda row: -row.share.mean)
    ranks = tie_groups([row.system for row in ranking], told_apart(pairs))
    return {
        "study_id": study.study_id,
        "design": "matching",
        "confidence": confidence,
        "systems": systems,
        "question": MATCHING.question,
        "report": {**counts(study), "apart_from_chance": sum(row.p_holm <= ALPHA for row in shares)},
        "shares": [{**plain(row), "rank": ranks[row.system]} for row in shares],
        "pairs": plain(pairs),
    }
