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


def gather(clips: Sequence[Mapping[str, Quantity | float]]) -> dict[str, npt.NDArray[np.float64]]:
    """Put the quantities of n clips side by side.

    Args:
        clips: the quantities of each clip by name, or their values.

    Returns:
        Arrays (n,) by name; `name[0]`, `name[1]`, ... become one array `name[]` of shape (K, n). What a clip does not
        have is NaN, so that vectors of different lengths end in NaN.

    Example:
        >>> gather([{"lat_err": 4.0, "ild[0]": 1.0}, {"ild[0]": 2.0, "ild[1]": 3.0}])
        {'lat_err': array([ 4., nan]), 'ild[]': array([[ 1.,  2.],
               [nan,  3.]])}
    """
    lengths: dict[str, int] = {}
    for name in dict.fromkeys(name for clip in clips for name in clip):
        base, index = _split(name)
        lengths[base] = max(lengths.get(base, 0), index + 1)
    gathered = {
        base: np.full((length, len(clips)) if base.endswith("[]") else len(clips), np.nan)
        for base, length in lengths.items()
    }
    for column, clip in enumerate(clips):
        for name, value in clip.items():
            base, index = _split(name)
            target = gathered[base][index] if base.endswith("[]") else gathered[base]
            target[column] = value.value if isinstance(value, Quantity) else value
    return gathered


def select(table: Quantities, names: Iterable[str]) -> dict[str, npt.NDArray[np.float64]]:
    """Pick the quantities that a metric reads.

    Args:
        table: quantities of n clips by name, as `gather` returns them.
        names: which of them are wanted.

    Returns:
        Those quantities. One that no clip has (as in a set where all is silent) is NaN for every clip, and a vector
        that no clip has is empty, (0, n).

    Example:
        >>> select({"lat_err": np.array([4.0, 2.0])}, ["lr_acc", "segment_ild[]"])
        {'lr_acc': array([nan, nan]), 'segment_ild[]': array([], shape=(0, 2), dtype=float64)}
    """
    clips = next((row.shape[-1] for row in table.values()), 0)
    return {
        name: table[name] if name in table else np.full((0, clips) if name.endswith("[]") else clips, np.nan)
        for name in names
    }


def _split(name: str) -> tuple[str, int]:
    if not name.endswith("]"):
        return name, 0
    base, _, index = name[:-1].rpartition("[")
    return f"{base}[]", int(index)
