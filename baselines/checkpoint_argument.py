"""What comes behind the colon of a system that somebody must have trained: `NAME:FILE`, or `NAME:ROW=FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from visaudio_bench.baselines.system import Input
from visaudio_bench.errors import MissingArgumentError, UsageError
from visaudio_bench.files import is_there


def names_file(argument: str) -> bool:
    """Whether an argument, or what follows its `ROW=`, is a file or folder that is there."""
    return any(path and is_there(path) for path in (argument, argument.partition("=")[2]))


class NamedCheckpoint(NamedTuple):
    """A checkpoint, and what its row is to be called, None for the usual name."""

    row: str | None
    path: Path


def checkpoint_of(
    system: str, argument: str | None, training: str, *, summary: str, inputs: tuple[Input, ...],
    folders: bool = False, ours: str = "",
) -> NamedCheckpoint:  # fmt: skip
    """Find the checkpoint of a system whose authors published none.

    Args:
        system: its name.
        argument: what was written behind the colon.
        training: what `bench train` calls the training that makes such files.
        summary: what the system is.
        inputs: what it is given.
        folders: a folder may stand for the file in it.
        ours: the system whose checkpoint is part of this package, if there is one of this kind.

    Returns:
        Where it lies, and the name of its row.

    Raises:
        MissingArgumentError: nothing was written.
        UsageError: it is not there.
    """
    if not argument or argument.endswith("="):
        raise MissingArgumentError(
            f'system "{system}" needs a checkpoint, for its authors published none. Train one (bench train '
            f"{training}), then write: --system {system}:FILE"
            + (f". A small one is part of this package: {ours}" if ours else ""),
            summary=summary,
            needs=f"{system}:FILE, a checkpoint of bench train {training}",
            inputs=inputs,
        )
    # A path may hold "=": runs/lr=0.1/last.safetensors.
    row, separator, file = ("", "", argument) if is_there(argument) else argument.rpartition("=")
    path = Path(file)
    if is_there(file) and path.is_dir() and not folders:
        inside = next((name for name in ("best.safetensors", "last.safetensors") if (path / name).is_file()), "")
        hint = f" Write: --system {system}:{path / inside}" if inside else ""
        raise UsageError(f"{path} is a folder; --system {system}:FILE expects a checkpoint of training.{hint}")
    if not (is_there(file) and (path.is_file() or folders)):
        raise UsageError(f"there is no file {path}; --system {system}:FILE expects a checkpoint of training.")
    return NamedCheckpoint(row if separator else None, path)
