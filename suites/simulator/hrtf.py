"""A measured head: the MIT KEMAR responses, and the panner that puts moving sources around it.

Axes everywhere in this package: x front, y LEFT, z up, in metres. Azimuth is positive to the left, elevation upwards,
both in radians. Ear 0 is the left one.

The responses are those of Gardner and Martin (1995), 710 directions at 1.4 m, elevations -40 to 90 degrees; what lies
below -40 degrees is heard from the nearest direction measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from visaudio_bench.conventions import SAMPLE_RATE

Array = NDArray[np.floating[Any]]
Samples = NDArray[np.float32]
Indices = NDArray[np.intp]

SPEED_OF_SOUND = 343.0

EQUALISER_FFT = 2048
EQUALISED_RANGE = (150.0, 16000.0)
FADE = 16

# A moving source keeps one measured direction for a block and cross-fades to the next one by Hann windows that
# overlap by half (11.6 ms): short against head and source motion, long against the lowest frequency of ILD.
HOP = 512
_WINDOW = np.sin(np.pi * (np.arange(2 * HOP) + 0.5) / (2 * HOP)).astype(np.float32) ** 2


@dataclass(frozen=True)
class Hrtf:
    """Head-related impulse responses.

    Attributes:
        directions: `(D, 2)` azimuth (positive to the left) and elevation in radians.
        taps: `(D, 2, N)` float32 responses at 44.1 kHz, left ear first.
    """

    directions: Array
    taps: Samples

    def nearest(self, vectors: Array) -> Indices:
        """Index of the measured direction nearest to each vector `(..., 3)` of any length, in head coordinates."""
        length = np.linalg.norm(vectors, axis=-1, keepdims=True)
        indices: Indices = self._tree.query(vectors / np.maximum(length, 1e-12))[1]
        return indices

    @cached_property
    def _tree(self) -> scipy.spatial.cKDTree:
        return scipy.spatial.cKDTree(unit_vector(self.directions[:, 0], self.directions[:, 1]))

    @cached_property
    def block_fft(self) -> int:
        """FFT length that holds a block of two hops and its response."""
        return int(scipy.fft.next_fast_len(2 * HOP + self.taps.shape[-1] - 1, real=True))

    @cached_property
    def block_spectra(self) -> NDArray[np.complex64]:
        """`(D, 2, F)` spectra of the responses for `spatialize`."""
        return np.asarray(scipy.fft.rfft(self.taps, self.block_fft), dtype=np.complex64)


@cache
def load_kemar() -> Hrtf:
    """The MIT KEMAR head with the normal pinna, 256 taps; read once a process."""
    with (
        as_file(files("visaudio_bench.suites.simulator") / "assets" / "mit_kemar_44k1.npz") as path,
        np.load(path) as data,
    ):
        taps = (data["taps"] * data["scale"]).astype(np.float32)
        degrees = data["degrees"].astype(np.float64)
    # SOFA counts azimuth from 0 to 360 degrees counter-clockwise, which is this project's sign already.
    directions = np.deg2rad(degrees)
    directions[:, 0] = wrap(directions[:, 0])
    return Hrtf(directions, equalised(directions, taps))


def equalised(directions: Array, taps: Samples) -> Samples:
    """Take the spectrum of the diffuse field off, the same for both ears and every direction.

    The measurement holds the loudspeaker and the ear canal too: 25 dB between 200 Hz and 3 kHz, which would leave next
    to nothing below 1.5 kHz, where ears take time differences from. One minimum-phase filter for all keeps every
    interaural difference as it was measured (Moller 1992, diffuse-field equalisation).

    Args:
        directions: `(D, 2)` azimuth and elevation of the responses, radians.
        taps: `(D, 2, N)` responses of both ears.

    Returns:
        Responses of the same shape.
    """
    power = np.abs(scipy.fft.rfft(taps, EQUALISER_FFT)) ** 2
    weight = np.cos(directions[:, 1])
    diffuse = np.tensordot(weight, power.mean(axis=1), 1) / weight.sum()
    frequency = scipy.fft.rfftfreq(EQUALISER_FFT, 1 / SAMPLE_RATE)
    # Outside this range the loudspeaker gave nothing that could be raised; and image sources, whose gains are all
    # positive, pile up below it.
    held = np.interp(np.clip(frequency, *EQUALISED_RANGE), frequency, np.log(diffuse))
    cepstrum = scipy.fft.irfft(-0.5 * held)
    half = EQUALISER_FFT // 2
    cepstrum[1:half] *= 2
    cepstrum[half + 1 :] = 0
    filtered = scipy.fft.irfft(scipy.fft.rfft(taps, EQUALISER_FFT) * np.exp(scipy.fft.rfft(cepstrum)), EQUALISER_FFT)[
        ..., : taps.shape[-1]
    ]
    filtered[..., -FADE:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, FADE + 1) / FADE)
    return np.asarray(filtered, dtype=np.float32)


def wrap(angle: ArrayLike) -> Array:
    """Angles in radians brought to [-pi, pi)."""
    return np.asarray((np.asarray(angle, dtype=np.float64) + np.pi) % (2 * np.pi) - np.pi)


def unit_vector(azimuth: ArrayLike, elevation: ArrayLike) -> Array:
    """Turn directions into vectors; x is ahead, y left, z up.

    Args:
        azimuth: radians, positive to the left.
        elevation: radians, positive upwards.

    Returns:
        `(..., 3)` unit vectors.
    """
    azimuth, elevation = np.broadcast_arrays(np.asarray(azimuth, float), np.asarray(elevation, float))
    level = np.cos(elevation)
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=-1)


def block_count(length: int) -> int:
    """How many overlapping blocks `spatialize` cuts `length` samples into."""
    return -(-length // HOP) + 1


def block_times(length: int) -> Array:
    """Seconds at the centres of those blocks: the times at which `spatialize` needs directions."""
    return np.clip(np.arange(block_count(length)) * HOP, 0, max(length - 1, 0)) / SAMPLE_RATE


def spatialize(signals: Samples, directions: Indices, hrtf: Hrtf) -> Samples:
    """Sum of signals, each heard from a direction that may change from block to block.

    Args:
        signals: `(S, T)` at 44.1 kHz, or `(T,)` for one.
        directions: `(S, B)` indices into `hrtf`, B = `block_count(T)`, at `block_times(T)`; `(B,)` for one signal.
        hrtf: the head.

    Returns:
        `(2, T)` binaural sound, the responses' tails beyond T cut off.
    """
    signals, directions = np.atleast_2d(signals), np.atleast_2d(directions)
    length = signals.shape[1]
    blocks = block_count(length)
    padded = np.zeros((blocks + 1) * HOP, dtype=np.float32)
    spectrum = np.zeros((blocks, 2, hrtf.block_fft // 2 + 1), dtype=np.complex64)
    for signal, index in zip(signals, directions, strict=True):
        padded[HOP : HOP + length] = signal
        cut = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP] * _WINDOW
        spectrum += scipy.fft.rfft(cut, hrtf.block_fft)[:, None] * hrtf.block_spectra[index]
    return _overlap_add(scipy.fft.irfft(spectrum, hrtf.block_fft), length)


def _overlap_add(blocks: Samples, length: int) -> Samples:
    """Blocks `(B, 2, N)` at multiples of the hop, added up; block 0 starts one hop before the sound does."""
    count, _, size = blocks.shape
    pieces = -(-size // HOP)
    out = np.zeros((2, count + pieces, HOP), dtype=np.float32)
    padded = np.zeros((count, 2, pieces * HOP), dtype=np.float32)
    padded[..., :size] = blocks
    for piece in range(pieces):
        out[:, piece : piece + count] += padded[..., piece * HOP : (piece + 1) * HOP].transpose(1, 0, 2)
    return np.ascontiguousarray(out.reshape(2, -1)[:, HOP : HOP + length])


def pan(mono: Samples, azimuth: ArrayLike, elevation: ArrayLike = 0.0, hrtf: Hrtf | None = None) -> Samples:
    """Anechoic binaural sound of a mono source that moves around the head.

    Args:
        mono: `(T,)` at 44.1 kHz.
        azimuth: radians, positive to the left; one value, or a trajectory `(P,)` spread evenly over the whole sound
            (its first value holds at the first sample, its last at the last), of any rate. Between its values the
            angle is interpolated the shorter way round.
        elevation: radians, positive upwards; one value or a trajectory `(Q,)` as above.
        hrtf: the head; MIT KEMAR by default.

    Returns:
        `(2, T)` float32. Level and distance are left alone: a source in front has about the level of `mono`.
    """
    head = hrtf or load_kemar()
    position = block_times(mono.shape[-1]) * SAMPLE_RATE / max(mono.shape[-1] - 1, 1)
    around = np.unwrap(np.atleast_1d(np.asarray(azimuth, dtype=np.float64)))
    up = np.atleast_1d(np.asarray(elevation, dtype=np.float64))
    vectors = unit_vector(_spread(around, position), _spread(up, position))
    return spatialize(np.asarray(mono, dtype=np.float32), head.nearest(vectors), head)


def _spread(values: Array, position: Array) -> Array:
    """Values spread evenly over [0, 1], interpolated at `position`."""
    return np.asarray(np.interp(position, np.linspace(0, 1, len(values)), values))
