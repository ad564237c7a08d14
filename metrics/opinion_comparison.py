"""Which system is rated better: comparisons of two systems on the same raters and clips.

Every comparison is paired: the difference of the two votes that one rater gave one clip. Raters differ by two points
and more in how they use the scale (Rosenberg and Ramabhadran 2017, Interspeech), and that cancels in the difference.

- the mean difference with a `crossed` interval (module `opinion`), and the p that belongs to it: raters and clips are
  both drawn at random, so that a small p speaks of other raters and other clips (test `crossed`, what marks stand for);
- p by sign flips: under the null hypothesis each rater's total difference is as likely with the other sign. All 2^R
  sign patterns are counted exactly, for any R, because totals of integer votes are integers and their distribution is
  a convolution. It takes the clips as they are (test `fixed-clips`): where a system does better on some clips than on
  others, systems that are equal over all clips are told apart in a third of the studies;
- p by Wilcoxon's signed-rank test over the mean differences of the raters; clips as they are;
- the probability that A is rated above B, P(A > B) + P(A = B) / 2;
- Holm (1979) corrects the p of the chosen test over the pairs of a dimension;
- Friedman's test asks whether any system differs, over the rater means;
- tie groups: runs of the ranking within which no pair differs significantly.

Differences are in points of the scale, A minus B: above 0 A is better. p and probabilities are in [0, 1]. A p is small
where chance explains a difference badly, and says nothing about its size.

Functions: `compare`, `compare_scores`, `crossed_p`, `sign_flip_p`, `wilcoxon_p`, `friedman`, `tie_groups`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from visaudio_bench.metrics.opinion import Floats, OpinionInterval, Votes, crossed, with_votes
from visaudio_bench.metrics.uncertainty import holm

EXACT_RANKS = 50
TESTS = ("crossed", "fixed-clips")


class Comparison(NamedTuple):
    """System A against system B on one dimension.

    Attributes:
        dimension: name of the dimension.
        a: name of system A.
        b: name of system B.
        difference: mean of A minus B with its interval, in points of the scale.
        superiority: probability that A is rated above B, ties by half.
        p_crossed: p of the mean difference for other raters and other clips.
        p_sign_flip: p of the mean difference by sign flips of the raters, for these clips.
        p_wilcoxon: p of Wilcoxon's test over the raters, for these clips.
        p_holm: p of the chosen test corrected over the pairs of the dimension.
        n_raters: number of raters with a pair.
        n_clips: number of clips with a pair.
        n_pairs: number of pairs: one rater's votes on A and B for one clip.
    """

    dimension: str
    a: str
    b: str
    difference: OpinionInterval
    superiority: float
    p_crossed: float
    p_sign_flip: float
    p_wilcoxon: float
    p_holm: float
    n_raters: int
    n_clips: int
    n_pairs: int


def crossed_p(differences: Floats) -> float:
    """Test whether a mean difference is zero over all raters and all clips, of which both are samples.

    The mean over its standard error, both as in the interval `crossed`, in Student's t. Where all differences are
    alike there is no standard error: p is then that of as many sign flips as there are units of the fewer kind.

    Args:
        differences: (R, I) of raters by clips, NaN where there is none.

    Returns:
        The two-sided p; NaN with fewer than two raters or clips, or too many missing votes.

    Example:
        Rater means of 1.5 and 0.5 and clip means of 0.5 and 1.5 vary by more than two of each can rule out:

        >>> round(crossed_p(np.array([[1.0, 2.0], [0.0, 1.0]])), 2)
        0.29
        >>> crossed_p(np.ones((3, 5)))
        0.25
    """
    interval = crossed(differences)
    if math.isnan(interval.half):
        return math.nan
    if interval.half == 0:
        voted = ~np.isnan(differences)
        units = min(np.count_nonzero(voted.any(1)), np.count_nonzero(voted.any(0)))
        return float(2.0 ** (1 - units)) if interval.mean else 1.0
    error = interval.half / stats.t.ppf(0.975, interval.df)
    return float(2 * stats.t.sf(abs(interval.mean) / error, interval.df))


def sign_flip_p(totals: npt.ArrayLike) -> float:
    """Test whether the sum of integers is zero, under all 2^R sign patterns.

    Args:
        totals: (R,) integers, such as each rater's total difference.

    Returns:
        The two-sided p, exact; NaN without any total.

    Raises:
        ValueError: a total is not an integer.

    Example:
        Of the 2^3 patterns, all plus and all minus reach the sum:

        >>> sign_flip_p([1, 2, 3])
        0.25
    """
    values = np.asarray(totals)
    whole = np.rint(values).astype(np.int64)
    if not np.array_equal(whole, values):
        raise ValueError("the sign-flip test counts sums of integers; give totals of votes, not means")
    if not len(whole):
        return math.nan
    step = int(np.gcd.reduce(whole)) or 1
    sizes = np.sort(np.abs(whole[whole != 0])) // step
    chances = np.ones(1)
    for size in sizes:
        longer = np.zeros(len(chances) + 2 * size)
        longer[: len(chances)] += 0.5 * chances
        longer[2 * size :] += 0.5 * chances
        chances = longer
    sums = np.arange(len(chances)) - len(chances) // 2
    return min(1.0, float(chances[np.abs(sums) >= abs(int(whole.sum())) // step].sum()))


def wilcoxon_p(differences: Floats) -> float:
    """Compute Wilcoxon's signed-rank test.

    Zeros are left out, ties have mean ranks. It is exact for up to 50 differences, ties or not: twice the signed mean
    ranks are integers, and their sign flips are counted. Beyond that it is the normal approximation, corrected for
    ties.

    Args:
        differences: (R,) differences.

    Returns:
        The two-sided p; 1 where every difference is 0, NaN without any.

    Example:
        >>> wilcoxon_p(np.array([0.5, 1.0, 2.5, 0.0]))
        0.25
    """
    if not len(differences):
        return math.nan
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0
    if len(nonzero) > EXACT_RANKS:
        return float(stats.wilcoxon(nonzero, method="asymptotic").pvalue)
    return sign_flip_p(np.rint(2 * stats.rankdata(np.abs(nonzero)) * np.sign(nonzero)))


def compare(
    votes: Votes, dimension: str, systems: Sequence[str], confidence: float = 0.95, test: str = "crossed"
) -> list[Comparison]:
    """Compare every pair of systems on one dimension.

    Args:
        votes: of a study.
        dimension: name of the dimension.
        systems: names of the systems.
        confidence: coverage of the intervals.
        test: one of `TESTS`, whose p is corrected: `crossed` for other raters and clips, `fixed-clips` for other
            raters and these clips.

    Returns:
        One comparison for each pair in the order of `systems`, with Holm's correction over the pairs.

    Raises:
        ValueError: an unknown system, dimension or test, or a rater voted twice on the same clip.

    Example:
        >>> votes = Votes.from_cells({"ours": [[4, 5], [3, 3]], "theirs": [[3, 3], [2, 3]]}, "realism")
        >>> (pair,) = compare(votes, "realism", ["ours", "theirs"])
        >>> pair.difference.mean, pair.superiority, pair.p_sign_flip
        (1.0, 0.875, 0.5)
    """
    cells = {system: votes.full_matrix(system, dimension) for system in systems}
    pairs = [_pair(dimension, a, b, cells[a] - cells[b], confidence) for a, b in combinations(systems, 2)]
    if test not in TESTS:
        raise ValueError(f'unknown test "{test}"; known: {", ".join(TESTS)}')
    corrected = holm([pair.p_crossed if test == "crossed" else pair.p_sign_flip for pair in pairs])
    return [pair._replace(p_holm=float(p)) for pair, p in zip(pairs, corrected, strict=True)]


def _pair(dimension: str, a: str, b: str, differences: Floats, confidence: float) -> Comparison:
    kept = with_votes(differences)
    inside = ~np.isnan(kept)
    totals = np.where(inside, kept, 0.0).sum(1)
    pairs = kept[inside]
    return Comparison(
        dimension=dimension,
        a=a,
        b=b,
        difference=crossed(kept, confidence),
        superiority=float(((pairs > 0) + 0.5 * (pairs == 0)).mean()) if len(pairs) else math.nan,
        p_crossed=crossed_p(kept),
        p_sign_flip=sign_flip_p(totals),
        p_wilcoxon=wilcoxon_p(totals / np.maximum(inside.sum(1), 1)),
        p_holm=math.nan,
        n_raters=kept.shape[0],
        n_clips=kept.shape[1],
        n_pairs=len(pairs),
    )


class ScoreComparison(NamedTuple):
    """System A against system B by what each of their answers scores.

    Attributes:
        a: name of system A.
        b: name of system B.
        difference: mean score of A minus that of B, with its interval.
        p: that there is no difference, for other raters and clips.
        p_holm: corrected over the pairs.
    """

    a: str
    b: str
    difference: OpinionInterval
    p: float
    p_holm: float


def compare_scores(cells: Mapping[str, Floats], confidence: float = 0.95) -> list[ScoreComparison]:
    """Compare every pair of systems by the scores of their answers.

    Args:
        cells: scores (R, I) of each system by the same R raters on the same I clips, NaN where there is none.
        confidence: coverage of the intervals.

    Returns:
        One comparison for each pair with scores of the same raters on the same clips, with Holm's correction.

    Example:
        >>> (pair,) = compare_scores({"ours": np.array([[1.0, 1.0], [1.0, 0.0]]), "theirs": np.zeros((2, 2))})
        >>> pair.a, pair.b, pair.difference.mean
        ('ours', 'theirs', 0.75)
    """
    pairs = []
    for a, b in combinations(cells, 2):
        cell = with_votes(cells[a] - cells[b])
        if cell.size:
            pairs.append(ScoreComparison(a, b, crossed(cell, confidence), crossed_p(cell), math.nan))
    corrected = holm([pair.p for pair in pairs])
    return [pair._replace(p_holm=float(p)) for pair, p in zip(pairs, corrected, strict=True)]


class Omnibus(NamedTuple):
    """Friedman's test; both fields are NaN with fewer than three systems or three raters.

    Attributes:
        statistic: chi-square over the systems.
        p: of the statistic, that no system differs.
    """

    statistic: float
    p: float


def friedman(votes: Votes, dimension: str, systems: Sequence[str]) -> Omnibus:
    """Test whether any system differs; blocks are the raters who rated every system, values their means over clips.

    Args:
        votes: of a study.
        dimension: name of the dimension.
        systems: names of the systems.

    Returns:
        The statistic and its p; NaN with fewer than three systems or such raters, or where all systems are equal.

    Raises:
        ValueError: an unknown system or dimension, or a rater voted twice on the same clip.

    Example:
        Three raters who all rank three systems alike:

        >>> cells = {"a": np.full((3, 1), 5), "b": np.full((3, 1), 3), "c": np.full((3, 1), 1)}
        >>> votes = Votes.from_cells(cells, "realism")
        >>> test = friedman(votes, "realism", ["a", "b", "c"])
        >>> round(test.statistic, 3), round(test.p, 3)
        (6.0, 0.05)
    """
    means = []
    for system in systems:
        cell = votes.full_matrix(system, dimension)
        voted = ~np.isnan(cell)
        counts = voted.sum(1)
        sums = np.where(voted, cell, 0.0).sum(1)
        means.append(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))
    table = np.array(means)
    table = table[:, ~np.isnan(table).any(0)] if means else table
    if len(means) < 3 or table.shape[1] < 3 or np.all(table == table[0]):
        return Omnibus(math.nan, math.nan)
    result = stats.friedmanchisquare(*table)
    return Omnibus(float(result.statistic), float(result.pvalue))


def tie_groups(means: dict[str, float], comparisons: Sequence[Comparison], alpha: float = 0.05) -> dict[str, str]:
    """Give letters to systems: two systems that share a letter are not told apart.

    Systems are ranked by mean; each letter is a longest run of the ranking without a significant pair in it.

    Args:
        means: mean opinion score of each system; a system with NaN gets no letter.
        comparisons: of their pairs.
        alpha: two systems are told apart if their Holm-corrected p is at most this.

    Returns:
        The letters of each system, best system first.

    Example:
        >>> cells = {"a": np.full((12, 9), 5), "b": np.full((12, 9), 4), "c": np.full((12, 9), 4)}
        >>> pairs = compare(Votes.from_cells(cells, "realism"), "realism", list(cells))
        >>> tie_groups({"a": 5.0, "b": 4.0, "c": 4.0}, pairs)
        {'a': 'a', 'b': 'b', 'c': 'b'}
    """
    order = sorted((system for system in means if not math.isnan(means[system])), key=lambda s: -means[s])
    different = {frozenset((pair.a, pair.b)) for pair in comparisons if pair.p_holm <= alpha}
    runs: list[tuple[int, int]] = []
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any(frozenset((order[k], order[end])) in different for k in range(start, end)):
            end += 1
        if not runs or end > runs[-1][1]:
            runs.append((start, end))
    letters = dict.fromkeys(order, "")
    for number, (start, end) in enumerate(runs):
        for system in order[start:end]:
            letters[system] += _letter(number)
    return letters


def _letter(number: int) -> str:
    """Name a group a … z, then a1, b1, … so that any number of systems has letters."""
    return chr(ord("a") + number % 26) + (str(number // 26) if number >= 26 else "")
