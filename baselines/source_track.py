"""Where the source of a sound is in each picture, and how far away: the eyes of `foleyspace-like`.

`SourceEstimator` is the interface. `MotionEstimator` has no weights: it takes what moves for what sounds, and what is
large for what is near. `baselines.depth_track` asks a network for the depth instead; a detector would fit as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.baselines.motion import FIELD_OF_VIEW, Array, changes, remembered
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.media import Frame
from visaudio_bench.suites.simulator.hrtf import unit_vector

CELLS = 32  # across; up and down as many as the picture's shape gives
# Half the size of what makes sounds, metres: between a hand and a person. It only sets the scale of distances.
SOURCE_RADIUS = 0.3
NEAREST, FARTHEST = 0.5, 10.0


@dataclass(frozen=True)
class Track:
    """One source in T pictures, evenly spaced.

    Attributes:
        across: `(T,)` from -1 at the right edge to 1 at the left edge; 0 is the middle.
        up: `(T,)` above the middle, in the same unit: half the picture's width.
        depth: `(T,)` metres from the camera.
    """

    across: Array
    up: Array
    depth: Array


class SourceEstimator(Protocol):
    """Finds the source of a sound in pictures."""

    @property
    def revision(self) -> str:
        """Changes when its answers may."""

    def estimate(self, frames: Iterator[Frame]) -> Track:
        """The source in each picture `(H, W, 3)`, 12.5 a second; at least one picture, and one place for each."""


class MotionEstimator:
    """The source is what moves: its place the centre of the motion, its depth from how much of the view it takes."""

    revision = source_revision(__name__)

    def estimate(self, frames: Iterator[Frame]) -> Track:
        """As `SourceEstimator.estimate`; where nothing moves, the middle of the picture at the middle distance."""
        return what_moves(frames).track()


@dataclass(frozen=True)
class Moving:
    """What moves in T pictures.

    Attributes:
        share: `(T, rows, CELLS)` of each picture's motion in each cell; 0 where nothing moves.
        across: `(CELLS,)` places of columns, as those of a `Track`.
        up: `(rows,)` places of rows, likewise.
    """

    share: Array
    across: Array
    up: Array

    @property
    def moves(self) -> NDArray[np.bool_]:
        """Whether anything moves in each picture, `(T,)`."""
        return np.asarray(self.share.any(axis=(1, 2)))

    def track(self) -> Track:
        """The centre of what moves, and a depth by its size."""
        share, across, up = self.share, self.across, self.up
        x, y = share.sum(axis=1) @ across, share.sum(axis=2) @ up
        spread = (share.sum(axis=1) @ across**2 - x**2) + (share.sum(axis=2) @ up**2 - y**2)
        # A disc of radius r has r^2 / 2 as the mean square of its distances from the centre.
        radius = np.sqrt(2 * np.maximum(spread, 0)) * np.tan(FIELD_OF_VIEW / 2)
        depth = np.clip(SOURCE_RADIUS / np.maximum(radius, 1e-6), NEAREST, FARTHEST)
        usual = float(np.median(depth[self.moves])) if self.moves.any() else 1.0
        return Track(x, y, np.where(self.moves, depth, usual))


def what_moves(frames: Iterator[Frame]) -> Moving:
    """Find what moves in pictures, at least one: cells that change more than the median one, remembered for a while."""
    first = next(frames)
    height, width = first.shape[:2]
    rows = rows_of(first)

    def again() -> Iterator[Frame]:
        yield first
        yield from frames

    energy = np.array([np.maximum(cells - np.median(cells), 0) for cells in changes(again(), rows, CELLS)])
    weight = remembered(energy)
    total = weight.sum(axis=(1, 2))[:, None, None]
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    across = 1 - (2 * np.arange(CELLS) + 1) / CELLS
    up = (1 - (2 * np.arange(rows) + 1) / rows) * height / width
    return Moving(share, across, up)


def rows_of(picture: Frame) -> int:
    """How many cells a picture is high."""
    height, width = map(int, picture.shape[:2])
    return max(1, round(CELLS * height / width))


def trajectory(track: Track, field_of_view: float = FIELD_OF_VIEW) -> Array:
    """Turn places in pictures into positions around the camera: the ray through a place, as long as the depth says.

    Args:
        track: where the source is in each of T pictures, and its depth in metres.
        field_of_view: the picture's width, radians.

    Returns:
        `(T, 3)` metres: x front, y left, z up.
    """
    half = np.tan(field_of_view / 2)
    azimuth = np.arctan(track.across * half)
    elevation = np.arctan(track.up * half * np.cos(azimuth))
    return np.asarray(track.depth[:, None] * unit_vector(azimuth, elevation))
