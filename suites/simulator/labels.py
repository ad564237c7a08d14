"""Direction labels of a simulated scene: where each source is, in the frames in which the listener hears it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.suites.direction_labels import RATE, LabelledFrame
from visaudio_bench.suites.simulator.hrtf import SPEED_OF_SOUND, Array
from visaudio_bench.suites.simulator.scenes import Scene, bearing
from visaudio_bench.suites.simulator.sounds import SourceSound

QUIET = 1e-3  # of a source's loudest frame: 30 dB below it a frame counts as silent


def scene_labels(scene: Scene, sounds: Sequence[SourceSound]) -> tuple[LabelledFrame, ...]:
    """Label a scene, each frame by its middle.

    Args:
        scene: what is heard.
        sounds: the dry sound of each source.

    Returns:
        The frames in which the direct sound of a source arrives, by frame and source.
    """
    middles = (np.arange(round(scene.duration * RATE)) + 0.5) / RATE
    rows = []
    for index, (source, sound) in enumerate(zip(scene.sources, sounds, strict=True)):
        seen = bearing(scene, source, middles)
        for frame in np.flatnonzero(_sounding(sound, middles - seen.distance / SPEED_OF_SOUND)).tolist():
            azimuth, elevation, distance = (float(value[frame]) for value in seen)
            visible = bool(seen.in_view[frame])
            rows.append(LabelledFrame(frame, azimuth, elevation, distance, str(index), source.sound, visible))
    return tuple(sorted(rows, key=lambda row: (row.frame, row.source)))


def _sounding(sound: SourceSound, middles: Array) -> NDArray[np.bool_]:
    """Whether a source makes sound around each of these times, `(P,)` seconds."""
    power = np.concatenate([[0.0], np.cumsum(sound.samples.astype(np.float64) ** 2)])
    first, last = (
        np.clip(np.round((middles + side / RATE) * SAMPLE_RATE).astype(int), 0, len(power) - 1) for side in (-0.5, 0.5)
    )
    energy = power[last] - power[first]
    return np.asarray(energy > QUIET * energy.max())
