"""`motion-pan`: the reference's mono sound, heard from where the picture moves.

An honest baseline of two lines: find the column of the picture where most changes from frame to frame, and pan the
mono sound there with measured head responses. It sees no object and hears no source; a learned system that binds
sound to pictures must beat it. Camera motion, which changes every column alike, is taken off by the median.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from visaudio_bench.baselines.binauraliser import Binauraliser
from visaudio_bench.baselines.motion import FIELD_OF_VIEW, FRAMES_PER_SECOND, Array, changes, remembered
from visaudio_bench.baselines.system import SystemCard
from visaudio_bench.baselines.trivial import refuse_argument
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Frame, Samples, iter_frames
from visaudio_bench.suites.simulator.hrtf import pan

COLUMNS = 32


class MotionPan(Binauraliser):
    """The weight-free visual baseline."""

    card = SystemCard(
        name="motion-pan",
        title="Motion pan",
        summary="the reference's mono sound, panned by measured head responses to where the picture moves",
        inputs=Binauraliser.INPUTS,
        revision=source_revision(__name__),
        may_be_mono=True,  # where nothing moves, the sound stays in front of a symmetric head
    )

    def __init__(self, argument: str | None = None):
        refuse_argument(self.card.name, argument)

    def binauralise(self, clip: Clip, mono: Samples, rng: np.random.Generator) -> Samples:
        """The mono sound at the azimuth of the clip's motion."""
        del rng
        if clip.video is None:
            raise ClipError("no_video", f"clip {clip.id} has no video, which motion-pan needs.")
        seconds = mono.shape[0] / SAMPLE_RATE
        frames = iter_frames(clip.video, fps=FRAMES_PER_SECOND, start=clip.start, duration=seconds)
        return pan(mono, motion_azimuth(picture for _, picture in frames))


def motion_azimuth(frames: Iterator[Frame]) -> Array:
    """Azimuth in radians, positive to the left, of the motion in each frame `(H, W, 3)`; 0 while nothing moved."""
    energy = np.array([_above_median(columns) for (columns,) in changes(frames, 1, COLUMNS)])
    if len(energy) == 0:
        return np.zeros(1)
    smooth = remembered(energy)
    total = smooth.sum(axis=1)
    to_the_left = 1 - (2 * np.arange(COLUMNS) + 1) / COLUMNS
    position = np.divide(smooth @ to_the_left, total, out=np.zeros_like(total), where=total > 0)
    azimuth: Array = np.arctan(position * np.tan(FIELD_OF_VIEW / 2))
    return azimuth


def _above_median(columns: Array) -> Array:
    """The change of each column above the median column's, which is the camera's own motion."""
    return np.maximum(columns - np.median(columns), 0)
