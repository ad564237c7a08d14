"""Where people hear a sound, against where it is.

Raters point, on a frontal scale from 90 degrees left (positive) to 90 degrees right, at where a sound comes from; the
true azimuth of the clip's source is known. Each answer gives three scores:

- `error`: how far the answer lies from the truth, in degrees; lower is better, 0 is best;
- `near`: 1 where that is at most 15 degrees, else 0;
- `confusion`: 1 where the answer lies on the other side than a source at 10 degrees or more, 1/2 in the middle, else 0;
  NaN for a source nearer to the middle. Guessing gives 0.5.

A system's mean error has the interval `crossed` of `opinion`, its shares that of `opinion_matching.share_interval`,
both for other raters and other clips: few answers lie on the wrong side, and `crossed` would hold that share in 70 to
88 % of simulated studies only. Pairs are compared by the difference of their errors per rater and clip (`crossed_p`,
corrected by Holm). The error holds for this scale: a source
behind cannot be pointed at, and an answer at random errs by 45 degrees or more.

Functions: `answer_scores`, `localisation`, `compare_errors`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.opinion import Floats, OpinionInterval, Votes, crossed, with_votes
from visaudio_bench.metrics.opinion_comparison import ScoreComparison, compare_scores
from visaudio_bench.metrics.opinion_matching import share_interval

NEAR = 15.0  # degrees
MIDDLE = 10.0  # degrees: a source nearer to the middle has no side
SCORES = ("error", "near", "confusion")


class SystemLocalisation(NamedTuple):
    """How well a system's sounds are placed.

    Attributes:
        system: name of the system.
        error: mean angular error in degrees, with its interval.
        near: share of answers within 15 degrees, with its interval.
        confusion: share of answers on the wrong side, with its interval.
        n_votes: number of answers.
    """

    system: str
    error: OpinionInterval
    near: OpinionInterval
    confusion: OpinionInterval
    n_votes: int


def answer_scores(answer: npt.ArrayLike, truth: npt.ArrayLike) -> dict[str, Floats]:
    """Score answers against true azimuths.

    Args:
        answer: (...,) azimuths that were pointed at, in degrees, positive left.
        truth: (...,) true azimuths.

    Returns:
        The scores (...,) by name, NaN where they are undefined.

    Example:
        >>> scores = answer_scores([30, -20, 0], [20, 20, 5])
        >>> [scores[name].tolist() for name in SCORES]
        [[10.0, 40.0, 5.0], [1.0, 0.0, 1.0], [0.0, 1.0, nan]]
    """
    given, true = np.asarray(answer, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    error = np.abs(given - true)
    side = (1 - np.sign(given) * np.sign(true)) / 2
    confusion = np.where(np.abs(true) >= MIDDLE, side, np.nan)
    return {"error": error, "near": (error <= NEAR).astype(np.float64), "confusion": confusion}


def _cells(votes: Votes, system: str) -> dict[str, Floats]:
    """Each score of a system's answers (R, I), over all raters and clips."""
    mine = votes.system == votes.systems.index(system)
    cells = {}
    for name, scores in answer_scores(votes.rating[mine], votes.expected[mine]).items():
        cells[name] = np.full((len(votes.raters), len(votes.clips)), np.nan)
        cells[name][votes.rater[mine], votes.clip[mine]] = scores
    return cells


def localisation(votes: Votes, systems: Sequence[str], confidence: float = 0.95) -> list[SystemLocalisation]:
    """Summarise where the sounds of each system were heard.

    Args:
        votes: whose ratings are azimuths in degrees, with the true azimuth as `expected`.
        systems: names of the systems.
        confidence: coverage of the intervals.

    Returns:
        One summary for each system.

    Raises:
        ValueError: an unknown system.

    Example:
        >>> votes = Votes.from_cells({"ours": [[30, 40], [20, -40]]}, "azimuth", expected=30.0)
        >>> (ours,) = localisation(votes, ["ours"])
        >>> ours.error.mean, ours.near.mean, ours.confusion.mean
        (22.5, 0.75, 0.25)
    """
    found = []
    for system in systems:
        cells = {score: with_votes(cell) for score, cell in _cells(votes, system).items()}
        error, near, confusion = (_interval(score, cells[score], confidence) for score in SCORES)
        votes_there = int(np.count_nonzero(~np.isnan(cells["error"])))
        found.append(SystemLocalisation(system, error, near, confusion, votes_there))
    return found


def _interval(score: str, cell: Floats, confidence: float) -> OpinionInterval:
    if not cell.size:
        return OpinionInterval(math.nan, math.nan, math.nan, math.nan, reason="no source lies to a side")
    return crossed(cell, confidence) if score == "error" else share_interval(cell, confidence)


def compare_errors(votes: Votes, systems: Sequence[str], confidence: float = 0.95) -> list[ScoreComparison]:
    """Compare the angular errors of every pair of systems.

    Args:
        votes: whose ratings are azimuths in degrees, with the true azimuth as `expected`.
        systems: names of the systems.
        confidence: coverage of the intervals.

    Returns:
        One comparison for each pair with answers of the same raters on the same clips, with Holm's correction; below 0
        A is better.

    Raises:
        ValueError: an unknown system.

    Example:
        >>> cells = {"ours": [[30, 40], [20, 30]], "theirs": [[0, 10], [10, 0]]}
        >>> (pair,) = compare_errors(Votes.from_cells(cells, "azimuth", expected=30.0), list(cells))
        >>> pair.difference.mean
        -20.0
    """
    return compare_scores({system: _cells(votes, system)["error"] for system in systems}, confidence)
