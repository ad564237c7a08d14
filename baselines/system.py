"""`System`, the contract of everything that makes sound for a clip, and the registry of systems."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from visaudio_bench.errors import ClipError
from visaudio_bench.registry import Registry
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Samples, round_to_16_bit, within_full_scale, write_audio

SAMPLE_RATE = 44100

Input = Literal["video", "caption", "reference_mono", "reference"]


@dataclass(frozen=True)
class SystemCard:
    """What must be known about a system to read its row.

    `inputs` says what the system is given. A system that is given the reference's own mono sound binauralises and is
    also judged by waveform distances; one that is given the reference itself is an anchor of the table, not a
    competitor. `may_be_mono` says that the same sound in both ears is an answer of the system's, and no defect.
    """

    name: str
    title: str
    summary: str
    inputs: tuple[Input, ...]
    revision: str
    paper: str = ""
    code_licence: str = "Apache-2.0"
    weights_licence: str = "no weights"
    anchor: bool = False
    may_be_mono: bool = False

    @property
    def binauralises(self) -> bool:
        """Whether waveform distances to the reference mean anything: the sound itself is the reference's."""
        return bool({"reference_mono", "reference"} & set(self.inputs))


class Generation(NamedTuple):
    """One clip's outcome: the sound file, or the reason code and sentence why there is none.

    `provenance` is what the system alone knows of how the sound was made (weights, settings, post-processing); it is
    kept in the record beside the sound.
    """

    clip: str
    path: Path | None
    seconds: float
    reason: str = ""
    message: str = ""
    provenance: Mapping[str, Any] = MappingProxyType({})


class System(ABC):
    """Something that makes binaural sound for clips."""

    card: SystemCard

    @abstractmethod
    def generate(
        self, clips: Sequence[Clip], out: Path, *, only: Collection[str], device: str = "cpu", seed: int = 0
    ) -> Iterator[Generation]:
        """Make the sound of the clips whose ids are in `only`, in the order of `clips`, one record each.

        Args:
            clips: every clip of the suite (a system may look at a clip's neighbours, so that its output does not
                depend on which clips are still to be made).
            out: folder for the sound files, `<clip id>.wav`, two channels, left first.
            only: ids to make now.
            device: a torch device name.
            seed: of the whole run; a clip's own seed is derived from it and the clip's id (`clip_seed`), so that a
                clip's sound does not depend on the others.
        """

    @property
    def unavailable(self) -> str:
        """Why the system cannot run here, in one sentence with the command that helps; empty if it can."""
        return ""

    def sources(self, clip: Clip, clips: Sequence[Clip]) -> tuple[Path, ...]:
        """The files that a clip's sound depends on; when one of them changes, the sound is made again."""
        del clips
        return tuple(path for path in (clip.video, clip.audio) if path is not None)


class ClipwiseSystem(System):
    """A system that makes each clip by itself on one core, so that many processes can share the clips.

    With `full_scale` its sounds are kept with 16 bits; one whose peak is beyond full scale is turned down, both ears
    alike, and the gain is in its record. Without it every sample is kept as it is.
    """

    full_scale = False

    @abstractmethod
    def make(self, clip: Clip, clips: Sequence[Clip], rng: np.random.Generator) -> Samples:
        """The sound of one clip, `(2, N)` float32 at 44.1 kHz.

        Raises:
            ClipError: this clip cannot be made (recorded; the others go on).
        """

    def generate(
        self, clips: Sequence[Clip], out: Path, *, only: Collection[str], device: str = "cpu", seed: int = 0
    ) -> Iterator[Generation]:
        """As `System.generate`."""
        del device  # signal processing of one clip takes milliseconds on any core
        for clip in clips:
            if clip.id not in only:
                continue
            began = time.perf_counter()
            path = out / f"{clip.id}.wav"
            try:
                made = self.make(clip, clips, clip_rng(seed, self.card.name, clip.id))
                provenance: dict[str, Any] = {}
                if self.full_scale:
                    made, provenance["gain"] = within_full_scale(made)
                    made = round_to_16_bit(made)
                write_audio(path, made, SAMPLE_RATE)
            except ClipError as error:
                yield Generation(clip.id, None, time.perf_counter() - began, error.reason, error.message)
            else:
                yield Generation(clip.id, path, time.perf_counter() - began, provenance=provenance)


def clip_seed(seed: int, system: str, clip: str) -> int:
    """A clip's own 64-bit seed: a hash of the run's seed, the system and the clip's id."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{system}/{clip}".encode()).digest()[:8], "big")


def clip_rng(seed: int, system: str, clip: str) -> np.random.Generator:
    """A random generator of the clip's own."""
    return np.random.default_rng(clip_seed(seed, system, clip))


SystemFactory = Callable[[str | None], System]


class SystemRegistry(Registry[SystemFactory]):
    """The systems of this project and of plug-ins, and the published ones: a folder with a card is a system."""

    def names(self) -> tuple[str, ...]:
        """Every known name: built-ins, published systems with their variants, plug-ins."""
        from visaudio_bench.baselines.published.installed import published_names

        known = super().names()
        return (*known, *(name for name in published_names() if name not in known))

    def origin(self, name: str) -> str:
        """As `Registry.origin`, `published` for a published system."""
        return "published" if self._is_published(name) else super().origin(name)

    def get(self, name: str) -> SystemFactory:
        """As `Registry.get`."""
        if self._is_published(name):
            from visaudio_bench.baselines.published.published_system import open_published

            return partial(open_published, name)
        return super().get(name)

    def _is_published(self, name: str) -> bool:
        from visaudio_bench.baselines.published.installed import published_names

        return name not in super().names() and name in published_names()


SYSTEMS = SystemRegistry(
    "system",
    "visaudio_bench.systems",
    {
        "reference": "visaudio_bench.baselines.trivial:Reference",
        "mono": "visaudio_bench.baselines.trivial:Mono",
        "swapped": "visaudio_bench.baselines.trivial:Swapped",
        "repaired": "visaudio_bench.baselines.trivial:Repaired",
        "noise": "visaudio_bench.baselines.trivial:Noise",
        "motion-pan": "visaudio_bench.baselines.motion_pan:MotionPan",
        "visaudio": "visaudio_bench.baselines.visaudio:open_visaudio",
        "visaudio-dual": "visaudio_bench.baselines.visaudio:open_dual",
        "mmaudio-dup": "visaudio_bench.baselines.visaudio:open_mmaudio_dup",
        "foleyspace-like": "visaudio_bench.baselines.foleyspace_like:FoleySpaceLike",
        "outputs": "visaudio_bench.baselines.outputs:open_outputs",
    },
)

DEFAULT_SYSTEMS = ("reference", "mono", "swapped", "repaired", "noise", "motion-pan")


def open_system(request: str) -> System:
    """The system behind `name` or `name:argument`.

    Raises:
        UsageError: unknown name, a missing or needless argument, or a folder that is not there.
    """
    name, _, argument = request.partition(":")
    return SYSTEMS.get(name)(argument or None)
