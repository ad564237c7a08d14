"""From the quantities of clips to the value of a set: means, medians, pooled concordance and correlation.

Every function reduces the last axis (clips), skips clips that are NaN and accepts leading axes, so that thousands of
bootstrap resamples are one call. No defined clip gives NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metrics.quantity import Quantities

Floats = npt.NDArray[np.float64]
NO_MOTION = 1e-12  # a variance of lateralisation that is rounding error


def mean(quantities: Quantities, key: str) -> Floats:
    """Mean over the clips where `key` is defined."""
    values = quantities[key]
    defined = np.isfinite(values)
    return _ratio(np.where(defined, values, 0).sum(-1), defined.sum(-1))


def median(quantities: Quantities, key: str) -> Floats:
    """Median over the clips where `key` is defined."""
    ordered = np.sort(quantities[key], axis=-1)  # NaN last
    count = np.isfinite(ordered).sum(-1)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2], axis=-1)
    central = np.take_along_axis(ordered, np.minimum(middle, ordered.shape[-1] - 1), axis=-1)
    return np.asarray(central.mean(-1))


def concordance(quantities: Quantities, key: str) -> Floats:
    """Lin's concordance correlation of x and y pooled over clips, in [-1, 1] (Lin 1989, with population moments).

    Needs `key.n`, `key.sum_x`, `key.sum_y`, `key.sum_xx`, `key.sum_yy` and `key.sum_xy`. NaN if x and y never vary.
    """
    mean_x, mean_y, var_x, var_y, covariance = _pooled_moments(quantities, key)
    return _ratio(2 * covariance, var_x + var_y + (mean_x - mean_y) ** 2)


def correlation(quantities: Quantities, key: str) -> Floats:
    """Pearson's correlation of x and y pooled over clips, in [-1, 1], from the sums that `concordance` needs.

    0 if x, the prediction, never varies: it tells nothing about y then. NaN if y never varies.
    """
    _, _, var_x, var_y, covariance = _pooled_moments(quantities, key)
    return _correlation(var_x, var_y, covariance)


def centred_correlation(quantities: Quantities, key: str) -> Floats:
    """Pearson's correlation from sums that were centred clip by clip: `key.sum_xx`, `key.sum_yy`, `key.sum_xy`.

    0 if x never varies (a prediction that does not move), NaN if y never does.
    """
    return _correlation(*(_total(quantities[f"{key}.{name}"]) for name in ("sum_xx", "sum_yy", "sum_xy")))


def _pooled_moments(quantities: Quantities, key: str) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    n, x, y, xx, yy, xy = (
        _total(quantities[f"{key}.{name}"]) for name in ("n", "sum_x", "sum_y", "sum_xx", "sum_yy", "sum_xy")
    )
    x, y, xx, yy, xy = (_ratio(total, n) for total in (x, y, xx, yy, xy))
    return x, y, np.maximum(xx - x * x, 0), np.maximum(yy - y * y, 0), xy - x * y


def _correlation(var_x: Floats, var_y: Floats, covariance: Floats) -> Floats:
    x_varies, y_varies = np.asarray(var_x > NO_MOTION), np.asarray(var_y > NO_MOTION)
    r = covariance / np.sqrt(np.where(x_varies, var_x, 1) * np.where(y_varies, var_y, 1))
    return np.where(y_varies, np.where(x_varies, np.clip(r, -1, 1), 0), np.nan)


def _total(values: Floats) -> Floats:
    defined = np.isfinite(values)
    return np.where(defined.any(-1), np.where(defined, values, 0).sum(-1), np.nan)


def _ratio(numerator: Floats, denominator: npt.NDArray[np.number]) -> Floats:
    possible = np.asarray(denominator) > 0
    return np.where(possible, numerator / np.where(possible, denominator, 1), np.nan)
