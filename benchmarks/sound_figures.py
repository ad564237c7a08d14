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
    level = 10 * np.log10(frames.astype(float).__pow__(2).mean(axis=1) + 1e-12)
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


def coherence(sound: Array) -> float:
    """Largest normalised cross-correlation of the ears within 1 ms, mean of half seconds weighted by energy."""
    block, values, weights = RATE // 2, [], []
    for start in range(0, sound.shape[1] - block + 1, block):
        left, right = sound[:, start : start + block]
        size = 2 * block
        cross = np.fft.irfft(np.fft.rfft(left, size) * np.conj(np.fft.rfft(right, size)))
        near = np.concatenate([cross[:45], cross[-44:]])
        energy = np.sqrt((left**2).sum() * (right**2).sum())
        values.append(near.max() / max(energy, 1e-12))
        weights.append(energy)
    return float(np.average(values, weights=np.maximum(weights, 1e-12)))
