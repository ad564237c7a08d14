"""simroom-filmed, simroom-crowded: scenes to learn sounds from, filmed as real videos are, some of them silent.

They share no room, sound, trajectory or seed with `simroom` or `simroom-validation`. All that sounds is in view, for of
what is not seen pictures do not tell where it is. How they are filmed is told by `simulator.filming`; the evaluation's
are filmed cleanly. In one of seven nothing sounds; `clip.meta["silent"]` says so.

`simroom-crowded` is for going on: two of seven scenes have two sources instead of one of six, one of four is silent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.files import write_text
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.direction_labels import write_labels
from visaudio_bench.suites.making import make_each
from visaudio_bench.suites.media import write_audio, write_video
from visaudio_bench.suites.simulated import SuiteSize
from visaudio_bench.suites.simulator.design import FACTORS
from visaudio_bench.suites.simulator.filming import SILENT, filmed, filming_of
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
from visaudio_bench.suites.training_scenes import TO_LEARN, EndlessDesign, TrainingSuite, open_counted

IN_VIEW = EndlessDesign(TO_LEARN.seed, TO_LEARN.offset, tuple(f for f in FACTORS if f != "invisible source"))
FILMED = SuiteSize("simroom-filmed", 42 * IN_VIEW.block, 2.0, 96, "Simulated rooms, filmed as videos are, clips of 2 s")


# Which of two things sounds says most of where to look, and that nothing does is learnt last: more of both.
TWO_IN_VIEW = EndlessDesign(TO_LEARN.seed, TO_LEARN.offset, (*IN_VIEW.factors, "two sources"))
CROWDED = SuiteSize(
    "simroom-crowded", 54 * TWO_IN_VIEW.block, 2.0, 96, "Simulated rooms, more often with two sources or with none"
)
OFTEN_SILENT = 0.25


class FilmedSuite(TrainingSuite):
    """The first scenes of a design, each filmed in its own way; in a share of them nothing sounds."""

    def __init__(self, plan: SuiteSize = FILMED, endless: EndlessDesign = IN_VIEW, silent: float = SILENT):
        super().__init__(plan, endless)
        self.silent = silent

    def identity(self) -> list[object]:
        """As `TrainingSuite.identity`, with the code that films."""
        return [*super().identity(), source_revision(film_files), self.silent]

    def manifest(self) -> list[dict[str, Any]]:
        """As `SimulatedSuite.manifest`, with how each is filmed."""
        rows = zip(super().manifest(), self.designed, strict=True)
        return [{**row, "filming": asdict(filming_of(scene, self.silent))} for row, scene in rows]

    def clips(self) -> tuple[Clip, ...]:
        """As `SimulatedSuite.clips`, with `meta["silent"]`."""
        return tuple(
            replace(clip, meta={**clip.meta, "silent": filming_of(self.scenes[clip.id], self.silent).silent})
            for clip in super().clips()
        )

    def prepare(self, workers: int = 1) -> Iterator[str]:
        """As `SimulatedSuite.prepare`."""
        yield from make_each(
            partial(film_files, folder=self.folder, size=self.size, silent=self.silent),
            {name: self.scenes[name] for name in self.pending()},
            workers,
            task=f"clips of {self.name} could not be rendered into {self.folder}",
        )


def film_files(scene: Scene, folder: Path, size: int, silent: float = SILENT) -> None:
    """Write a scene's files as `simulator.render.render_files` does, filmed in its own way.

    Args:
        scene: what is shown and heard.
        folder: where to.
        size: of the pictures, pixels each way.
        silent: as of `simulator.filming.filming_of`.
    """
    video, audio, truth = clip_files(folder, scene.id)
    how = filming_of(scene, silent)
    sounds = scene_sounds(scene)
    onsets = [sound.onsets[:0] if how.silent else sound.onsets for sound in sounds]
    write_video(video, filmed(scene, onsets, size, how), FPS, crf=how.crf)
    sound = ambience(scene.seed, len(sounds[0].samples)) if how.silent else binaural_sound(scene, sounds)
    write_audio(audio, sound, SAMPLE_RATE)
    write_labels(labels_file(folder, scene.id), {scene.id: () if how.silent else scene_labels(scene, sounds)})
    write_text(truth, json.dumps(truth_of(scene, onsets, RENDERER), separators=(",", ":"), allow_nan=False) + "\n")


def simroom_filmed(argument: str | None = None) -> TrainingSuite:
    """Scenes to learn from: `simroom-filmed` or `simroom-filmed:N`."""
    return open_counted(FilmedSuite, FILMED, argument)


def simroom_crowded(argument: str | None = None) -> TrainingSuite:
    """Scenes to go on learning from: `simroom-crowded` or `simroom-crowded:N`."""
    return open_counted(lambda plan: FilmedSuite(plan, TWO_IN_VIEW, OFTEN_SILENT), CROWDED, argument)
