r"""Mean opinion scores and their intervals.

A listening test gives votes: rater `r` rates what system `s` made for clip `i` on dimension `d`, as an integer of a
scale (1 to 5 here). The mean opinion score (MOS) of a system on a dimension is the mean of its votes. This module
says how sure one may be of it. Everything works on `Votes`, a tidy table of integer codes, or on one cell of it: the
matrix `(R, I)` of raters by clips, NaN where there is no vote.

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

An interval is not clipped to the scale. It is NaN, with a reason, where it cannot be computed: never 0.

Sources: Searle, Casella, McCulloch (1992), "Variance Components", ch. 4; Satterthwaite (1946); Gao, Owen (2017),
"Efficient moment calculations for variance components in large unbalanced crossed random effects models",
Electronic Journal of Statistics 11, eq. (8) and (9); ITU-T P.800.2 for what has to be reported with a MOS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
    """A tidy table of `N` votes of one study.

    `rater`, `clip`, `system`, `dimension` and `role` are `(N,)` codes into `raters`, `clips`, `systems`,
    `dimensions` and `ROLES`; `rating` is `(N,)` integers; `expected` is `(N,)`, the right answer of a gold or trap
    vote, else NaN.
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

    def __len__(self) -> int:
        return len(self.rating)

    def where(self, keep: npt.NDArray[np.bool_]) -> Votes:
        """The votes of a `(N,)` mask; names and codes stay as they are."""
        columns = ("rater", "clip", "system", "dimension", "rating", "role", "expected")
        return Votes(
            **{name: getattr(self, name)[keep] for name in columns},
            raters=self.raters,
            clips=self.clips,
            systems=self.systems,
            dimensions=self.dimensions,
        )

    def with_role(self, *roles: str) -> Votes:
        """The votes of one or more roles."""
        return self.where(np.isin(self.role, [ROLES.index(role) for role in roles]))

    def matrix(self, system: str, dimension: str) -> Floats:
        """One cell as `(R, I)`: the raters and clips that have a vote in it, NaN where a pair has none.

        Raises:
            ValueError: a rater voted twice on the same clip.
        """
        mine = (self.system == self.systems.index(system)) & (self.dimension == self.dimensions.index(dimension))
        raters, row = np.unique(self.rater[mine], return_inverse=True)
        clips, column = np.unique(self.clip[mine], return_inverse=True)
        return _fill(row, column, self.rating[mine], (len(raters), len(clips)))

    def full_matrix(self, system: str, dimension: str) -> Floats:
        """As `matrix`, over all raters and clips of the study, so that two systems can be subtracted."""
        mine = (self.system == self.systems.index(system)) & (self.dimension == self.dimensions.index(dimension))
        shape = (len(self.raters), len(self.clips))
        return _fill(self.rater[mine], self.clip[mine], self.rating[mine], shape)


def _fill(row: Codes, column: Codes, values: Codes, shape: tuple[int, int]) -> Floats:
    out = np.full(shape, np.nan)
    out[row, column] = values
    if np.count_nonzero(~np.isnan(out)) != len(values):
        raise ValueError("a rater voted more than once on the same clip, system and dimension")
    return out


class OpinionInterval(NamedTuple):
    """A mean with its interval; `df` are degrees of freedom where a t quantile was used.

    Without an interval `low`, `high` and `half` are NaN and `reason` says why. Where the interval is not symmetric
    (`bootstrap`) `half` is half its width.
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
    """Variance components of a cell: between raters, between clips, the rest. Not clipped: may be negative."""

    rater: float
    clip: float
    residual: float


def variance_components(cell: Floats) -> Components:
    """Moment estimates for votes `(R, I)` with any pattern of missing ones; ANOVA's estimates if none is missing.

    Within-rater squares estimate `clip + residual`, within-clip squares `rater + residual`, all squares the sum with
    known weights: three equations (Gao and Owen 2017). NaN where the pattern does not separate them.
    """
    there = ~np.isnan(cell)
    y = np.where(there, cell, 0.0)
    n_r, n_i, n = there.sum(1), there.sum(0), int(there.sum())
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
    """Interval for raters and clips both drawn at random.

    With V_R the variance of the mean if only raters were drawn (rater and residual parts), V_I the same for clips and
    V_E the residual part alone: SE^2 = max(V_R + V_I - V_E, V_R, V_I), and by Satterthwaite
    df = SE^4 / (V_R^2 / (R-1) + V_I^2 / (I-1) + V_E^2 / (n-R-I+1)),
    at least min(R, I) - 1 where a component is estimated below zero.
    """
    del seed
    there = ~np.isnan(cell)
    n_r, n_i, n = there.sum(1), there.sum(0), int(there.sum())
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
    """Student's t over the means of the raters: the clips are the benchmark, not a sample of one."""
    del seed
    return _student(_mean(cell), _means(cell, 1), confidence, "rater")


def clips_t(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Student's t over the means of the clips: the raters are fixed."""
    del seed
    return _student(_mean(cell), _means(cell, 0), confidence, "clip")


def normal(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Normal quantile times s / sqrt(n) over all votes, as if they were independent."""
    del seed
    votes = cell[~np.isnan(cell)]
    if len(votes) < 2:
        return _without(_mean(cell), f"{len(votes)} vote(s): at least 2 are needed")
    return _around(_mean(cell), _z(confidence) * float(np.std(votes, ddof=1)) / math.sqrt(len(votes)))


def paper(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Normal quantile times std(rater means, n in the denominator) / sqrt(R)."""
    del seed
    return _population_z(_mean(cell), _means(cell, 1), confidence, "rater")


def paper_clips(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Normal quantile times std(clip means, n in the denominator) / sqrt(I)."""
    del seed
    return _population_z(_mean(cell), _means(cell, 0), confidence, "clip")


def bootstrap(cell: Floats, confidence: float = 0.95, seed: int = 0) -> OpinionInterval:
    """Percentile interval of the mean over votes, raters and clips resampled independently, 2000 times."""
    mean = _mean(cell)
    raters, clips = cell.shape
    if min(raters, clips) < 2:
        return _without(mean, f"{raters} rater(s) and {clips} clip(s): at least 2 of each are needed")
    there = ~np.isnan(cell)
    of_raters = _resamples(raters, BOOTSTRAP_RESAMPLES, seed)
    of_clips = _resamples(clips, BOOTSTRAP_RESAMPLES, seed + 1)
    sums = ((of_raters @ np.where(there, cell, 0.0)) * of_clips).sum(1)
    counts = ((of_raters @ there.astype(np.float64)) * of_clips).sum(1)
    means = sums[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return OpinionInterval(mean, float(low), float(high), float(high - low) / 2)


@lru_cache(maxsize=8)
def _resamples(size: int, times: int, seed: int) -> Floats:
    """How often each of `size` things is drawn, `(times, size)`. The same for every cell of a study of that size."""
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
    """Means over votes along an axis, of those rows or columns that have any."""
    there = ~np.isnan(cell)
    counts = there.sum(axis)
    means: Floats = np.where(there, cell, 0.0).sum(axis)[counts > 0] / counts[counts > 0]
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
    """What the votes of one cell say: counts, standard deviation of votes (n - 1), histogram, one interval a method.

    `histogram` has one count a value of the scale, from its low end to its high end.
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
    """The mean opinion score of one system on one dimension, with an interval for each method of `INTERVALS`."""
    cell = votes.matrix(system, dimension)
    there = cell[~np.isnan(cell)]
    counts = np.bincount(there.astype(np.int64) - scale[0], minlength=scale[1] - scale[0] + 1)
    return Opinion(
        system=system,
        dimension=dimension,
        mean=_mean(cell),
        sd=float(np.std(there, ddof=1)) if len(there) > 1 else math.nan,
        n_raters=cell.shape[0],
        n_clips=cell.shape[1],
        n_votes=len(there),
        histogram=tuple(int(count) for count in counts),
        intervals={method: INTERVALS[method](cell, confidence, seed) for method in methods},
    )
