"""`System`, the contract of everything that makes sound for a clip."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.guard import one_clip
from visaudio_bench.pool import Needs
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Samples, round_to_16_bit, within_full_scale, write_audio

Input = Literal["video", "caption", "reference_mono", "reference"]


@dataclass(frozen=True)
class SystemCard:
    """What must be known about a system to read its row.

    `inputs` says what the system is given. A system that is given the reference's own mono sound binauralises and is
    also judged by waveform distances. `anchor` says, for every table, page and test, that a row is there to read the
    others from and does not compete. `may_be_mono` says that the same sound in both ears is an answer of the system's,
    and no defect.
    `optimised` names the metrics, by key, that its training asked for: tables mark its values in them.
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
    optimised: tuple[str, ...] = ()

    @property
    def binauralises(self) -> bool:
        """Whether waveform distances to the reference mean anything: the sound itself is the reference's."""
        return bool({"reference_mono", "reference"} & set(self.inputs))


class Generation(NamedTuple):
    """One clip's outcome: the sound file, or the reason code and sentence why there is none.

    `provenance` is what the system alone knows of how the sound was made (weights, settings, post-processing); it is
    kept in the record beside the sound. `trace` is the traceback of an error that nobody expected.
    """

    clip: str
    path: Path | None
    seconds: float
    reason: str = ""
    message: str = ""
    provenance: Mapping[str, Any] = MappingProxyType({})
    trace: str = ""

    @classmethod
    def failed(cls, clip: str, seconds: float, error: ClipError, whose: str = "") -> Generation:
        """The outcome of a clip that an error cost; `whose` begins the sentence."""
        return cls(clip, None, seconds, error.reason, whose + error.message, trace=error.trace)


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

    def examine(self) -> None:  # noqa: B027
        """Look at what the sounds are made with, before other rows take their hours.

        Raises:
            BenchError: weights that do not fit, so that no clip could be made.
        """

    def shared_by_processes(self, device: str) -> bool:
        """Whether each clip is made by itself on one core of a processor: many processes can then share the clips."""
        del device
        return False

    @property
    def by_card(self) -> bool:
        """Whether processes with a card each can share the clips; programs of others have options of their own."""
        return False

    def needs(self, device: str) -> Needs:
        """What one process that makes sounds takes of a machine, for a cluster: a core, and a card if it uses one."""
        return Needs(gpus=int(device.startswith("cuda") and not self.shared_by_processes(device)))

    def hearing(self, monos: Mapping[str, Path]) -> System:
        """The same system with other mono sounds than the references': files by clip id.

        Raises:
            UsageError: the system takes no mono sound.
        """
        del monos
        raise UsageError(
            f"{self.card.name} takes no mono sound that it could make binaural. Systems that do: motion-pan, "
            "foleyspace-like, geometry-aware:FILE, visual-sound-25d. See: bench list systems"
        )

    def sources(self, clip: Clip, clips: Sequence[Clip]) -> tuple[Path, ...]:
        """The files that a clip's sound depends on; when one of them changes, the sound is made again."""
        del clips
        return tuple(path for path in (clip.video, clip.audio) if path is not None)


class ClipwiseSystem(System):
    """A system that makes each clip by itself, from samples to samples.

    With `full_scale` its sounds are kept with 16 bits; one whose peak is beyond full scale is turned down, both ears
    alike, and the gain is in its record. Without it every sample is kept as it is.
    """

    full_scale = False

    def shared_by_processes(self, device: str) -> bool:
        """As `System.shared_by_processes`; signal processing of one clip takes milliseconds on any core."""
        del device
        return True

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
        del device
        for clip in clips:
            if clip.id not in only:
                continue
            began = time.perf_counter()
            path = out / f"{clip.id}.wav"
            try:
                with one_clip():
                    told = self._write(path, self.make(clip, clips, clip_rng(seed, self.card.name, clip.id)))
            except ClipError as error:
                yield Generation.failed(clip.id, time.perf_counter() - began, error)
            else:
                provenance = {**self.provenance(), **told}
                yield Generation(clip.id, path, time.perf_counter() - began, provenance=provenance)

    def provenance(self) -> Mapping[str, Any]:
        """What is told of every sound: weights, settings."""
        return {}

    def _write(self, path: Path, samples: Samples) -> dict[str, Any]:
        """Write a sound, and return what its record says of it."""
        if not self.full_scale:
            write_audio(path, samples, SAMPLE_RATE)
            return {}
        samples, gain = within_full_scale(samples)
        write_audio(path, round_to_16_bit(samples), SAMPLE_RATE)
        return {"gain": gain}


def told_of(clip: Clip) -> list[Any]:
    """What a sound depends on of a clip beside its files: name, window, words, and its chain of thought if any."""
    thought = clip.meta.get("cot")
    return [clip.id, clip.start, clip.duration, clip.caption, *([thought] if thought else [])]


def clip_seed(seed: int, system: str, clip: str) -> int:
    """Compute a clip's own seed.

    Args:
        seed: the run's.
        system: its name.
        clip: its id.

    Returns:
        64 bits of a hash of the three, so that neither order nor number of clips matters.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{system}/{clip}".encode()).digest()[:8], "big")


def clip_rng(seed: int, system: str, clip: str) -> np.random.Generator:
    """Make a random generator of a clip's own.

    Args:
        seed: the run's.
        system: its name.
        clip: its id.

    Returns:
        A generator that starts at `clip_seed`.
    """
    return np.random.default_rng(clip_seed(seed, system, clip))
