"""Spectra of mono sound and of both ears in units of the mono sound, and what the network is told of places."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.models.foleyspace.config import FFT, FURTHEST, HOP, NEAREST, USUAL

FLOOR = 1e-3  # of the loudest bin: quieter ones count as this loud
PASTS = (8, 32)  # frames
PLACE = 3 + 9 + 1 + 6 * 2  # numbers about a place


class Unit(NamedTuple):
    """A mono spectrum `(B, 2, F, T)` in units of `size` `(B, 1, F, T)`, the magnitude around each bin.

    `falls` `(B, 2, F, T)` is how far each size lies below the largest of its past, as `falls_of` says.
    """

    parts: Tensor
    size: Tensor
    falls: Tensor


def spectrum(sound: Tensor) -> Tensor:
    """`(B, N)` to real and imaginary parts `(B, 2, 513, 1 + N // 256)`."""
    window = torch.hann_window(FFT, device=sound.device)
    transform = torch.stft(sound, FFT, HOP, window=window, pad_mode="constant", return_complex=True)
    return torch.view_as_real(transform).movedim(-1, 1)


def sound_of(parts: Tensor, length: int) -> Tensor:
    """Turn spectra into sound.

    Args:
        parts: `(B, 2, 513, T)`, real and imaginary part.
        length: of the sound, samples.

    Returns:
        `(B, length)` at 44.1 kHz.
    """
    window = torch.hann_window(FFT, device=parts.device)
    return torch.istft(torch.complex(parts[:, 0], parts[:, 1]), FFT, HOP, window=window, length=length)


def unit_of(mono: Tensor) -> Unit:
    """A mono spectrum `(B, 2, F, T)` and what it and the ears' spectra are divided by."""
    power = mono.square().sum(1, keepdim=True)
    around = functional.avg_pool2d(power, 3, 1, 1).sqrt()
    loudest = around.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
    size = around + FLOOR * loudest
    return Unit(mono / size, size, falls_of(size))


def falls_of(size: Tensor) -> Tensor:
    """How far each magnitude has fallen from the largest of its recent past.

    Args:
        size: `(B, 1, F, T)`, above 0.

    Returns:
        `(B, 2, F, T)`: of the last 46 ms, and of the last 186 ms; 0 at a new peak, -1 at a tenth of it.
    """
    logarithm = size.log10()
    peaks = [functional.max_pool2d(functional.pad(logarithm, (past - 1, 0), value=-math.inf), (1, past), 1)
             for past in PASTS]  # fmt: skip
    return logarithm - torch.cat(peaks, 1)


def place_features(positions: Tensor) -> Tensor:
    """What the network is told of places `(..., 3)` in metres, x ahead, y left, z up: `(..., PLACE)`.

    The direction, its products, the logarithm of the distance, and waves of the azimuth up to the sixth.
    """
    distance = positions.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    unit = positions / distance
    products = (unit[..., :, None] * unit[..., None, :]).flatten(-2)
    far = torch.log2(distance.clamp(NEAREST, FURTHEST) / USUAL)
    azimuth = torch.atan2(unit[..., 1], unit[..., 0])[..., None] * torch.arange(1, 7, device=positions.device)
    return torch.cat([unit, products, far, azimuth.sin(), azimuth.cos()], -1)
