"""Pitch, onsets, spectra and width of sounds beside their references: what the figures of the built-in model are of."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]
RATE = 44100
FRAME, HOP = 2048, 1024
QUIETEST = -35.0  # dB below the loudest frame: below, a frame counts as silent
CLEAR = 0.75  # of a frame's power that must repeat for it to have a pitch


def pitches(sound: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Pitch in Hz of every frame of a mono sound, and whether it is clear: McLeod's normalised square difference."""
    padded = np.pad(sound, (FRAME // 2, FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][: -(-len(sound) // HOP)]
    spectrum = np.fft.rfft(frames, 2 * FRAME)
    again = np.fft.irfft(np.abs(spectrum) ** 2)[:, : FRAME // 2]
    squares = np.pad(np.cumsum(frames**2, axis=1), ((0, 0), (1, 0)))
    lags = np.arange(FRAME // 2)
    energy = squares[:, FRAME - lags] + squares[:, -1:] - squares[:, lags]
    alike = 2 * again / np.maximum(energy, 1e-12)
    inner = alike[:, 1:-1]
    peaks = (inner >= alike[:, :-2]) & (inner > alike[:, 2:])
    peaks[:, :7] = False
    strength = np.where(peaks, inner, 0.0)
    best = strength.max(axis=1, keepdims=True)
    lag = 1 + (strength >= 0.9 * np.maximum(best, 1e-9)).argmax(axis=1)
    rows = np.arange(len(lag))
    before, at, after = alike[rows, lag - 1], alike[rows, lag], alike[rows, np.minimum(lag + 1, len(lags) - 1)]
    fine = lag + np.clip(0.5 * (before - after) / np.minimum(before - 2 * at + after, -1e-9), -0.5, 0.5)
    level = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    return RATE / fine, (best[:, 0] > CLEAR) & (level > level.max() + QUIETEST)


def pitch_kept(made: Array, reference: Array) -> tuple[int, int]:
    """How many of the reference's clear pitches (mono sounds) are within half a semitone, and how many there are."""
    hertz, clear = pitches(reference)
    other, _ = pitches(made)
    within = np.abs(12 * np.log2(other / hertz)) < 0.5
    return int((within & clear).sum()), int(clear.sum())


def mel_levels(sound: Array, bands: int = 80) -> Array:
    """Levels `(frames, bands)` in dB of mel-spaced bands of a mono sound."""
    spectra = torch.stft(
        torch.from_numpy(np.ascontiguousarray(sound)).float(), FRAME, 512, window=torch.hann_window(FRAME),
        return_complex=True,
    ).abs().square().T.numpy()  # fmt: skip
    frequency = np.arange(spectra.shape[1]) * RATE / FRAME
    mel = 2595 * np.log10(1 + frequency / 700)
    edges = np.linspace(2595 * np.log10(1 + 50 / 700), 2595 * np.log10(1 + 16000 / 700), bands + 2)
    up = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.clip(np.minimum(up, down), 0, None)
    return np.asarray(10 * np.log10(spectra @ weights + 1e-7))


def mel_distance(made: Array, reference: Array) -> float:
    """Mean difference of mel levels in dB."""
    return float(np.abs(mel_levels(made) - mel_levels(reference)).mean())


def onset_times(sound: Array) -> Array:
    """Seconds at which a mono sound begins something: peaks of the mean rise of its mel levels."""
    levels = mel_levels(sound, 40)
    levels = np.maximum(levels, levels.max() - 60)
    # a rise over two frames, 23 ms, so that one that falls between two of them counts whole
    rise = np.pad(np.maximum(levels[2:] - levels[:-2], 0).mean(axis=1), (1, 1))
    window = np.lib.stride_tricks.sliding_window_view(np.pad(rise, 6), 13)
    peaks = np.flatnonzero((rise >= window.max(axis=1)) & (rise > np.maximum(2.0, 0.2 * rise.max())))
    return np.asarray(peaks * 512 / RATE)


def matched(said: Array, true: Array, within: float = 0.1) -> int:
    """How many true times have a said one within some seconds, each said one counting once."""
    left = sorted(said.tolist())
    count = 0
    for time in sorted(true.tolist()):
        near = [one for one in left if abs(one - time) <= within]
        if near:
            left.remove(near[0])
            count += 1
    return count


def energy_rise(sound: Array, onsets: Array) -> float:
    """Mean power in the 0.1 s after the onsets, as a multiple of the clip's mean power: 1 for what does not care."""
    power, after = (sound**2).mean(), [sound[int(t * RATE) : int((t + 0.1) * RATE)] for t in onsets]
    return float(np.mean([(part**2).mean() for part in after if len(part)]) / max(power, 1e-12))


def spectrum(sound: Array) -> Array:
    """Mel spectrum `(40,)` in dB of what sounds, without its level: of the frames in the loudest 20 dB."""
    levels = mel_levels(sound, 40)
    loudness = 10 * np.log10((10 ** (levels / 10)).sum(axis=1))
    mean = levels[loudness > loudness.max() - 20].mean(axis=0)
    mean = np.maximum(mean, mean.max() - 50)
    return np.asarray(mean - mean.mean())
