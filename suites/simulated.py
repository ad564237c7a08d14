"""simroom: simulated rooms with exact ground truth, rendered on first use; needs no download.

What it can show: whether a system puts sounds where the pictures show them, and when. What it cannot: its sounds are
synthetic, so feature-based metrics (Fréchet distances, semantic scores) on it do not compare with published values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from visaudio_bench.errors import UsageError
from visaudio_bench.files import cache_dir, digest
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip, Suite
from visaudio_bench.suites.making import make_each
from visaudio_bench.suites.simulator.render import RENDERER, clip_files, labels_file, render_files
from visaudio_bench.suites.simulator.scenes import Scene

SEED = 2025


@dataclass(frozen=True)
class SuiteSize:
    """The size of a simulated suite: number of clips, seconds each, pixels each way."""

    name: str
    clips: int
    duration: float
    size: int
    title: str


PLANS = {
    "simroom-mini": SuiteSize("simroom-mini", 12, 2.0, 128, "Simulated rooms, 12 clips of 2 s for quick checks"),
    "simroom": SuiteSize("simroom", 40, 8.0, 256, "Simulated rooms, 40 clips of 8 s"),
    "simroom-full": SuiteSize("simroom-full", 120, 8.0, 512, "Simulated rooms, 120 clips of 8 s"),
}


def manifest_file(name: str) -> Traversable:
    """The committed scenes of a simulated suite (JSON, one line a scene); `scripts/make_simroom.py` writes it."""
    return files("visaudio_bench.suites.simulator") / "assets" / f"{name}.jsonl"


def rendered_folder(name: str, scenes: str) -> Path:
    """Name the folder of rendered scenes.

    Args:
        name: of the suite.
        scenes: hash of the scenes.

    Returns:
        Where this code renders them; code that renders otherwise has another folder.
    """
    return cache_dir() / "suites" / f"{name}-{digest([scenes, source_revision(render_files)])[:16]}"


def committed_scenes(name: str) -> list[Scene]:
    """The scenes of a manifest."""
    lines = manifest_file(name).read_text(encoding="utf-8").splitlines()
    return [Scene.from_json(json.loads(line)) for line in lines]


class SimulatedSuite(Suite):
    """Scenes of known geometry, rendered into the cache folder: those of the committed manifest.

    `clip.meta` holds the design (`factor`, `rt60`, `room`, `visible`, `invisible`, `labelled_caption`) and under
    `truth` the path of the true trajectories, which `suites.simulator.truth.read_truth` reads.
    """

    licence = "Apache-2.0 (rendered by this project; head responses of MIT KEMAR, Gardner & Martin 1995)"
    captioned = True
    synthetic = True

    def __init__(self, plan: SuiteSize):
        self.name = plan.name
        self.title = plan.title
        self.duration: float = plan.duration
        self.size = plan.size

    @cached_property
    def designed(self) -> tuple[Scene, ...]:
        """The scenes of the suite, read or drawn when they are first asked for."""
        return tuple(committed_scenes(self.name))

    @cached_property
    def scenes(self) -> dict[str, Scene]:
        """The scenes by the ids of their clips."""
        return {scene.id: scene for scene in self.designed}

    @property
    def folder(self) -> Path:
        """Where the rendered files are; another renderer, size or set of scenes has another folder."""
        return rendered_folder(self.name, self.manifest_hash())

    def clips(self) -> tuple[Clip, ...]:
        """Every clip; its files exist once it is no longer `pending`."""
        folder = self.folder
        return tuple(_clip(scene, folder) for scene in self.scenes.values())

    def manifest(self) -> list[dict[str, Any]]:
        """The scenes and how they are rendered."""
        return [{**scene.to_json(), "size": self.size, "renderer": RENDERER} for scene in self.designed]

    def manifest_hash(self) -> str:
        """SHA-256 of the manifest."""
        return digest(self.manifest())

    def remedy(self) -> str:
        """As `Suite.remedy`; what is rendered is looked for by its name alone."""
        return f"It was rendered here: delete the folder {self.folder}, and the same command renders it again."

    def pending(self) -> tuple[str, ...]:
        """Ids of the clips of which a file is missing."""
        folder = self.folder
        return tuple(name for name in self.scenes if not all(path.exists() for path in clip_files(folder, name)))

    def prepare(self, workers: int = 1) -> Iterator[str]:
        """Render what is pending.

        Raises:
            ClipsError: a scene could not be rendered; the others are, and stay.
            BenchError: files could not be written.
        """
        yield from make_each(
            partial(render_files, folder=self.folder, size=self.size),
            {name: self.scenes[name] for name in self.pending()},
            workers,
            task=f"clips of {self.name} could not be rendered into {self.folder}",
        )


def _clip(scene: Scene, folder: Path) -> Clip:
    video, audio, truth = clip_files(folder, scene.id)
    meta = {
        "factor": scene.factor,
        "rt60": scene.room.rt60,
        "room": scene.room.size,
        "visible": scene.words(visible=True),
        "invisible": scene.words(visible=False),
        "labelled_caption": scene.labelled_caption,
        "truth": truth,
    }
    return Clip(scene.id, video, audio, 0.0, scene.duration, scene.caption, meta, labels_file(folder, scene.id))


def _open(name: str, argument: str | None) -> SimulatedSuite:
    if argument is not None:
        raise UsageError(f'the suite "{name}" takes no argument, got "{name}:{argument}". Use: {name}')
    return SimulatedSuite(PLANS[name])


def simroom_mini(argument: str | None = None) -> SimulatedSuite:
    """12 clips of 2 s, 128 pixels."""
    return _open("simroom-mini", argument)


def simroom(argument: str | None = None) -> SimulatedSuite:
    """40 clips of 8 s, 256 pixels."""
    return _open("simroom", argument)


def simroom_full(argument: str | None = None) -> SimulatedSuite:
    """120 clips of 8 s, 512 pixels."""
    return _open("simroom-full", argument)
