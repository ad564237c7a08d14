"""Image sources of a shoebox room, and when and from where a listener hears them.

Images are those of Allen and Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65 (1979).
The walls' absorption follows from the reverberation time by Eyring's formula, separately below and above 1 kHz:
curtained rooms swallow high frequencies sooner, and flat walls would bury the level differences between the ears.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.suites.simulator.hrtf import SPEED_OF_SOUND, Array

NEAREST = 0.3  # m: closer sources are not made louder


@dataclass(frozen=True)
class Room:
    """A shoebox with one corner in the origin.

    Attributes:
        size: x, y, z in metres.
        rt60: reverberation time below 1 kHz in seconds.
        rt60_high: reverberation time above 1 kHz.
    """

    size: tuple[float, float, float]
    rt60: float
    rt60_high: float

    @property
    def volume(self) -> float:
        """Cubic metres."""
        return float(np.prod(self.size))

    @property
    def reflection(self) -> float:
        """What a wall leaves of a sound pressure below 1 kHz."""
        return self._reflection(self.rt60)

    @property
    def reflection_high(self) -> float:
        """What a wall leaves of a sound pressure above 1 kHz."""
        return self._reflection(self.rt60_high)

    def _reflection(self, rt60: float) -> float:
        x, y, z = self.size
        surface = 2 * (x * y + y * z + z * x)
        return float(np.exp(-12 * np.log(10) / SPEED_OF_SOUND * self.volume / (surface * rt60)))


class Images(NamedTuple):
    """Image sources: a source at `s` has its images at `sign * s + shift`, each after `order` reflections."""

    sign: Array
    shift: Array
    order: NDArray[np.intp]

    def of(self, source: Array) -> Array:
        """Positions `(I, ..., 3)` of the images of a source at `(..., 3)`."""
        inner = (slice(None), *(None,) * (source.ndim - 1))
        return np.asarray(self.sign[inner] * source + self.shift[inner])

    def where(self, keep: NDArray[np.bool_]) -> Images:
        """Those images for which `keep` is true."""
        return Images(self.sign[keep], self.shift[keep], self.order[keep])


def images_within(room: Room, reach: float) -> Images:
    """List the images that can lie near a listener, wherever in the room he and the source are.

    Args:
        room: whose walls reflect.
        reach: metres.

    Returns:
        The images that can lie within reach.
    """
    axes = [_axis_images(length, int(np.ceil((reach + length) / (2 * length)))) for length in room.size]
    grids = [np.meshgrid(*(axis[part] for axis in axes), indexing="ij") for part in range(3)]
    sign, shift, order = (np.stack([grid.ravel() for grid in part], axis=-1) for part in grids)
    return Images(sign, shift, order.sum(axis=-1).astype(np.intp))


def _axis_images(length: float, furthest: int) -> tuple[Array, Array, Array]:
    n, mirrored = np.meshgrid(np.arange(-furthest, furthest + 1), (0, 1))
    order = np.abs(n - mirrored) + np.abs(n)
    return 1.0 - 2 * mirrored.ravel(), 2.0 * n.ravel() * length, order.ravel().astype(np.float64)


def to_head(vectors: Array, yaw: Array | float) -> Array:
    """Turn world vectors into those of a head or camera.

    Args:
        vectors: `(..., 3)` in the world.
        yaw: how far the head is turned to the left, radians.

    Returns:
        `(..., 3)`; x is where it looks.
    """
    x, y, z = np.moveaxis(vectors, -1, 0)
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.stack(np.broadcast_arrays(cos * x + sin * y, cos * y - sin * x, z), axis=-1)


class Arrivals(NamedTuple):
    """Images as a listener hears them.

    `vectors` `(I, 3)` lead to them, `delay` `(I,)` is in samples, `gains` `(I,)` hold below and above the crossover.
    """

    vectors: Array
    delay: Array
    gains: tuple[Array, Array]


def arrivals(room: Room, source: Array, listener: Array, duration: float, lowest_order: int = 0) -> Arrivals:
    """List the images that are heard.

    Args:
        room: whose walls reflect.
        source: its place `(3,)`, metres.
        listener: the listener's place `(3,)`, metres.
        duration: seconds within which they must arrive.
        lowest_order: reflections that they must have had at least.

    Returns:
        Vectors to the images, delays in samples, and gains.
    """
    reach = duration * SPEED_OF_SOUND
    images = images_within(room, reach)
    vectors = images.of(source) - listener
    distance = np.linalg.norm(vectors, axis=-1)
    keep = (distance < reach) & (images.order >= lowest_order)
    distance, order = np.maximum(distance[keep], NEAREST), images.order[keep]
    low, high = (factor**order / distance for factor in (room.reflection, room.reflection_high))
    return Arrivals(vectors[keep], distance / SPEED_OF_SOUND * SAMPLE_RATE, (low, high))
