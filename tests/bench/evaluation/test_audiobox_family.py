"""Audiobox Aesthetics through the command line: against its authors' package on small weights, and without it."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from visaudio_bench.bench.evaluation.families import audiobox
from visaudio_bench.bench.evaluation.family import Network
from visaudio_bench.errors import BenchError
from visaudio_bench.models import weights
from visaudio_bench.models.backbones.audiobox import load_aesthetics

from ...conftest import lateral_noise

SMALL = {
    "encoder_layers": 2, "encoder_embed_dim": 32, "encoder_ffn_embed_dim": 64, "encoder_attention_heads": 4,
    "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2", "conv_pos": 16, "conv_pos_groups": 4,
}  # fmt: skip
SETTINGS = {
    "proj_num_layer": 2, "proj_ln": True, "proj_act_fn": "gelu", "proj_dropout": 0.0, "nth_layer": 3,
    "use_weighted_layer_sum": True, "precision": "32", "normalize_embed": True, "output_dim": 1,
}  # fmt: skip
SCALES = {axis: {"mean": 4.0 + number, "std": 1.0 + number} for number, axis in enumerate(("CE", "CU", "PC", "PQ"))}


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Path]:
    """Write a file that is taken for the published one."""

    def write(held: Any) -> Path:
        path = tmp_path / "weights" / audiobox.WEIGHTS.file
        path.parent.mkdir()
        torch.save(held, path)
        here = Network(replace(audiobox.WEIGHTS, size=path.stat().st_size), audiobox.load)
        monkeypatch.setenv(weights.WEIGHTS_VARIABLE, str(path.parent))
        known = {name: one for name, one in weights.WEIGHTS.items() if name != audiobox.WEIGHTS.name}
        monkeypatch.setattr(weights, "WEIGHTS", known)
        monkeypatch.setattr(audiobox.AudioboxAesthetics, "networks", (here,))
        return path

    return write


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """One shorter than a window, one longer."""
    folder = tmp_path / "made"
    folder.mkdir()
    for name, seconds in (("short", 1.5), ("long", 10.7)):
        soundfile.write(folder / f"{name}.wav", lateral_noise(seconds).T, 44100, subtype="PCM_16")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def score(bench: Callable, sounds: Path, out: Path, *more: str) -> Any:
    return bench("score", "--predictions", sounds, "--metric", "audiobox", "--out", out, "--workers", 1, *more)


@pytest.mark.filterwarnings("ignore")
def test_the_scores_are_those_of_the_authors_package(
    bench: Callable, tmp_path: Path, sounds: Path, put: Callable, filled: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    aes = pytest.importorskip("audiobox_aesthetics.model.aes", reason="extra `aesthetics` is not installed")
    infer = pytest.importorskip("audiobox_aesthetics.infer")
    monkeypatch.setattr(aes, "DEFAULT_AUDIO_CFG", aes.WavLMConfig(vars(aes.DEFAULT_AUDIO_CFG) | SMALL))
    network = aes.AesMultiOutput(**SETTINGS, target_transform=SCALES)
    torch.manual_seed(0)
    state = {f"model.{key}": value + 0.1 * torch.randn(value.shape) for key, value in network.state_dict().items()}
    path = put({"state_dict": state, "model_cfg": SETTINGS | {"more": 1}, "target_transform": SCALES})
    theirs = infer.AesPredictor(str(path))
    theirs.device = torch.device("cpu")
    theirs.model.to("cpu")

    told = score(bench, sounds, tmp_path / "run")
    assert told.code == 0, told.err
    assert "PQ ↑" in told.out and "PC" in told.out
    found = {(row["clip"], row["metric"]): float(row["value"]) for row in rows(tmp_path / "run" / "clips.csv")}
    assert len(found) == 8
    for clip in ("short", "long"):
        samples, rate = soundfile.read(sounds / f"{clip}.wav", dtype="float32")
        mix = torch.from_numpy(samples.T).mean(0, keepdim=True)
        (expected,) = theirs.forward([{"path": mix, "sample_rate": rate}])
        for axis, value in expected.items():
            assert found[clip, f"aes_{axis.lower()}"] == pytest.approx(value, abs=1e-4), (clip, axis)
    assert abs(found["short", "aes_pq"] - found["long", "aes_pq"]) > 1e-3

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the package's own are kept away
        load_aesthetics(path)(torch.zeros(1, 16000))
    torch.save(state, path)
    with pytest.raises(BenchError, match="is not the checkpoint of Audiobox Aesthetics: expected mappings model_cfg"):
        load_aesthetics(path)


def test_without_the_package_its_columns_are_empty_with_the_reason(
    bench: Callable, tmp_path: Path, sounds: Path, put: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    put({"state_dict": {"wavlm_model.mask_emb": torch.zeros(8)}})
    monkeypatch.setattr(audiobox, "PACKAGE", "no_such_package")
    told = score(bench, sounds, tmp_path / "run", "--metric", "side_mid")
    assert told.code == 0, told.err
    assert "left out: CE, CU, PC, PQ: the package no_such_package is not installed. Install it: pip install" in told.err
    found = {row["metric"]: row for row in rows(tmp_path / "run" / "results.csv")}
    assert (found["aes_pq"]["value"], found["aes_pq"]["status"]) == ("", "missing")
    assert found["aes_pq"]["reason"].endswith('pip install "visaudio-bench[aesthetics]"')
    assert found["side_mid"]["status"] == "measured"
