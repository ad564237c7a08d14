"""Conditional flow matching (Eqs. 1-4): straight paths from noise to sound, one time for both ears.

Shapes are `(B, 2, n, C)` for ViSAudio and `(B, n, C)` for MMAudio; t is `(B,)`, 0 is noise and 1 is data.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.network import FlowNetwork

TimeDistribution = Literal["logit_normal", "uniform"]


def sample_times(
    count: int,
    generator: torch.Generator | None = None,
    *,
    distribution: TimeDistribution = "logit_normal",
    mean: float = 0.0,
    scale: float = 1.0,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw times to train at.

    MMAudio was trained with `sigmoid(N(mean, scale))`, which this project fine-tunes with; the paper's Section 4.1 says
    uniform.

    Args:
        count: how many.
        generator: of the device; None for torch's own.
        distribution: `logit_normal` or `uniform`.
        mean: of the normal.
        scale: of the normal.
        device: where to draw.

    Returns:
        `(count,)` in (0, 1).

    Raises:
        ValueError: another distribution.
    """
    if distribution == "uniform":
        return torch.rand(count, generator=generator, device=device)
    if distribution != "logit_normal":
        raise ValueError(f'times are "logit_normal" or "uniform", got "{distribution}"')
    return torch.sigmoid(torch.randn(count, generator=generator, device=device) * scale + mean)


def interpolate(noise: Tensor, data: Tensor, t: Tensor, min_sigma: float = 0.0) -> Tensor:
    """Compute the point at time t of the path from noise to data (Eq. 2).

    Args:
        noise: `(B, ...)`.
        data: likewise.
        t: `(B,)` in [0, 1].
        min_sigma: how much of the noise is left at its end.

    Returns:
        `(B, ...)`.
    """
    t = t.reshape(-1, *(1,) * (data.ndim - 1))
    return (1 - (1 - min_sigma) * t) * noise + t * data


def velocity_target(noise: Tensor, data: Tensor, min_sigma: float = 0.0) -> Tensor:
    """Compute the velocity of that path, the same at all times.

    Args:
        noise: `(B, ...)`.
        data: likewise.
        min_sigma: how much of the noise is left at its end.

    Returns:
        `(B, ...)`.
    """
    return data - (1 - min_sigma) * noise


def squared_errors(velocity: Tensor, target: Tensor) -> Tensor:
    """Average the squared difference over frames and channels.

    Args:
        velocity: as predicted, `(B, 2, n, C)`, for MMAudio `(B, n, C)`.
        target: likewise.

    Returns:
        `(B, 2)`, for MMAudio `(B,)`, in float32.
    """
    return (velocity.float() - target.float()).square().mean(dim=(-2, -1))


def total_loss(errors: Tensor) -> Tensor:
    """Eq. 4: the sum over the ears of the means over the batch."""
    return errors.mean(0).sum()


def flow_matching_errors(
    network: FlowNetwork, data: Tensor, noise: Tensor, t: Tensor, conditions: Conditions, min_sigma: float = 0.0
) -> Tensor:
    """Compute `squared_errors` of what the network says at time t, for `total_loss` and for records by ear and time.

    Args:
        network: called as it is, so that a compiled or parallel wrapper may stand in for it.
        data: normalised latents.
        noise: of the same shape, independent for each ear.
        t: `(B,)`.
        conditions: after `FlowNetwork.drop`.
        min_sigma: 0 in MMAudio and here.

    Returns:
        `(B, 2)`, for MMAudio `(B,)`, in float32.
    """
    velocity = network(interpolate(noise, data, t, min_sigma), t, conditions)
    return squared_errors(velocity, velocity_target(noise, data, min_sigma))
