"""Checkpoints of FoleySpace's diffusion network: one safetensors file with the configuration in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from visaudio_bench.errors import BenchError
from visaudio_bench.models.foleyspace.config import Config
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.own_checkpoints import Kind, read_told, write_state
from visaudio_bench.models.unwrapping import State
from visaudio_bench.models.weight_loading import fill, open_weights

KIND = Kind("visaudio-bench foleyspace network 1", "FoleySpace's diffusion network", "bench train foleyspace")


def save_state(state: State, config: Config, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a checkpoint, atomically."""
    write_state(KIND, state, config.to_dict(), path, notes or {})


def read_config(path: Path) -> Config:
    """The configuration of the network in a checkpoint.

    Raises:
        BenchError: the file is missing, damaged, or something else; says what.
    """
    told = read_told(KIND, path)
    try:
        return Config.from_dict(json.loads(told["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"{path} does not say what network it holds: {error}") from error


def load_network(path: Path, device: torch.device | str = "cpu") -> SpatialDiffusion:
    """The network of a checkpoint, frozen.

    Raises:
        BenchError: as `read_config`, or the tensors do not fit.
    """
    config = read_config(path)
    with torch.device("meta"):
        network = SpatialDiffusion(config)
    fill(network, open_weights(path).state, str(path))
    return network.to(device).eval().requires_grad_(False)
