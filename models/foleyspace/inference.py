"""Binaural sound of whole clips: spectra in pieces that overlap, diffused from noise of the clip's own."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from visaudio_bench.models.foleyspace.config import BINS, FURTHEST, NEAREST, STEPS, USUAL
from visaudio_bench.models.foleyspace.network import EARS, SpatialDiffusion, diffuse
from visaudio_bench.models.foleyspace.spectra import place_features, sound_of, spectrum, unit_of
from visaudio_bench.suites.simulator.hrtf import Array, Samples

# Frames at once: a bound on memory; a correction sees a few frames to either side only.
PIECE, MARGIN = 512, 8


def binauralise(
    network: SpatialDiffusion, mono: Tensor, positions: Tensor, generator: torch.Generator, *, steps: int = STEPS
) -> Tensor:
    """Make the sound of two ears from a mono sound and the way of its source.

    Args:
        network: on any device.
        mono: `(N,)` at 44.1 kHz, with the levels that its path gives it (`louder_near`).
        positions: `(P, 3)` metres around the head, x ahead, y left, z up, spread evenly over the sound.
        generator: of the noise, on the CPU.
        steps: of the diffusion.

    Returns:
        `(2, N)` at 44.1 kHz, left first.
    """
    device = next(network.parameters()).device
    unit = unit_of(spectrum(mono[None].to(device)))
    frames = unit.parts.shape[-1]
    places = place_features(spread(positions.float(), frames))[None].to(device)
    noise = torch.randn(1, EARS, BINS, frames, generator=generator).to(device)
    made = torch.empty_like(noise)
    for first in range(0, frames, PIECE):
        begin, end = max(0, first - MARGIN), min(frames, first + PIECE + MARGIN)
        noisy, mono_parts, falls = (whole[..., begin:end] for whole in (noise, unit.parts, unit.falls))
        piece = diffuse(network, noisy, mono_parts, places[:, begin:end], falls, steps)
        last = min(frames, first + PIECE)
        made[..., first:last] = piece[..., first - begin : last - begin]
    ears = (made * unit.size).reshape(2, 2, BINS, frames)
    return sound_of(ears, len(mono))


def louder_near(mono: Samples, positions: Array) -> Samples:
    """Give a mono sound the levels of a path: 6 dB softer twice as far away.

    Args:
        mono: `(N,)`.
        positions: `(P, 3)` metres around the head, spread evenly over the sound.

    Returns:
        `(N,)`.
    """
    gain = USUAL / np.clip(np.linalg.norm(positions, axis=1), NEAREST, FURTHEST)
    over = np.interp(np.linspace(0, 1, len(mono)), np.linspace(0, 1, len(gain)), gain)
    return np.asarray(mono * over, dtype=np.float32)


def at_usual_distance(positions: Array) -> NDArray[np.float64]:
    """A path `(P, 3)` whose distance in the median is the one at which levels are left alone."""
    return np.asarray(positions * (USUAL / np.median(np.linalg.norm(positions, axis=1))), dtype=np.float64)


def spread(positions: Tensor, count: int) -> Tensor:
    """Spread the places of a path over instants, on straight lines between them.

    Args:
        positions: `(P, 3)`.
        count: how many instants, from the first place to the last.

    Returns:
        `(count, 3)`.
    """
    if len(positions) == 1:
        return positions.expand(count, 3)
    return functional.interpolate(positions.T[None], size=count, mode="linear", align_corners=True)[0].T
