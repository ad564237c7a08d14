"""Sizes of networks, as settings and strangers' files may say them, and files of other kinds and precisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from visaudio_bench.errors import BenchError
from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS as FOLEY
from visaudio_bench.models.foleyspace.config import Config as FoleyConfig
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.geometry_aware.checkpoints import CHECKPOINTS as GEOMETRY
from visaudio_bench.models.geometry_aware.config import Config as GeometryConfig
from visaudio_bench.models.own_checkpoints import Checkpoints
from visaudio_bench.models.visaudio.checkpoint_notes import notes_of

SMALL = FoleyConfig("small", rank=2, hidden=4, channels=2, layers=1)


@pytest.mark.parametrize(
    ("checkpoints", "values", "said"),
    [
        (GEOMETRY, {"reduced": 0}, "reduced must be from 1 to"),
        (GEOMETRY, {"reduced": -1}, "reduced must be from 1 to"),
        (GEOMETRY, {"height": -32}, "height must be from 1 to"),
        (GEOMETRY, {"width": 0}, "width must be from 1 to"),
        (GEOMETRY, {"trunk": 10**12}, "trunk must be from 1 to"),
        (GEOMETRY, {"audio": 4}, "multiple of 8"),
        (FOLEY, {"rank": 10**12}, "rank must be from 1 to"),
        (FOLEY, {"layers": 10**9}, "layers must be from 1 to"),
        (FOLEY, {"layers": 10**5}, "layers must be at most"),
    ],
)
def test_sizes_that_no_network_has_are_refused_wherever_they_come_from(
    checkpoints: Checkpoints[Any, Any], values: dict[str, int], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        checkpoints.config.from_dict({"name": "some", **values})
    notes = {"format": checkpoints.format, "config": json.dumps({"name": "some", **values})}
    save_file({"a": torch.zeros(1)}, tmp_path / "theirs.safetensors", notes)
    with pytest.raises(BenchError, match=f"does not say what network it holds: .*{said}"):
        checkpoints.load(tmp_path / "theirs.safetensors")


@pytest.mark.parametrize("checkpoints", [GEOMETRY, FOLEY])
def test_a_file_without_its_configuration_is_told_of_in_words(
    checkpoints: Checkpoints[Any, Any], tmp_path: Path
) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", {"format": checkpoints.format})
    with pytest.raises(BenchError, match=r"its header\.config is missing"):
        checkpoints.read_config(tmp_path / "a.safetensors")


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_a_copy_in_another_precision_computes_in_float32(precision: torch.dtype, tmp_path: Path) -> None:
    state = {key: value.to(precision) for key, value in SpatialDiffusion(SMALL).state_dict().items()}
    FOLEY.save(SMALL, state, tmp_path / "copy.safetensors", {})
    network = FOLEY.load(tmp_path / "copy.safetensors")
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert torch.equal(network.state_dict()["frequencies"], state["frequencies"].float())


@pytest.mark.parametrize("checkpoints", [GEOMETRY, FOLEY])
def test_another_network_of_ours_is_named_where_a_flow_network_is_expected(
    checkpoints: Checkpoints[Any, Any], tmp_path: Path
) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", {"format": checkpoints.format})
    with pytest.raises(BenchError, match=f'no checkpoint of a flow network: its format is "{checkpoints.format}"'):
        notes_of(tmp_path / "a.safetensors")


def test_every_whole_number_of_a_configuration_is_a_size() -> None:
    assert GeometryConfig("largest that is allowed", height=2**20, width=2**20).places == (2**15, 2**15)
