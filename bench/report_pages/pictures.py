"""A sound as a picture: the spectrograms and waveforms of both ears, in grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from visaudio_bench.suites.media import Frame, Samples

WIDTH, SPECTRUM_ROWS, WAVE_ROWS = 640, 72, 24
WINDOW = 1024
LOWEST, HIGHEST = 60.0, 16000.0  # Hz, of the frequency axis, which is logarithmic
RANGE_DB = 70.0
SHADES = 32  # fewer than an eye tells apart in such a picture, and half of the bytes


def spectra(samples: Samples, sample_rate: int) -> NDArray[np.float32]:
    """Levels over frequency and time, as they are drawn.

    Args:
        samples: `(2, N)`.
        sample_rate: Hz.

    Returns:
        `(2, SPECTRUM_ROWS, WIDTH)` dB, the highest frequency first.
    """
    padded = np.pad(samples, ((0, 0), (WINDOW // 2, WINDOW // 2)))
    starts = np.linspace(0, samples.shape[1] - 1, WIDTH).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, starts]
    spectrum = rfft(frames * np.hanning(WINDOW).astype(np.float32))
    power = np.ascontiguousarray((spectrum.real**2 + spectrum.imag**2).transpose(0, 2, 1))
    edges = np.geomspace(LOWEST, HIGHEST, SPECTRUM_ROWS + 1) * WINDOW / sample_rate
    # Where a row is narrower than a bin it shows the bin that it lies in.
    low = np.minimum(edges[:-1].astype(int), power.shape[1] - 1)
    high = np.minimum(np.maximum(np.ceil(edges[1:]).astype(int), low + 1), power.shape[1])
    rows = [power[:, first:end].max(axis=1) for first, end in zip(low, high, strict=True)]
    levels: NDArray[np.float32] = 10 * np.log10(np.stack(rows[::-1], axis=1) + 1e-12)
    return levels


def picture(samples: Samples, levels: NDArray[np.float32], loudest: float, peak: float) -> Frame:
    """Draw both ears: spectrogram and waveform of the left one, below it the right one mirrored.

    Args:
        samples: `(2, N)`.
        levels: as `spectra` says.
        loudest: dB, drawn black; what is `RANGE_DB` below it is white.
        peak: sample value that fills the height of a waveform.

    Returns:
        `(H, WIDTH)` uint8, white where nothing is.
    """
    shades = np.clip((loudest - levels) / RANGE_DB, 0, 1)
    grey = (np.rint(shades * (SHADES - 1)) * (255 / (SHADES - 1))).astype(np.uint8)
    waves = [_wave(ear, peak) for ear in samples]
    return np.concatenate([grey[0], waves[0], waves[1], grey[1]])


def _wave(ear: NDArray[np.float32], peak: float) -> Frame:
    bounds = np.linspace(0, len(ear), WIDTH + 1).astype(int)[:-1]
    highest, lowest = np.maximum.reduceat(ear, bounds), np.minimum.reduceat(ear, bounds)
    middle, scale = (WAVE_ROWS - 1) / 2, (WAVE_ROWS - 1) / 2 / max(peak, 1e-6)
    rows = np.arange(WAVE_ROWS)[:, None]
    inside = (rows >= np.floor(middle - highest * scale)) & (rows <= np.ceil(middle - lowest * scale))
    return np.where(inside, np.uint8(66), np.uint8(255))


def thumbnail(frame: Frame, width: int = 160) -> Frame:
    """Make a picture smaller by a whole factor.

    Args:
        frame: `(H, W, 3)` uint8.
        width: of the small one, at most.

    Returns:
        `(H, W, 3)` uint8, each pixel the mean of a square.
    """
    factor = max(1, -(-frame.shape[1] // width))
    height, wide = (size // factor for size in frame.shape[:2])
    squares = frame[: height * factor, : wide * factor].reshape(height, factor, wide, factor, 3)
    return np.asarray(squares.mean(axis=(1, 3)), np.uint8)
