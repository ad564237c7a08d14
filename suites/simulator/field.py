"""The sound field of a scene as first-order ambisonics: what an ideal microphone records at the listener's place.

The same images and the same diffuse tail as in `rooms`, but each direction is weighted by its harmonics instead of
being heard through a head.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.suites.ambisonics import CHANNELS, harmonics
from visaudio_bench.suites.simulator.hrtf import Array, Samples
from visaudio_bench.suites.simulator.images import Room, arrivals, to_head
from visaudio_bench.suites.simulator.render import PEAK, ambience
from visaudio_bench.suites.simulator.rooms import (
    CONTROL_RATE,
    EARLY_ORDER,
    MIXING_TIME,
    crossfaded,
    diffuse_sounds,
    early_images,
    fir,
    impulses,
    two_bands,
)
from visaudio_bench.suites.simulator.scenes import Scene, at_times
from visaudio_bench.suites.simulator.sounds import SourceSound
from visaudio_bench.suites.simulator.truth import control_times


def ambisonic_sound(scene: Scene, sounds: Sequence[SourceSound]) -> Samples:
    """Render the field of a scene: all sources in their room, over a faint ambience from everywhere.

    x is where the listener looks, who carries the camera. One gain for all channels brings the loudest one to the peak
    of the simulated suites.

    Args:
        scene: what is heard.
        sounds: the dry sound of each source.

    Returns:
        `(4, T)` at 44.1 kHz, W, Y, Z, X with SN3D weights.
    """
    times = control_times(scene)
    listener, yaw = at_times(scene.listener, times), at_times(scene.yaw, times)[:, 0]
    mix = np.zeros((CHANNELS, round(scene.duration * SAMPLE_RATE)), dtype=np.float32)
    for index, (source, sound) in enumerate(zip(scene.sources, sounds, strict=True)):
        path = at_times(source.path, times)
        mix += render_field(sound.samples, scene.room, path, listener, yaw, seed=scene.seed + index)
    mix *= np.float32(PEAK / np.abs(mix).max())
    noise = ambience(scene.seed, mix.shape[1], CHANNELS)
    noise[1:] *= np.float32(3**-0.5)  # in a diffuse field each first-order channel has a third of W's power
    return mix + noise


def render_field(dry: Samples, room: Room, source: Array, listener: Array, yaw: Array, *, seed: int = 0) -> Samples:
    """Render the field of one source in a room.

    Args:
        dry: its sound `(T,)` at 44.1 kHz.
        room: around it.
        source: its places, as of `rooms.render`.
        listener: the listener's places, likewise.
        yaw: where the listener looks, likewise; radians, positive to the left.
        seed: of the reverberation.

    Returns:
        `(4, T)`, W, Y, Z, X with SN3D weights.
    """

    def respond(source_place: Array, listener_place: Array, ahead: float) -> Samples:
        return room_response(
            room, source_place, listener_place, ahead, duration=MIXING_TIME, lowest_order=EARLY_ORDER + 1
        )

    arriving, vectors = early_images(dry, room, source, listener)
    control, now = np.arange(len(yaw)) * (SAMPLE_RATE / CONTROL_RATE), np.arange(len(dry))
    out = np.zeros((CHANNELS, len(dry)), dtype=np.float32)
    for sound, gains in zip(arriving, _weights(to_head(vectors, yaw)).swapaxes(0, 1), strict=True):
        for channel, gain in enumerate(gains):
            out[channel] += sound * np.interp(now, control, gain).astype(np.float32)
    out += crossfaded(dry, source, listener, yaw, respond)
    # The tail is alike from all directions: where the camera looks makes no difference to it.
    tail = diffuse_sounds(room, seed)
    low, high = (_weights(tail.vectors).astype(np.float32) @ band for band in tail.bands)
    out += fir(dry, np.pad(two_bands(low, high), ((0, 0), (tail.start, 0))))
    return out


def room_response(
    room: Room, source: Array, listener: Array, yaw: float, *, duration: float, lowest_order: int = 0
) -> Samples:
    """Compute an ambisonic impulse response by image sources.

    Args:
        room: around source and listener.
        source: its place `(3,)`, metres.
        listener: the listener's place `(3,)`, metres.
        yaw: where the listener looks, radians, positive to the left.
        duration: seconds.
        lowest_order: images with fewer reflections are left out.

    Returns:
        `(4, N)` at 44.1 kHz, W, Y, Z, X with SN3D weights.
    """
    images = arrivals(room, source, listener, duration, lowest_order)
    gains = _weights(to_head(images.vectors, yaw))
    train = np.repeat(np.arange(CHANNELS), len(images.delay))
    delay = np.tile(images.delay, CHANNELS)
    low, high = (impulses(delay, (gains * gain).ravel(), train, CHANNELS) for gain in images.gains)
    return two_bands(low, high)


def _weights(vectors: Array) -> Array:
    """Harmonics `(4, ...)` of the directions of vectors `(..., 3)`."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return harmonics(np.arctan2(y, x), np.arctan2(z, np.hypot(x, y)))
