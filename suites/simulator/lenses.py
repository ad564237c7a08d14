"""Which ray each pixel of a camera sees, and which pixels see a thing: for a perspective lens and a panoramic one.

Camera axes: x ahead, y to the left, z up. A box is rows and columns `(top, left, bottom, right)`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from visaudio_bench.suites.simulator.hrtf import Array, unit_vector
from visaudio_bench.suites.simulator.scenes import HALF_VIEW

Box = tuple[int, int, int, int]

NOTHING_NEARER = 0.05  # m: what is nearer to the lens is not drawn


class Lens(Protocol):
    """A picture's geometry: `height` and `width` in pixels, and `focal`, pixels to a radian where they are densest."""

    height: int
    width: int
    focal: float

    def rays(self, box: Box, samples: int) -> Array:
        """Unit vectors `(3, rows, columns, samples^2)` of a part of the picture."""

    def box(self, ends: Array, radius: float) -> Box:
        """The part that holds whatever is within `radius` metres of a line between two points `(2, 3)`.

        Empty (bottom and right are zero) when that is out of the picture.
        """


class PerspectiveLens:
    """A square picture, 90 degrees wide and high."""

    def __init__(self, size: int):
        self.height = self.width = size
        self.focal = float(size / 2 / np.tan(HALF_VIEW))

    def rays(self, box: Box, samples: int) -> Array:
        """As `Lens.rays`."""
        top, left, bottom, right = box
        inner = (np.arange(samples) + 0.5) / samples - self.width / 2
        down = (np.arange(top, bottom)[:, None] + inner)[:, None, :, None] / self.focal
        across = (np.arange(left, right)[:, None] + inner)[None, :, None, :] / self.focal
        rays = np.stack(np.broadcast_arrays(np.ones(()), -across, -down)).astype(np.float32)
        rays /= np.sqrt(rays[0] * rays[0] + rays[1] * rays[1] + rays[2] * rays[2])
        return np.asarray(rays.reshape(3, bottom - top, right - left, samples**2))

    def box(self, ends: Array, radius: float) -> Box:
        """As `Lens.box`."""
        x, y, z = ends.T
        if np.all(x + radius < NOTHING_NEARER):
            return self.height, self.width, 0, 0
        near, far = np.maximum(x - radius, NOTHING_NEARER), np.maximum(x + radius, 0.1)

        def span(centre: Array) -> tuple[int, int]:
            low = np.minimum((centre - radius) / near, (centre - radius) / far).min() * self.focal
            high = np.maximum((centre + radius) / near, (centre + radius) / far).max() * self.focal
            pixels = np.clip((np.floor(low) - 1 + self.width / 2, np.ceil(high) + 1 + self.width / 2), 0, self.width)
            return int(pixels[0]), int(pixels[1])

        (left, right), (top, bottom) = span(-y), span(-z)
        return (top, left, bottom, right) if right > left and bottom > top else (self.height, self.width, 0, 0)


class PanoramicLens:
    """An equirectangular picture: azimuth from 180 degrees at the left edge to -180, elevation from 90 to -90."""

    def __init__(self, height: int):
        self.height, self.width = height, 2 * height
        self.focal = height / np.pi

    def rays(self, box: Box, samples: int) -> Array:
        """As `Lens.rays`."""
        top, left, bottom, right = box
        inner = (np.arange(samples) + 0.5) / samples
        up = np.pi / 2 - (np.arange(top, bottom)[:, None] + inner)[:, None, :, None] / self.focal
        around = np.pi - (np.arange(left, right)[:, None] + inner)[None, :, None, :] / self.focal
        rays = np.moveaxis(unit_vector(around, up), -1, 0).astype(np.float32)
        return np.asarray(rays.reshape(3, bottom - top, right - left, samples**2))

    def box(self, ends: Array, radius: float) -> Box:
        """As `Lens.box`; the whole width for what lies across the edges or a pole.

        The box is that of a sphere around it all: a straight line is bent here, and leaves the box of its ends.
        """
        middle, whole = ends.mean(axis=0), radius + float(np.linalg.norm(ends[1] - ends[0])) / 2
        distance = float(np.linalg.norm(middle))
        if distance <= 1.01 * whole:
            return 0, 0, self.height, self.width
        reach = np.arcsin(whole / distance)
        up, around = np.arcsin(middle[2] / distance), np.arctan2(middle[1], middle[0])
        top, bottom = self._pixels(np.pi / 2 - up - reach, np.pi / 2 - up + reach, self.height)
        if abs(up) + reach > np.pi / 2 - 0.01:
            return top, 0, bottom, self.width
        aside = np.arcsin(np.sin(reach) / np.cos(up))
        if abs(around) + aside > np.pi:
            return top, 0, bottom, self.width
        left, right = self._pixels(np.pi - around - aside, np.pi - around + aside, self.width)
        return top, left, bottom, right

    def _pixels(self, first: float, last: float, limit: int) -> tuple[int, int]:
        """Pixels from one angle to another, with one more at either end."""
        return max(int(first * self.focal) - 1, 0), min(int(last * self.focal) + 2, limit)
