"""What comes behind the colon of a system that somebody must have trained: `NAME:FILE`."""

from __future__ import annotations

from pathlib import Path

from visaudio_bench.baselines.system import Input
from visaudio_bench.errors import MissingArgumentError, UsageError


def checkpoint_file(
    system: str, argument: str | None, training: str, *, summary: str, inputs: tuple[Input, ...],
    folders: bool = False, ours: str = "",
) -> Path:  # fmt: skip
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
        Where it lies.

    Raises:
        MissingArgumentError: nothing was written.
        UsageError: it is not there.
    """
    if not argument:
        raise MissingArgumentError(
            f'system "{system}" needs a checkpoint, for its authors published none. Train one (bench train '
            f"{training}), then write: --system {system}:FILE"
            + (f". A small one is part of this package: {ours}" if ours else ""),
            summary=summary,
            needs=f"{system}:FILE, a checkpoint of bench train {training}",
            inputs=inputs,
        )
    path = Path(argument)
    if not (path.is_file() or (folders and path.exists())):
        raise UsageError(f"there is no file {path}; --system {system}:FILE expects a checkpoint of training.")
    return path
