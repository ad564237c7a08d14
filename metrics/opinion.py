r"""Mean opinion scores and their intervals.

A listening test gives votes: rater `r` rates what system `s` made for clip `i` on dimension `d`, as an integer of a
scale (1 to 5 here). The mean opinion score (MOS) of a system on a dimension is the mean of its votes. It is in
points of the scale, and higher is better. This module says how sure one may be of it. Everything works on `Votes`, a
tidy table of integer codes, or on one cell of it: the matrix (R, I) of raters by clips, NaN where there is no vote.

Intervals, all centred on the mean over votes except `bootstrap`:

- `crossed`: raters and clips both are samples (default). Two-way random effects without replication; a balanced cell
  gives SE^2 = max(MS_R + MS_I - MS_E, MS_R, MS_I) / (R I) with Satterthwaite's degrees of freedom. A cell with missing
  votes uses the moment estimates of Gao and Owen (2017), which are the same numbers when nothing is missing.
- `raters-t`: Student's t over rater means: clips are fixed, the result holds for these clips.
- `clips-t`: Student's t over clip means: raters are fixed.
- `bootstrap`: percentile interval, raters and clips resampled independently (Owen 2007, "The pigeonhole bootstrap").
- `normal`: 1.96 s / sqrt(n) over votes as the P.808 toolkit and sureal do. Assumes independent votes, which they are
  not: in simulated studies of 12 raters by 10 clips it covers the truth about 62 % of the time.
- `paper`: 1.96 std(rater means, n in the denominator) / sqrt(R): reproduces every +- of the ViSAudio paper's Table 3
  (arXiv:2512.03036) on integer votes; `paper-clips` is its twin over clip means. The table cannot tell the two apart,
  nor does the paper say which was used. Both are too short when R or I is small.

An interval is not clipped to the scale. Where it cannot be computed it is NaN, with a reason, and not 0.

Sources: Searle, Casella, McCulloch (1992), "Variance Components", ch. 4; Satterthwaite (1946); Gao, Owen (2017),
"Efficient moment calculations for variance components in large unbalanced crossed random effects models",
Electronic Journal of Statistics 11, eq. (8) and (9); ITU-T P.800.2 for what has to be reported with a MOS.

Functions: `opinion`, `variance_components`, `with_votes`, and one for each interval, by name in `INTERVALS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

ROLES = ("test", "hidden_reference", "low_anchor", "gold", "trap")
BOOTSTRAP_RESAMPLES = 2000


@dataclass(frozen=True)
class Votes:
    """A tidy table of N votes of one study: codes, and the names that the codes stand for.

    Attributes:
        rater: (N,) codes into `raters`.
        clip: (N,) codes into `clips`.
        system: (N,) codes into `systems`.
        dimension: (N,) codes into `dimensions`.
        rating: (N,) integers of the scale.
        role: (N,) codes into `ROLES`.
        expected: (N,) right answer of a gold or trap vote, else NaN.
        raters: names of the raters.
        clips: names of the clips.
        systems: names of the systems.
        dimensions: names of the dimensions.
    """

    rater: Codes
    clip: Codes
    system: Codes
    dimension: Codes
    rating: Codes
    role: Codes
    expected: Floats
    raters: tuple[str, ...]
    clips: tuple[str, ...]
    systems: tuple[str, ...]
    dimensions: tuple[str, ...]

    @classmethod
    def from_cells(
        cls,
        cells: Mapping[str, npt.ArrayLike],
        dimension: str,
        *,
        role: str = "test",
        expected: float = math.nan,
    ) -> Votes:
        """Make the votes of one dimension from a matrix for each system.

        Args:
            cells: votes (R, I) of each system by the same R raters on the same I clips, NaN where there is none.
            dimension: name of the dimension.
            role: of all votes, one of `ROLES`.
            expected: right answer of all votes, for gold and trap votes.

        Returns:
            The votes; raters are called r0, r1, ... and clips c0, c1, ...

        Raises:
            ValueError: the matrices differ in shape, a vote is not a whole number, or the role is unknown.

        Example:
            >>> votes = Votes.from_cells({"ours": [[4, 5], [2, np.nan]]}, "realism")
            >>> len(votes), votes.raters, votes.clips
            (3, ('r0', 'r1'), ('c0', 'c1'))
        """
        cube = np.stack([np.asarray(cell, dtype=np.float64) for cell in cells.values()])
        system, rater, clip = np.nonzero(~np.isnan(cube))
        given = cube[system, rater, clip]
        rating, count = np.rint(given).astype(np.int64), len(given)
        if not np.array_equal(rating, given):
            raise ValueError("a vote is a whole number of the scale; give the votes, not means of them")
        return cls(
            rater=rater,
            clip=clip,
            system=system,
            dimension=np.zeros(count, dtype=np.int64),
            rating=rating,
            role=np.full(count, ROLES.index(role)),
            expected=np.full(count, expected),
            raters=tuple(f"r{number}" for number in range(cube.shape[1])),
            clips=tuple(f"c{number}" for number in range(cube.shape[2])),
            systems=tuple(cells),
            dimensions=(dimension,),
        )

    def __len__(self) -> int:
        return len(self.rating)

    def where(self, keep: npt.NDArray[np.bool_]) -> Votes:
        """Keep some of the votes.

        Args:
            keep: (N,) mask.

        Returns:
            The votes of the mask; names and codes stay as they are.
        """
        columns = ("rater", "clip", "system", "dimension", "rating", "role", "expected")
        return Votes(
            **{name: getattr(self, name)[keep] for name in columns},
            raters=self.raters,
            clips=self.clips,
            systems=self.systems,
            dimensions=self.dimensions,
        )

    def with_role(self, *roles: str) -> Votes:
        """Keep the votes of one or more roles.

        Args:
            roles: names out of `ROLES`.

        Returns:
            Their votes; names and codes stay as they are.
        """
        return self.where(np.isin(self.role, [ROLES.index(role) for role in roles]))

    def matrix(self, system: str, dimension: str) -> Floats:
        """Arrange the votes on one system and dimension as a matrix.

        Args:
            system: name of the system.
            dimension: name of the dimension.

        Returns:
            The cell (R, I): raters by clips, of those that have a vote in it, NaN where a pair has none.

        Raises:
            ValueError: a rater voted twice on the same clip.
        """
        mine = (self.system == self.systems.index(system)) & (self.dimension == self.dimensions.index(dimension))
        raters, row = np.unique(self.rater[mine], return_inverse=True)
        clips, column = np.unique(self.clip[mine], return_inverse=True)
        return _fill(row, column, self.rating[mine], (len(raters), len(clips)))

    def full_matrix(self, system: str, dimension: str) -> Floats:
        """Arrange the votes as `matrix` does, over all raters and clips, so that two systems can be subtracted.

        Args:
            system: name of the system.
            dimension: name of the dimension.

        Returns:
            The cell over all raters and clips, NaN where a pair has no vote.

        Raises:
            ValueError: a rater voted twice on the same clip.
        """
        mine = (self.system == self.systems.index(system)) & (self.dimension == self.dimensions.index(dimension))
        shape = (len(self.raters), len(self.clips))
        return _fill(self.rater[mine], self.clip[mine], self.rating[mine], shape)


def with_votes(cell: Floats) -> Floats:
    """Leave out the raters and the clips without any vote.

    Args:
        cell: votes, or differences of votes, (R, I) of raters by clips, NaN where there is none.

    Returns:
        What is left; (0, 0) without any vote.

    Example:
        >>> with_votes(np.array([[4.0, np.nan], [np.nan, np.nan]])).tolist()
        [[4.0]]
    """
    voted = ~np.isnan(cell)
    return cell[voted.any(1)][:, voted.any(0)]


def _fill(row: Codes, column: Codes, values: Codes, shape: tuple[int, int]) -> Floats:
    out = np.full(shape, np.nan)
    out[row, column] = values
    if np.count_nonzero(~np.isnan(out)) != len(values):
        raise ValueError("a rater voted more than once on the same clip, system and dimension")
    return out


class OpinionInterval(NamedTuple):
    """A mean with its interval, in points of the scale.

    Attributes:
        mean: over votes.
        low: lower end, NaN where there is no interval.
        high: upper end, NaN where there is no interval.
        half: half of the width; NaN where there is no interval.
        df: degrees of freedom where a quantile of Student's t was used, else NaN.
        reason: why there is no interval, else "".
    """

    mean: float
    low: float
    high: float
    half: float
    df: float = math.nan
    reason: str = ""


def _around(mean: float, half: float, df: float = math.nan) -> OpinionInterval:
    return OpinionInterval(mean, mean - half, mean + half, half, df)


def _without(mean: float, reason: str) -> OpinionInterval:
    return OpinionInterval(mean, math.nan, math.nan, math.nan, math.nan, reason)


class Components(NamedTuple):
    """Variance components of a cell in squared points; they are not clipped and may be negative.

    Attributes:
        rater: variance between raters.
        clip: variance between clips.
        residual: variance of what remains.
    """

    rater: float
    clip: float
    residual: float


def variance_components(cell: Floats) -> Components:
    """Estimate the variance components of a cell by moments; without missing votes they are ANOVA's estimates.

    Within-rater squares estimate `clip + residual`, within-clip squares `rater + residual`, all squares the sum with
    known weights: three equations (Gao and Owen 2017, eq. 8 and 9).

    Args:
        cell: votes (R, I) of raters by clips, NaN where there is none, in any pattern.

    Returns:
        The components; NaN where the pattern of missing votes does not separate them.

    Example:
        Raters who differ by 2 and clips that differ by 1, whoever votes:

        >>> variance_components(np.array([[4.0, 5.0], [2.0, 3.0]]))
        Components(rater=2.0, clip=0.5, residual=0.0)
    """
    voted = ~np.isnan(cell)
    y = np.where(voted, cell, 0.0)
    n_r, n_i, n = voted.sum(1), voted.sum(0), int(voted.sum())
    within_raters = (y**2).sum() - (y.sum(1) ** 2 / np.maximum(n_r, 1)).sum()
    within_clips = (y**2).sum() - (y.sum(0) ** 2 / np.maximum(n_i, 1)).sum()
    everything = n * (y**2).sum() - y.sum() ** 2
    raters, clips = int(np.count_nonzero(n_r)), int(np.count_nonzero(n_i))
    weight_r, weight_i = n**2 - int((n_r**2).sum()), n**2 - int((n_i**2).sum())
    separable = weight_r + weight_i - (n**2 - n)
    if n in (raters, clips) or separable <= 0:
        return Components(math.nan, math.nan, math.nan)
    clip_and_rest = within_raters / (n - raters)
    rater_and_rest = within_clips / (n - clips)
    residual = (rater_and_rest * weight_r + clip_and_rest * weight_i - everything) / separable
    return Components(float(rater_and_rest - residual), float(clip_and_rest - residual), float(residual))


def crossed(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Compute the interval for raters and clips both drawn at random.

    With V_R the variance of the mean if only raters were drawn (rater and residual parts), V_I the same for clips and
    V_E the residual part alone: SE^2 = max(V_R + V_I - V_E, V_R, V_I), and by Satterthwaite
    df = SE^4 / (V_R^2 / (R-1) + V_I^2 / (I-1) + V_E^2 / (n-R-I+1)),
    at least min(R, I) - 1 where a component is estimated below zero.

    Args:
        cell: votes (R, I) of raters by clips, NaN where there is none.
        confidence: coverage of the interval.
        seed: not used; all methods take the same arguments.

    Returns:
        The mean with its interval; none with fewer than 2 raters or clips, or too many missing votes.

    Example:
        V_R = 4 / 4, V_I = 1 / 4 and V_E = 0, so that df = 1.25² / (1² + 0.25²):

        >>> interval = crossed(np.array([[4.0, 5.0], [2.0, 3.0]]))
        >>> interval.mean, round(interval.df, 2)
        (3.5, 1.47)
    """
    del seed
    voted = ~np.isnan(cell)
    n_r, n_i, n = voted.sum(1), voted.sum(0), int(voted.sum())
    mean = _mean(cell)
    raters, clips = int(np.count_nonzero(n_r)), int(np.count_nonzero(n_i))
    if raters < 2 or clips < 2:
        return _without(mean, f"{raters} rater(s) and {clips} clip(s): at least 2 of each are needed")
    parts = variance_components(cell)
    if math.isnan(parts.residual):
        return _without(mean, "too many votes are missing to tell raters from clips")
    rest = max(parts.residual, 0.0) / n
    by_rater = max(parts.rater * float((n_r**2).sum()) / n**2 + rest, 0.0)
    by_clip = max(parts.clip * float((n_i**2).sum()) / n**2 + rest, 0.0)
    squared = max(by_rater + by_clip - rest, by_rater, by_clip)
    if squared == 0:
        return _around(mean, 0.0)
    spread = by_rater**2 / (raters - 1) + by_clip**2 / (clips - 1) + rest**2 / max(n - raters - clips + 1, 1)
    df = squared**2 / spread
    if min(parts.rater, parts.clip) < -1e-9 * rest * n:  # estimates below zero take the approximation out of its range
        df = max(df, min(raters, clips) - 1)
    return _around(mean, float(stats.t.ppf(0.5 + confidence / 2, df)) * math.sqrt(squared), df)


def raters_t(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Compute Student's t interval over the means of the raters: the clips are the benchmark, not a sample of one.

    Args:
        cell: votes (R, I) of raters by clips, NaN where there is none.
        confidence: coverage of the interval.
        seed: not used; all methods take the same arguments.

    Returns:
        The mean with its interval; none with fewer than 2 raters.

    Example:
        Rater means of 4.5 and 2.5 have the standard error 1, and t for 1 degree of freedom is 12.71:

        >>> round(raters_t(np.array([[4.0, 5.0], [2.0, 3.0]])).half, 2)
        12.71
    """
    del seed
    return _student(_mean(cell), _means(cell, 1), confidence, "rater")


def clips_t(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Compute Student's t interval over the means of the clips: the raters are fixed.

    Args:
        cell: votes (R, I) of raters by clips, NaN where there is none.
        confidence: coverage of the interval.
        seed: not used; all methods take the same arguments.

    Returns:
        The mean with its interval; none with fewer than 2 clips.

    Example:
        Clip means of 3 and 4 have the standard error 1/2:

        >>> round(clips_t(np.array([[4.0, 5.0], [2.0, 3.0]])).half, 2)
        6.35
    """
    del seed
    return _student(_mean(cell), _means(cell, 0), confidence, "clip")


def normal(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Compute the normal quantile times s / sqrt(n) over all votes, as if they were independent.

    Args:
        cell: votes (R, I) of raters by clips, NaN where there is none.
        confidence: coverage of the interval.
        seed: not used; all methods take the same arguments.

    Returns:
        The mean with its interval; none with fewer than 2 votes.

    Example:
        Four votes with s² = 5/3:

        >>> round(normal(np.array([[4.0, 5.0], [2.0, 3.0]])).half, 2)
        1.27
    """
    del seed
    votes = cell[~np.isnan(cell)]
    if len(votes) < 2:
        return _without(_mean(cell), f"{len(votes)} vote(s): at least 2 are needed")
    return _around(_mean(cell), _z(confidence) * float(np.std(votes, ddof=1)) / math.sqrt(len(votes)))


def paper(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Compute the normal quantile times std(rater means, R in the denominator) / sqrt(R).

    Args:
        cell: votes (R, I) of raters by clips, NaN where there is none.
        confidence: coverage of the interval.
        seed: not used; all methods take the same arguments.

    Returns:
        The mean with its interval; none with fewer than 2 raters.

    Example:
        Rater means of 4.5 and 2.5 give 1.96 / √2:

        >>> round(paper(np.array([[4.0, 5.0], [2.0, 3.0]])).half, 2)
        1.39
    """
    del seed
    return _population_z(_mean(cell), _means(cell, 1), confidence, "rater")


def paper_clips(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Compute the normal quantile times std(clip means, I in the denominator) / sqrt(I).

    Args:
        cell: votes (R, I) of raters by clips, NaN where there is none.
        confidence: coverage of the interval.
        seed: not used; all methods take the same arguments.

    Returns:
        The mean with its interval; none with fewer than 2 clips.

    Example:
        Clip means of 3 and 4 give 1.96 / √8:

        >>> round(paper_clips(np.array([[4.0, 5.0], [2.0, 3.0]])).half, 2)
        0.69
    """
    del seed
    return _population_z(_mean(cell), _means(cell, 0), confidence, "clip")


def bootstrap(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Compute the percentile interval of the mean over votes, raters and clips resampled independently, 2000 times.

    Args:
        cell: votes (R, I) of raters by clips, NaN where there is none.
        confidence: coverage of the interval.
        seed: of the resamples.

    Returns:
        The mean with its interval; none with fewer than 2 raters or clips.

    Example:
        Two raters and two clips are so few that the interval is all that a resample can give:

        >>> bootstrap(np.array([[4.0, 5.0], [2.0, 3.0]]))[:3]
        (3.5, 2.0, 5.0)
    """
    mean = _mean(cell)
    raters, clips = cell.shape
    if min(raters, clips) < 2:
        return _without(mean, f"{raters} rater(s) and {clips} clip(s): at least 2 of each are needed")
    voted = ~np.isnan(cell)
    of_raters = _resamples(raters, BOOTSTRAP_RESAMPLES, seed)
    of_clips = _resamples(clips, BOOTSTRAP_RESAMPLES, seed + 1)
    sums = ((of_raters @ np.where(voted, cell, 0.0)) * of_clips).sum(1)
    counts = ((of_raters @ voted.astype(np.float64)) * of_clips).sum(1)
    means = sums[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return OpinionInterval(mean, float(low), float(high), float(high - low) / 2)


@lru_cache(maxsize=8)
def _resamples(size: int, times: int, seed: int) -> Floats:
    """Count how often each of `size` things is drawn, (times, size); the same for all cells of one size."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(size, size=(times, size)) + size * np.arange(times)[:, None]
    return np.bincount(drawn.ravel(), minlength=times * size).reshape(times, size).astype(np.float64)


IntervalMethod = Callable[[Floats, float, int], OpinionInterval]
INTERVALS: dict[str, IntervalMethod] = {
    "crossed": crossed,
    "raters-t": raters_t,
    "clips-t": clips_t,
    "bootstrap": bootstrap,
    "normal": normal,
    "paper": paper,
    "paper-clips": paper_clips,
}


def _mean(cell: Floats) -> float:
    votes = cell[~np.isnan(cell)]
    return float(votes.mean()) if len(votes) else math.nan


def _means(cell: Floats, axis: int) -> Floats:
    """Average the votes along an axis, of those rows or columns that have any."""
    voted = ~np.isnan(cell)
    counts = voted.sum(axis)
    means: Floats = np.where(voted, cell, 0.0).sum(axis)[counts > 0] / counts[counts > 0]
    return means


def _z(confidence: float) -> float:
    return float(stats.norm.ppf(0.5 + confidence / 2))


def _student(mean: float, units: Floats, confidence: float, unit: str) -> OpinionInterval:
    if len(units) < 2:
        return _without(mean, f"{len(units)} {unit}(s): at least 2 are needed")
    df = len(units) - 1
    quantile = float(stats.t.ppf(0.5 + confidence / 2, df))
    return _around(mean, quantile * float(np.std(units, ddof=1)) / math.sqrt(len(units)), df)


def _population_z(mean: float, units: Floats, confidence: float, unit: str) -> OpinionInterval:
    if len(units) < 2:
        return _without(mean, f"{len(units)} {unit}(s): at least 2 are needed")
    return _around(mean, _z(confidence) * float(np.std(units)) / math.sqrt(len(units)))


class Opinion(NamedTuple):
    """What the votes on one system and dimension say.

    Attributes:
        system: name of the system.
        dimension: name of the dimension.
        mean: mean opinion score, NaN without a vote.
        sd: standard deviation of the votes (n - 1 in the denominator), NaN with fewer than two.
        n_raters: number of raters with a vote.
        n_clips: number of clips with a vote.
        n_votes: number of votes.
        histogram: number of votes for each value of the scale, from its low end to its high end.
        intervals: the mean with its interval by each method.
    """

    system: str
    dimension: str
    mean: float
    sd: float
    n_raters: int
    n_clips: int
    n_votes: int
    histogram: tuple[int, ...]
    intervals: dict[str, OpinionInterval]


def opinion(
    votes: Votes,
    system: str,
    dimension: str,
    methods: Sequence[str] = ("crossed",),
    *,
    scale: tuple[int, int] = (1, 5),
    confidence: float = 0.95,
    seed: int = 0,
) -> Opinion:
    """Compute the mean opinion score of one system on one dimension.

    Args:
        votes: of the study.
        system: name of the system.
        dimension: name of the dimension.
        methods: keys of `INTERVALS`.
        scale: lowest and highest rating.
        confidence: coverage of the intervals.
        seed: of resampling methods.

    Returns:
        The score, its counts and an interval for each method.

    Raises:
        ValueError: an unknown system or dimension, or a rater voted twice on the same clip.

    Example:
        >>> votes = Votes.from_cells({"ours": [[4, 5], [2, 3]], "theirs": [[3, 3], [1, 3]]}, "realism")
        >>> score = opinion(votes, "theirs", "realism")
        >>> score.mean, score.n_votes, score.histogram
        (2.5, 4, (1, 0, 3, 0, 0))
    """
    cell = votes.matrix(system, dimension)
    ratings = cell[~np.isnan(cell)]
    counts = np.bincount(ratings.astype(np.int64) - scale[0], minlength=scale[1] - scale[0] + 1)
    return Opinion(
        system=system,
        dimension=dimension,
        mean=_mean(cell),
        sd=float(np.std(ratings, ddof=1)) if len(ratings) > 1 else math.nan,
        n_raters=cell.shape[0],
        n_clips=cell.shape[1],
        n_votes=len(ratings),
        histogram=tuple(int(count) for count in counts),
        intervals={method: INTERVALS[method](cell, confidence, seed) for method in methods},
    )
