"""Checkpoints of this project's trainings: one safetensors file that says in its metadata what network it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from visaudio_bench.errors import BenchError
from visaudio_bench.files import atomic_path
from visaudio_bench.models.tensor_files import STATE_FORMAT
from visaudio_bench.models.unwrapping import State
from visaudio_bench.models.weight_loading import header_notes


class Kind(NamedTuple):
    """A kind of checkpoint: the format it states, what it holds, and the command that makes one."""

    format: str
    holds: str
    command: str


def write_state(kind: Kind, state: State, config: Mapping[str, Any], path: Path, notes: Mapping[str, str]) -> None:
    """Write weights with their configuration and notes, atomically."""
    from safetensors.torch import save_file

    metadata = {**notes, "format": kind.format, "config": json.dumps(dict(config))}
    with atomic_path(path) as temporary:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, temporary, metadata)


def read_told(kind: Kind, path: Path) -> Mapping[str, str]:
    """What a checkpoint says of itself.

    Raises:
        BenchError: the file is missing, damaged, or of another kind; says what.
    """
    notes = header_notes(path)
    told = notes.get("format", "not stated")
    if told == STATE_FORMAT:
        raise BenchError(
            f"{path} is all that a training goes on from, not a network: take last.safetensors or best.safetensors "
            "beside it"
        )
    if told != kind.format:
        raise BenchError(
            f'{path} is no checkpoint of {kind.holds}: its format is "{told}", expected "{kind.format}". '
            f"Train one: {kind.command}"
        )
    return notes
