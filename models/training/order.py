"""Which clip comes when, and where its chance comes from: functions of the seed and of how many samples came before.

Nothing here remembers anything. Sample number k of a training has its clip and its draws whichever process asks for it,
so that a training continues after a kill, or with other numbers of processes and of accumulated batches, with the very
draws that it would have had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray


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


def generator_of(seed: int, sample: int) -> torch.Generator:
    """Make what all that chance decides about one sample is drawn from.

    Args:
        seed: of the training.
        sample: how many samples came before it.

    Returns:
        A generator on the CPU, a function of the two alone.
    """
    key = hashlib.sha256(f"training/{seed}/{sample}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "big", signed=True))
