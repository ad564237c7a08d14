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
    """One value of one clip. `reason` is a stable code: why the value is NaN, or what to know about it."""

    value: float
    reason: str | None = None


def undefined(reason: str) -> Quantity:
    """A quantity without a value."""
    return Quantity(math.nan, reason)


def vector(name: str, values: Iterable[float]) -> dict[str, Quantity]:
    """A vector quantity as scalars `name[0]`, `name[1]`, ... for a table with one value a row."""
    return {f"{name}[{index}]": Quantity(float(value)) for index, value in enumerate(values)}


def positions(codes: npt.NDArray[np.integer]) -> dict[int, npt.NDArray[np.int64]]:
    """Where each code stands in an array of them, in its order."""
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
    """Rows of a per-clip table as quantities: `name` -> (n,), and `name[0]`, `name[1]`, ... -> `name[]` of (K, n).

    Args:
        names: names of quantities.
        name: (rows,) the place of each row's name in `names`.
        clip: (rows,) the number of each row's clip.
        value: (rows,) their values.
        clips: number of clips n.

    Returns:
        The quantities that have a row. What a clip does not have is NaN, so vectors of different lengths end in NaN.
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
    """The rows that a metric reads. One that no clip has (a set where all is silent) is undefined for every clip."""
    return {
        name: table[name] if name in table else np.full((1, clips) if name.endswith("[]") else clips, np.nan)
        for name in names
    }


def _split(name: str) -> tuple[str, int]:
    if not name.endswith("]"):
        return name, 0
    base, _, index = name[:-1].rpartition("[")
    return f"{base}[]", int(index)
