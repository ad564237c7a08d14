"""From the quantities of clips to the value of a set: means, medians, pooled concordance and correlation.

Each function makes an aggregate: a callable that reduces the last axis (clips) of its quantities, skips clips that are
NaN and accepts leading axes, so that many resamples are one call. No defined clip gives NaN. All but the median are
`Pooled`: they depend on sums over clips only, which makes resampling a matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.quantity import Quantities

Floats = npt.NDArray[np.float64]
NO_MOTION = 1e-12  # a variance of lateralisation that is rounding error
MOMENTS = ("n", "sum_x", "sum_y", "sum_xx", "sum_yy", "sum_xy")
CENTRED_MOMENTS = ("sum_xx", "sum_yy", "sum_xy")


@dataclass(frozen=True)
class Pooled:
    """An aggregate that is a function of sums over clips.

    terms: quantities to (m, ..., n), what each clip adds to each of m sums; zero where undefined.
    finish: sums (m, ...) to the value (...).
    """

    terms: Callable[[Quantities], Floats]
    finish: Callable[[Floats], Floats]

    def __call__(self, quantities: Quantities) -> Floats:
        """The value of a set of clips: the last axis of `quantities` is reduced."""
        return self.finish(self.terms(quantities).sum(-1))


def mean(key: str) -> Pooled:
    """Mean over the clips where `key` is defined."""
    return Pooled(partial(_terms, names=(key,)), _mean)


def median(key: str) -> Callable[[Quantities], Floats]:
    """Median over the clips where `key` is defined."""
    return partial(_median, key=key)


def concordance(key: str) -> Pooled:
    """Lin's concordance correlation of x and y pooled over clips, in [-1, 1] (Lin 1989, with population moments).

    Needs `key.n`, `key.sum_x`, `key.sum_y`, `key.sum_xx`, `key.sum_yy` and `key.sum_xy`. NaN if x and y never vary.
    """
    return Pooled(partial(_terms, names=tuple(f"{key}.{name}" for name in MOMENTS)), _concordance)


def correlation(key: str) -> Pooled:
    """Pearson's correlation of x and y pooled over clips, in [-1, 1], from the sums that `concordance` needs.

    0 if x, the prediction, never varies: it tells nothing about y then. NaN if y never varies.
    """
    return Pooled(partial(_terms, names=tuple(f"{key}.{name}" for name in MOMENTS)), _correlation)


def centred_correlation(key: str) -> Pooled:
    """Pearson's correlation from sums that were centred clip by clip: `key.sum_xx`, `key.sum_yy`, `key.sum_xy`.

    0 if x never varies (a prediction that does not move), NaN if y never does.
    """
    return Pooled(partial(_terms, names=tuple(f"{key}.{name}" for name in CENTRED_MOMENTS)), _centred_correlation)


def _terms(quantities: Quantities, names: tuple[str, ...]) -> Floats:
    """The rows of `names`, and how many clips have all of them, (len(names) + 1, ..., n)."""
    rows = np.stack([quantities[name] for name in names])
    defined = np.asarray(np.isfinite(rows).all(0), dtype=np.float64)
    return np.concatenate([np.where(defined > 0, rows, 0), defined[None]])


def _mean(sums: Floats) -> Floats:
    return _ratio(sums[0], sums[1])


def _median(quantities: Quantities, key: str) -> Floats:
    ordered = np.sort(quantities[key], axis=-1)  # NaN last
    count = np.isfinite(ordered).sum(-1)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2], axis=-1)
    central = np.take_along_axis(ordered, np.minimum(middle, ordered.shape[-1] - 1), axis=-1)
    return np.asarray(central.mean(-1))


def _concordance(sums: Floats) -> Floats:
    mean_x, mean_y, var_x, var_y, covariance = _moments(sums)
    return _ratio(2 * covariance, var_x + var_y + (mean_x - mean_y) ** 2)


def _correlation(sums: Floats) -> Floats:
    _, _, var_x, var_y, covariance = _moments(sums)
    return _normalised(var_x, var_y, covariance)


def _centred_correlation(sums: Floats) -> Floats:
    return _normalised(sums[0], sums[1], sums[2])


def _moments(sums: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    n = sums[0]
    x, y, xx, yy, xy = (_ratio(total, n) for total in sums[1:6])
    return x, y, np.maximum(xx - x * x, 0), np.maximum(yy - y * y, 0), xy - x * y


def _normalised(var_x: Floats, var_y: Floats, covariance: Floats) -> Floats:
    x_varies, y_varies = np.asarray(var_x > NO_MOTION), np.asarray(var_y > NO_MOTION)
    r = covariance / np.sqrt(np.where(x_varies, var_x, 1) * np.where(y_varies, var_y, 1))
    return np.where(y_varies, np.where(x_varies, np.clip(r, -1, 1), 0), np.nan)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    possible = np.asarray(denominator) > 0
    return np.where(possible, numerator / np.where(possible, denominator, 1), np.nan)
