"""Clips that are longer than what networks are trained with: overlapping windows whose flows are blended at every step.

The windows share one noise and one latent, of which each sees its own part together with its own part of the pictures.
Where they overlap, the velocity fades from one window's to the next one's, at each step of the sampler; so the windows
agree before there is any sound, and nothing has to be joined behind them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import LATENT_HOP, lengths
from visaudio_bench.models.visaudio.network import FlowNetwork
from visaudio_bench.models.visaudio.sampler import follow, guided_conditions, guided_velocity

WINDOW = 8.0  # s
LONGEST = 10.0  # s: up to this a clip is made as a whole, as MMAudio does
_OVERLAP = 2.0  # s, at least


def starts(duration: float) -> tuple[float, ...]:
    """Where the windows of a clip begin, in seconds: one at 0 for a clip that is made as a whole.

    They are equally far apart, overlap by at least two seconds, and the last one ends with the clip.
    """
    if duration <= LONGEST:
        return (0.0,)
    count = 1 + math.ceil((duration - WINDOW) / (WINDOW - _OVERLAP))
    return tuple(index * (duration - WINDOW) / (count - 1) for index in range(count))


@torch.no_grad()
def sample_long(
    network: FlowNetwork,
    windows: Conditions,
    noise: Tensor,
    duration: float,
    *,
    steps: int,
    guidance: float,
    negative: Conditions | None = None,
) -> Tensor:
    """`sampler.sample` of one long clip.

    Args:
        network: the flow.
        windows: conditions of the windows that begin at `starts(duration)`.
        noise: `(2, n, C)` or `(n, C)` of the whole clip.
        duration: of the clip, seconds.
        steps: Euler steps.
        guidance: strength of classifier-free guidance.
        negative: conditions of one window to steer away from; nothing when left out.

    Returns:
        Normalised latents, as `noise`.
    """
    size = lengths(WINDOW).latent
    firsts = first_frames(duration, noise.shape[-2], size)
    projected = guided_conditions(network, windows, size, guidance, negative)
    weights = shares(firsts, noise.shape[-2], size).to(noise)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        parts = torch.stack([x[..., first : first + size, :] for first in firsts])
        flows = guided_velocity(network, parts, t, projected, guidance)
        whole = torch.zeros_like(x)
        for first, weight, flow in zip(firsts, weights, flows, strict=True):
            whole[..., first : first + size, :] += weight[first : first + size, None] * flow
        return whole

    return follow(velocity, noise, steps)


def first_frames(duration: float, length: int, size: int) -> list[int]:
    """Find the latent frame that each window begins with.

    Args:
        duration: of the clip, seconds.
        length: of the clip, latent frames.
        size: of a window, latent frames.

    Returns:
        One frame a window; the last window ends with the clip's last frame.
    """
    return [min(round(start * SAMPLE_RATE / LATENT_HOP), length - size) for start in starts(duration)]


def shares(firsts: list[int], length: int, size: int) -> Tensor:
    """How much each window has to say of each frame.

    Args:
        firsts: the frame that each window begins with.
        length: of the clip, latent frames.
        size: of a window, latent frames.

    Returns:
        `(windows, length)`, which adds up to 1 in every frame; a share fades towards the ends of its window.
    """
    frames, first = torch.arange(length), torch.tensor(firsts)[:, None]
    # how far from the window's nearer end
    inside = torch.minimum(frames - first + 1, first + size - frames).clamp_min(0).float()
    return inside / inside.sum(0)
