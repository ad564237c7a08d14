"""What is drawn for a sample: noise, time and dropped conditions, functions of the seed and of its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from visaudio_bench.models.training.order import generator_of
from visaudio_bench.models.visaudio.flow import TimeDistribution, sample_times


class Draws(NamedTuple):
    """What chance decides about samples: `noise` and `spread` `(B, 2, n, C)`, `time` and `dropped` clip, sync, text."""

    noise: Tensor
    spread: Tensor
    time: Tensor
    drop_clip: Tensor
    drop_sync: Tensor
    drop_text: Tensor


def draw(
    seed: int,
    sample: int,
    shape: Sequence[int],
    *,
    drop: float = 0.1,
    drop_text: float = 0.1,
    times: TimeDistribution = "logit_normal",
) -> Draws:
    """The draws of one sample.

    Args:
        seed: of the training.
        sample: its number, counted from 0.
        shape: `(2, n, C)` of its latents.
        drop: probability with which clip and sync are dropped, each independently.
        drop_text: probability with which text is dropped, independently of the two.
        times: how times in (0, 1) are distributed.

    Returns:
        `Draws` without the axis B: noise and spread standard normal of `shape`, the others scalars.
    """
    generator = generator_of(seed, sample)
    noise, spread = torch.randn((2, *shape), generator=generator)
    dropped = torch.rand(3, generator=generator) < torch.tensor([drop, drop, drop_text])
    time = sample_times(1, generator, distribution=times)[0]
    return Draws(noise, spread, time, dropped[0], dropped[1], dropped[2])
