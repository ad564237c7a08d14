"""Checkpoints of the binauralisers: written, read, refused; and trainings that begin with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from visaudio_bench.bench.training.foley_run import FoleyTraining
from visaudio_bench.bench.training.geometry_run import GeometryTraining
from visaudio_bench.bench.training.run_folder import Asked
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.models.foleyspace import checkpoints as foley
from visaudio_bench.models.foleyspace import config as foley_config
from visaudio_bench.models.geometry_aware import checkpoints as geometry
from visaudio_bench.models.geometry_aware import config as geometry_config
from visaudio_bench.models.own_checkpoints import Checkpoints

KINDS: dict[str, tuple[Checkpoints[Any, Any], Any, Any]] = {
    "foleyspace": (foley.CHECKPOINTS, foley_config.CONFIGS["tiny"], FoleyTraining()),
    "geometry-aware": (geometry.CHECKPOINTS, geometry_config.CONFIGS["tiny"], GeometryTraining()),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[Checkpoints[Any, Any], Any, Any]:
    return KINDS[request.param]


def begin(training: Any, path: Path) -> torch.nn.Module:
    network: torch.nn.Module = training.begin(Asked(start=path), "tiny", training.recipe("tiny"), None)
    return network


def test_a_training_begins_with_the_weights_of_its_kind(kind: tuple[Any, Any, Any], tmp_path: Path) -> None:
    checkpoints, config, training = kind
    state = checkpoints.network(config).state_dict()
    checkpoints.save(config, state, tmp_path / "x.safetensors", {"preset": "tiny"})
    begun = begin(training, tmp_path / "x.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in begun.state_dict().items())
    assert all(parameter.requires_grad for parameter in begun.parameters())
    name = next(name for name, value in state.items() if value.is_floating_point())
    state[name].view(-1)[0] = torch.inf
    checkpoints.save(config, state, tmp_path / "x.safetensors", {})
    with pytest.raises(BenchError, match="1 tensors have values that are not finite"):
        begin(training, tmp_path / "x.safetensors")


def test_another_network_of_the_same_kind_is_refused(kind: tuple[Any, Any, Any], tmp_path: Path) -> None:
    checkpoints, config, training = kind
    field = "hidden" if hasattr(config, "hidden") else "audio"
    other = type(config).from_dict({**config.to_dict(), field: 2 * getattr(config, field)})
    checkpoints.save(other, checkpoints.network(other).state_dict(), tmp_path / "x.safetensors", {})
    with pytest.raises(UsageError, match="holds another network"):
        begin(training, tmp_path / "x.safetensors")


@pytest.mark.parametrize("told", ["[", "7", '{"name": 1}', '{"name": "x", "nothing": 1}', "[" * 100_000])
def test_a_configuration_that_is_none_is_told(kind: tuple[Any, Any, Any], told: str, tmp_path: Path) -> None:
    checkpoints, config, _ = kind
    header = {"format": checkpoints.format, "config": told}
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", header)
    with pytest.raises(BenchError, match="does not say what network it holds"):
        checkpoints.read_config(tmp_path / "x.safetensors")
    field = next(name for name, value in config.to_dict().items() if type(value) is int)
    header["config"] = json.dumps({**config.to_dict(), field: "many"})
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", header)
    with pytest.raises(BenchError, match=field):
        checkpoints.load(tmp_path / "x.safetensors")
