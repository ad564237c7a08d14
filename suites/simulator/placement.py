"""Finding room for a scene: places for the listener and the sources so that all is where the design wants it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from visaudio_bench.suites.simulator.hrtf import Array, unit_vector
from visaudio_bench.suites.simulator.images import Room
from visaudio_bench.suites.simulator.scenes import Knots, Scene, SoundSource, at_times, bearing

# Metres above the floor: where such things are.
HEIGHTS = {
    "string": (1.1, 1.4),
    "bell": (1.3, 1.7),
    "drum": (0.8, 1.1),
    "engine": (0.6, 0.9),
    "water": (0.8, 1.0),
    "bird": (1.5, 2.0),
    "footsteps": (0.12, 0.12),
}
EYE_HEIGHT = 1.5
NEAREST, FURTHEST = 0.9, 2.2  # m, of sources that keep their distance
FROM_WALL, THING_FROM_WALL = 0.6, 0.4  # m
# A visible source's height above or below the eye is at most this part of how far ahead it is: the picture ends at 1.
STEEPEST = 0.85
TRIES = 20000


class Wanted(NamedTuple):
    """A source as the design wants it: its sound, and its azimuth `(K,)` for the listener at the knots, in radians."""

    sound: str
    azimuth: Array
    visible: bool


def place(name: str, factor: str, room: Room, *, times: Array, wanted: list[Wanted], rng: np.random.Generator) -> Scene:
    """The first scene found by trying in which everything keeps off the walls and is in view if it is to be.

    Args:
        name: the scene's id.
        factor: what the scene is for; it decides what moves.
        room: where.
        times: `(K,)` seconds of the knots of all trajectories.
        wanted: the sources.
        rng: what is left to chance.

    Returns:
        The scene.
    """
    seeds = [int(seed) for seed in rng.integers(2**31, size=1 + len(wanted))]
    for _ in range(TRIES):
        walk, yaw, paths = _attempt(factor, room, wanted, rng)
        if not _inside(walk, room, FROM_WALL) or not all(_inside(path, room, THING_FROM_WALL) for path in paths):
            continue
        sources = tuple(
            SoundSource(source.sound, seed, _knots(times, path), source.visible)
            for source, seed, path in zip(wanted, seeds[1:], paths, strict=True)
        )
        listener, turning = _knots(times, walk), _knots(times, yaw[:, None])
        scene = Scene(name, factor, float(times[-1]), seeds[0], room, listener, turning, sources)
        if _is_as_wanted(scene):
            return scene
    raise RuntimeError(f"no place found for a {factor} scene in a room of {room.size} m")


def _attempt(
    factor: str, room: Room, wanted: list[Wanted], rng: np.random.Generator
) -> tuple[Array, Array, list[Array]]:
    """The listener's path `(K, 3)` and yaw `(K,)`, and the sources' paths `(K, 3)`, anywhere."""
    count = len(wanted[0].azimuth)
    turning = factor in ("moving camera", "moving both")
    start = rng.uniform(FROM_WALL, np.asarray(room.size[:2]) - FROM_WALL)
    ahead = rng.uniform(-np.pi, np.pi)
    paths = []
    for source in wanted:
        # A camera that moves turns so that the source is where it is wanted; the source itself goes its own way.
        towards = _own_way(factor, count, rng) if turning else source.azimuth
        height = rng.uniform(*HEIGHTS[source.sound])
        distance = _distances(factor, source, height, rng)
        path = distance[:, None] * unit_vector(ahead + towards, np.zeros(count))
        paths.append(path + np.append(start, height))
    walk = np.tile(np.append(start, EYE_HEIGHT), (count, 1))
    if not turning:
        return walk, np.full(count, ahead), paths
    walk[1:, :2] += np.cumsum(rng.uniform(-0.25, 0.25, (count - 1, 2)), axis=0)
    offset = paths[0] - walk
    return walk, np.unwrap(np.arctan2(offset[:, 1], offset[:, 0]) - wanted[0].azimuth), paths


def _own_way(factor: str, count: int, rng: np.random.Generator) -> Array:
    """Where a source goes while the camera turns, as azimuths from the first place of the camera."""
    return rng.uniform(-0.4, 0.4, count) if factor == "moving both" else np.zeros(count)


def _distances(factor: str, source: Wanted, height: float, rng: np.random.Generator) -> Array:
    """Horizontal distance from the listener at the knots, metres; far enough for what is low to be in the picture."""
    nearest = NEAREST
    if source.visible:
        ahead = abs(height - EYE_HEIGHT) / STEEPEST
        nearest = max(nearest, float((ahead / np.cos(source.azimuth)).max()))
    if factor == "distance":
        near = rng.uniform(nearest, nearest + 0.4)
        return np.where(np.arange(len(source.azimuth)) % 2 == 0, near + rng.uniform(1.0, 2.5), near)
    return np.full(len(source.azimuth), rng.uniform(nearest, max(FURTHEST, nearest + 0.3)))


def _inside(path: Array, room: Room, margin: float) -> bool:
    ground = path[:, :2]
    return bool(np.all(ground > margin) and np.all(ground < np.asarray(room.size[:2]) - margin))


def _is_as_wanted(scene: Scene) -> bool:
    """Also between the knots."""
    times = np.linspace(0.0, scene.duration, 1 + round(20 * scene.duration))
    seen = [bearing(scene, source, times).in_view == source.visible for source in scene.sources]
    inside = [_inside(at_times(source.path, times), scene.room, THING_FROM_WALL) for source in scene.sources]
    return bool(np.all(seen)) and all(inside)


def _knots(times: Array, values: Array) -> Knots:
    """Knots to the millimetre and milliradian; one that stays where it is needs no second."""
    rows = np.round(np.column_stack([times, values]), 3)
    if np.all(rows[:, 1:] == rows[0, 1:]):
        rows = rows[:1]
    return tuple(tuple(float(value) for value in row) for row in rows)
