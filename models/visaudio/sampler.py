"""From noise to latents: Euler steps along the flow, with classifier-free guidance."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from visaudio_bench.models.visaudio.codec_interface import Sampling
from visaudio_bench.models.visaudio.conditions import Conditions, Projected
from visaudio_bench.models.visaudio.config import Lengths
from visaudio_bench.models.visaudio.network import FlowNetwork
from visaudio_bench.models.visaudio.settings import GUIDANCE, STEPS

Progress = Callable[[int, int], None]
"""Called with the steps that are done and the steps that there are."""


def clip_noise(seed: int, clip: str, lengths: Lengths, channels: int, *, dual: bool = True) -> Tensor:
    """Draw the noise that a clip's sound begins with.

    It depends on seed and clip alone, not on what else is in the batch. MMAudio starts from the left ear's noise.

    Args:
        seed: of the run.
        clip: id of the clip.
        lengths: of its sequences.
        channels: of a latent.
        dual: whether there are two ears.

    Returns:
        `(2, n, C)` float32 on the CPU, or `(n, C)` for MMAudio.
    """
    digest = hashlib.sha256(f"{seed}/{clip}".encode()).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    noise = torch.randn(2, lengths.latent, channels, generator=generator)
    return noise if dual else noise[0]


def by_channel(sampling: Sampling | None, noise: Tensor, guidance: float) -> tuple[Tensor, float | Tensor]:
    """Noise and guidance as a codec's channels want them.

    Args:
        sampling: of the codec; None where all channels are alike.
        noise: `(..., C)` of deviation 1.
        guidance: that is asked for.

    Returns:
        What `sample` and `windows.sample_long` begin with, and what they are guided by.
    """
    if sampling is None:
        return noise, guidance
    return noise * sampling.noise.to(noise), sampling.strength(guidance).to(noise)


def guided_velocity(
    network: FlowNetwork, x: Tensor, t: Tensor, projected: Projected, guidance: float | Tensor
) -> Tensor:
    """Compute `s v(wanted) + (1 - s) v(unwanted)` with s the guidance, both in one batch of the network.

    Args:
        network: the flow.
        x: latents of B clips at time t.
        t: `()`.
        projected: conditions of the B clips, and behind them (`Projected.beside`) what each shall not sound like; the
            former alone for the conditional flow.
        guidance: of all channels, or `(C,)` of each; without effect on the conditional flow.

    Returns:
        The velocity, of the shape of `x`.
    """
    if len(projected.pooled) == len(x):
        return network.velocity(x, t.expand(len(x)), projected)
    wanted, unwanted = network.velocity(torch.cat([x, x]), t.expand(2 * len(x)), projected).chunk(2)
    return guidance * wanted + (1 - guidance) * unwanted


@torch.no_grad()
def sample(
    network: FlowNetwork,
    conditions: Conditions,
    noise: Tensor,
    *,
    steps: int = STEPS,
    guidance: float | Tensor = GUIDANCE,
    negative: Conditions | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Follow the flow from noise to latents.

    Each clip's result is its own: batches only share the work (a batch has clips of one duration, so there is no
    padding; rounding differs in the last digits between batch sizes).

    Args:
        network: the flow.
        conditions: of B clips.
        noise: `(B, 2, n, C)` or `(B, n, C)`, see `clip_noise`.
        steps: equal Euler steps from t = 0 to 1.
        guidance: strength, of all channels or `(C,)` of each; where none is above 1, the conditional flow is followed
            alone, at half the cost.
        negative: conditions to steer away from, of one clip or of B; nothing (`FlowNetwork.null`) when left out.
        progress: told after every step.

    Returns:
        Normalised latents of the clips, as `noise` in shape and type; `FlowNetwork.unnormalise` them for the codec.

    Raises:
        ValueError: there is no step.
    """
    if steps < 1:
        raise ValueError(f"at least one step is needed, got {steps}")
    projected = guided_conditions(network, conditions, noise.shape[-2], guidance, negative)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return guided_velocity(network, x, t, projected, guidance)

    return follow(velocity, noise, steps, progress)


def guided_conditions(
    network: FlowNetwork, conditions: Conditions, length: int, guidance: float | Tensor, negative: Conditions | None
) -> Projected:
    """Conditions as `guided_velocity` takes them.

    Args:
        network: the flow.
        conditions: of B clips.
        length: of the latents, frames.
        guidance: strength of classifier-free guidance, of all channels or `(C,)` of each.
        negative: conditions to steer away from, of one clip or of B; nothing when left out.

    Returns:
        The projected conditions; with guidance above 1, those that are not wanted stand behind them.
    """
    projected = network.project(conditions, length)
    if float(torch.as_tensor(guidance).max()) <= 1:
        return projected
    if negative is None:
        negative = network.null(1, _lengths(conditions, length))
    unwanted = network.project(negative, length)
    return projected.beside(unwanted.expand(len(projected.pooled)) if len(negative) == 1 else unwanted)


def follow(
    velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int, progress: Progress | None = None
) -> Tensor:
    """Euler steps from t = 0 to t = 1.

    Args:
        velocity: a function of x and t, as long as x.
        noise: x at t = 0.
        steps: how many, all of equal length.
        progress: told of each step that is done.

    Returns:
        x at t = 1.
    """
    # the differences of float32 times, not 1 / steps, as the published sampler has them
    times = torch.linspace(0, 1, steps + 1, device=noise.device)
    x = noise
    for step in range(steps):
        x = x + (times[step + 1] - times[step]) * velocity(x, times[step])
        if progress:
            progress(step + 1, steps)
    return x


def _lengths(conditions: Conditions, latent: int) -> Lengths:
    return Lengths(latent, conditions.clip.shape[1], conditions.sync.shape[1], conditions.text.shape[1])
