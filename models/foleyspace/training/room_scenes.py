"""Windows of simulated scenes with one source: the mean of the ears in a room, the ears, and the true path.

The abstract tells of no rooms. They are what a network needs that is to be heard on the mean of a recording's ears,
where the room and both ears' paths are in the mono sound already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.files import digest
from visaudio_bench.models.foleyspace.config import SAMPLES
from visaudio_bench.models.foleyspace.inference import at_usual_distance
from visaudio_bench.models.foleyspace.spectra import PASTS
from visaudio_bench.models.foleyspace.training.batches import Heard
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import read_binaural
from visaudio_bench.suites.simulator.hrtf import Array, unit_vector
from visaudio_bench.suites.simulator.rooms import CONTROL_RATE
from visaudio_bench.suites.simulator.truth import read_truth

FAINT = 1e-6  # peak of a clip that is silent on purpose
MIRROR = np.array([1.0, -1.0, 1.0])
KEPT = 256  # scenes in memory: 700 kB each


@dataclass(frozen=True)
class RoomScenes:
    """Rendered scenes that are not silent; `folder` and `identity` are their suite's."""

    scenes: Sequence[tuple[Path, Path]]
    folder: Path
    identity: str
    before = max(PASTS)  # what the first frames may have fallen from

    @classmethod
    def of(cls, clips: Sequence[Clip], folder: Path, identity: str) -> RoomScenes:
        """Those of clips of a simulated suite, all of which are rendered."""
        files = [(clip.audio, Path(clip.meta["truth"])) for clip in clips if clip.audio is not None]
        return cls([pair for pair in files if np.abs(whole_scene(*pair).ears).max() > FAINT], folder, identity)

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def manifest_hash(self) -> str:
        """Identity: which scenes, and the revision of what cuts them."""
        return digest([self.identity, len(self), source_revision(whole_scene)])

    def about(self) -> dict[str, Any]:
        """What is learnt from, for `training.json`."""
        return {"scenes": len(self), "head": "MIT KEMAR", "sample_rate": SAMPLE_RATE, "samples": SAMPLES}

    def cut(self, number: int, length: int, rng: np.random.Generator) -> Heard:
        """As `Source.cut`; half of the time in a mirror."""
        scene = whole_scene(*self.scenes[number])
        start = int(rng.integers(scene.ears.shape[1] - length + 1))
        ears, places = scene.ears[:, start : start + length], _places(scene.positions, start, length)
        if rng.random() < 0.5:
            ears, places = ears[::-1], places * MIRROR
        return Heard(ears.mean(axis=0, dtype=np.float32), ears, places)


def _places(positions: Array, start: int, length: int) -> Array:
    """Places `(P, 3)` of a window, spread evenly over it, from those of the whole at `CONTROL_RATE`."""
    begin, end = (sample / SAMPLE_RATE * CONTROL_RATE for sample in (start, start + length))
    instants = np.linspace(begin, end, 1 + int(np.ceil(end - begin)))
    return np.stack([np.interp(instants, np.arange(len(positions)), axis) for axis in positions.T], axis=1)


@lru_cache(maxsize=KEPT)
def whole_scene(audio: Path, truth: Path) -> Heard:
    """Read a simulated scene as something to learn from.

    Args:
        audio: its binaural sound.
        truth: its true trajectories.

    Returns:
        The mean of the ears, the ears, and the path of its first source, its usual distance brought to the network's.
    """
    ears = read_binaural(audio, sample_rate=SAMPLE_RATE).samples
    source = read_truth(truth).sources[0]
    places = source.distance[:, None] * unit_vector(source.azimuth, source.elevation)
    return Heard(ears.mean(axis=0, dtype=np.float32), ears, at_usual_distance(places))
