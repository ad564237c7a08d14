"""Quantities: what one clip contributes to the tables, each with the reason when it is undefined.

A metric that is a mean over clips has one quantity; a pooled metric has sufficient statistics that add up over clips
(`lat_ccc.sum_xy`); a set metric has vectors (`segment_ild[0]`, `segment_ild[1]`, ...). Whoever keeps the quantities of
every clip can recompute every aggregate, and resample clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Quantities: TypeAlias = Mapping[str, npt.NDArray[np.float64]]
"""Per-clip values by name: shape (n,) over clips, NaN where undefined; a vector `name[]` has shape (K, n)."""


class Quantity(NamedTuple):
    """One value of one clip.

    Attributes:
        value: the number, NaN where it is undefined.
        reason: a stable code that says why the value is NaN, or what to know about it; None if nothing.
    """

    value: float
    reason: str | None = None


def undefined(reason: str) -> Quantity:
    """Make a quantity that has no value.

    Args:
        reason: a stable code that says why.

    Returns:
        A quantity with the value NaN and the reason.

    Example:
        >>> undefined("reference_silent")
        Quantity(value=nan, reason='reference_silent')
    """
    return Quantity(math.nan, reason)


def mean_where(values: npt.NDArray[np.floating], where: npt.NDArray[np.bool_], reason: str | None) -> Quantity:
    """Make the mean of some values a quantity.

    Args:
        values: (K,).
        where: (K,) which of them count.
        reason: why it is undefined where none counts.

    Returns:
        Their mean, NaN with the reason where there are none.

    Example:
        >>> mean_where(np.array([3.0, -1.5]), np.array([True, False]), "silent")
        Quantity(value=3.0, reason=None)
    """
    return Quantity(float(np.mean(values[where]))) if where.any() else Quantity(math.nan, reason)


def vector(name: str, values: Iterable[float]) -> dict[str, Quantity]:
    """Spread a vector over scalars, for a table with one value a row.

    Args:
        name: of the vector, without brackets.
        values: its K values.

    Returns:
        K quantities by the names `name[0]`, `name[1]`, ...

    Example:
        >>> vector("ild", [3.0, -1.5])
        {'ild[0]': Quantity(value=3.0, reason=None), 'ild[1]': Quantity(value=-1.5, reason=None)}
    """
    return {f"{name}[{index}]": Quantity(float(value)) for index, value in enumerate(values)}


def positions(codes: npt.NDArray[np.integer]) -> dict[int, npt.NDArray[np.int64]]:
    """Find where each code stands in an array of codes.

    Args:
        codes: (rows,) integers.

    Returns:
        For each code its places in the array, in their order.

    Example:
        >>> positions(np.array([7, 3, 7]))
        {3: array([1]), 7: array([0, 2])}
    """
    order = np.argsort(codes, kind="stable").astype(np.int64)
    values, starts = np.unique(codes[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts)[1:], strict=True))


def gather(
    names: Sequence[str],
    name: npt.NDArray[np.integer],
    clip: npt.NDArray[np.integer],
    value: npt.NDArray[np.float64],
    clips: int,
) -> dict[str, npt.NDArray[np.float64]]:
    """Put the rows of a per-clip table side by side, clip by clip.

    Args:
        names: names of quantities.
        name: (rows,) the place of each row's name in `names`.
        clip: (rows,) the number of each row's clip.
        value: (rows,) their values.
        clips: number of clips n.

    Returns:
        The quantities that have a row: arrays (n,) by name; `name[0]`, `name[1]`, ... become one array `name[]` of
        shape (K, n). What a clip does not have is NaN, so that vectors of different lengths end in NaN.

    Example:
        Clip 0 has `lat_err` and one value of `ild`, clip 1 has two of `ild`:

        >>> names = ["lat_err", "ild[0]", "ild[1]"]
        >>> gather(names, np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), np.array([4.0, 1.0, 2.0, 3.0]), 2)
        {'lat_err': array([ 4., nan]), 'ild[]': array([[ 1.,  2.],
               [nan,  3.]])}
    """
    picked = positions(name)
    parts = {code: _split(names[code]) for code in picked}
    lengths: dict[str, int] = {}
    for base, index in parts.values():
        lengths[base] = max(lengths.get(base, 0), index + 1)
    gathered = {
        base: np.full((length, clips) if base.endswith("[]") else clips, np.nan) for base, length in lengths.items()
    }
    for code, (base, index) in parts.items():
        target = gathered[base][index] if base.endswith("[]") else gathered[base]
        target[clip[picked[code]]] = value[picked[code]]
    return gathered


def select(table: Quantities, names: Iterable[str], clips: int) -> dict[str, npt.NDArray[np.float64]]:
    """Pick the quantities that a metric reads.

    Args:
        table: quantities of n clips by name, as `gather` returns them.
        names: which of them are wanted.
        clips: number of clips n.

    Returns:
        Those quantities. One that no clip has (as in a set where all is silent) is NaN for every clip.

    Example:
        >>> select({"lat_err": np.array([4.0, 2.0])}, ["lr_acc", "segment_ild[]"], 2)
        {'lr_acc': array([nan, nan]), 'segment_ild[]': array([[nan, nan]])}
    """
    return {
        name: table[name] if name in table else np.full((1, clips) if name.endswith("[]") else clips, np.nan)
        for name in names
    }


def _split(name: str) -> tuple[str, int]:
    if not name.endswith("]"):
        return name, 0
    base, _, index = name[:-1].rpartition("[")
    return f"{base}[]", int(index)
