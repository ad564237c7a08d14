"""Filters that turn first-order ambisonics into what two ears hear.

`omnitone`: the responses of Google's Omnitone, which the ViSAudio paper used to make BiAudio. First order squeezes
cues: they give at most 11 dB between the ears and time differences of at most 0.4 ms, where a head gives 0.7 ms.

`kemar`: made here from the MIT KEMAR responses that the simulated suites use, by magnitude least squares (Schörkhuber,
Zaunschirm and Höldrich, "Binaural rendering of ambisonic signals via magnitude least squares", DAGA 2018). Its level
differences are nearly those of the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
import scipy

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import UsageError
from visaudio_bench.registry import did_you_mean
from visaudio_bench.suites.simulator.hrtf import Array, Samples, load_kemar, unit_vector

DECODERS = ("omnitone", "kemar")

# Above it first order cannot follow the phases of a head: from there on magnitudes alone are fitted.
MAGNITUDE_ONLY = 2000.0  # Hz
FFT_SIZE = 1024
ONSET = 64  # samples that the filters are delayed, so that nothing of them lies before zero
FADE = 32


@dataclass(frozen=True)
class FoaDecoder:
    """A binaural decoder for a head that is alike left and right.

    Attributes:
        taps: `(4, K)` float32 responses of the left ear to W, Y, Z, X; the right ear's differ in the sign of Y.
        sample_rate: Hz, at which the convolution has to be done.
    """

    taps: Samples
    sample_rate: int


@cache
def load_decoder(name: str) -> FoaDecoder:
    """The decoder of that name (one of `DECODERS`); read or made once a process.

    Raises:
        UsageError: there is none of that name.
    """
    if name == "omnitone":
        return _omnitone()
    if name == "kemar":
        return FoaDecoder(_kemar_taps(), SAMPLE_RATE)
    raise UsageError(f'unknown decoder "{name}".{did_you_mean(name, DECODERS)} Known: {", ".join(DECODERS)}')


def _omnitone() -> FoaDecoder:
    with as_file(files("visaudio_bench.suites") / "assets" / "omnitone_foa_48k.npz") as path, np.load(path) as data:
        return FoaDecoder((data["taps"] / 32768).astype(np.float32), int(data["sample_rate"]))


def _kemar_taps() -> Samples:
    """`(4, FFT_SIZE / 2)` responses at 44.1 kHz whose sum over W, Y, Z, X comes nearest to the measured ones."""
    head = load_kemar()
    around = unit_vector(head.directions[:, 0], head.directions[:, 1])
    x, y, z = around.T
    harmonics = np.stack([np.ones_like(x), y, z, x])
    # Measured directions are crowded near the pole and missing below -40 degrees: each counts by its share of sphere.
    weighted = harmonics * scipy.spatial.SphericalVoronoi(around).calculate_areas()
    solve = np.linalg.solve(weighted @ harmonics.T, weighted)
    left = head.taps[:, 0].astype(np.float64)
    # The delay common to all is taken off first: above the limit phases stand still, as if there were none.
    ahead = int(np.abs(left[head.nearest(np.array([1.0, 0.0, 0.0]))]).argmax())
    wanted = scipy.fft.rfft(np.roll(np.pad(left, ((0, 0), (0, FFT_SIZE - left.shape[1]))), -ahead, axis=-1)).T
    frequency = scipy.fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE)
    fitted = np.zeros((len(frequency), 4), dtype=np.complex128)
    for index, measured in enumerate(wanted):
        if frequency[index] <= MAGNITUDE_ONLY:
            fitted[index] = solve @ measured
        else:
            phase = np.angle(fitted[index - 1] @ harmonics)
            fitted[index] = solve @ (np.abs(measured) * np.exp(1j * phase))
    return _settled(scipy.fft.irfft(fitted.T, FFT_SIZE))


def _settled(taps: Array) -> Samples:
    """Circular responses `(4, FFT_SIZE)` delayed by `ONSET` samples and faded at both ends of half their length."""
    kept = np.roll(taps, ONSET, axis=-1)[:, : FFT_SIZE // 2]
    ramp = np.sin(0.5 * np.pi * (np.arange(FADE) + 0.5) / FADE) ** 2
    kept[:, :FADE] *= ramp
    kept[:, -FADE:] *= ramp[::-1]
    return kept.astype(np.float32)
