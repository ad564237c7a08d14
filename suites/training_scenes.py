"""simroom-train and simroom-validation: simulated scenes to learn from, as many as are asked for.

They are like those of `simroom` and share nothing with it: rooms, sounds, trajectories and seeds are others, and so
are those of the two among themselves. Each has one source, which is in view: of two sources, or one that is not seen,
pictures do not tell which is louder, and a small model that sees a thousand scenes would learn noise from them.
`suites.filmed_scenes` has a third design.

There is no manifest to be committed; the scenes follow from a seed. They come in blocks that are each balanced like a
suite, so that the first N scenes are the same whatever N is, and what was rendered for a small N is kept for a larger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from visaudio_bench.errors import UsageError
from visaudio_bench.files import digest
from visaudio_bench.suites.simulated import SimulatedSuite, SuiteSize, rendered_folder
from visaudio_bench.suites.simulator.design import FACTORS, ROOMS, Size, design, scene_id
from visaudio_bench.suites.simulator.render import RENDERER
from visaudio_bench.suites.simulator.scenes import Scene

PER_FACTOR = 12  # scenes of a block; blocks are also multiples of the numbers of rooms, reverberation times and strata


@dataclass(frozen=True)
class EndlessDesign:
    """Scenes that come in balanced blocks, as many as are asked for.

    Attributes:
        seed: of the first block; the next one has the next.
        offset: in m. Every side of an evaluation room is a whole number of decimetres: with this added, none is shared.
        factors: what scenes are balanced over.
    """

    seed: int
    offset: float
    factors: tuple[str, ...]

    @property
    def block(self) -> int:
        """Scenes of a block."""
        return PER_FACTOR * len(self.factors)

    def scenes(self, name: str, count: int, duration: float) -> tuple[Scene, ...]:
        """Draw scenes.

        Args:
            name: of the suite.
            count: how many, from the first on.
            duration: of each, seconds.

        Returns:
            The scenes.
        """
        drawn: list[Scene] = []
        for block in range(-(-count // self.block)):
            seed = self.seed + block
            rooms = _rooms(seed, self.offset)
            first = block * self.block
            drawn += design(name, self.block, duration, seed, rooms=rooms, factors=self.factors, first=first)
        return tuple(drawn[:count])


ONE_IN_VIEW = tuple(factor for factor in FACTORS if factor not in ("two sources", "invisible source"))
TO_LEARN = EndlessDesign(31_000_000, 0.05, ONE_IN_VIEW)
TO_WATCH = EndlessDesign(47_000_000, 0.03, ONE_IN_VIEW)
TRAINING = SuiteSize("simroom-train", 16 * TO_LEARN.block, 2.0, 96, "Simulated rooms to learn from, clips of 2 s")
VALIDATION = SuiteSize("simroom-validation", 40, 4.0, 96, "Simulated rooms to watch training with, clips of 4 s")


class TrainingSuite(SimulatedSuite):
    """The first `plan.clips` scenes of an endless design."""

    def __init__(self, plan: SuiteSize, endless: EndlessDesign):
        self.split = plan.name.removeprefix("simroom-")
        self.count = plan.clips
        self.endless = endless
        super().__init__(plan)

    @cached_property
    def designed(self) -> tuple[Scene, ...]:
        """The scenes of the suite, which take a second for three hundred of them to draw."""
        return self.endless.scenes(self.name, self.count, self.duration)

    def clip_ids(self) -> tuple[str, ...]:
        """As `Suite.clip_ids`; no scene is drawn for it."""
        return tuple(scene_id(self.name, number) for number in range(self.count))

    def identity(self) -> list[object]:
        """What decides how its scenes are rendered, whatever their number."""
        scenes = self.endless.scenes(self.name, self.endless.block, self.duration)
        return [[scene.to_json() for scene in scenes], self.size, RENDERER]

    @cached_property
    def _digest(self) -> str:
        return digest(self.identity())

    @property
    def folder(self) -> Path:
        """Where the rendered files are; one folder for every number of clips."""
        return rendered_folder(self.name, self._digest)


def _rooms(seed: int, offset: float) -> tuple[Size, ...]:
    """As many rooms as the evaluation has, of any size between its third smallest and its largest one.

    In the two smallest ones not every combination of sound, trajectory and azimuth has a place.
    """
    rng = np.random.default_rng([seed, 7])
    smallest, largest = np.asarray(ROOMS[2]), np.asarray(ROOMS[-1])
    share = np.clip(rng.uniform(0, 1, (len(ROOMS), 1)) + rng.uniform(-0.15, 0.15, (len(ROOMS), 3)), 0, 1)
    sizes = np.floor(10 * (smallest + share * (largest - smallest))) / 10 + offset
    return tuple((round(x, 2), round(y, 2), round(z, 2)) for x, y, z in sizes.tolist())


def open_counted(make: Callable[[SuiteSize], TrainingSuite], plan: SuiteSize, argument: str | None) -> TrainingSuite:
    """Open a suite whose argument is the number of its clips.

    Args:
        make: the suite of a size.
        plan: its size without an argument.
        argument: what was written behind the colon.

    Returns:
        The suite.

    Raises:
        UsageError: the argument is no number of clips.
    """
    if argument is None:
        return make(plan)
    if not argument.isdecimal() or not int(argument):
        raise UsageError(f'the suite "{plan.name}" takes a number of clips, got "{argument}". Write: {plan.name}:100')
    return make(SuiteSize(plan.name, int(argument), plan.duration, plan.size, plan.title))


def simroom_train(argument: str | None = None) -> TrainingSuite:
    """Scenes to learn from: `simroom-train` or `simroom-train:N`."""
    return open_counted(lambda plan: TrainingSuite(plan, TO_LEARN), TRAINING, argument)


def simroom_validation(argument: str | None = None) -> TrainingSuite:
    """Scenes to watch training with: `simroom-validation` or `simroom-validation:N`."""
    return open_counted(lambda plan: TrainingSuite(plan, TO_WATCH), VALIDATION, argument)
