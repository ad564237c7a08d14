"""Tensors on disk: what identifies them, how they are written so that nothing is lost, and what marks our files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from visaudio_bench.errors import BenchError
from visaudio_bench.files import atomic_path


def content_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a clip's tensors: names, formats, shapes and bytes."""
    summed = hashlib.sha256()
    for key in sorted(tensors):
        tensor = tensors[key].contiguous()
        summed.update(f"{key} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        summed.update(memory_of(tensor))
    return summed.hexdigest()


@contextmanager
def written_safely(path: Path) -> Iterator[Path]:
    """As `atomic_path`, on the disk before it is renamed.

    Raises:
        BenchError: the disk is full or refuses.
    """
    from safetensors import SafetensorError

    try:
        with atomic_path(path) as temporary:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
    except (OSError, SafetensorError) as error:
        raise BenchError(
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}. What was finished is kept; "
            "make room and run the same command again."
        ) from error


def memory_of(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor as bytes, whatever its format."""
    return memoryview(tensor.detach().reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
