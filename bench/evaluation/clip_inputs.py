"""What every metric family is given of one clip: sounds, pictures, caption, window, protocol and networks.

Nothing is decoded or computed before it is asked for, and nothing twice. Who asks for what a clip does not have meets
`LackingError`, whose reason becomes the reason of the family's quantities.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from visaudio_bench.bench.evaluation.score_cache import cached
from visaudio_bench.errors import ClipError

if TYPE_CHECKING:  # cues do not depend on how files are read
    from visaudio_bench import suites
    from visaudio_bench.bench.evaluation.companions import Companions
    from visaudio_bench.bench.evaluation.frozen_networks import Hearing, Net, Seeing
    from visaudio_bench.metrics.protocol import Protocol
    from visaudio_bench.suites.direction_labels import Labels
    from visaudio_bench.suites.media import Samples


class LackingError(ClipError):
    """A clip does not have what a family asked for: no fault of the clip, and the reason of an empty cell."""


class Ears:
    """Two-channel sound `(2, N)` at 44.1 kHz, with the cues that are computed from it at most once.

    Without `timed` nothing is asked of time differences, because the reference of the clip can have none.
    """

    def __init__(self, samples: Samples, *, timed: bool = True):
        self.samples = samples
        self.timed = timed

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the samples and their shape."""
        return hashlib.sha256(
            repr(self.samples.shape).encode() + np.ascontiguousarray(self.samples).tobytes()
        ).hexdigest()

    @cached_property
    def cues(self) -> Any:
        """Interaural cues (`metrics.interaural.Cues`), from the cache where they are there."""
        from visaudio_bench.metrics.interaural import Cues, levels_alone

        cues = Cues(**cached(partial(_cues, self.samples), [self.digest]))
        return cues if self.timed else levels_alone(cues)


def _cues(samples: Samples) -> dict[str, Any]:
    from visaudio_bench.metrics.interaural import interaural_cues

    return interaural_cues(samples)._asdict()


class JudgedSound:
    """One sound of a clip, a prediction or the reference, in the two forms that it is judged in."""

    def __init__(self, ears: Callable[[], Ears], native: Callable[[], Hearing]):
        self._ears, self._native = ears, native

    @cached_property
    def ears(self) -> Ears:
        """At 44.1 kHz, as long as its clip: what measurements of signals are made on. `ears.samples`, `ears.cues`.

        Raises:
            ClipError: the sound cannot be used.
        """
        return self._ears()

    @cached_property
    def native(self) -> Hearing:
        """At the file's own rate: what networks are given. `native.views`, `native.view("mix")`, `native.seconds`.

        Raises:
            ClipError: the sound cannot be used.
        """
        return self._native()


@dataclass(frozen=True)
class ClipInputs:
    """One clip and one system's sound for it.

    Attributes:
        clip: the clip of the suite: `id`, `start` and `duration` of its window in seconds, `caption`, `meta`.
        prediction: the system's sound.
        maybe_reference: the true sound, why it could not be used, or None where the clip has none.
        maybe_pictures: the pictures of the clip's window, None where it has none.
        protocol: choices that papers leave open.
        networks: the family's own networks with their weights, by the names of their weight files.
        maybe_companions: files that other programs made of this clip, None where none were given.
    """

    clip: suites.Clip
    prediction: JudgedSound
    maybe_reference: JudgedSound | ClipError | None
    maybe_pictures: Seeing | None
    protocol: Protocol
    networks: Mapping[str, Net]
    maybe_companions: Companions | None = None

    # What a clip may lack is asked for here.

    @property
    def has_reference(self) -> bool:
        """Whether there is a true sound to compare with."""
        return isinstance(self.maybe_reference, JudgedSound)

    @property
    def reference(self) -> JudgedSound:
        """The true sound.

        Raises:
            LackingError: `no_reference`, or the reason why it could not be used.
        """
        if self.maybe_reference is None:
            raise LackingError("no_reference", f"clip {self.clip.id} has no reference sound.")
        if isinstance(self.maybe_reference, ClipError):
            raise LackingError(self.maybe_reference.reason, self.maybe_reference.message)
        return self.maybe_reference

    @property
    def pictures(self) -> Seeing:
        """The pictures of the clip: `pictures.frames(rate)`.

        Raises:
            LackingError: `no_video`.
        """
        if self.maybe_pictures is None:
            raise LackingError("no_video", f"clip {self.clip.id} has no video, or its length is not known.")
        return self.maybe_pictures

    @property
    def labels(self) -> Labels:
        """Where its sources are, frame by frame from the window's start.

        Raises:
            LackingError: `no_labels`, or `bad_labels` where their file cannot be used.
        """
        from visaudio_bench.suites.direction_labels import clip_labels

        try:
            return clip_labels(self.clip)
        except ClipError as error:
            raise LackingError(error.reason, error.message) from error

    @property
    def companion(self) -> Companions:
        """What other programs say of it: `companion.events()`, which raises a `LackingError` where there is nothing.

        Raises:
            LackingError: `no_companions`.
        """
        if self.maybe_companions is None:
            raise LackingError("no_companions", "nothing of other programs is given: --companions DIR.")
        return self.maybe_companions

    @property
    def caption(self) -> str:
        """What the clip's caption says.

        Raises:
            LackingError: `no_caption`.
        """
        if not self.clip.caption:
            raise LackingError("no_caption", f"clip {self.clip.id} has no caption.")
        return self.clip.caption
