"""Do metrics agree with listeners? Correlation of an objective metric with mean opinions.

Two questions are asked, and answered in Pearson's r (is the relation a line?) and Spearman's rho (are the orders the
same?), both in [-1, 1]:

- over systems: does the metric put the systems in the order in which listeners put them? One point a system. The
  interval is Fisher's z over the systems as a sample of such systems: z = artanh(r), standard error 1 / sqrt(n - 3),
  for rho sqrt((1 + rho^2 / 2) / (n - 3)) (Bonett and Wright 2000). With five systems it is nearly as wide as the range.
- over clips: does the metric tell better from worse sounds? One point a sample, that is a clip by a system. The
  interval is a percentile bootstrap that resamples clips, all systems of a clip together; ranks are those among all
  samples.

A correlation over systems may be high because one bad system lies far from the others; look at both. Neither is
corrected for the noise of opinions of few raters, which draws it towards 0.

Functions: `over_systems`, `over_clips`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from visaudio_bench.metrics.opinion import Floats

RESAMPLES = 1000
FEWEST = 4  # points below which Fisher's z has no standard error
FEWEST_CLIPS = 3


class Correlation(NamedTuple):
    """A coefficient with its interval.

    Attributes:
        value: the coefficient, NaN where it is undefined.
        low: lower end, NaN where there is none.
        high: upper end, NaN where there is none.
        n: number of points.
        reason: why the value or the interval is missing, else "".
    """

    value: float
    low: float
    high: float
    n: int
    reason: str = ""


class Agreement(NamedTuple):
    """Pearson's and Spearman's coefficient of the same points.

    Attributes:
        pearson: of a line.
        spearman: of the order.
    """

    pearson: Correlation
    spearman: Correlation


def over_systems(metric: npt.ArrayLike, opinion: npt.ArrayLike, confidence: float = 0.95) -> Agreement:
    """Correlate a metric with mean opinions over systems.

    Args:
        metric: (S,) values of the systems, NaN where there is none.
        opinion: (S,) mean opinion scores.
        confidence: coverage of the intervals.

    Returns:
        Both coefficients with intervals over systems; none with fewer than 4 systems.

    Example:
        >>> found = over_systems([0.1, 0.2, 0.4, 0.3], [1.0, 2.0, 4.0, 3.0])
        >>> round(found.pearson.value, 6), round(found.spearman.value, 6)
        (1.0, 1.0)
    """
    x, y = np.asarray(metric, dtype=np.float64), np.asarray(opinion, dtype=np.float64)
    there = ~(np.isnan(x) | np.isnan(y))
    x, y = x[there], y[there]
    quantile = float(stats.norm.ppf(0.5 + confidence / 2))
    found = []
    for value, excess in ((_pearson(x, y), 0.0), (_spearman(x, y), 0.5)):
        if math.isnan(value):
            found.append(Correlation(math.nan, math.nan, math.nan, len(x), _undefined(x)))
        elif len(x) < FEWEST:
            found.append(Correlation(value, math.nan, math.nan, len(x), f"fewer than {FEWEST} systems"))
        else:
            half = quantile * math.sqrt((1 + excess * value**2) / (len(x) - 3))
            centre = math.atanh(min(max(value, -1 + 1e-12), 1 - 1e-12))
            found.append(Correlation(value, math.tanh(centre - half), math.tanh(centre + half), len(x)))
    return Agreement(*found)


def over_clips(metric: npt.ArrayLike, opinion: npt.ArrayLike, confidence: float = 0.95, seed: int = 0) -> Agreement:
    """Correlate a metric with mean opinions over samples.

    Args:
        metric: (S, I) values by system and clip, NaN where there is none.
        opinion: (S, I) mean opinions of the same samples.
        confidence: coverage of the intervals.
        seed: of the resamples.

    Returns:
        Both coefficients with intervals over clips; none with fewer than 3 clips.

    Raises:
        ValueError: the tables differ in shape.

    Example:
        >>> found = over_clips([[1, 2, 3], [2, 3, 4]], [[1, 2, 3], [2, 3, 4]])
        >>> found.pearson.n, round(found.spearman.value, 6)
        (6, 1.0)
    """
    x, y = np.asarray(metric, dtype=np.float64), np.asarray(opinion, dtype=np.float64)
    if x.shape != y.shape:
        raise ValueError(f"tables of one shape were expected, got {x.shape} and {y.shape}")
    there = ~(np.isnan(x) | np.isnan(y))
    used = there.any(0)
    x, y, there = x[:, used], y[:, used], there[:, used]
    clips, rng = x.shape[1], np.random.default_rng(seed)
    values = (_pearson(x[there], y[there]), _spearman(x[there], y[there]))
    n = int(there.sum())
    if math.isnan(values[0]) or clips < FEWEST_CLIPS:
        reason = _undefined(x[there]) if math.isnan(values[0]) else f"fewer than {FEWEST_CLIPS} clips"
        return Agreement(*(Correlation(value, math.nan, math.nan, n, reason) for value in values))
    weights = rng.multinomial(clips, np.full(clips, 1 / clips), RESAMPLES)[:, np.nonzero(there)[1]].astype(np.float64)
    points = ((x[there], y[there]), (stats.rankdata(x[there]), stats.rankdata(y[there])))
    found = []
    for value, (a, b) in zip(values, points, strict=True):
        low, high = np.nanquantile(_weighted(a, b, weights), [0.5 - confidence / 2, 0.5 + confidence / 2])
        found.append(Correlation(value, float(low), float(high), n))
    return Agreement(*found)


def _weighted(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Pearson's r with each row of weights (K, N), NaN where a resample does not vary."""
    total = weights.sum(1, keepdims=True)
    dx, dy = (one - (weights @ one)[:, None] / total for one in (x, y))
    spread = np.sqrt((weights * dx**2).sum(1) * (weights * dy**2).sum(1))
    r: Floats = np.where(spread > 0, (weights * dx * dy).sum(1) / np.where(spread > 0, spread, 1), np.nan)
    return r


def _pearson(x: Floats, y: Floats) -> float:
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def _spearman(x: Floats, y: Floats) -> float:
    return _pearson(stats.rankdata(x), stats.rankdata(y)) if len(x) else math.nan


def _undefined(x: Floats) -> str:
    if len(x) < 2:
        return f"{len(x)} point(s) in common"
    return "all values of the metric are alike" if np.ptp(x) == 0 else "all opinions are alike"
