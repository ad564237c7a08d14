"""From data to batches on the device: threads read ahead, straight into the memory of a batch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.models.training.order import Order
from visaudio_bench.models.training.recipe import Recipe


class Batch(Protocol):
    """Some samples, and the ids of the clips that they are of."""

    @property
    def clips(self) -> tuple[str, ...]:
        """One a sample."""

    def to(self, device: torch.device) -> Self:
        """On another device."""


@dataclass(frozen=True)
class TensorBatch:
    """Some samples as tensors by name, the first axis over the samples."""

    tensors: Mapping[str, Tensor]
    clips: tuple[str, ...]

    def to(self, device: torch.device) -> TensorBatch:
        """On another device."""
        if device.type == "cpu":
            return self
        moved = {key: value.to(device, non_blocking=True) for key, value in self.tensors.items()}
        return TensorBatch(moved, self.clips)

    @staticmethod
    def joined(memory: Mapping[str, Tensor], pieces: Sequence[TensorBatch]) -> TensorBatch:
        """The batch whose pieces were made one by one, into parts of `memory`."""
        return TensorBatch(memory, tuple(clip for piece in pieces for clip in piece.clips))


AnyBatch = TypeVar("AnyBatch", bound=Batch)


class Reader(Protocol[AnyBatch]):
    """Reads batches of some kind of data."""

    @property
    def sources(self) -> Sequence[str]:
        """Where each clip comes from, which weights of sampling refer to."""

    @property
    def recipe(self) -> Recipe:
        """The settings of the training."""

    def empty(self, size: int, *, pinned: bool) -> dict[str, Tensor]:
        """Memory for `size` samples."""

    def batch(self, memory: Mapping[str, Tensor], clips: list[int], samples: list[int]) -> AnyBatch:
        """The samples with these numbers, which are of these clips, read into `memory`."""

    def joined(self, memory: Mapping[str, Tensor], pieces: Sequence[AnyBatch]) -> AnyBatch:
        """The batch whose pieces were read one by one, into parts of `memory`."""


class Loader(Generic[AnyBatch]):
    """This process's batches, from update `step` on, read ahead by threads.

    An update has `accumulate` batches in each process; sample numbers are dealt out so that an update has the same
    samples with any number of processes.
    """

    def __init__(
        self, reader: Reader[AnyBatch], order: Order, device: torch.device, *, rank: int, size: int, step: int
    ):
        recipe = reader.recipe
        if recipe.batch % (size * recipe.accumulate):
            raise UsageError(
                f"a batch of {recipe.batch} cannot be shared out over {size} processes and {recipe.accumulate} parts: "
                "make it a multiple of their product, e.g. "
                f"--set batch={size * recipe.accumulate * -(-recipe.batch // (size * recipe.accumulate))}"
            )
        if recipe.batch > order.epoch_length:
            raise UsageError(
                f"a batch of {recipe.batch} is larger than the data: an epoch has {order.epoch_length} samples. "
                f"Make it smaller (--set batch={max(1, order.epoch_length // 2)}) or bring more clips."
            )
        self.reader, self.order, self.device = reader, order, device
        self.size = recipe.batch // (size * recipe.accumulate)
        self._numbers = self._schedule(step, rank, size)
        self._pool = ThreadPoolExecutor(recipe.threads, thread_name_prefix="features")
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._memory: deque[dict[str, Tensor]] = deque()
        self._coming: deque[Future[tuple[AnyBatch, dict[str, Tensor]]]] = deque()
        self.waited = 0.0

    def _schedule(self, step: int, rank: int, size: int) -> Iterator[list[int]]:
        recipe = self.reader.recipe
        while True:
            for part in range(recipe.accumulate):
                first = step * recipe.batch + (part * size + rank) * self.size
                yield list(range(first, first + self.size))
            step += 1

    def __iter__(self) -> Iterator[AnyBatch]:
        pinned = self.device.type == "cuda"
        for _ in range(self.reader.recipe.ahead):
            self._memory.append(self.reader.empty(self.size, pinned=pinned))
            self._order_one()
        while True:
            began = time.perf_counter()
            batch, memory = self._coming.popleft().result()
            self.waited += time.perf_counter() - began
            on_device = batch.to(self.device)
            copied = torch.cuda.Event() if pinned else None  # type: ignore[no-untyped-call]
            if copied is not None:
                copied.record()
            yield on_device
            if copied is not None:  # the memory is filled again only once it has been copied
                copied.synchronize()
            self._memory.append(memory)
            self._order_one()

    def _order_one(self) -> None:
        memory, numbers = self._memory.popleft(), next(self._numbers)
        self._coming.append(self._maker.submit(self._make, memory, numbers))

    def _make(self, memory: dict[str, Tensor], numbers: list[int]) -> tuple[AnyBatch, dict[str, Tensor]]:
        clips = [self.order[number] for number in numbers]
        return self._read(memory, clips, numbers), memory

    def _read(self, memory: dict[str, Tensor], clips: list[int], numbers: list[int]) -> AnyBatch:
        parts = -(-self.size // self.reader.recipe.threads)
        cuts = [slice(first, first + parts) for first in range(0, self.size, parts)]
        pieces = list(self._pool.map(partial(self._piece, memory, clips, numbers), cuts))
        return self.reader.joined(memory, pieces)

    def _piece(self, memory: dict[str, Tensor], clips: list[int], numbers: list[int], cut: slice) -> AnyBatch:
        return self.reader.batch({key: values[cut] for key, values in memory.items()}, clips[cut], numbers[cut])

    def close(self) -> None:
        """Stop reading ahead."""
        for pool in (self._maker, self._pool):
            pool.shutdown(wait=True, cancel_futures=True)


def clips_of(batch: Batch, broken: Tensor) -> list[str]:
    """Name the clips of a batch that are broken.

    Args:
        batch: with the ids of its clips.
        broken: `(B,)` whether each is.

    Returns:
        Their ids.

    Raises:
        BenchError: there are not as many flags as clips.
    """
    if len(broken) != len(batch.clips):
        raise BenchError(f"{len(broken)} samples cannot be those of {len(batch.clips)} clips")
    return [clip for clip, bad in zip(batch.clips, broken.tolist(), strict=True) if bad]
