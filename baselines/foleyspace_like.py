"""`foleyspace-like`: our training-free reading of FoleySpace (Zhao et al., 2025).

FoleySpace finds the sound's source and its depth in each picture, maps them to a trajectory in space, and gives this
with the mono sound of a video-to-audio model to a diffusion model, which has learned from sounds rendered with
measured head responses. Here the last step is what that model was trained to imitate: the mono sound is rendered along
the trajectory with measured head responses. The first step takes what moves for what sounds, unless another estimator
is given (`baselines.source_track`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from visaudio_bench.baselines.binauraliser import Binauraliser
from visaudio_bench.baselines.motion import FRAMES_PER_SECOND, Array
from visaudio_bench.baselines.source_track import MotionEstimator, SourceEstimator, Track, trajectory
from visaudio_bench.baselines.system import SystemCard
from visaudio_bench.baselines.trivial import refuse_argument
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.files import digest
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Samples, iter_frames
from visaudio_bench.suites.simulator.hrtf import pan

NAME = "foleyspace-like"
# Levels follow distance by 6 dB a doubling, this far at most from the level that the mono sound has.
MOST_GAIN = 4.0


class FoleySpaceLike(Binauraliser):
    """A mono sound, moved along the trajectory that the pictures show."""

    def __init__(self, argument: str | None = None, estimator: SourceEstimator | None = None):
        refuse_argument(NAME, argument)
        self.estimator: SourceEstimator = estimator or MotionEstimator()
        self.card = SystemCard(
            name=NAME,
            title="FoleySpace-like (ours)",
            summary="a mono sound along the path of what moves, by measured head responses",
            inputs=self.INPUTS,
            revision=digest([source_revision(__name__), self.estimator.revision])[:16],
            paper="our reading of Zhao et al., FoleySpace: Vision-Aligned Binaural Spatial Audio Generation, 2025",
            may_be_mono=True,  # where nothing moves, the sound stays in front of a symmetric head
        )

    def provenance(self) -> Mapping[str, Any]:
        """Who looked."""
        return {"estimator": self.estimator.revision}

    def binauralise(self, clip: Clip, mono: Samples, rng: np.random.Generator) -> Samples:
        """As `Binauraliser.binauralise`."""
        del rng
        return rendered(mono, trajectory(track_of(clip, mono.shape[0] / SAMPLE_RATE, self.estimator)))


def track_of(clip: Clip, seconds: float, estimator: SourceEstimator) -> Track:
    """Look for the source in each of a clip's pictures.

    Args:
        clip: the clip, by its window.
        seconds: length of the sound that is made for it; at least one picture is looked at.
        estimator: which finds the source in pictures.

    Returns:
        Where the source is in `FRAMES_PER_SECOND` pictures a second, and how far away.

    Raises:
        ClipError: the clip has no pictures.
    """
    if clip.video is None:
        raise ClipError("no_video", f"clip {clip.id} has no video, and the source is to be seen.")
    at_least_one = max(seconds, 1 / FRAMES_PER_SECOND)
    frames = iter_frames(clip.video, fps=FRAMES_PER_SECOND, start=clip.start, duration=at_least_one)
    return estimator.estimate(picture for _, picture in frames)


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
