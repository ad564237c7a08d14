"""The anchor rows of every table: what the numbers look like when the answer is known.

`reference` is the ground truth itself (perfect), `mono` has no direction at all, `swapped` has every direction
mirrored, `repaired` is another clip's reference (right statistics, wrong clip), `noise` is independent in each ear.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from visaudio_bench.baselines.system import ClipwiseSystem, SystemCard, clip_seed
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Samples, probe, read_binaural, round_to_16_bit

NOISE_RMS = 0.1


def refuse_argument(name: str, argument: str | None) -> None:
    """Complain about `name:argument` for a system that takes none.

    Args:
        name: of the system.
        argument: what stood behind the colon, None for nothing.

    Raises:
        UsageError: there is an argument.
    """
    if argument is not None:
        raise UsageError(f'system "{name}" takes no argument, got "{argument}". Write: --system {name}')


def reference_sound(clip: Clip) -> Samples:
    """The clip's reference, `(2, N)` at 44.1 kHz.

    Raises:
        ClipError: `no_reference` where the clip has none, or what reading the file raised.
    """
    if clip.audio is None:
        raise ClipError(
            "no_reference",
            f"clip {clip.id} has no reference sound, which this system needs. Use a suite with references.",
        )
    return read_binaural(clip.audio, start=clip.start, duration=clip.duration, sample_rate=SAMPLE_RATE).samples


class _Anchor(ClipwiseSystem):
    def __init__(self, argument: str | None = None):
        refuse_argument(self.card.name, argument)


def _card(name: str, title: str, summary: str, *, mono: bool = False, hears: bool = True) -> SystemCard:
    return SystemCard(
        name=name,
        title=title,
        summary=summary,
        inputs=("reference",) if hears else (),
        revision=source_revision(__name__),
        anchor=True,
        may_be_mono=mono,
    )


class Reference(_Anchor):
    """The ground truth itself."""

    card = _card("reference", "Reference", "the ground truth itself: the best value of every column")

    def make(self, clip: Clip, clips: Sequence[Clip], rng: np.random.Generator) -> Samples:
        """The reference, unchanged."""
        del clips, rng
        return reference_sound(clip)


class Mono(_Anchor):
    """The mean of the reference's channels in both ears."""

    card = _card("mono", "Mono", "the reference's mean in both ears: no direction at all", mono=True)

    def make(self, clip: Clip, clips: Sequence[Clip], rng: np.random.Generator) -> Samples:
        """`(l + r) / 2`, twice."""
        del clips, rng
        mean = reference_sound(clip).mean(axis=0, dtype=np.float32)
        return np.stack([mean, mean])


class Swapped(_Anchor):
    """The reference with its channels exchanged."""

    card = _card("swapped", "Swapped", "the reference with its ears exchanged: every direction mirrored")

    def make(self, clip: Clip, clips: Sequence[Clip], rng: np.random.Generator) -> Samples:
        """`(r, l)`."""
        del clips, rng
        return reference_sound(clip)[::-1]


class Repaired(_Anchor):
    """Another clip's reference: pairs made anew."""

    card = _card("repaired", "Re-paired", "another clip's reference: right statistics, wrong clip")
    _order: tuple[Sequence[Clip], list[Clip], dict[str, int]] | None = None

    def make(self, clip: Clip, clips: Sequence[Clip], rng: np.random.Generator) -> Samples:
        """The partner's reference, looped or cut to this clip's length."""
        del rng
        return _loop(reference_sound(self.partner(clip, clips)), reference_sound(clip).shape[1])

    def sources(self, clip: Clip, clips: Sequence[Clip]) -> tuple[Path, ...]:
        """The clip's own files and the partner's."""
        return (*super().sources(clip, clips), *super().sources(self.partner(clip, clips), clips))

    def partner(self, clip: Clip, clips: Sequence[Clip]) -> Clip:
        """The next clip in the order of hashed ids: neighbours in a suite are often windows of one video.

        Raises:
            ClipError: no other clip has a reference.
        """
        order, places = self._ordered(clips)
        if clip.id not in places:
            raise ClipError("no_reference", f"clip {clip.id} has no reference sound that another's could replace.")
        if len(order) < 2:
            raise ClipError(
                "no_partner", f"clip {clip.id} is the only one with a reference: there is no other to pair it with."
            )
        return order[(places[clip.id] + 1) % len(order)]

    def _ordered(self, clips: Sequence[Clip]) -> tuple[list[Clip], dict[str, int]]:
        """The clips with a reference in the order of hashed ids, and the place of each.

        Kept for as long as the same clips are asked about: a suite asks once for every clip.
        """
        if self._order is None or self._order[0] is not clips:
            order = sorted(
                (clip for clip in clips if clip.audio), key=lambda clip: clip_seed(0, self.card.name, clip.id)
            )
            self._order = clips, order, {clip.id: place for place, clip in enumerate(order)}
        return self._order[1:]


def _loop(samples: Samples, length: int) -> Samples:
    repeats = -(-length // samples.shape[1])
    return np.tile(samples, (1, repeats))[:, :length]


class Noise(_Anchor):
    """Independent white noise in each ear."""

    card = _card("noise", "Noise", "independent white noise in each ear: nothing right", hears=False)

    def make(self, clip: Clip, clips: Sequence[Clip], rng: np.random.Generator) -> Samples:
        """Gaussian noise at -20 dBFS, as long as the clip."""
        del clips
        noise = rng.standard_normal((2, round(_seconds(clip) * SAMPLE_RATE)), dtype=np.float32)
        return round_to_16_bit(noise * np.float32(NOISE_RMS))


def _seconds(clip: Clip) -> float:
    if clip.duration is not None:
        return clip.duration
    source = clip.audio or clip.video
    assert source is not None  # a clip has a video, a sound, or both
    info = probe(source)
    return (info.sound or info.picture or 0.0) - clip.start
