"""From the quantities of clips to the value of a set: means, medians, pooled concordance and correlation.

Each function makes an aggregate: a callable that reduces the last axis (clips) of its quantities, skips clips that are
NaN and accepts leading axes, so that many resamples are one call. A set without a defined clip is NaN. All but the
median are `Pooled`: they depend on sums over clips only, which makes resampling a matrix product.

| aggregate | definition, with means over everything that is pooled | range | source |
|---|---|---|---|
| `mean`, `median` | mean and median over clips | that of the quantity | |
| `share` | 100 times a sum over another | [0, 100] | |
| `concordance` | 2 cov(x, y) / (var x + var y + (mean x - mean y)²) | [-1, 1] | Lin 1989, population moments |
| `correlation` | cov(x, y) / (var x var y)^½ | [-1, 1] | Pearson |
| `centred_correlation` | the same, of x and y less their means within each clip | [-1, 1] | Pearson |

x is the prediction and y the reference. A correlation asks whether the two move together, concordance also whether they
have the same mean and spread: of y = 2 x the one is 1 and the other is not. Pooled values weigh a clip by its segments.

Functions: `mean`, `median`, `share`, `concordance`, `correlation`, `centred_correlation`, and what clips give them:
`moments`, `centred_moments`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.quantity import Quantities, Quantity, undefined

Floats = npt.NDArray[np.float64]
NO_MOTION = 1e-12  # a variance of lateralisation that is rounding error
MOMENTS = ("n", "sum_x", "sum_y", "sum_xx", "sum_yy", "sum_xy")
CENTRED_MOMENTS = ("sum_xx", "sum_yy", "sum_xy")


@dataclass(frozen=True)
class Pooled:
    """An aggregate that is a function of sums over clips.

    Attributes:
        terms: turns quantities into (m, ..., n), what each clip adds to each of m sums; zero where undefined.
        finish: turns the sums (m, ...) into the value (...).
    """

    terms: Callable[[Quantities], Floats]
    finish: Callable[[Floats], Floats]

    def __call__(self, quantities: Quantities) -> Floats:
        """Reduce the last axis of `quantities`, the clips, to the value of the set."""
        return self.finish(self.terms(quantities).sum(-1))


def mean(key: str) -> Pooled:
    """Make the mean over the clips where a quantity is defined.

    Args:
        key: name of the quantity.

    Returns:
        The aggregate, in the unit of the quantity; NaN without a defined clip.

    Example:
        >>> mean("lat_err")({"lat_err": np.array([10.0, 20.0, np.nan])}).item()
        15.0
    """
    return Pooled(partial(_terms, names=(key,)), _mean)


def median(key: str) -> Callable[[Quantities], Floats]:
    """Make the median over the clips where a quantity is defined.

    Args:
        key: name of the quantity.

    Returns:
        The aggregate, in the unit of the quantity; NaN without a defined clip.

    Example:
        >>> median("delta_itd")({"delta_itd": np.array([40.0, 60.0, 900.0, np.nan])}).item()
        60.0
    """
    return partial(_median, key=key)


def share(part: str, whole: str) -> Pooled:
    """Make the share of what is counted in all clips together.

    Args:
        part: name of the count of what counts.
        whole: name of the count of everything.

    Returns:
        The aggregate, in percent; NaN where nothing was counted.

    Example:
        >>> share("hits", "events")({"hits": np.array([1.0, 0.0]), "events": np.array([3.0, 1.0])}).item()
        25.0
    """
    return Pooled(partial(_terms, names=(part, whole)), _share)


def concordance(key: str) -> Pooled:
    """Make Lin's concordance correlation of x and y pooled over clips (Lin 1989, with population moments).

    Args:
        key: the quantities are `key.n`, `key.sum_x`, `key.sum_y`, `key.sum_xx`, `key.sum_yy` and `key.sum_xy`.

    Returns:
        The aggregate, in [-1, 1]; 0 if one of them never varies, NaN if both are the same constant.

    Example:
        The prediction has the movement of the reference and is off by half a unit:

        >>> x, y = np.array([0.0, 1.0]), np.array([0.5, 1.5])
        >>> sums = (2.0, x.sum(), y.sum(), x @ x, y @ y, x @ y)
        >>> clips = {f"lat.{name}": np.array([total]) for name, total in zip(MOMENTS, sums)}
        >>> round(concordance("lat")(clips).item(), 3), round(correlation("lat")(clips).item(), 3)
        (0.667, 1.0)
    """
    return Pooled(partial(_terms, names=tuple(f"{key}.{name}" for name in MOMENTS)), _concordance)


def correlation(key: str) -> Pooled:
    """Make Pearson's correlation of x and y pooled over clips.

    Args:
        key: the quantities are those that `concordance` needs.

    Returns:
        The aggregate, in [-1, 1]; 0 if x, the prediction, never varies, since it then tells nothing about y, and NaN if
        y never does.

    Example:
        >>> x, y = np.array([0.0, 1.0]), np.array([3.0, 1.0])
        >>> sums = (2.0, x.sum(), y.sum(), x @ x, y @ y, x @ y)
        >>> clips = {f"lat.{name}": np.array([total]) for name, total in zip(MOMENTS, sums)}
        >>> round(correlation("lat")(clips).item(), 3)
        -1.0
    """
    return Pooled(partial(_terms, names=tuple(f"{key}.{name}" for name in MOMENTS)), _correlation)


def centred_correlation(key: str) -> Pooled:
    """Make Pearson's correlation from sums that were centred clip by clip.

    Args:
        key: the quantities are `key.sum_xx`, `key.sum_yy` and `key.sum_xy`.

    Returns:
        The aggregate, in [-1, 1]; 0 if x never varies (a prediction that does not move), NaN if y never does.

    Example:
        >>> sums = {"sum_xx": 1.0, "sum_yy": 4.0, "sum_xy": 1.0}
        >>> clips = {f"motion.{name}": np.array([total]) for name, total in sums.items()}
        >>> centred_correlation("motion")(clips).item()
        0.5
    """
    return Pooled(partial(_terms, names=tuple(f"{key}.{name}" for name in CENTRED_MOMENTS)), _centred_correlation)


def moments(key: str, x: Floats, y: Floats, reason: str | None) -> dict[str, Quantity]:
    """Sum up what `concordance` and `correlation` pool of one clip.

    Args:
        key: what the names of the sums begin with.
        x: (K,) of the prediction.
        y: (K,) of the reference.
        reason: why the sums are undefined; None where they are not.

    Returns:
        Quantities `key.n`, `key.sum_x`, ... by `MOMENTS`.

    Example:
        >>> moments("lat", np.array([1.0, 2.0]), np.array([1.0, 3.0]), None)["lat.sum_xy"].value
        7.0
    """
    if reason:
        return {f"{key}.{name}": undefined(reason) for name in MOMENTS}
    sums = (len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y)
    return {f"{key}.{name}": Quantity(float(value)) for name, value in zip(MOMENTS, sums, strict=True)}


def centred_moments(key: str, parts: Iterable[tuple[Floats, Floats]], reason: str | None) -> dict[str, Quantity]:
    """Sum up what `centred_correlation` pools of one clip.

    Args:
        key: what the names of the sums begin with.
        parts: x and y (K,) of each part of the clip, from which its own means are taken.
        reason: why the sums are undefined; None where they are not.

    Returns:
        Quantities `key.sum_xx`, ... by `CENTRED_MOMENTS`.

    Example:
        >>> centred_moments("motion", [(np.array([1.0, 3.0]), np.array([5.0, 6.0]))], None)["motion.sum_xy"].value
        1.0
    """
    if reason:
        return {f"{key}.{name}": undefined(reason) for name in CENTRED_MOMENTS}
    sums = np.zeros(len(CENTRED_MOMENTS))
    for x, y in parts:
        own, true = x - x.mean(), y - y.mean()
        sums += own @ own, true @ true, own @ true
    return {f"{key}.{name}": Quantity(float(value)) for name, value in zip(CENTRED_MOMENTS, sums, strict=True)}


def _terms(quantities: Quantities, names: tuple[str, ...]) -> Floats:
    """Stack the quantities of `names` and whether a clip has all of them, (len(names) + 1, ..., n)."""
    rows = np.stack([quantities[name] for name in names])
    defined = np.asarray(np.isfinite(rows).all(0), dtype=np.float64)
    return np.concatenate([np.where(defined > 0, rows, 0), defined[None]])


def _mean(sums: Floats) -> Floats:
    return _ratio(sums[0], sums[1])


def _share(sums: Floats) -> Floats:
    return 100 * _ratio(sums[0], sums[1])


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
