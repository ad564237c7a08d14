"""Pitch, and how much of a sound follows it: found in power spectra, and heard as a train of pulses.

A train of pulses has all the harmonics of its pitch in one phase, as plucked strings, voices and whistles have them,
and nothing between them. It sounds for what repeats; the rest is noise.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.conventions import SAMPLE_RATE

LOWEST, HIGHEST = 60.0, 5500.0  # Hz
_FINER = 4  # lags a sample
_AUDIBLE = 16_000.0  # Hz: the highest harmonic
_REPEATS = 0.5  # of its power: what repeats less has no pitch
_FIRST_PEAK = 0.88  # of the strongest: the shortest of periods that are nearly as good is meant
UNHEARD = 220.0  # Hz, of a sound without any pitch


def pitch_of(power: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """Pitch of each spectrum, and whether it has one.

    Args:
        power: spectra `(B, n, F)` of windowed frames.
        window: theirs, `(2 F - 2,)`.

    Returns:
        Hz and whether true, `(B, n)` each; where there is none, the pitch runs from that before to that after.
    """
    again = _autocorrelation(power, window)
    shortest = round(_FINER * SAMPLE_RATE / HIGHEST)
    inner = again[..., 1:-1]
    peaks = (inner >= again[..., :-2]) & (inner > again[..., 2:])
    peaks[..., : shortest - 1] = False
    strength = torch.where(peaks, inner, torch.zeros_like(inner))
    best = strength.amax(-1, keepdim=True)
    first = (strength >= _FIRST_PEAK * best.clamp_min(1e-6)).float().argmax(-1)
    lag = 1 + first + _offset(again, first)
    pitched = (best[..., 0] > _REPEATS) & (lag > shortest)
    return _through_gaps(_FINER * SAMPLE_RATE / lag, pitched), pitched


def repeating(power: Tensor, pitch: Tensor, bands: Tensor, window: Tensor, frequency: Tensor) -> Tensor:
    """Which part of the power of each band repeats with the pitch.

    Args:
        power: spectra `(B, n, F)`.
        pitch: `(B, n)` Hz.
        bands: averages `(F, bands)`.
        window: of the spectra's frames.
        frequency: `(F,)` Hz.

    Returns:
        `(B, n, bands)` in [0, 1].
    """
    turning = torch.cos(2 * math.pi * frequency / pitch[..., None])
    again = (power * turning) @ bands / (power @ bands).clamp_min(1e-20)
    own = _window_autocorrelation(window)
    at = (_FINER * SAMPLE_RATE / pitch).round().long().clamp_max(len(own) - 1)
    return (again / own[at][..., None]).clamp(0, 1)


def pulses(pitch: Tensor, length: int) -> Tensor:
    """A train of pulses `(B, length)`, whose spectrum has mean power 1 as that of white noise of `noise` has.

    Args:
        pitch: `(B, N)` Hz at equal distances over the length.
        length: samples.

    Returns:
        Samples; 0 between the pulses but for what a band limit leaves.
    """
    hertz = functional.interpolate(pitch[:, None], size=length, mode="linear")[:, 0].clamp(LOWEST, HIGHEST)
    # float64: a phase that has run for a minute must not have lost its fraction
    turns = (hertz.double() / SAMPLE_RATE).cumsum(-1)
    phase = (2 * math.pi * (turns - turns.floor())).float()
    highest = (_AUDIBLE / hertz).floor()
    half = torch.sin(phase / 2)
    near = half.abs() < 1e-4
    summed = torch.sin((highest + 0.5) * phase) / torch.where(near, torch.ones_like(half), 2 * half) - 0.5
    return torch.where(near, highest, summed) * (4 * hertz / SAMPLE_RATE).sqrt()


@lru_cache(maxsize=4)
def _window_autocorrelation(window: Tensor) -> Tensor:
    power = torch.fft.rfft(window, 2 * len(window)).abs().square()
    return _lags(torch.fft.irfft(power, 2 * _FINER * len(window)))


def _autocorrelation(power: Tensor, window: Tensor) -> Tensor:
    """At the lags of all pitches, 1 where a frame is the same again, whatever the window took away."""
    again = _lags(torch.fft.irfft(power, _FINER * len(window)))
    return again / again[..., :1].clamp_min(1e-20) / _window_autocorrelation(window)


def _lags(again: Tensor) -> Tensor:
    return again[..., : round(_FINER * SAMPLE_RATE / LOWEST) + 2] / again[..., :1].clamp_min(1e-20)


def _offset(again: Tensor, first: Tensor) -> Tensor:
    """Where between three neighbouring lags the peak lies, from -0.5 to 0.5."""
    before, at, after = (again.gather(-1, first[..., None] + step)[..., 0] for step in (0, 1, 2))
    bend = (before - 2 * at + after).clamp_max(-1e-9)
    return (0.5 * (before - after) / bend).clamp(-0.5, 0.5)


def _through_gaps(pitch: Tensor, pitched: Tensor) -> Tensor:
    """Pitch on a straight line (of its logarithm) from the last that has one to the next; before and after held."""
    count = pitch.shape[1]
    place = torch.arange(count, device=pitch.device).expand_as(pitch)
    last = torch.where(pitched, place, -1).cummax(1).values
    following = torch.where(pitched, place, count).flip(1).cummin(1).values.flip(1)
    never = (last < 0) & (following >= count)
    last, following = torch.where(last < 0, following, last), torch.where(following >= count, last, following)
    left, right = (pitch.log2().gather(1, side.clamp(0, count - 1)) for side in (last, following))
    share = (place - last) / (following - last).clamp_min(1)
    between = torch.exp2(left + share * (right - left))
    return torch.where(never, UNHEARD, between)
