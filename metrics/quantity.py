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


def gather(clips: Sequence[Mapping[str, Quantity | float]]) -> dict[str, npt.NDArray[np.float64]]:
    """Per-clip quantities side by side: `name` -> (n,), and `name[0]`, `name[1]`, ... -> `name[]` of shape (K, n).

    What a clip does not have is NaN, so vectors of different lengths end in NaN.
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
    """The rows that a metric reads. One that no clip has (a set where all is silent) is undefined for every clip."""
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
