"""Shoebox rooms: image sources heard through a measured head, for sources and listeners that move.

Three parts make the sound of a source (`render`):

* the direct sound and the reflections of order 1 and 2 (25 images), each with its own per-sample delay (so that the
  Doppler shift is real) and gain, and with the measured direction that is nearest block by block;
* reflections of higher order that arrive within 80 ms, as impulse responses at key frames, cross-faded;
* from there on a diffuse tail: noise from 64 directions whose energy is what all images together would bring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.suites.simulator.hrtf import (
    SPEED_OF_SOUND,
    Array,
    Hrtf,
    Samples,
    block_times,
    load_kemar,
    spatialize,
    unit_vector,
)
from visaudio_bench.suites.simulator.images import NEAREST, Room, arrivals, images_within, to_head

CONTROL_RATE = 100  # Hz, of trajectories
EARLY_ORDER = 2
MIXING_TIME = 0.08  # s
KEYFRAME_SPACING = 0.5  # s
TAIL_DIRECTIONS = 64
CROSSOVER = 1000.0  # Hz

Respond = Callable[[Array, Array, float], Samples]


def brir(
    room: Room,
    source: Array,
    listener: Array,
    yaw: float,
    *,
    duration: float,
    lowest_order: int = 0,
    hrtf: Hrtf | None = None,
) -> Samples:
    """Binaural room impulse response by image sources.

    Every image becomes an impulse at its delay r / c (linear between two samples) with the gain reflection^order / r
    in the train of the measured direction nearest to it; each train is convolved with that direction's response.

    Args:
        room: the shoebox.
        source: `(3,)` position in metres.
        listener: `(3,)` position of the head's centre.
        yaw: where the head looks, radians from the x axis towards the y axis.
        duration: seconds; images that arrive later are left out.
        lowest_order: images with fewer reflections are left out.
        hrtf: the head; MIT KEMAR by default.

    Returns:
        `(2, N)` float32 at 44.1 kHz, N = duration plus the length of a head response.
    """
    head = hrtf or load_kemar()
    images = arrivals(room, source, listener, duration, lowest_order)
    direction = head.nearest(to_head(images.vectors, yaw))
    low, high = (_sum_of_trains(images.delay, gain, direction, head) for gain in images.gains)
    return two_bands(low, high)


def _sum_of_trains(delay: Array, gain: Array, direction: NDArray[np.intp], hrtf: Hrtf) -> Samples:
    used, train = np.unique(direction, return_inverse=True)
    return _convolve_each(impulses(delay, gain, train, len(used)), hrtf.taps[used])


def impulses(delay: Array, gain: Array, train: NDArray[np.intp], trains: int) -> Samples:
    """Lay impulses into trains of samples.

    Args:
        delay: `(I,)` when each comes, in samples; between two it is shared linearly.
        gain: `(I,)` how strong each is.
        train: `(I,)` the train that each is added to.
        trains: how many there are.

    Returns:
        `(trains, N)`.
    """
    length = int(np.ceil(delay.max(initial=0))) + 2
    whole = np.floor(delay).astype(np.intp)
    late = (delay - whole) * gain
    at = train * length + whole
    summed = np.bincount(at, gain - late, trains * length) + np.bincount(at + 1, late, trains * length)
    return summed.reshape(trains, length).astype(np.float32)


def two_bands(low: Samples, high: Samples) -> Samples:
    """Put two sounds together at the crossover; two equal ones come out unchanged.

    Args:
        low: what is taken below it.
        high: what is taken above it, of the same shape.

    Returns:
        One sound of that shape.
    """
    low_pass = scipy.signal.butter(1, CROSSOVER, fs=SAMPLE_RATE)
    return np.asarray(high + scipy.signal.lfilter(*low_pass, low - high, axis=-1), dtype=np.float32)


def _convolve_each(trains: Samples, taps: Samples) -> Samples:
    """Sum over directions of `trains` `(D, N)` convolved with `taps` `(D, 2, M)`."""
    length = trains.shape[-1] + taps.shape[-1] - 1
    size = scipy.fft.next_fast_len(length, real=True)
    spectrum = np.einsum("df,def->ef", scipy.fft.rfft(trains, size), scipy.fft.rfft(taps, size))
    return np.asarray(scipy.fft.irfft(spectrum, size)[:, :length], dtype=np.float32)


def diffuse_tail(room: Room, seed: int, hrtf: Hrtf | None = None) -> Samples:
    """Make the reverberation after the mixing time, alike from all directions.

    The images of a room of volume V bring 4 pi c / V of energy a second at first, and 60 dB less after RT60.

    Args:
        room: whose reverberation.
        seed: of the noise.
        hrtf: the head that hears it; the measured one if None.

    Returns:
        `(2, N)` at 44.1 kHz, left first.
    """
    head = hrtf or load_kemar()
    tail = diffuse_sounds(room, seed)
    taps = head.taps[head.nearest(tail.vectors)]
    low, high = (_convolve_each(noise, taps) for noise in tail.bands)
    return np.pad(two_bands(low, high), ((0, 0), (tail.start, 0)))


class Tail(NamedTuple):
    """Reverberation from `start` (samples) on.

    `bands` `(D, N)` come from the directions `vectors` `(D, 3)`, below and above the crossover.
    """

    start: int
    vectors: Array
    bands: tuple[Samples, Samples]


def diffuse_sounds(room: Room, seed: int) -> Tail:
    """Make noise from 64 directions, with the energy that the images of a room would bring.

    Args:
        room: whose reverberation.
        seed: of the noise.

    Returns:
        The sounds, and where they come from.
    """
    start = round(MIXING_TIME * SAMPLE_RATE)
    stop = max(round(1.1 * room.rt60 * SAMPLE_RATE), start + 1)
    time = np.arange(start, stop) / SAMPLE_RATE
    power = 4 * np.pi * SPEED_OF_SOUND / room.volume / SAMPLE_RATE / TAIL_DIRECTIONS
    noise = np.random.default_rng(seed).standard_normal((TAIL_DIRECTIONS, stop - start), dtype=np.float32)
    low, high = (
        noise * np.sqrt(power * 10 ** (-6 * time / rt60)).astype(np.float32) for rt60 in (room.rt60, room.rt60_high)
    )
    return Tail(start, _even_directions(TAIL_DIRECTIONS), (low, high))


def _even_directions(count: int) -> Array:
    """`(count, 3)` directions spread evenly over the sphere (golden spiral)."""
    k = np.arange(count) + 0.5
    return unit_vector(k * np.pi * (3 - np.sqrt(5)), np.arcsin(1 - 2 * k / count))


def render(dry: Samples, room: Room, source: Array, listener: Array, yaw: Array, *, seed: int = 0) -> Samples:
    """Binaural sound of one source in a room, both free to move.

    Args:
        dry: `(T,)` sound of the source at 44.1 kHz, as heard at 1 m.
        room: the shoebox.
        source: `(P, 3)` positions in metres at 100 Hz from the first sample on; the last one holds.
        listener: `(P, 3)` positions of the head's centre.
        yaw: `(P,)` where the head looks, radians, continuous (not wrapped).
        seed: of the diffuse tail.

    Returns:
        `(2, T)` float32.
    """

    def respond(source_place: Array, listener_place: Array, ahead: float) -> Samples:
        return brir(room, source_place, listener_place, ahead, duration=MIXING_TIME, lowest_order=EARLY_ORDER + 1)

    out = _early(dry, room, source, listener, yaw)
    out += crossfaded(dry, source, listener, yaw, respond)
    out += fir(dry, diffuse_tail(room, seed))
    return out


def _early(dry: Samples, room: Room, source: Array, listener: Array, yaw: Array) -> Samples:
    hrtf = load_kemar()
    arriving, vectors = early_images(dry, room, source, listener)
    blocks = np.minimum(np.round(block_times(len(dry)) * CONTROL_RATE).astype(int), len(yaw) - 1)
    return spatialize(arriving, hrtf.nearest(to_head(vectors, yaw)[:, blocks]), hrtf)


def early_images(dry: Samples, room: Room, source: Array, listener: Array) -> tuple[Samples, Array]:
    """Let all images up to the early order sound as they arrive.

    Args:
        dry: the source's sound `(T,)` at 44.1 kHz.
        room: whose walls reflect.
        source: its places `(P, 3)` in metres, 100 a second; the last one holds.
        listener: the listener's places, likewise.

    Returns:
        The sounds `(I, T)`, and vectors `(I, P, 3)` to the images.
    """
    images = images_within(room, (EARLY_ORDER + 1) * max(room.size))
    images = images.where(images.order <= EARLY_ORDER)
    vectors = images.of(source) - listener
    distance = np.linalg.norm(vectors, axis=-1)
    delay = distance / SPEED_OF_SOUND * SAMPLE_RATE
    reflected = [two_bands(dry * room.reflection**n, dry * room.reflection_high**n) for n in range(EARLY_ORDER + 1)]
    arriving = np.empty((len(images.order), len(dry)), dtype=np.float32)
    for order, sound in enumerate(reflected):
        of_order = images.order == order
        arriving[of_order] = _delayed(sound, delay[of_order], 1 / np.maximum(distance[of_order], NEAREST))
    return arriving, vectors


def _delayed(dry: Samples, delay: Array, gain: Array) -> Samples:
    """`(I, T)`: a sound after delays (samples) and gains `(I, P)` that change at the control rate.

    A sound that is heard at t left the source r(t) / c earlier; taking r at t and not at the time of leaving is wrong
    by the fraction v / c of the delay, which no listener can tell.
    """
    margin = 16
    spline = scipy.ndimage.spline_filter1d(np.pad(dry.astype(np.float64), margin), order=3)
    now = np.arange(len(dry), dtype=np.float64)
    control = np.arange(delay.shape[1]) * (SAMPLE_RATE / CONTROL_RATE)
    out = np.empty((len(delay), len(dry)), dtype=np.float32)
    for row, (samples, factor) in enumerate(zip(delay, gain, strict=True)):
        at = now - np.interp(now, control, samples) + margin
        scipy.ndimage.map_coordinates(spline, at[None], output=out[row], order=3, mode="constant", prefilter=False)
        out[row] *= np.interp(now, control, factor).astype(np.float32)
    return out


def crossfaded(dry: Samples, source: Array, listener: Array, yaw: Array, respond: Respond) -> Samples:
    """Play a sound through responses that are asked for at key frames and cross-faded between them.

    Args:
        dry: the sound `(T,)`.
        source: its places `(P, 3)` in metres, 100 a second; the last one holds.
        listener: the listener's places, likewise.
        yaw: `(P,)` where the listener looks, radians, positive to the left.
        respond: gives the response `(C, N)` for the places `(3,)` of source and listener and the listener's yaw.

    Returns:
        `(C, T)`.
    """
    still = all(np.ptp(path, axis=0).max() == 0 for path in (source, listener, yaw[:, None]))
    step = len(dry) if still else round(KEYFRAME_SPACING * SAMPLE_RATE)
    out = np.zeros((0, len(dry)), dtype=np.float32)
    ramp = (np.arange(step, dtype=np.float32) + 0.5) / step
    fade = np.ones(len(dry), np.float32) if still else np.concatenate([ramp, ramp[::-1]])
    for centre in range(0, 1 if still else len(dry) + step, step):
        frame = min(round(centre / SAMPLE_RATE * CONTROL_RATE), len(yaw) - 1)
        response = respond(source[frame], listener[frame], float(yaw[frame]))
        out = out if len(out) else np.zeros((len(response), len(dry)), dtype=np.float32)
        first = 0 if still else centre - step
        begin, end = max(first, 0), min(first + len(fade), len(dry))
        piece = np.pad(dry[begin:end] * fade[begin - first : end - first], (0, response.shape[1] - 1))
        stop = min(begin + len(piece), len(dry))
        out[:, begin:stop] += fir(piece, response)[:, : stop - begin]
    return out


def fir(dry: Samples, response: Samples) -> Samples:
    """Play a mono sound through a response, cut to the sound's length.

    Args:
        dry: `(T,)`.
        response: `(C, N)`.

    Returns:
        `(C, T)`.
    """
    return np.asarray(scipy.signal.oaconvolve(dry[None], response, axes=-1)[:, : len(dry)], dtype=np.float32)
