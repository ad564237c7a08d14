"""The simulated suite seen and heard all around: a small Sphere360 with known directions, made without any download.

The same scenes as in `suites.simulated`, as equirectangular video and first-order ambisonics at the listener's place.
Azimuth 0, the middle of the picture, is where the listener of the scene looks, so the truth about a scene holds for
its panorama as it stands.

    DIR/
      twin.json                             the settings; a folder is only ever made with one set
      dataset/split/train.txt, test.txt     every fifth scene is a test clip
      <id>_0.mp4, <id>_0.flac               ids have 11 characters, like those of videos
      <id>_0.json                           the truth (suites.simulator.truth)
      <id>_0.csv                            its direction labels (suites.direction_labels)
      captions.csv
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import UsageError
from visaudio_bench.files import write_text
from visaudio_bench.registry import did_you_mean
from visaudio_bench.suites.construction.dataset import claim
from visaudio_bench.suites.construction.sphere360 import TWIN
from visaudio_bench.suites.direction_labels import write_labels
from visaudio_bench.suites.making import make_each
from visaudio_bench.suites.media import write_audio, write_video
from visaudio_bench.suites.simulated import PLANS, SimulatedSuite
from visaudio_bench.suites.simulator.field import ambisonic_sound
from visaudio_bench.suites.simulator.labels import scene_labels
from visaudio_bench.suites.simulator.lenses import PanoramicLens
from visaudio_bench.suites.simulator.render import RENDERER, scene_sounds
from visaudio_bench.suites.simulator.scenes import Scene
from visaudio_bench.suites.simulator.truth import truth_of
from visaudio_bench.suites.simulator.video import FPS, frames

HEIGHT = 512
TEST_EVERY = 5


class Twin:
    """The panoramas of one simulated suite in a folder; what is there already is not made again."""

    def __init__(self, suite: str, folder: Path, height: int = HEIGHT):
        """Open the scenes.

        Args:
            suite: `simroom-mini`, `simroom` or `simroom-full`.
            folder: where to.
            height: of the pictures, which are twice as wide.

        Raises:
            UsageError: there is no such simulated suite.
        """
        if suite not in PLANS:
            raise UsageError(
                f'unknown simulated suite "{suite}".{did_you_mean(suite, PLANS)} Known: {", ".join(PLANS)}'
            )
        self.suite = suite
        self.folder = folder
        self.height = height
        scenes = SimulatedSuite(PLANS[suite]).scenes.values()
        self.scenes = {f"simroom-{index:03d}_0": scene for index, scene in enumerate(scenes)}

    def pending(self) -> dict[str, Scene]:
        """Scenes of which nothing, or not everything, has been made."""
        return {name: scene for name, scene in self.scenes.items() if not (self.folder / f"{name}.json").is_file()}

    def make(self, workers: int = 1) -> Iterator[str]:
        """Render what is pending and write the lists, yielding the name of each clip as its files are complete.

        Raises:
            UsageError: the folder holds something else.
            ClipsError: a scene could not be rendered; the others are, and stay.
            BenchError: files could not be written.
        """
        self._claim()
        yield from make_each(
            partial(_render, folder=self.folder, height=self.height),
            {name: (name, scene) for name, scene in self.pending().items()},
            workers,
            task=f"clips of {self.suite} could not be rendered into {self.folder}",
        )

    def _claim(self) -> None:
        """Write the settings, the lists and the captions."""
        claim(self.folder / TWIN, {"suite": self.suite, "height": self.height, "renderer": RENDERER})
        names = list(self.scenes)
        test = names[::TEST_EVERY]
        for split, clips in (("test", test), ("train", [name for name in names if name not in test])):
            write_text(self.folder / "dataset" / "split" / f"{split}.txt", "".join(f"{name}\n" for name in clips))
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(("id", "visible", "invisible"))
        for name, scene in self.scenes.items():
            seen, unseen = (" and ".join(scene.words(visible=visible)) for visible in (True, False))
            rows.writerow((name, seen, unseen))
        write_text(self.folder / "captions.csv", table.getvalue())


def _render(item: tuple[str, Scene], folder: Path, height: int) -> None:
    """Write one clip; its truth last, so that it marks the clip as complete."""
    name, scene = item
    sounds = scene_sounds(scene)
    onsets = [sound.onsets for sound in sounds]
    write_video(folder / f"{name}.mp4", frames(scene, onsets, PanoramicLens(height)), FPS)
    write_audio(folder / f"{name}.flac", ambisonic_sound(scene, sounds), SAMPLE_RATE)
    write_labels(folder / f"{name}.csv", {name: scene_labels(scene, sounds)})
    write_text(folder / f"{name}.json", json.dumps(truth_of(scene, onsets, RENDERER), separators=(",", ":")) + "\n")
