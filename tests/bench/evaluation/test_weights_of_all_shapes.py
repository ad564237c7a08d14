"""Weights and checkpoints as people have them: taken, saying what was unwrapped, or refused as what they are."""

from __future__ import annotations

import argparse
import collections
import gzip
import io
import json
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from visaudio_bench.errors import BenchError
from visaudio_bench.models.foleyspace import config as foley_config
from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS as FOLEY
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.geometry_aware import config as geometry_config
from visaudio_bench.models.geometry_aware.checkpoints import CHECKPOINTS as GEOMETRY
from visaudio_bench.models.geometry_aware.network import GeometryAware
from visaudio_bench.models.visaudio.checkpoints import load_network, save_network, save_state
from visaudio_bench.models.visaudio.config import CONFIGS, lengths
from visaudio_bench.models.visaudio.feature_formats import Storage, pack
from visaudio_bench.models.visaudio.feature_store import FeatureRow, Kind, claim, write_shard
from visaudio_bench.models.visaudio.network import build
from visaudio_bench.models.visaudio.parts import open_parts
from visaudio_bench.models.visaudio.tiny.conditioners import BuiltInConditioners
from visaudio_bench.models.visaudio.tiny.vocoder import Vocoder
from visaudio_bench.models.weight_loading import open_weights
from visaudio_bench.models.weights import WEIGHTS, WEIGHTS_VARIABLE, WeightFile

MICRO = replace(CONFIGS["tiny"], hidden=16, heads=1, depth=2, fused_depth=1)
SETTINGS = ("network.hidden=16", "network.heads=1", "network.depth=2", "network.fused_depth=1", "batch=4")
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 4122300000\n"
)
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Login required</body></html>\n"


def filled(config, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    network = build(config)
    for value in network.parameters():
        torch.nn.init.normal_(value.data, std=0.05)
    return {key: value.clone() for key, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return filled(MICRO.mono)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    claim(folder, Kind(BuiltInConditioners().identity, Vocoder().identity, Storage(spatial="int8"), 1.2))
    clips, long, grid = [], lengths(1.2, MICRO.text_tokens), MICRO.spatial_grid
    for index in range(4):
        mean = torch.randn(2, long.latent, MICRO.latent_dim)
        conditions = {
            "clip": torch.randn(long.clip, MICRO.clip_dim),
            "sync": torch.randn(long.sync, MICRO.sync_dim),
            "text": torch.randn(long.text, MICRO.text_dim),
            "spatial": torch.randn(long.clip, grid, grid, MICRO.spatial_dim),
        }
        made = pack({"mean": mean, "std": torch.ones_like(mean), **conditions}, Storage(spatial="int8"))
        clips.append((FeatureRow(f"clip{index}", "suite", "", "", 0.0, 0), made))
    write_shard(folder, clips)
    return folder


@pytest.fixture
def train(bench: Callable, store: Path, tmp_path: Path) -> Callable:
    """`bench train visaudio --from FILE` for a step that changes nothing; the answer, and what training began with."""

    def call(start: Path):
        chosen = [word for one in (*SETTINGS, "steps=1", "learning_rate=0") for word in ("--set", one)]
        out = tmp_path / "run"
        shutil.rmtree(out, ignore_errors=True)
        told = bench("train", "visaudio", "--data", store, "--from", start, "--out", out, "--device", "cpu", *chosen)
        assert "Traceback" not in told.err and "weights_only" not in told.err and "add_safe_globals" not in told.err
        began = load_file(out / "last.safetensors") if (out / "last.safetensors").exists() else {}
        return told, began

    return call


def began_with(began: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor], tolerance: float = 0) -> bool:
    key, ear = "joint_blocks.0.latent_block.attn.qkv.weight", "single_blocks_r.0.linear1.w1.weight"
    source = weights["fused_blocks.0.linear1.weight" if "fused_blocks.0.linear1.weight" in weights else key]
    ear = "single_blocks_r.0.linear1.weight" if "fused_blocks.0.linear1.weight" in weights else key
    return all(
        torch.allclose(one, other.float(), atol=tolerance, rtol=0)
        for one, other in ((began[key], weights[key]), (began[ear], source))
    )


def averages(weights, *, begun: bool = True) -> dict[str, object]:
    """As `PostHocEMA` of MMAudio's trainer keeps them: two widths, each a whole network."""
    kept: dict[str, object] = {}
    for number, factor in enumerate((2.0, 3.0)):
        kept |= {f"ema_models.{number}.ema_model.{key}": value * factor for key, value in weights.items()}
        kept[f"ema_models.{number}._extra_state"] = {"initted": begun, "step": 5}
    return kept


class Settings:
    """A class that only the script that trained knows."""

    def __init__(self):
        self.rate = 1e-4


class Bag(dict):
    """A mapping of somebody's own, as EasyDict and its like."""


def test_what_trainers_and_wrappers_leave_is_taken_and_told(train, weights, tmp_path):
    file = tmp_path / "weights.bin"
    optimiser = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}
    shapes = {
        "plain": (weights, ""),
        "trainer": (
            {"it": 3, "weights": weights, "optimizer": optimiser, "scheduler": {}, "ema": None},
            'weights taken from "weights"; left aside: it, optimizer, scheduler',
        ),
        "both prefixes": (
            {f"_orig_mod.module.{key}": value for key, value in weights.items()},
            '"_orig_mod.", "module."',
        ),
        "compiled blocks": (
            {key.replace("blocks.0.", "blocks.0._orig_mod."): value for key, value in weights.items()},
            '"_orig_mod." removed',
        ),
        "a name that nobody knows": ({"denoiser": weights, "optimizer": optimiser}, 'taken from "denoiser"'),
        "nested": ({"state": {"model": {f"module.{key}": value for key, value in weights.items()}}}, '"state.model"'),
    }
    for name, (contents, said) in shapes.items():
        torch.save(contents, file)
        told, began = train(file)
        assert (told.code, said in told.err) == (0, True), (name, told.err)
        assert began_with(began, weights), name


def test_objects_beside_the_weights_are_left_aside_without_making_them(train, weights, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(Settings, "__setstate__", lambda *_: made.append(1), raising=False)
    beside = {
        "args": argparse.Namespace(lr=1e-4, out=Path("runs")),
        "config": Settings(),
        "bag": Bag(a=1),
        "counts": collections.defaultdict(list, a=[1]),
        "best": np.float64(0.5),
        "seen": np.arange(3),
    }
    torch.save({"state_dict": weights, **beside}, tmp_path / "x.pth")
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        torch.save({"state_dict": weights, **beside}, tmp_path / "x.pth", **options)
        told, began = train(tmp_path / "x.pth")
        assert told.code == 0, told.err
        assert "args (argparse.Namespace)" in told.err and "Settings)" in told.err
        assert began_with(began, weights)
    assert not made


def test_a_running_average_is_what_is_taken_once_it_has_begun(train, weights, tmp_path):
    file = tmp_path / "ckpt_last.pth"
    doubled = {key: 2 * value for key, value in weights.items()}
    trainable = {key: value for key, value in doubled.items() if not key.startswith(("latent_", "t_embed.freqs"))}
    for ema, taken, said in (
        (averages(weights), doubled, "the first of 2 running averages"),
        (averages(weights, begun=False), weights, "has not begun"),
        ({f"ema_model.{key}": value for key, value in doubled.items()} | {"step": torch.tensor(3)}, doubled, '"ema"'),
        ({f"module.{key}": value for key, value in trainable.items()}, doubled, "tensors that it does not have from"),
        ({"decay": 0.99, "shadow_params": list(doubled.values())}, weights, "holds no weights by name"),
        ({f"ema_{key}": value for key, value in doubled.items()}, weights, "has other names"),
    ):
        torch.save({"it": 3, "weights": weights, "optimizer": {}, "scheduler": {}, "ema": ema}, file)
        told, began = train(file)
        assert (told.code, said in told.err) == (0, True), told.err
        assert began_with(began, taken), said


def test_copies_and_folders_of_model_hubs(train, weights, tmp_path):
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "mmaudio"}')
    half = {key: value.half() for key, value in weights.items()}
    save_file({key: value.contiguous() for key, value in half.items()}, folder / "model.safetensors")
    shutil.copy(folder / "model.safetensors", tmp_path / "renamed.ckpt")
    for start in (folder, folder / "model.safetensors", tmp_path / "renamed.ckpt"):
        told, began = train(start)
        assert told.code == 0, told.err
        assert began_with(began, half)
    assert began_with(began, weights, 1e-3) and not began_with(began, weights)
    (folder / "model.safetensors").unlink()
    torch.save({key: value.bfloat16() for key, value in weights.items()}, folder / "pytorch_model.bin")
    told, began = train(folder)
    assert (told.code, "read from pytorch_model.bin" in told.err) == (0, True)
    assert began_with(began, weights, 1e-2)


def test_a_sharded_model_is_put_together(train, weights, tmp_path):
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, keys in shards.items():
        save_file({key: weights[key].contiguous() for key in keys}, tmp_path / shard)
    index = {"metadata": {}, "weight_map": {key: shard for shard, keys in shards.items() for key in keys}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    for start in (tmp_path, tmp_path / "model.safetensors.index.json"):
        told, began = train(start)
        assert told.code == 0, told.err
        assert began_with(began, weights)
    index["weight_map"][names[0]] = "../model.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    told, _ = train(tmp_path)
    assert (told.code, "names the file '../model.safetensors', which does not lie beside it" in told.err) == (1, True)
    index["weight_map"][names[0]] = "model-00001-of-00002.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    told, _ = train(tmp_path)
    assert told.code == 1
    assert "names 2 files, and 1 of them are not beside it (model-00002-of-00002.safetensors)" in told.err


def archives() -> dict[str, bytes]:
    packed, tar, zipped = gzip.compress(b"weights"), io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("weights.pth", b"")
    return {"gzip": packed, "tar": tar.getvalue(), "zip": zipped.getvalue()}


NOT_WEIGHTS = {
    POINTER: "is a git-lfs pointer that stands for a file of 4,122,300,000 bytes",
    PAGE: 'is not a weight file but a web page (HTML), titled "Sign in"',
    b'{"error": "Repository not found"}': "is not a weight file but JSON that begins",
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>": "is not a weight file but XML",
    b"Entry not found": 'is not a weight file but text that begins "Entry not found"',
    b"": "is empty (0 bytes)",
    bytes(4096): "begins with 1024 zero bytes",
    b"GGUF\x03\x00\x00\x00": "is a GGUF file",
    b"\x93NUMPY\x01\x00": "is a NumPy array",
    b"\xff\xd8\xff\xe0 JFIF": "is not a weight file: it begins with the bytes ff d8 ff e0",
    archives()["gzip"]: "is a gzip archive, not a weight file. Unpack it: gunzip",
    archives()["tar"]: "is a tar archive, not a weight file. Unpack it: tar -xf",
    archives()["zip"]: "is a zip archive of 1 files (weights.pth), not a weight file. Unpack it: unzip",
    pickle.dumps({"a": 1}, protocol=2): "is a pickle, and not one that torch.save wrote",
}


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "weights"])
def test_what_is_no_weight_file_is_named_as_what_it_is(bench, clips, store, tmp_path, name):
    path = tmp_path / name
    for content, said in NOT_WEIGHTS.items():
        path.write_bytes(content)
        video = ("--video", clips / "clip0.mp4", "--duration", 1, "--out", tmp_path / "out")
        for call in (
            ("generate", "--weights", path, *video),
            ("generate", "--system", "mmaudio-dup", "--weights", path, *video),
            ("run", "--suite", f"folder:{clips}", "--system", f"visaudio:{path}", "--out", tmp_path / "run"),
            ("train", "visaudio", "--data", store, "--from", path, "--out", tmp_path / "run", "--device", "cpu"),
            ("hear", "validate", "visaudio_bench.models.hear_api.vggish", "--weights", path),
        ):
            told = bench(*call)
            everything = told.out + told.err
            assert (told.code > 0, said in everything) == (True, True), (call, everything)
            assert not any(word in everything for word in ("network of", "Traceback", "weights_only")), everything


def test_pointers_and_pages_in_place_of_registered_weights(bench, tmp_path, monkeypatch):
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    monkeypatch.setitem(WEIGHTS, "toy", WeightFile("toy", "toy.pth", "nothing", 10_000, "CC0", "http://127.0.0.1:9/"))
    for content, said in ((POINTER, "git lfs pull"), (PAGE, "web page (HTML)")):
        (tmp_path / "toy.pth").write_bytes(content)
        told = bench("weights", "verify", "toy", "--format", "json")
        assert (told.code, said in told.out) == (1, True)
        (tmp_path / "other").mkdir(exist_ok=True)
        shutil.copy(tmp_path / "toy.pth", tmp_path / "other")
        (tmp_path / "toy.pth").unlink()
        told = bench("weights", "fetch", "toy", "--from", tmp_path / "other")
        assert (told.code, said in told.err) == (1, True)


def test_damage_is_named_only_where_it_was_seen(train, weights, tmp_path):
    path = tmp_path / "x.pth"
    torch.save(weights, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "the directory that closes it is not there" in train(path)[0].err
    at = whole.rindex(b"PK\x01\x02")
    path.write_bytes(whole[:at] + b"XX" + whole[at + 2 :])
    assert "is damaged" in train(path)[0].err
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert "ends before its last tensor does" in train(path)[0].err
    path.write_bytes(whole[:200])
    assert "its pickle ends or breaks off in the middle" in train(path)[0].err
    save_file({key: value.contiguous() for key, value in weights.items()}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert (
        f"it has {len(whole) - 1:,} bytes, and its header speaks of {len(whole):,}: it is cut short"
        in train(path)[0].err
    )
    path.write_bytes(whole + b"\0")
    assert "something was added to it" in train(path)[0].err


class Attack:
    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        import os

        return (os.system, (f"echo owned > {self.target}",))


def test_what_cannot_be_taken_says_the_one_thing_to_do(train, weights, tmp_path):
    path = tmp_path / "x.pth"
    network = build(MICRO.mono)
    for contents, said in (
        (
            network,
            "an object of visaudio_bench.models.visaudio.network.MMAudio, "
            "which is not made because that would run its code",
        ),
        ({"student": weights, "teacher": weights}, "holds several sets of weights (student, teacher). Save the one"),
        ({"epoch": 3, "loss": 0.5}, "got a mapping of epoch (int), loss (float)"),
        ({"weights": weights, "x": Attack(tmp_path / "owned")}, "Python's pickle would call posix.system"),
        ({**weights, "audio_input_proj.0.weight": weights["audio_input_proj.0.weight"].char()}, "as int8"),
        ({key: value * float("inf") for key, value in weights.items()}, "values that are not finite numbers"),
        (filled(MICRO), "without what bench train writes beside them"),
    ):
        torch.save(contents, path)
        told, _ = train(path)
        assert (told.code, said in told.err) == (1, True), told.err
    assert not (tmp_path / "owned").exists()
    torch.save({"weights": weights, "args": argparse.Namespace()}, path, pickle_protocol=4)
    assert "written with protocol 4" in train(path)[0].err
    folder = tmp_path / "several"
    folder.mkdir()
    assert "is a folder that holds no weights" in train(folder)[0].err
    for name in ("a.pth", "b.pth"):
        torch.save(weights, folder / name)
    assert "holds several files of weights (a.pth, b.pth); name the one" in train(folder)[0].err
    (folder / ".metadata").touch()
    assert "dcp_to_torch" in train(folder)[0].err


@pytest.mark.parametrize("name", ["ours.ckpt", "ours.pt", "ours"])
def test_our_own_checkpoint_works_under_any_name(bench, clips, train, tmp_path, name):
    network = build(MICRO)
    network.load_state_dict(filled(MICRO))
    save_network(network, tmp_path / "ours.safetensors", open_parts("built-in").notes())
    (tmp_path / "ours.safetensors").rename(tmp_path / name)
    call = ("generate", "--weights", tmp_path / name, "--video", clips / "clip0.mp4", "--duration", 1, "--steps", 1)
    told = bench(*call, "--out", tmp_path / "out")
    assert told.code == 0, told.err
    assert json.loads((tmp_path / "out" / "clip0.json").read_text())["system"] == "visaudio-tiny"
    told = bench(*call, "--system", "mmaudio-dup", "--out", tmp_path / "out")
    assert (told.code, "holds the network of visaudio (" in told.err) == (2, True)
    told, began = train(tmp_path / name)
    assert told.code == 0, told.err
    assert torch.equal(began["pe_proj.pos_l"], network.pe_proj.pos_l)


def test_mmaudio_is_only_named_where_it_was_found(bench, clips, weights, tmp_path):
    torch.save({"it": 1, "weights": weights, "ema": None}, tmp_path / "ckpt_last.pth")
    call = ("generate", "--weights", tmp_path / "ckpt_last.pth", "--video", clips / "clip0.mp4", "--out", tmp_path)
    told = bench(*call)
    assert (told.code, "holds the network of mmaudio-dup" in told.err) == (2, True)
    torch.save({"features.0.weight": torch.zeros(3), "features.13.weight": torch.zeros(3)}, tmp_path / "ckpt_last.pth")
    told = bench(*call)
    assert (told.code, "It looks like VGGish" in told.err, "holds the network" in told.err) == (1, True, False)


def test_the_state_of_a_training_is_no_network(bench, clips, train, weights, tmp_path):
    torch.save(weights, tmp_path / "x.pth")
    assert train(tmp_path / "x.pth")[0].code == 0
    state = tmp_path / "run" / "state.safetensors"
    shutil.copy(state, tmp_path / "state.safetensors")
    told = bench(
        "generate", "--weights", tmp_path / "state.safetensors", "--video", clips / "clip0.mp4", "--out", tmp_path
    )
    assert (told.code, "take last.safetensors or best.safetensors" in told.err) == (1, True)
    assert "take last.safetensors" in train(tmp_path / "state.safetensors")[0].err


def test_a_plain_file_is_mapped_and_not_read(weights, tmp_path):
    torch.save(weights, tmp_path / "x.pth")
    assert open_weights(tmp_path / "x.pth").taken == ""
    with pytest.raises(BenchError, match="there is no weight file"):
        load_network(tmp_path / "absent.pth")


@pytest.mark.parametrize(
    "row", ["visaudio:{}", "mono+geometry-aware:{}", pytest.param("mono+foleyspace:{}", marks=pytest.mark.slow)]
)
def test_weights_that_do_not_fit_are_refused_before_other_rows_take_their_time(
    bench: Callable, clips: Path, tmp_path: Path, row: str
) -> None:
    file = tmp_path / "x.safetensors"
    if "geometry" in row:
        geometry = geometry_config.CONFIGS["tiny"]
        GEOMETRY.save(geometry, cut(GeometryAware(geometry).state_dict()), file, {})
    elif "foley" in row:
        foley = foley_config.CONFIGS["tiny"]
        FOLEY.save(foley, cut(SpatialDiffusion(foley).state_dict()), file, {})
    else:
        save_state(cut(filled(MICRO)), MICRO, file, open_parts("built-in").notes())
    asked = ("run", "--suite", f"folder:{clips}", "--metric", "side_mid", "--out", tmp_path / "run")
    done = bench(*asked, "--system", f"noise,{row.format(file)}")
    assert done.code == 1 and "Traceback" not in done.err
    assert "x.safetensors does not hold the weights of" in done.err and "have another shape" in done.err
    assert not (tmp_path / "run" / "audio").exists(), "nothing was made"


def cut(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without the last row of its largest tensor."""
    largest = max(state, key=lambda key: state[key].numel())
    return {**state, largest: state[largest][:-1]}
