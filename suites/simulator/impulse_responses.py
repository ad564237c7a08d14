"""Binaural impulse responses of a rendered scene: what its first source does to a click, now and then."""

from __future__ import annotations

import numpy as np

from visaudio_bench.suites.simulator.hrtf import Array, Samples
from visaudio_bench.suites.simulator.rooms import MIXING_TIME, brir, diffuse_tail
from visaudio_bench.suites.simulator.scenes import Scene, at_times


def scene_responses(scene: Scene, times: Array) -> Samples:
    """Compute the responses from a scene's first source to its listener, from the same parts as its sound is made.

    Args:
        scene: whose room, places and seed count.
        times: `(K,)` seconds at which source and listener are where they are.

    Returns:
        `(K, 2, N)` at 44.1 kHz: all images that arrive within 80 ms, and the diffuse tail.
    """
    source, listener = at_times(scene.sources[0].path, times), at_times(scene.listener, times)
    yaw = at_times(scene.yaw, times)[:, 0]
    tail = diffuse_tail(scene.room, scene.seed)
    early = [
        brir(scene.room, place, head, float(ahead), duration=MIXING_TIME)
        for place, head, ahead in zip(source, listener, yaw, strict=True)
    ]
    length = max(tail.shape[1], *(response.shape[1] for response in early))
    return np.stack([_padded(response, length) + _padded(tail, length) for response in early])


def _padded(response: Samples, length: int) -> Samples:
    return np.pad(response, ((0, 0), (0, length - response.shape[1])))
