"""simroom-train and simroom-validation: simulated scenes to learn from, as many as are asked for.

They share nothing with those of `simroom`: rooms, sounds, trajectories and seeds are others, and so are those of the
two among themselves. All that sounds is in view, for of what is not seen pictures do not tell where it is. They are
filmed as real videos are (`simulator.filming`), which the evaluation's are not. In one of seven to learn from nothing
sounds; `clip.meta["silent"]` says so.

There is no manifest to be committed; the scenes follow from a seed. They come in blocks that are each balanced like a
suite, so that the first N scenes are the same whatever N is, and what was rendered for a small N is kept for a larger.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import UsageError
from visaudio_bench.files import digest, write_text
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.direction_labels import write_labels
from visaudio_bench.suites.making import make_each
from visaudio_bench.suites.media import write_audio, write_video
from visaudio_bench.suites.simulated import SimulatedSuite, SuiteSize, rendered_folder
from visaudio_bench.suites.simulator.design import FACTORS, ROOMS, Size, design, scene_id
from visaudio_bench.suites.simulator.filming import filmed, filming_of
from visaudio_bench.suites.simulator.labels import scene_labels
from visaudio_bench.suites.simulator.render import (
    RENDERER,
    ambience,
    binaural_sound,
    clip_files,
    labels_file,
    scene_sounds,
)
from visaudio_bench.suites.simulator.scenes import Scene
from visaudio_bench.suites.simulator.truth import truth_of
from visaudio_bench.suites.simulator.video import FPS

IN_VIEW = tuple(factor for factor in FACTORS if factor != "invisible source")
BLOCK = 12 * len(IN_VIEW)  # scenes; also a multiple of the numbers of rooms, reverberation times and strata
TRAINING = SuiteSize("simroom-train", 8 * BLOCK, 2.0, 96, "Simulated rooms to learn from, clips of 2 s")
VALIDATION = SuiteSize("simroom-validation", 40, 4.0, 96, "Simulated rooms to watch training with, clips of 4 s")
SEEDS = {"simroom-train": 31_000_000, "simroom-validation": 47_000_000}
# Every side of an evaluation room is a whole number of decimetres: with these added, no side of any room is shared.
OFFSETS = {"simroom-train": 0.05, "simroom-validation": 0.03}  # m


class TrainingSuite(SimulatedSuite):
    """The first `plan.clips` scenes of an endless design."""

    def __init__(self, plan: SuiteSize):
        self.split = plan.name.removeprefix("simroom-")
        # Where silence sounds from cannot be right or wrong: those that training is watched with all sound.
        self.may_be_silent = plan.name == TRAINING.name
        self.count = plan.clips
        super().__init__(plan)

    @cached_property
    def designed(self) -> tuple[Scene, ...]:
        """The scenes of the suite, which take a second for three hundred of them to draw."""
        return training_scenes(self.name, self.count, self.duration)

    def clip_ids(self) -> tuple[str, ...]:
        """As `Suite.clip_ids`; no scene is drawn for it."""
        return tuple(scene_id(self.name, number) for number in range(self.count))

    @cached_property
    def _first_block(self) -> str:
        """Identity of the design, whatever the number of its scenes."""
        scenes = training_scenes(self.name, BLOCK, self.duration)
        revision = source_revision(film_files)
        return digest([[scene.to_json() for scene in scenes], self.size, RENDERER, revision])

    @property
    def folder(self) -> Path:
        """Where the rendered files are; one folder for every number of clips."""
        return rendered_folder(self.name, self._first_block)

    def clips(self) -> tuple[Clip, ...]:
        """As `SimulatedSuite.clips`, with `meta["silent"]`."""
        return tuple(replace(clip, meta={**clip.meta, "silent": self._silent(clip.id)}) for clip in super().clips())

    def _silent(self, clip: str) -> bool:
        return filming_of(self.scenes[clip], may_be_silent=self.may_be_silent).silent

    def prepare(self, workers: int = 1) -> Iterator[str]:
        """As `SimulatedSuite.prepare`."""
        yield from make_each(
            partial(film_files, folder=self.folder, size=self.size, may_be_silent=self.may_be_silent),
            {name: self.scenes[name] for name in self.pending()},
            workers,
            task=f"clips of {self.name} could not be rendered into {self.folder}",
        )


def film_files(scene: Scene, folder: Path, size: int, *, may_be_silent: bool) -> None:
    """Write a scene's files as `simulator.render.render_files` does, filmed in its own way.

    Args:
        scene: what is shown and heard.
        folder: where to.
        size: of the pictures, pixels each way.
        may_be_silent: whether it may be one in which nothing sounds.
    """
    video, audio, truth = clip_files(folder, scene.id)
    how = filming_of(scene, may_be_silent=may_be_silent)
    sounds = scene_sounds(scene)
    onsets = [sound.onsets[:0] if how.silent else sound.onsets for sound in sounds]
    write_video(video, filmed(scene, onsets, size, how), FPS, crf=how.crf)
    sound = ambience(scene.seed, len(sounds[0].samples)) if how.silent else binaural_sound(scene, sounds)
    write_audio(audio, sound, SAMPLE_RATE)
    write_labels(labels_file(folder, scene.id), {scene.id: () if how.silent else scene_labels(scene, sounds)})
    write_text(truth, json.dumps(truth_of(scene, onsets, RENDERER), separators=(",", ":"), allow_nan=False) + "\n")


def training_scenes(name: str, count: int, duration: float) -> tuple[Scene, ...]:
    """Draw the scenes of a training suite.

    Args:
        name: of the design.
        count: how many, from the first on.
        duration: of each, seconds.

    Returns:
        The scenes.
    """
    scenes: list[Scene] = []
    for block in range(-(-count // BLOCK)):
        seed = SEEDS[name] + block
        rooms = _rooms(seed, OFFSETS[name])
        scenes += design(name, BLOCK, duration, seed, rooms=rooms, factors=IN_VIEW, first=block * BLOCK)
    return tuple(scenes[:count])


def _rooms(seed: int, offset: float) -> tuple[Size, ...]:
    """As many rooms as the evaluation has, of any size between its third smallest and its largest one.

    In the two smallest ones not every combination of sound, trajectory and azimuth has a place.
    """
    rng = np.random.default_rng([seed, 7])
    smallest, largest = np.asarray(ROOMS[2]), np.asarray(ROOMS[-1])
    share = np.clip(rng.uniform(0, 1, (len(ROOMS), 1)) + rng.uniform(-0.15, 0.15, (len(ROOMS), 3)), 0, 1)
    sizes = np.floor(10 * (smallest + share * (largest - smallest))) / 10 + offset
    return tuple((round(x, 2), round(y, 2), round(z, 2)) for x, y, z in sizes.tolist())


def _open(plan: SuiteSize, argument: str | None) -> TrainingSuite:
    if argument is None:
        return TrainingSuite(plan)
    if not argument.isdecimal() or not int(argument):
        raise UsageError(f'the suite "{plan.name}" takes a number of clips, got "{argument}". Write: {plan.name}:100')
    return TrainingSuite(SuiteSize(plan.name, int(argument), plan.duration, plan.size, plan.title))


def simroom_train(argument: str | None = None) -> TrainingSuite:
    """Scenes to learn from: `simroom-train` or `simroom-train:N`."""
    return _open(TRAINING, argument)


def simroom_validation(argument: str | None = None) -> TrainingSuite:
    """Scenes to watch training with: `simroom-validation` or `simroom-validation:N`."""
    return _open(VALIDATION, argument)
