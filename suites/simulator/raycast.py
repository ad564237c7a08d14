"""Rays against capsules and boxes: distance and surface normal, for many rays at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from suites.simulator.looks import Part, Vector

Floats = NDArray[np.float32]


class Hit(NamedTuple):
    """For every ray the distance to the surface (infinite where it is missed) and the outward normal there."""

    distance: Floats
    normal: Floats


def intersect(part: Part, origin: Floats, rays: Floats) -> Hit:
    """Where rays `(N, 3)` (unit vectors) from `origin` `(3,)` meet a part, in the part's axes."""
    if part.half is not None:
        return _box(part.start, part.half, origin, rays)
    return _capsule(part.start, part.end, part.radius, origin, rays)


def _box(centre: Vector, half: Vector, origin: Floats, rays: Floats) -> Hit:
    inverse = 1 / np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
    towards = (np.asarray(centre, np.float32) - origin) * inverse
    reach = np.asarray(half, np.float32) * np.abs(inverse)
    enter = towards - reach
    near = enter.max(axis=1)
    hit = (near < (towards + reach).min(axis=1)) & (near > 0)
    normal = np.zeros_like(rays)
    face = enter.argmax(axis=1)
    row = np.arange(len(rays))
    normal[row, face] = -np.sign(rays[row, face])
    return Hit(np.where(hit, near, np.float32(np.inf)), normal)


def _capsule(start: Vector, end: Vector, radius: float, origin: Floats, rays: Floats) -> Hit:
    """The nearest of the barrel and the two end spheres."""
    a, b = np.asarray(start, np.float32), np.asarray(end, np.float32)
    axis = b - a
    length = float(axis @ axis)
    distance = _sphere(a, radius, origin, rays)
    if length > 0:
        distance = np.minimum(distance, _sphere(b, radius, origin, rays))
        distance = np.minimum(distance, _barrel(a, axis, length, radius, origin, rays))
    point = origin + np.where(np.isfinite(distance), distance, 0)[:, None] * rays - a
    along = np.clip(point @ axis / length, 0, 1)[:, None] * axis if length > 0 else np.float32(0)
    return Hit(distance, ((point - along) / radius).astype(np.float32))


def _nearest_root(a: Floats | float, half_b: Floats, c: float | Floats) -> Floats:
    """The smaller root of a t^2 + 2 half_b t + c where it is real and positive, else infinity."""
    inside = half_b**2 - a * c
    root = (-half_b - np.sqrt(np.maximum(inside, 0))) / np.maximum(a, 1e-12)
    return np.where((inside > 0) & (root > 0), root, np.inf).astype(np.float32)


def _sphere(centre: Floats, radius: float, origin: Floats, rays: Floats) -> Floats:
    offset = origin - centre
    return _nearest_root(1.0, rays @ offset, float(offset @ offset) - radius**2)


def _barrel(start: Floats, axis: Floats, length: float, radius: float, origin: Floats, rays: Floats) -> Floats:
    offset = origin - start
    ray_along, offset_along = rays @ axis, float(offset @ axis)
    a = 1 - ray_along**2 / length
    half_b = rays @ offset - ray_along * (offset_along / length)
    distance = _nearest_root(a, half_b, float(offset @ offset) - offset_along**2 / length - radius**2)
    place = offset_along + np.where(np.isfinite(distance), distance, 0) * ray_along
    return np.where((place > 0) & (place < length), distance, np.float32(np.inf))
