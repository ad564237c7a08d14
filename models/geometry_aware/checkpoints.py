"""Checkpoints of geometry-aware networks: one safetensors file with the configuration in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from visaudio_bench.errors import BenchError
from visaudio_bench.files import atomic_path
from visaudio_bench.models.geometry_aware.config import Config
from visaudio_bench.models.geometry_aware.network import GeometryAware
from visaudio_bench.models.tensor_files import STATE_FORMAT
from visaudio_bench.models.unwrapping import State
from visaudio_bench.models.weight_loading import fill, header_notes, open_weights

FORMAT = "visaudio-bench geometry-aware network 1"


def save_state(state: State, config: Config, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a checkpoint, atomically."""
    from safetensors.torch import save_file

    metadata = {**(notes or {}), "format": FORMAT, "config": json.dumps(config.to_dict())}
    with atomic_path(path) as temporary:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, temporary, metadata)


def read_config(path: Path) -> Config:
    """The configuration of the network in a checkpoint.

    Raises:
        BenchError: the file is missing, damaged, or something else; says what.
    """
    notes = header_notes(path)
    told = notes.get("format", "not stated")
    if told == STATE_FORMAT:
        raise BenchError(
            f"{path} is all that a training goes on from, not a network: take last.safetensors or best.safetensors "
            "beside it"
        )
    if told != FORMAT:
        raise BenchError(
            f'{path} is no checkpoint of a geometry-aware network: its format is "{told}", expected "{FORMAT}". '
            "Train one: bench train geometry-aware"
        )
    try:
        return Config.from_dict(json.loads(notes["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"{path} does not say what network it holds: {error}") from error


def load_network(path: Path, device: torch.device | str = "cpu") -> GeometryAware:
    """The network of a checkpoint, frozen.

    Raises:
        BenchError: as `read_config`, or the tensors do not fit.
    """
    config = read_config(path)
    with torch.device("meta"):
        network = GeometryAware(config)
    fill(network, open_weights(path).state, str(path))
    return network.to(device).eval().requires_grad_(False)
