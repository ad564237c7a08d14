"""A codec without weights: band levels and the differences between the ears, heard as filtered noise.

A latent token stands for 1024 samples (23 ms) and has 40 values for each ear: the levels of 32 mel-spaced bands, which
both ears share, then how much louder this ear is than the other in 7 wide bands and how much earlier it hears the
sound. It is the parametric description of a scene by a mono sound and its interaural cues (binaural cue coding:
Faller and Baumgarte 2003); decoding gives noise the levels, the differences and the delay. Rhythm, loudness, colour and
direction survive, pitch and voices do not.

Exchanging the ears exchanges their latents (rounding may move a lead by one step of 6 µs), equal ears have equal
latents, and equal latents give equal ears.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.models.visaudio.config import LATENT_HOP

LEVELS, DIFFERENCES = 32, 7
_FFT, _HOP = 2048, 512
_FRAMES = LATENT_HOP // _HOP  # spectra a token
_EDGE = (_FFT - _HOP) // 2  # so that the first spectrum is centred on the first hop
_LOWEST, _HIGHEST = 50.0, 16000.0
_FLOOR = 1e-12  # of power in a band: -120 dB below a full-scale sine
_QUIET = 1e-8  # power that is added to both ears before they are compared: silence comes from the front
_DIFFERENCE_LOW = 300.0
# Interaural cues are means over 0.4 s of power, as a listener's are: between two sounds the last direction holds.
_MEMORY = 17
_LEAD_LOW, _LEAD_HIGH = 100.0, 1500.0
_LONGEST_LEAD = 1e-3
# Latent units: a difference of 20 dB and a lead of 0.7 ms are 1.
_LEVEL_UNIT, _DIFFERENCE_UNIT, _LEAD_UNIT = 20.0, 20.0, 7e-4


class _Plan(NamedTuple):
    window: Tensor  # (2048,)
    bands: Tensor  # (1025, 32), each column sums to one
    envelope: Tensor  # (32, 1025), interpolates levels between band centres
    wide: Tensor  # (1025, 7)
    spread: Tensor  # (7, 1025)
    phase: Tensor  # (2, bins below the lead's highest, lags): cosine and sine
    lags: Tensor  # (lags,) s
    frequency: Tensor  # (1025,) Hz


class NoiseVocoder:
    """The codec of `tiny`."""

    name = "noise-vocoder"
    latent_dim = LEVELS + DIFFERENCES + 1

    def __init__(self) -> None:
        self.identity = {"codec": self.name, "version": "1"}

    def encode(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (all zero: nothing is drawn) of the latents of a sound.

        Args:
            sound: `(B, E, T)` float32 at 44.1 kHz, left first; padded with zeros to whole tokens. E is 1 or 2; one
                channel is what both ears hear.

        Returns:
            Two tensors `(B, E, ceil(T / 1024), 40)`.
        """
        ears = sound.shape[1]
        sound = sound.expand(-1, 2, -1)
        plan = _plan(sound.device)
        spectra = _analyse(sound, plan)
        power = _by_token(spectra.abs().square())
        levels = 10 * torch.log10(power.mean(1) @ plan.bands + _FLOOR) / _LEVEL_UNIT
        smooth = _smooth(power)
        level = torch.log10(smooth @ plan.wide + _QUIET)
        louder = level[:, 0] - level[:, 1]
        lead = _lead(spectra, plan)
        own = torch.cat([10 * louder / _DIFFERENCE_UNIT, lead[..., None] / _LEAD_UNIT], dim=-1)
        latent = torch.stack([torch.cat([levels, sign * own], dim=-1) for sign in (1, -1)], dim=1)
        return latent[:, :ears], torch.zeros_like(latent[:, :ears])

    def decode(self, latent: Tensor) -> Tensor:
        """Sound `(B, E, 1024 n)` of latents `(B, E, n, 40)`; the ears' band levels are averaged.

        The noise is the same in every clip, so that nothing but the latents decides.
        """
        plan = _plan(latent.device)
        levels = latent[..., :LEVELS].mean(1)
        own = (latent[:, 0, :, LEVELS:] - latent[:, -1, :, LEVELS:]) / 2
        power = _to_frames(10 ** (_LEVEL_UNIT * (levels @ plan.envelope).clamp(-6, 1) / 10))
        ratio = 10 ** (_DIFFERENCE_UNIT * (own[..., :DIFFERENCES] @ plan.spread).clamp(-1.5, 1.5) / 10)
        left = _to_frames(ratio / (1 + ratio))
        lead = _to_frames(_LEAD_UNIT * own[..., DIFFERENCES:])
        turn = torch.polar(torch.ones_like(power), math.pi * lead.clamp(-_LONGEST_LEAD, _LONGEST_LEAD) * plan.frequency)
        carrier = _noise(power.shape[1], latent.device) * power.sqrt()
        ears = torch.stack([carrier * (2 * left).sqrt() * turn, carrier * (2 - 2 * left).sqrt() * turn.conj()], dim=1)
        return _synthesise(ears[:, : latent.shape[1]], plan)


@lru_cache(maxsize=4)
def _plan(device: torch.device) -> _Plan:
    frequency = np.arange(_FFT // 2 + 1) * SAMPLE_RATE / _FFT
    lead = (frequency >= _LEAD_LOW) & (frequency < _LEAD_HIGH)
    reach = round(4 * SAMPLE_RATE * _LONGEST_LEAD)
    lags = np.arange(-reach, reach + 1) / (4 * SAMPLE_RATE)
    bands, envelope = _triangles(frequency, LEVELS, _LOWEST)
    wide, spread = _triangles(frequency, DIFFERENCES, _DIFFERENCE_LOW)
    # Where the left ear leads by d, L conj(R) is turned by +2 pi f d.
    turn = 2 * np.pi * frequency[: lead.nonzero()[0][-1] + 1, None] * lags
    phase = np.stack([np.cos(turn), np.sin(turn)]) * lead[: len(turn), None]

    def tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
        return torch.as_tensor(array.astype(np.float32), device=device)

    rest = (tensor(array) for array in (bands, envelope, wide, spread, phase, lags, frequency))
    return _Plan(torch.hann_window(_FFT, device=device), *rest)


def _triangles(
    frequency: np.ndarray[tuple[int, ...], np.dtype[np.float64]], count: int, low: float
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Averages over mel-spaced triangles `(bins, count)`, and linear interpolation back `(count, bins)`."""
    mel = 2595 * np.log10(1 + frequency / 700)
    centres = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + _HIGHEST / 700), count)
    interpolation = np.stack([np.interp(mel, centres, row) for row in np.eye(count)])
    # Below the first and above the last centre a band holds on; its average must not.
    inside = interpolation * ((mel >= 2 * centres[0] - centres[1]) & (mel <= centres[-1]))
    # The narrowest bands of the lowest frequencies may fall between two bins.
    nearest = np.abs(mel[None] - centres[:, None]).argmin(axis=1)
    inside[np.arange(count), nearest] = np.maximum(inside[np.arange(count), nearest], 1e-3)
    return (inside / inside.sum(axis=1, keepdims=True)).T, interpolation


def _analyse(sound: Tensor, plan: _Plan) -> Tensor:
    """Spectra `(B, 2, 2 n, 1025)` of `(B, 2, T)`; a full-scale sine has power 1 in its bin."""
    missing = -sound.shape[-1] % LATENT_HOP
    padded = functional.pad(sound, (_EDGE, _EDGE + missing))
    spectra: Tensor = torch.fft.rfft(padded.unfold(-1, _FFT, _HOP) * plan.window)
    return spectra * (2 / plan.window.sum())


def _synthesise(spectra: Tensor, plan: _Plan) -> Tensor:
    frames = torch.fft.irfft(spectra * (plan.window.sum() / 2), _FFT) * plan.window
    flat = frames.flatten(0, 1).transpose(1, 2)
    length = (spectra.shape[2] - 1) * _HOP + _FFT
    summed = functional.fold(flat, (1, length), (1, _FFT), stride=(1, _HOP))[:, 0, 0]
    # Squared Hann windows a quarter apart add up to 1.5.
    return summed[:, _EDGE:-_EDGE].reshape(*spectra.shape[:2], -1) / 1.5


def _by_token(frames: Tensor) -> Tensor:
    """Mean over the spectra of each token, `(B, E, 2 n, F)` to `(B, E, n, F)`."""
    return (frames[:, :, ::_FRAMES] + frames[:, :, 1::_FRAMES]) / _FRAMES


def _to_frames(tokens: Tensor) -> Tensor:
    """`(B, n, F)` to `(B, 2 n, F)`, interpolated."""
    return functional.interpolate(tokens.transpose(1, 2), scale_factor=float(_FRAMES), mode="linear").transpose(1, 2)


def _smooth(tokens: Tensor) -> Tensor:
    """Moving mean over `(B, E, n, F)` with a Hann window of `_MEMORY` tokens."""
    kernel = torch.hann_window(_MEMORY + 2, periodic=False, device=tokens.device)[1:-1].to(tokens.dtype)
    rows = tokens.transpose(2, 3).reshape(-1, 1, tokens.shape[2])
    smooth = functional.conv1d(rows, (kernel / kernel.sum())[None, None], padding=_MEMORY // 2)
    return smooth.reshape(*tokens.shape[:2], tokens.shape[3], -1).transpose(2, 3)


def _lead(spectra: Tensor, plan: _Plan) -> Tensor:
    """How much earlier the left ear hears, `(B, n)` s: the peak of the smoothed, whitened cross-correlation."""
    count = plan.phase.shape[1]
    cross = spectra[:, 0, :, :count] * spectra[:, 1, :, :count].conj()
    both = _smooth(_by_token(torch.stack([cross.real, cross.imag], dim=1)))
    white = both / (both.square().sum(1, keepdim=True).sqrt() + _QUIET * 1e-4)
    correlation = white[:, 0] @ plan.phase[0] + white[:, 1] @ plan.phase[1]
    # Silence and equal ears have their highest value at no delay at all, but for rounding.
    correlation[..., len(plan.lags) // 2] += 1e-4 * count
    return plan.lags[correlation.argmax(-1)]


@lru_cache(maxsize=4)
def _noise(frames: int, device: torch.device) -> Tensor:
    """Spectra `(frames, 1025)` of white noise, of mean power 1, always the same."""
    length = (frames - 1) * _HOP + _FFT
    samples = torch.randn(length, generator=torch.Generator().manual_seed(0)).to(device)
    spectra: Tensor = torch.fft.rfft(samples.unfold(-1, _FFT, _HOP) * _plan(device).window)
    return spectra / math.sqrt(float(_plan(device).window.square().sum()))
