"""`Binauraliser`: what makes a mono sound binaural, the reference's own or any other system's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from visaudio_bench.baselines.system import ClipwiseSystem, Input
from visaudio_bench.baselines.trivial import reference_sound
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Samples, read_sound


class Binauraliser(ClipwiseSystem):
    """A system that is given pictures and a mono sound: the mean of the reference's ears, or one of `monos`."""

    INPUTS: ClassVar[tuple[Input, ...]] = ("video", "reference_mono")
    full_scale = True  # the near ear is louder than the mono sound was
    monos: Mapping[str, Path] | None = None

    @abstractmethod
    def binauralise(self, clip: Clip, mono: Samples, rng: np.random.Generator) -> Samples:
        """The sound of both ears `(2, N)` for a mono sound `(N,)`, both at 44.1 kHz.

        Raises:
            ClipError: this clip cannot be made.
        """

    def hearing(self, monos: Mapping[str, Path]) -> Self:
        """As `System.hearing`."""
        other = copy(self)
        other.monos = dict(monos)
        return other

    def make(self, clip: Clip, clips: Sequence[Clip], rng: np.random.Generator) -> Samples:
        """As `ClipwiseSystem.make`."""
        del clips
        return self.binauralise(clip, self._mono(clip), rng)

    def _mono(self, clip: Clip) -> Samples:
        if self.monos is None:
            return np.asarray(reference_sound(clip).mean(axis=0, dtype=np.float32))
        if clip.id not in self.monos:
            raise ClipError("missing", f"there is no mono sound for clip {clip.id}.")
        sound = read_sound(self.monos[clip.id], duration=clip.duration, sample_rate=SAMPLE_RATE)
        return np.asarray(sound.samples.mean(axis=0, dtype=np.float32))
