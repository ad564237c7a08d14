"""Rays against capsules and boxes, for many rays at once: `(3, N)` arrays of unit vectors from one origin.

Everything is float32: pictures need no more, and it is twice as fast.
"""

from __future__ import annotations

import numpy as np

from visaudio_bench.suites.simulator.hrtf import Array
from visaudio_bench.suites.simulator.looks import Part

_FAR = np.float32(np.inf)


def distances(part: Part, origin: Array, rays: Array) -> Array:
    """Find where rays meet the surface of a part.

    Args:
        part: a body.
        origin: where the rays begin, metres.
        rays: `(3, N)` directions.

    Returns:
        `(N,)` how far along each ray; infinite where it misses.
    """
    start = np.asarray(part.start, np.float32)
    if part.half is not None:
        return _box(start, np.asarray(part.half, np.float32), origin, rays)
    distance = _sphere(start, part.radius, origin, rays)
    if part.end != part.start:
        end = np.asarray(part.end, np.float32)
        distance = np.minimum(distance, _sphere(end, part.radius, origin, rays))
        distance = np.minimum(distance, _barrel(start, end - start, part.radius, origin, rays))
    return distance


def normals(part: Part, points: Array) -> Array:
    """Find which way a surface faces.

    Args:
        part: a body.
        points: `(3, N)` on its surface, metres.

    Returns:
        `(3, N)` outward unit normals.
    """
    start = np.asarray(part.start, np.float32)[:, None]
    if part.half is not None:
        place = (points - start) / np.asarray(part.half, np.float32)[:, None]
        outermost = np.abs(place).argmax(axis=0)
        return np.asarray(np.sign(place) * (np.arange(3)[:, None] == outermost), dtype=np.float32)
    axis = np.asarray(part.end, np.float32)[:, None] - start
    length = float((axis**2).sum())
    along = np.clip((axis * (points - start)).sum(axis=0) / length, 0, 1) * axis if length > 0 else np.float32(0)
    return np.asarray((points - start - along) / part.radius, dtype=np.float32)


def _dot(vector: Array, rays: Array) -> Array:
    return np.asarray(vector[0] * rays[0] + vector[1] * rays[1] + vector[2] * rays[2])


def _box(centre: Array, half: Array, origin: Array, rays: Array) -> Array:
    inverse = 1 / np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
    towards = (centre - origin)[:, None] * inverse
    reach = half[:, None] * np.abs(inverse)
    enter, leave = towards - reach, towards + reach
    near = np.maximum(np.maximum(enter[0], enter[1]), enter[2])
    hit = (near < np.minimum(np.minimum(leave[0], leave[1]), leave[2])) & (near > 0)
    return np.where(hit, near, _FAR)


def _nearest_root(a: Array | float, half_b: Array, c: float) -> Array:
    """The smaller root of a t^2 + 2 half_b t + c where it is real and positive, else infinity."""
    inside = half_b * half_b - a * np.float32(c)
    root = (-half_b - np.sqrt(np.maximum(inside, 0))) / np.maximum(a, np.float32(1e-6))
    return np.where((inside > 0) & (root > 0), root, _FAR)


def _sphere(centre: Array, radius: float, origin: Array, rays: Array) -> Array:
    offset = origin - centre
    return _nearest_root(1.0, _dot(offset, rays), float(offset @ offset) - radius**2)


def _barrel(start: Array, axis: Array, radius: float, origin: Array, rays: Array) -> Array:
    offset = origin - start
    length = np.float32(axis @ axis)
    ray_along, offset_along = _dot(axis, rays), np.float32(offset @ axis)
    a = 1 - ray_along * ray_along / length
    half_b = _dot(offset, rays) - ray_along * (offset_along / length)
    distance = _nearest_root(a, half_b, float(offset @ offset - offset_along**2 / length) - radius**2)
    place = offset_along + np.where(np.isfinite(distance), distance, 0) * ray_along
    return np.where((place > 0) & (place < length), distance, _FAR)
