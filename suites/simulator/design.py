"""The balanced design: which scenes a simulated suite is made of.

Every factor, room and reverberation time comes up equally often; sounds are paired with factors as in a Latin square;
the side on which a scene begins alternates, so that over a suite left and right are balanced and a system that
always says "left" gains nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from suites.simulator.hrtf import Array, unit_vector
from suites.simulator.rooms import Room
from suites.simulator.scenes import Knots, Scene, Source
from suites.simulator.sounds import RECIPES

FACTORS = ("static", "moving source", "moving camera", "moving both", "two sources", "invisible source", "distance")
REVERBERATION = (0.2, 0.35, 0.5, 0.8)  # s
ROOMS = (
    (3.0, 3.0, 2.5),
    (3.6, 3.2, 2.5),
    (4.2, 3.4, 2.6),
    (4.8, 3.6, 2.7),
    (4.5, 4.5, 2.8),
    (5.2, 4.2, 2.8),
    (5.6, 5.0, 3.0),
    (6.0, 4.6, 3.0),
    (6.6, 5.4, 3.2),
    (7.4, 5.8, 3.4),
    (8.0, 6.6, 3.6),
    (9.0, 7.0, 4.0),
)
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
SIDES = np.deg2rad([[8.0, 16.0], [16.0, 24.0], [24.0, 32.0], [32.0, 40.0]])
UNSEEN = np.deg2rad([[60.0, 90.0], [90.0, 120.0], [120.0, 150.0], [150.0, 175.0]])
KNOT_SPACING = 2.0  # s
FROM_WALL = {"listener": 0.6, "source": 0.4}  # m


class Levels(NamedTuple):
    """What is balanced over the scenes: the room, and ranges of absolute azimuth (rad) for seen and unseen sources."""

    room: Room
    seen: Array
    unseen: Array


def design(name: str, count: int, duration: float, seed: int) -> tuple[Scene, ...]:
    """`count` scenes of `duration` seconds; the same arguments always give the same scenes."""
    order = np.random.default_rng([seed, count])
    rooms, echoes, strata, unseen = (_balanced(order, levels, count) for levels in (12, 4, 4, 4))
    # The k-th scene that begins on the left and the k-th on the right have the same stratum of azimuth.
    on_side = [sum(_side(before) == _side(index) for before in range(index)) for index in range(count)]
    return tuple(
        _scene(
            f"{name}-{index:03d}",
            index,
            duration,
            Levels(
                Room(ROOMS[rooms[index]], REVERBERATION[echoes[index]]),
                SIDES[strata[on_side[index]]],
                UNSEEN[unseen[index]],
            ),
            np.random.default_rng([seed, count, index]),
        )
        for index in range(count)
    )


def _side(index: int) -> float:
    """1 for scenes that begin on the left, -1 for the others: alternating from scene to scene and for each factor."""
    return 1.0 if sum(divmod(index, len(FACTORS))) % 2 == 0 else -1.0


def _balanced(rng: np.random.Generator, levels: int, count: int) -> list[int]:
    """`count` levels in blocks that each hold every level once, in random order."""
    blocks = [rng.permutation(levels) for _ in range(-(-count // levels))]
    return [int(level) for level in np.concatenate(blocks)[:count]]


def _scene(name: str, index: int, duration: float, levels: Levels, rng: np.random.Generator) -> Scene:
    rounds, position = divmod(index, len(FACTORS))
    factor = FACTORS[position]
    side = _side(index)
    sounds = tuple(RECIPES)
    first = (position + rounds) % len(sounds)
    second = (first + 1 + rounds % (len(sounds) - 1)) % len(sounds)
    times = np.linspace(0.0, duration, max(3, round(duration / KNOT_SPACING) + 1))
    azimuths = [_azimuths(factor, side, levels.seen, len(times), rng)]
    if factor == "two sources":
        azimuths.append(np.full(len(times), -side * rng.uniform(*levels.seen)))
    if factor == "invisible source":
        # Twice on the visible source's side, then twice on the other one: left and right as often.
        azimuths.append(np.full(len(times), side * (-1.0) ** (rounds // 2) * rng.uniform(*levels.unseen)))
    chosen = [sounds[first], sounds[second]][: len(azimuths)]
    listener, yaw, paths = _fit(factor, levels.room, azimuths, chosen, rng)
    return Scene(
        id=name,
        factor=factor,
        duration=duration,
        seed=int(rng.integers(2**31)),
        room=levels.room,
        listener=_knots(times, listener),
        yaw=_knots(times, yaw[:, None]),
        sources=tuple(
            Source(sound, int(rng.integers(2**31)), _knots(times, path), visible=not (factor == FACTORS[5] and which))
            for which, (sound, path) in enumerate(zip(chosen, paths, strict=True))
        ),
    )


def _azimuths(factor: str, side: float, stratum: Array, count: int, rng: np.random.Generator) -> Array:
    """Wanted azimuths `(count,)` of the first source at the knots, as the listener sees it."""
    if not factor.startswith("moving"):
        return np.full(count, side * rng.uniform(*stratum))
    # From its own side to less far on the other one and back: its mean stays on its own side.
    far, near = rng.uniform(np.deg2rad(26), np.deg2rad(40), count), rng.uniform(0.0, np.deg2rad(15), count)
    return np.asarray(side * np.where(np.arange(count) % 2 == 0, far, -near))


def _fit(
    factor: str, room: Room, azimuths: list[Array], sounds: list[str], rng: np.random.Generator
) -> tuple[Array, Array, list[Array]]:
    """Listener `(K, 3)`, yaw `(K,)` and source paths `(K, 3)` that lie within the room, found by trying."""
    size = np.asarray(room.size)
    count = len(azimuths[0])
    for _ in range(20000):
        listener = np.append(rng.uniform(FROM_WALL["listener"], size[:2] - FROM_WALL["listener"]), EYE_HEIGHT)
        yaw = rng.uniform(-np.pi, np.pi)
        heights = [rng.uniform(*HEIGHTS[sound]) for sound in sounds]
        distances = [_distances(factor, count, rng) for _ in sounds]
        # A camera that turns towards a source is placed as if the source were where it is in the middle.
        camera_moves = factor in ("moving camera", "moving both")
        world = [_world_azimuths(factor, a, rng) if camera_moves else a for a in azimuths]
        paths: list[Array] = [
            listener * [1, 1, 0] + d[:, None] * unit_vector(yaw + a, np.zeros(count)) + [0, 0, z]
            for a, d, z in zip(world, distances, heights, strict=True)
        ]
        walk = np.tile(listener, (count, 1))
        if camera_moves:
            walk[:, :2] += np.cumsum(np.vstack([[0, 0], rng.uniform(-0.25, 0.25, (count - 1, 2))]), axis=0)
        inside = all(_inside(path, size, FROM_WALL["source"]) for path in paths)
        shown = all(_shown(path, walk, a) for path, a in zip(paths, azimuths, strict=True))
        if inside and shown and _inside(walk, size, FROM_WALL["listener"]):
            return walk, _yaw(factor, walk, paths[0], azimuths[0], yaw), paths
    raise RuntimeError(f"no place found for a {factor} scene in a room of {room.size} m")


def _shown(path: Array, walk: Array, azimuths: Array) -> bool:
    """Whether a source that is to be seen is neither too low nor too high for the picture, with room to spare."""
    offset = path - walk
    ahead = np.linalg.norm(offset[:, :2], axis=1) * np.cos(azimuths)
    return bool(np.all((ahead < 0.5) | (np.abs(offset[:, 2]) < 0.85 * ahead)))


def _distances(factor: str, count: int, rng: np.random.Generator) -> Array:
    """Horizontal distance from the listener at the knots, metres."""
    if factor == "distance":
        near = rng.uniform(0.9, 1.9)
        far = near + rng.uniform(1.0, 2.5)
        return np.where(np.arange(count) % 2 == 0, far, near)
    return np.full(count, rng.uniform(1.2, 3.0))


def _world_azimuths(factor: str, azimuths: Array, rng: np.random.Generator) -> Array:
    """Where a source goes while the camera turns: nowhere, or to and fro on its own."""
    if factor == "moving camera":
        return np.zeros_like(azimuths)
    return np.asarray(rng.uniform(-0.4, 0.4, len(azimuths)))


def _yaw(factor: str, walk: Array, path: Array, azimuths: Array, still: float) -> Array:
    if factor not in ("moving camera", "moving both"):
        return np.full(len(walk), still)
    offset = path - walk
    return np.asarray(np.unwrap(np.arctan2(offset[:, 1], offset[:, 0]) - azimuths))


def _inside(path: Array, size: Array, margin: float) -> bool:
    low, high = np.minimum(margin, 0.1), size - margin
    return bool(np.all(path[:, :2] > margin) and np.all(path[:, :2] < high[:2]) and np.all(path[:, 2] > low))


def _knots(times: Array, values: Array) -> Knots:
    """Knots to the millimetre and milliradian; one that stays where it is needs no second."""
    rows = np.round(np.column_stack([times, values]), 3)
    if np.all(rows[:, 1:] == rows[0, 1:]):
        rows = rows[:1]
    return tuple(tuple(float(value) for value in row) for row in rows)
