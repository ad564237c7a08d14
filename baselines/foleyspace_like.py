"""`foleyspace-like`: our training-free reading of FoleySpace (Zhao et al., 2025), on the sound of any system.

FoleySpace finds the sound's source and its depth in each picture, maps them to a trajectory in space, and gives this
with the mono sound of a video-to-audio model to a diffusion model, which has learned from sounds rendered with
measured head responses. Its code is not published. Here the last step is what that model was trained to imitate: the
mono sound is rendered along the trajectory with measured head responses. The first step takes what moves for what
sounds, unless another estimator is given (`baselines.source_track`).

`foleyspace-like:SYSTEM` takes the mono sound from any other system: the mean of its channels. Without one it is
MMAudio's. On a system that hears the reference, such as `foleyspace-like:mono`, it is a system that binauralises.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from visaudio_bench.baselines.catalogue import open_system
from visaudio_bench.baselines.motion import FRAMES_PER_SECOND, Array
from visaudio_bench.baselines.source_track import MotionEstimator, SourceEstimator, Track, trajectory
from visaudio_bench.baselines.system import Generation, Input, System, SystemCard
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.files import digest
from visaudio_bench.guard import one_clip
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import (
    Samples,
    iter_frames,
    read_sound,
    round_to_16_bit,
    within_full_scale,
    write_audio,
)
from visaudio_bench.suites.simulator.hrtf import pan

NAME = "foleyspace-like"
GENERATOR = "mmaudio-dup"
# Levels follow distance by 6 dB a doubling, this far at most from the level that the mono sound has.
MOST_GAIN = 4.0


class FoleySpaceLike(System):
    """A system's sound, moved along the trajectory that the pictures show."""

    def __init__(self, argument: str | None = None, estimator: SourceEstimator | None = None):
        request = argument or GENERATOR
        if request.partition(":")[0] == NAME:
            raise UsageError(f'system "{NAME}" needs another system for the mono sound, got "{request}".')
        self.generator = open_system(request)
        self.estimator: SourceEstimator = estimator or MotionEstimator()
        inner = self.generator.card
        usual = request == GENERATOR
        self.card = SystemCard(
            name=NAME if usual else f"{NAME}+{inner.name}",
            title="FoleySpace-like (ours)" if usual else f"FoleySpace-like (ours) on {inner.title}",
            summary=f"the mono sound of {inner.name} along the path of what moves, by measured head responses",
            inputs=_inputs(inner),
            revision=digest([source_revision(__name__), self.estimator.revision, inner.name, inner.revision])[:16],
            paper="our reading of Zhao et al., FoleySpace: Vision-Aligned Binaural Spatial Audio Generation, 2025",
            weights_licence=inner.weights_licence,
            may_be_mono=True,  # where nothing moves, the sound stays in front of a symmetric head
        )

    @property
    def unavailable(self) -> str:
        """What keeps the other system from running."""
        return self.generator.unavailable

    def sources(self, clip: Clip, clips: Sequence[Clip]) -> tuple[Path, ...]:
        """The clip's own files, and whatever the other system's sound depends on."""
        return (*super().sources(clip, clips), *self.generator.sources(clip, clips))

    def generate(
        self, clips: Sequence[Clip], out: Path, *, only: Collection[str], device: str = "cpu", seed: int = 0
    ) -> Iterator[Generation]:
        """As `System.generate`."""
        by_id = {clip.id: clip for clip in clips}
        with tempfile.TemporaryDirectory() as folder:
            for made in self.generator.generate(clips, Path(folder), only=only, device=device, seed=seed):
                yield self._place(by_id[made.clip], made, out)

    def _place(self, clip: Clip, made: Generation, out: Path) -> Generation:
        """The outcome of a clip, from the outcome of the other system."""
        if made.path is None:
            return made
        began = time.perf_counter()
        path = out / f"{clip.id}.wav"
        try:
            with one_clip():
                mono = read_sound(made.path, duration=clip.duration, sample_rate=SAMPLE_RATE).samples.mean(axis=0)
                ears = rendered(mono, trajectory(self._track(clip, mono.shape[0] / SAMPLE_RATE)))
                # The head responses amplify the near ear; one gain for both ears keeps the sound within full scale.
                ears, gain = within_full_scale(ears)
                write_audio(path, round_to_16_bit(ears), SAMPLE_RATE)
        except ClipError as error:
            return Generation.failed(clip.id, made.seconds + time.perf_counter() - began, error)
        about = {
            "mono": {"system": self.generator.card.name, **made.provenance},
            "estimator": self.estimator.revision,
            "gain": gain,
        }
        return Generation(clip.id, path, made.seconds + time.perf_counter() - began, provenance=about)

    def _track(self, clip: Clip, seconds: float) -> Track:
        if clip.video is None:
            raise ClipError("no_video", f"clip {clip.id} has no video, which {NAME} needs.")
        at_least_one = max(seconds, 1 / FRAMES_PER_SECOND)
        frames = iter_frames(clip.video, fps=FRAMES_PER_SECOND, start=clip.start, duration=at_least_one)
        return self.estimator.estimate(picture for _, picture in frames)


def _inputs(inner: SystemCard) -> tuple[Input, ...]:
    """What reaches the sound: only the mean of a reference that the other system hears."""
    heard: tuple[Input, ...] = ("reference_mono",) if inner.binauralises else ()
    told: tuple[Input, ...] = ("caption",) if "caption" in inner.inputs else ()
    return ("video", *told, *heard)


def rendered(mono: Samples, positions: Array) -> Samples:
    """A mono sound that moves around the head.

    Args:
        mono: `(N,)` at 44.1 kHz.
        positions: `(T, 3)` metres, x front, y left, z up, spread evenly over the sound.

    Returns:
        `(2, N)` float32, beyond full scale where the near ear is. The level at the median distance is the mono sound's
        own: what made it has chosen that already. It changes by 6 dB for each doubling of the distance from there, by
        12 dB at most.
    """
    distance = np.linalg.norm(positions, axis=1)
    gain = np.clip(np.median(distance) / distance, 1 / MOST_GAIN, MOST_GAIN)
    instants = np.linspace(0, 1, len(gain))
    louder = mono * np.interp(np.linspace(0, 1, mono.shape[0]), instants, gain).astype(np.float32)
    x, y, z = positions.T
    return pan(louder, np.arctan2(y, x), np.arctan2(z, np.hypot(x, y)))
