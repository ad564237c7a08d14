"""Small flow networks with filled weights, inputs for them, and their golden values."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors import safe_open

from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import Config, Lengths
from visaudio_bench.models.visaudio.network import FlowNetwork
from visaudio_bench.models.visaudio.network import build as build_network

ARCHITECTURE = Path(__file__).parent.parent / "golden" / "architecture"
SMALL = Config(
    "small test network", latent_dim=6, hidden=32, heads=2, depth=4, fused_depth=2, clip_dim=10, sync_dim=9,
    text_dim=11, text_tokens=5, spatial_dim=7, spatial_grid=8,
)  # fmt: skip
SMALL_LENGTHS = Lengths(latent=21, clip=6, sync=16, text=5)


class Fixture(NamedTuple):
    tensors: dict[str, torch.Tensor]
    metadata: dict[str, Any]

    def config(self, **changes: object) -> Config:
        """The configuration of a fixture of a whole network."""
        found = self.metadata["config"]
        same = {key: found[key] for key in ("latent_dim", "depth", "fused_depth", "clip_dim", "sync_dim", "text_dim")}
        sizes = {"hidden": found["hidden_dim"], "heads": found["num_heads"], "text_tokens": found["text_seq_len"]}
        if "pe_dim" in found:
            sizes |= {"spatial_dim": found["pe_dim"], "spatial_grid": found["pe_grid"]}
        return Config(**{"name": "golden", **same, **sizes, **changes})

    def lengths(self) -> Lengths:
        found = self.metadata["config"]
        return Lengths(*(found[f"{part}_seq_len"] for part in ("latent", "clip", "sync", "text")))

    def conditions(self, prefix: str = "in.") -> Conditions:
        names = ("clip_f", "sync_f", "text_f", "pe_f")
        return Conditions(*(self.tensors.get(prefix + name) for name in names))


@pytest.fixture(scope="session")
def architecture() -> Callable[[str], Fixture]:
    """A golden file of `tests/golden/architecture`."""

    def read(name: str) -> Fixture:
        with safe_open(ARCHITECTURE / f"{name}.safetensors", "pt") as file:
            metadata = dict(file.metadata())
            for key in ("config", "alt", "skip", "v2"):
                if key in metadata:
                    metadata[key] = json.loads(metadata[key])
            return Fixture({key: file.get_tensor(key) for key in file.keys()}, metadata)  # noqa: SIM118

    return read


@pytest.fixture(scope="session")
def filled_network(filled: Callable[..., dict[str, torch.Tensor]]) -> Callable[..., FlowNetwork]:
    """A network of a configuration with filled weights, frozen; the latent's statistics are its own."""

    def make(config: Config, salt: str = "dev") -> FlowNetwork:
        network = build_network(config)
        state = filled(lambda: network, salt)
        own = {key: network.state_dict()[key] for key in ("latent_mean", "latent_std")}
        network.load_state_dict({**state, **own})
        return network.eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def small() -> Callable[..., Config]:
    """The configuration of a network that takes milliseconds, with changes."""

    def make(**changes: object) -> Config:
        return Config.from_dict({**SMALL.to_dict(), **changes})

    return make


class Given(NamedTuple):
    """Inputs of a network."""

    x: torch.Tensor
    t: torch.Tensor
    conditions: Conditions


def normal(salt: str, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(salt.encode())))


@pytest.fixture(scope="session")
def inputs() -> Callable[..., Given]:
    """Random inputs for a configuration; another salt gives others."""

    def make(config: Config, batch: int = 2, lengths: Lengths = SMALL_LENGTHS, salt: str = "in") -> Given:
        ears = (2,) if config.dual else ()
        grid = (config.spatial_grid, config.spatial_grid)
        spatial = normal(salt + "p", batch, lengths.clip, *grid, config.spatial_dim) if config.spacetime else None
        return Given(
            normal(salt + "x", batch, *ears, lengths.latent, config.latent_dim),
            torch.rand(batch, generator=torch.Generator().manual_seed(zlib.crc32(salt.encode()))),
            Conditions(
                normal(salt + "c", batch, lengths.clip, config.clip_dim),
                normal(salt + "s", batch, lengths.sync, config.sync_dim),
                normal(salt + "t", batch, lengths.text, config.text_dim),
                spatial,
            ),
        )

    return make
