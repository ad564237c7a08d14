"""Checkpoints of this project's trainings: one safetensors file that says in its metadata what network it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import nn

from visaudio_bench.errors import BenchError
from visaudio_bench.files import atomic_path, parse_json
from visaudio_bench.models.formats import STATE_FORMAT, header_notes
from visaudio_bench.models.unwrapping import State
from visaudio_bench.models.weight_loading import fill, open_weights
from visaudio_bench.shapes import require


class NetworkConfig(Protocol):
    """The configuration of a network, as checkpoints keep it."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration that `to_dict` gave."""


AnyConfig = TypeVar("AnyConfig", bound=NetworkConfig)
AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoints(Generic[AnyConfig, AnyNetwork]):
    """The checkpoints of one kind of network.

    Attributes:
        format: what they state.
        holds: what is in them, in words.
        command: makes one.
        config: the class of the network's configuration.
        network: makes a network of a configuration.
    """

    format: str
    holds: str
    command: str
    config: type[AnyConfig]
    network: Callable[[AnyConfig], AnyNetwork]

    def save(self, config: AnyConfig, state: State, path: Path, notes: Mapping[str, str]) -> None:
        """Write weights with their configuration and notes, atomically."""
        from safetensors.torch import save_file

        metadata = {**notes, "format": self.format, "config": json.dumps(config.to_dict())}
        with atomic_path(path) as temporary:
            save_file({key: tensor.contiguous() for key, tensor in state.items()}, temporary, metadata)

    def read_config(self, path: Path) -> AnyConfig:
        """The configuration of the network in a checkpoint.

        Raises:
            BenchError: the file is missing, damaged, or something else; says what.
        """
        notes = header_notes(path)
        told = notes.get("format", "not stated")
        if told == STATE_FORMAT:
            raise BenchError(
                f"{path} is all that a training goes on from, not a network: take last.safetensors or "
                "best.safetensors beside it"
            )
        if told != self.format:
            raise BenchError(
                f'{path} is no checkpoint of {self.holds}: its format is "{told}", expected "{self.format}". '
                f"Train one: {self.command}"
            )
        try:
            require(notes, {"config": str}, "its header")
            return self.config.from_dict(parse_json(notes["config"]))
        except (TypeError, ValueError) as error:
            raise BenchError(f"{path} does not say what network it holds: {error}") from error

    def load(self, path: Path, device: torch.device | str = "cpu") -> AnyNetwork:
        """The network of a checkpoint, frozen; it computes in float32, whatever precision the file keeps.

        Raises:
            BenchError: as `read_config`, or the tensors do not fit.
        """
        config = self.read_config(path)
        with torch.device("meta"):
            network = self.network(config)
        fill(network, open_weights(path).state, str(path))
        return network.float().to(device).eval().requires_grad_(False)
