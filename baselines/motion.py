"""What changes from picture to picture, and where: what the systems without weights see of a video."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.suites.media import Frame

FRAMES_PER_SECOND = 12.5
# What most cameras see. A wider view costs angle and not side, and a little too near the middle is the safer error: a
# room pulls level differences there too.
FIELD_OF_VIEW = np.deg2rad(50)
# Where it moved up to this long ago still counts, and where it will move counts as much: sounds outlast motion.
MEMORY_SECONDS = 0.5

Array = NDArray[np.float64]


def changes(frames: Iterator[Frame], rows: int, columns: int) -> Iterator[Array]:
    """Measure the change of brightness from picture to picture, cell by cell.

    Args:
        frames: pictures (H, W, 3), all of one size.
        rows: how many cells high the grid is.
        columns: how many cells wide it is.

    Returns:
        For each picture the squared change since the one before, summed in each of `(rows, columns)` cells; 0 at first.
    """
    before: Array | None = None
    for frame in frames:
        grey = frame.mean(axis=2)
        change = np.zeros_like(grey) if before is None else (grey - before) ** 2
        yield np.add.reduceat(
            np.add.reduceat(change, _edges(grey.shape[0], rows)), _edges(grey.shape[1], columns), axis=1
        )
        before = grey


def _edges(size: int, cells: int) -> NDArray[np.int_]:
    return np.linspace(0, size, cells + 1).astype(int)[:-1]


def remembered(values: Array) -> Array:
    """Values `(T, ...)` at 12.5 a second, each instant the sum of all others with weights that fall with their age."""
    count = len(values)
    kernel = np.exp(-np.abs(np.arange(1 - count, count)) / (FRAMES_PER_SECOND * MEMORY_SECONDS))
    flat = values.reshape(count, -1)
    smooth = np.stack([np.convolve(cell, kernel)[count - 1 : 2 * count - 1] for cell in flat.T], axis=1)
    return smooth.reshape(values.shape)
