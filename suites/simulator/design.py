"""The balanced design: which scenes a simulated suite is made of.

Every factor, room and reverberation time comes up equally often; sounds are paired with factors as in a Latin square;
the side on which a scene begins alternates, so that over a suite left and right are balanced and a system that
always says "left" gains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from visaudio_bench.suites.simulator.hrtf import Array
from visaudio_bench.suites.simulator.images import Room
from visaudio_bench.suites.simulator.placement import Wanted, place
from visaudio_bench.suites.simulator.scenes import Scene
from visaudio_bench.suites.simulator.sounds import RECIPES

Size = tuple[float, float, float]

FACTORS = ("static", "moving source", "moving camera", "moving both", "two sources", "invisible source", "distance")
REVERBERATION = (0.2, 0.35, 0.5, 0.8)  # s, below 1 kHz
HIGH = 0.5  # of that, above
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
SOUNDS = tuple(RECIPES)
SIDES = np.deg2rad([[8.0, 16.0], [16.0, 24.0], [24.0, 32.0], [32.0, 40.0]])
UNSEEN = np.deg2rad([[60.0, 90.0], [90.0, 120.0], [120.0, 150.0], [150.0, 175.0]])
KNOT_SPACING = 2.0  # s


class Levels(NamedTuple):
    """What is balanced over the scenes: the room, and ranges of absolute azimuth (rad) for seen and unseen sources."""

    room: Room
    seen: Array
    unseen: Array


def design(
    name: str,
    count: int,
    duration: float,
    seed: int,
    *,
    rooms: Sequence[Size] = ROOMS,
    factors: Sequence[str] = FACTORS,
    first: int = 0,
) -> tuple[Scene, ...]:
    """Draw the scenes of a suite; the same arguments always give the same ones.

    Args:
        name: of the suite, which ids begin with.
        count: number of scenes.
        duration: of each, seconds.
        seed: of everything that is left to chance.
        rooms: sizes in metres.
        factors: some of `FACTORS`, what scenes are for.
        first: number of the first scene.

    Returns:
        The scenes.
    """
    order = np.random.default_rng([seed, count])
    sizes, echoes, strata, unseen = (
        _balanced(order, len(levels), count) for levels in (rooms, REVERBERATION, SIDES, UNSEEN)
    )
    # The k-th scene that begins on the left and the k-th on the right have the same stratum of azimuth.
    sides = [_side(index, len(factors)) for index in range(count)]
    on_side = [sides[:index].count(side) for index, side in enumerate(sides)]
    return tuple(
        _scene(
            scene_id(name, first + index),
            index,
            factors,
            duration,
            Levels(
                Room(rooms[sizes[index]], REVERBERATION[echoes[index]], HIGH * REVERBERATION[echoes[index]]),
                SIDES[strata[on_side[index]]],
                UNSEEN[unseen[index]],
            ),
            np.random.default_rng([seed, count, index]),
        )
        for index in range(count)
    )


def scene_id(suite: str, number: int) -> str:
    """What a scene is called.

    Args:
        suite: the design's name.
        number: of the scene in it, from 0 on.

    Returns:
        The id of its clip.
    """
    return f"{suite}-{number:03d}"


def _side(index: int, factors: int) -> float:
    """1 for scenes that begin on the left, -1 for the others: alternating from scene to scene and for each factor."""
    return 1.0 if sum(divmod(index, factors)) % 2 == 0 else -1.0


def _balanced(rng: np.random.Generator, levels: int, count: int) -> list[int]:
    """`count` levels in blocks that each hold every level once, in random order."""
    blocks = [rng.permutation(levels) for _ in range(-(-count // levels))]
    return [int(level) for level in np.concatenate(blocks)[:count]]


def _scene(
    name: str, index: int, factors: Sequence[str], duration: float, levels: Levels, rng: np.random.Generator
) -> Scene:
    rounds, position = divmod(index, len(factors))
    factor = factors[position]
    side = _side(index, len(factors))
    first = (position + rounds) % len(SOUNDS)
    second = (first + 1 + rounds % (len(SOUNDS) - 1)) % len(SOUNDS)
    times = np.linspace(0.0, duration, max(3, round(duration / KNOT_SPACING) + 1))
    wanted = [Wanted(SOUNDS[first], _azimuths(factor, side, levels.seen, len(times), rng), visible=True)]
    if factor == "two sources":
        azimuth = -side * rng.uniform(*levels.seen)
        wanted.append(Wanted(SOUNDS[second], np.full(len(times), azimuth), visible=True))
    if factor == "invisible source":
        # Twice on the visible source's side, then twice on the other one: left and right as often.
        azimuth = side * (-1.0) ** (rounds // 2) * rng.uniform(*levels.unseen)
        wanted.append(Wanted(SOUNDS[second], np.full(len(times), azimuth), visible=False))
    return place(name, factor, levels.room, times=times, wanted=wanted, rng=rng)


def _azimuths(factor: str, side: float, stratum: Array, count: int, rng: np.random.Generator) -> Array:
    """Wanted azimuths `(count,)` of the first source at the knots, as the listener sees it."""
    if not factor.startswith("moving"):
        return np.full(count, side * rng.uniform(*stratum))
    # From its own side to less far on the other one and back: its mean stays on its own side.
    far, near = rng.uniform(np.deg2rad(26), np.deg2rad(40), count), rng.uniform(0.0, np.deg2rad(15), count)
    return np.asarray(side * np.where(np.arange(count) % 2 == 0, far, -near))
