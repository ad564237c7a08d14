"""Spectra of windows of sound, complex masks, and impulse responses with the time that they take to decay."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.models.geometry_aware.config import BINS, FFT, HOP, RESPONSE, RESPONSE_HOP, SAMPLE_RATE, WINDOW

LOUDNESS = 0.1  # RMS that each window is brought to
SILENCE = 1e-4
FAINT = 1e-4  # power below which a bin of a window brought to that RMS tells nothing
FIT_FROM, FIT_TO = -5.0, -35.0  # dB of the decay curve that its slope is fitted to
LONGEST = 5.0  # s


@lru_cache(maxsize=4)
def _window(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, device=device)


def spectrum(sound: Tensor) -> Tensor:
    """The short-time spectrum of `(..., T)` at 16 kHz: `(..., 2, 256, frames)`, real and imaginary parts."""
    flat = sound.reshape(-1, sound.shape[-1])
    transform = torch.stft(flat, FFT, HOP, WINDOW, _window(sound.device), pad_mode="reflect", return_complex=True)
    parts = torch.view_as_real(transform[:, :BINS]).permute(0, 3, 1, 2)
    return parts.reshape(*sound.shape[:-1], *parts.shape[1:])


def sound_of(parts: Tensor, length: int) -> Tensor:
    """Turn spectra into sound.

    Args:
        parts: `(..., 2, 256, frames)`, real and imaginary part.
        length: of the sound, samples.

    Returns:
        `(..., length)`.
    """
    flat = functional.pad(parts.reshape(-1, *parts.shape[-3:]), (0, 0, 0, 1))
    whole = torch.complex(flat[:, 0], flat[:, 1])
    made = torch.istft(whole, FFT, HOP, WINDOW, _window(parts.device), length=length)
    return made.reshape(*parts.shape[:-3], length)


def interaural(ears: Tensor) -> Tensor:
    """How the ears differ, as a network can take it in: levels on a logarithmic scale, and the difference of phases.

    Args:
        ears: `(B, 2, 2, 256, frames)`, spectra of left and right, real and imaginary parts.

    Returns:
        `(B, 4, 256, frames)`: the level of the left ear and of the right in units of 17 dB, and cosine and sine of the
        phase by which the left leads, both towards 0 where either ear is silent. With exchanged ears the levels are
        exchanged and the sine is negated.
    """
    power = ears.square().sum(2)
    levels = (power + FAINT).log() / 4
    (a, b), (c, d) = (ear.unbind(1) for ear in ears.unbind(1))
    turn = torch.stack([a * c + b * d, b * c - a * d], 1) / (power.prod(1, keepdim=True).sqrt() + FAINT)
    return torch.cat([levels, turn], 1)


def masked(mask: Tensor, parts: Tensor) -> Tensor:
    """Multiply a spectrum by a mask, as complex numbers.

    Args:
        mask: `(..., 2, 256, frames)`, real and imaginary part.
        parts: the spectrum, likewise.

    Returns:
        The product, likewise.
    """
    a, b = mask.unbind(-3)
    c, d = parts.unbind(-3)
    return torch.stack([a * c - b * d, a * d + b * c], dim=-3)


def loudness_gain(mono: Tensor) -> Tensor:
    """The gain `(..., 1)` that brings sounds `(..., T)` to the RMS that the network knows."""
    return LOUDNESS / mono.square().mean(-1, keepdim=True).sqrt().clamp_min(SILENCE)


def response_spectrum(response: Tensor) -> Tensor:
    """What a network is to predict of an impulse response `(2, N)` at 16 kHz, N at least 1.

    Magnitudes `(2, 64, 64)`: bands of four bins by frames of 16 ms, of a response whose energy is 1, times 10.
    """
    length = RESPONSE * RESPONSE_HOP
    cut = functional.pad(response[:, :length], (0, max(0, length - response.shape[1])))
    cut = 10 * cut / cut.square().sum().sqrt().clamp_min(1e-12)
    transform = torch.stft(
        cut, FFT, RESPONSE_HOP, FFT, torch.hann_window(FFT), pad_mode="constant", return_complex=True
    )
    power = transform[:, :BINS, :RESPONSE].abs().square()
    return power.reshape(2, RESPONSE, -1, power.shape[-1]).mean(2).sqrt()


def reverberation_time(energy: Tensor, seconds: float) -> Tensor:
    """Measure the time in which an impulse response decays by 60 dB.

    The decay curve is Schroeder's, the energy still to come; twice the time that a line fitted to it between -5 and -35
    dB takes for 30 dB (T30 of ISO 3382).

    Args:
        energy: `(..., N)` of successive pieces of the response, for example its squared samples.
        seconds: that one piece lasts.

    Returns:
        Seconds `(...)`, at most 5, which is also the answer for what does not decay.
    """
    left = energy.flip(-1).cumsum(-1).flip(-1)
    level = 10 * torch.log10(left / left[..., :1].clamp_min(1e-20) + 1e-12)
    chosen = ((level <= FIT_FROM) & (level >= FIT_TO)).to(level.dtype)
    count = chosen.sum(-1, keepdim=True).clamp_min(1)
    time = torch.arange(energy.shape[-1], device=energy.device, dtype=level.dtype) * seconds
    centred = (time - (chosen * time).sum(-1, keepdim=True) / count) * chosen
    slope = (centred * level).sum(-1) / centred.square().sum(-1).clamp_min(1e-12)
    return 60 / (-slope).clamp_min(60 / LONGEST)


def sample_rate_time(response: Tensor) -> Tensor:
    """The reverberation time of an impulse response `(..., N)` at 16 kHz."""
    return reverberation_time(response.square(), 1 / SAMPLE_RATE)


def magnitude_time(magnitudes: Tensor) -> Tensor:
    """The reverberation time of `response_spectrum`s `(..., 2, 64, 64)`, of both ears together."""
    return reverberation_time(magnitudes.square().sum((-3, -2)), RESPONSE_HOP / SAMPLE_RATE)
