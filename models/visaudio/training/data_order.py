"""Which clip comes when, and what is drawn for it: functions of the seed and of how many samples came before.

Nothing here remembers anything. Sample number k of a training has its clip, its noise, its time and its dropped
conditions whichever process asks for it, so that a training continues after a kill, or with other numbers of processes
and of accumulated batches, with the very draws that it would have had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visaudio_bench.models.visaudio.flow import TimeDistribution, sample_times


class Order:
    """An endless sequence of clips: epoch after epoch, each in an order of its own.

    In an epoch a clip of a source with weight w comes floor(w) times, and as many clips of the source once more as
    make w on average; these change from epoch to epoch.
    """

    def __init__(self, sources: Sequence[str], weights: Mapping[str, float], seed: int):
        self.seed = seed
        names, of_clip = np.unique(np.asarray(sources), return_inverse=True)
        self._groups = [np.flatnonzero(of_clip == index) for index in range(len(names))]
        self._counts = [
            round(weights.get(str(name), 1.0) * len(group)) for name, group in zip(names, self._groups, strict=True)
        ]
        self.epoch_length = sum(self._counts)
        self._epoch = lru_cache(maxsize=2)(self._make_epoch)

    def __getitem__(self, sample: int) -> int:
        """The clip (its place in `sources`) of sample number `sample`, counted from 0."""
        epoch, place = divmod(sample, self.epoch_length)
        return int(self._epoch(epoch)[place])

    def _make_epoch(self, epoch: int) -> NDArray[np.intp]:
        rng = np.random.default_rng([self.seed, epoch])
        parts = []
        for group, count in zip(self._groups, self._counts, strict=True):
            whole, rest = divmod(count, len(group))
            parts += [group] * whole + [rng.permutation(group)[:rest]]
        return rng.permutation(np.concatenate(parts))


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
    key = hashlib.sha256(f"training/{seed}/{sample}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "big", signed=True))
    noise, spread = torch.randn((2, *shape), generator=generator)
    dropped = torch.rand(3, generator=generator) < torch.tensor([drop, drop, drop_text])
    time = sample_times(1, generator, distribution=times)[0]
    return Draws(noise, spread, time, dropped[0], dropped[1], dropped[2])
