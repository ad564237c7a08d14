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
from visaudio_bench.models.visaudio.settings import WINDOW

OVERLAP = 0.25  # of a window, at least: two seconds of eight


def is_whole(duration: float, window: float = WINDOW) -> bool:
    """Say whether a clip is made as a whole: up to 10 s by a network that was trained with 8 s, as MMAudio does.

    Args:
        duration: of the clip, seconds.
        window: seconds of the clips that the network was trained with.

    Returns:
        Whether one window is enough.
    """
    return duration <= (1 + OVERLAP) * window


def starts(duration: float, window: float = WINDOW) -> tuple[float, ...]:
    """Where the windows of a clip begin: one at 0 for a clip that is made as a whole.

    They are equally far apart, overlap by at least a quarter, and the last one ends with the clip.

    Args:
        duration: of the clip, seconds.
        window: seconds of one.

    Returns:
        Times in seconds.
    """
    if is_whole(duration, window):
        return (0.0,)
    count = 1 + math.ceil((duration - window) / ((1 - OVERLAP) * window))
    return tuple(index * (duration - window) / (count - 1) for index in range(count))


@torch.no_grad()
def sample_long(
    network: FlowNetwork,
    windows: Conditions,
    noise: Tensor,
    duration: float,
    *,
    steps: int,
    guidance: float | Tensor,
    negative: Conditions | None = None,
    window: float = WINDOW,
) -> Tensor:
    """`sampler.sample` of one long clip.

    Args:
        network: the flow.
        windows: conditions of the windows that begin at `starts(duration, window)`.
        noise: `(2, n, C)` or `(n, C)` of the whole clip.
        duration: of the clip, seconds.
        steps: Euler steps.
        guidance: strength of classifier-free guidance, of all channels or `(C,)` of each.
        negative: conditions of one window to steer away from; nothing when left out.
        window: seconds of one.

    Returns:
        Normalised latents, as `noise`.
    """
    size = lengths(window).latent
    firsts = first_frames(duration, noise.shape[-2], window)
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


def first_frames(duration: float, length: int, window: float = WINDOW) -> list[int]:
    """Find the latent frame that each window begins with.

    Args:
        duration: of the clip, seconds.
        length: of the clip, latent frames.
        window: seconds of one.

    Returns:
        One frame a window; the last window ends with the clip's last frame.
    """
    last = length - lengths(window).latent
    return [min(round(start * SAMPLE_RATE / LATENT_HOP), last) for start in starts(duration, window)]


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
