"""Which of two sounds fits a video, where a system made one of them for that video and the other for another one.

An answer is right (1) or wrong (0). A system's score is the share of right answers: in [0, 1], higher is better, and
guessing gives 0.5. It asks less of raters than a rating does and cannot be high for a sound that fits everything: a
system that makes the same good sound for every video is at chance.

- the interval of a share treats raters and clips both as drawn at random: the standard error of `crossed` (module
  `opinion`) gives the number of independent answers that would be as sure, and Wilson's interval is that of as many,
  with the quantile of Student's t. It stays within [0, 1], and is not empty where every answer is right: there the
  answers count for no more than there are raters, or clips if they are fewer;
- p against chance is that of `crossed_p` for answers scored from -1 to 1, corrected by Holm over the systems;
- two systems are compared by the difference per rater and clip (`compare_scores`).

Sources: Wilson (1927), "Probable inference, the law of succession, and statistical inference", J. American Statistical
Association 22; Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of positive
counts estimated from survey data", Survey Methodology 24, for the number of independent answers.

Functions: `right_answers`, `share_interval`, `matching`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from visaudio_bench.metrics.opinion import Floats, OpinionInterval, Votes, crossed, with_votes
from visaudio_bench.metrics.opinion_comparison import crossed_p
from visaudio_bench.metrics.uncertainty import holm

CHANCE = 0.5


class SystemMatching(NamedTuple):
    """How often a system's sound for the video was told from its sound for another one.

    Attributes:
        system: name of the system.
        share: of right answers, with its interval.
        p: that the share is that of guessing, for other raters and clips.
        p_holm: corrected over the systems.
        n_votes: number of answers.
    """

    system: str
    share: OpinionInterval
    p: float
    p_holm: float
    n_votes: int


def right_answers(votes: Votes, system: str) -> Floats:
    """Arrange a system's answers as a matrix.

    Args:
        votes: whose ratings are answers, with the right one as `expected`.
        system: name of the system.

    Returns:
        The cell (R, I) over all raters and clips: 1 for a right answer, 0 for a wrong one, NaN for none.

    Raises:
        ValueError: an unknown system.

    Example:
        >>> votes = Votes.from_cells({"ours": [[1, -1], [1, np.nan]]}, "fits", expected=1.0)
        >>> right_answers(votes, "ours").tolist()
        [[1.0, 0.0], [1.0, nan]]
    """
    mine = votes.system == votes.systems.index(system)
    cell = np.full((len(votes.raters), len(votes.clips)), np.nan)
    cell[votes.rater[mine], votes.clip[mine]] = votes.rating[mine] == votes.expected[mine]
    return cell


def share_interval(cell: Floats, confidence: float = 0.95) -> OpinionInterval:
    """Compute the interval of a share for raters and clips both drawn at random.

    Args:
        cell: answers (R, I) of raters by clips, 1 or 0, NaN where there is none.
        confidence: coverage of the interval.

    Returns:
        The share with its interval within [0, 1]; none where `crossed` has none. `half` is half of the width.

    Example:
        All four answers are right, and count for two:

        >>> interval = share_interval(np.ones((2, 2)))
        >>> interval.mean, round(interval.low, 2), interval.high
        (1.0, 0.01, 1.0)
    """
    plain = crossed(cell, confidence)
    if math.isnan(plain.half):
        return plain
    voted = ~np.isnan(cell)
    share, answers = plain.mean, int(voted.sum())
    fewer = int(min(voted.any(1).sum(), voted.any(0).sum()))
    if plain.half == 0:
        df, independent = float(fewer - 1), float(fewer)
        bar = float(stats.t.ppf(0.5 + confidence / 2, df))
    else:
        df = plain.df
        bar = float(stats.t.ppf(0.5 + confidence / 2, df))
        independent = min(share * (1 - share) / (plain.half / bar) ** 2, float(answers))
    below = 1 + bar**2 / independent
    middle = (share + bar**2 / (2 * independent)) / below
    half = bar * math.sqrt(share * (1 - share) / independent + bar**2 / (4 * independent**2)) / below
    return OpinionInterval(share, max(middle - half, 0.0), min(middle + half, 1.0), half, df)


def matching(votes: Votes, systems: Sequence[str], confidence: float = 0.95) -> list[SystemMatching]:
    """Summarise how often the sounds of each system were matched.

    Args:
        votes: whose ratings are answers, with the right one as `expected`.
        systems: names of the systems.
        confidence: coverage of the intervals.

    Returns:
        One summary for each system, with Holm's correction over the systems.

    Raises:
        ValueError: an unknown system.

    Example:
        >>> votes = Votes.from_cells({"ours": [[1, -1], [1, 1]]}, "fits", expected=1.0)
        >>> (ours,) = matching(votes, ["ours"])
        >>> ours.share.mean, ours.n_votes
        (0.75, 4)
    """
    found = []
    for system in systems:
        cell = with_votes(right_answers(votes, system))
        answers = int(np.count_nonzero(~np.isnan(cell)))
        p = crossed_p(2 * (cell - CHANCE))
        found.append(SystemMatching(system, share_interval(cell, confidence), p, math.nan, answers))
    corrected = holm([one.p for one in found])
    return [one._replace(p_holm=float(p)) for one, p in zip(found, corrected, strict=True)]
