"""Depth Anything V2: the sizes of pictures, the published architecture, files as transformers keeps them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from visaudio_bench.errors import BenchError
from visaudio_bench.models import weight_checks
from visaudio_bench.models.backbones.depth_anything import (
    CONFIG,
    PREPROCESSOR,
    SMALL,
    SMALL_CONFIG,
    TENSORS,
    DepthAnything,
    Scaling,
)
from visaudio_bench.models.weights import WEIGHTS, WEIGHTS_VARIABLE, entry

NOT_RUN = "DEPTH ANYTHING NOT TESTED: pip install 'visaudio-bench[depth]'"
TINY = {
    "backbone_config": {
        "model_type": "dinov2", "hidden_size": 16, "image_size": 56, "num_attention_heads": 2, "num_hidden_layers": 4,
        "out_indices": [1, 2, 3, 4], "reshape_hidden_states": False,
    },
    "reassemble_hidden_size": 16, "neck_hidden_sizes": [4, 4, 4, 4], "fusion_hidden_size": 4, "head_hidden_size": 4,
}  # fmt: skip
TOLD = {
    "do_normalize": True, "do_pad": False, "do_rescale": True, "do_resize": True, "ensure_multiple_of": 14,
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "keep_aspect_ratio": True, "resample": 3,
    "image_processor_type": "DPTImageProcessor", "rescale_factor": 1 / 255, "size": {"height": 56, "width": 56},
}  # fmt: skip


@pytest.fixture(scope="module")
def library() -> Any:
    return pytest.importorskip("transformers", reason=NOT_RUN)


@pytest.fixture(scope="module")
def folder(library: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 20,000 random weights as the library keeps it."""
    path = tmp_path_factory.mktemp("published") / "tiny"
    torch.manual_seed(0)
    network = library.DepthAnythingForDepthEstimation(library.DepthAnythingConfig.from_dict(TINY))
    with torch.no_grad():  # else it answers the same everywhere
        for part in (network.neck, network.head):
            for numbers in part.parameters():
                numbers.mul_(9)
        network.head.conv3.bias.fill_(1.0)
    network.save_pretrained(path)
    (path / PREPROCESSOR).write_text(json.dumps(TOLD))
    return path


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((720, 1280), (518, 924)), ((360, 640), (294, 518)), ((480, 640), (518, 686)), ((1920, 1080), (924, 518)),
     ((518, 518), (518, 518)), ((2, 999), (14, 518))],
)  # fmt: skip
def test_pictures_are_scaled_as_little_as_may_be(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert Scaling().size(*size) == expected


@pytest.mark.slow  # the library's import of what makes pictures ready
@pytest.mark.parametrize("size", [(90, 160), (160, 90), (40, 44), (300, 70)])
def test_what_the_network_sees_is_what_the_library_makes_of_a_picture(library: Any, size: tuple[int, int]) -> None:
    pytest.importorskip("torchvision", reason=NOT_RUN)
    from visaudio_bench.models.backbones.frames import normalise, scale

    theirs = library.DPTImageProcessor(**TOLD)
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    scaling = Scaling(56, 56)
    ours = normalise(scale(picture[None], *scaling.size(*size)), scaling.mean, scaling.std)
    torch.testing.assert_close(ours, theirs(picture, return_tensors="pt")["pixel_values"], rtol=0, atol=1e-5)


def test_a_folder_answers_as_the_library_does(library: Any, folder: Path, picture: np.ndarray) -> None:
    opened = DepthAnything(str(folder))
    assert (opened.name, opened.unavailable, opened.library) == ("tiny", "", f"transformers {library.__version__}")
    found = opened.inverse_depth(picture)
    high, wide = opened.scaling.size(90, 160)
    assert found.shape == (high, wide) and found.dtype == np.float32 and found.std() > 0.005
    assert "network" not in opened.__getstate__()
    theirs = library.DepthAnythingForDepthEstimation.from_pretrained(folder, local_files_only=True).eval()
    from visaudio_bench.models.backbones.frames import normalise, scale

    pixels = normalise(scale(picture[None], high, wide), opened.scaling.mean, opened.scaling.std)
    with torch.no_grad():
        np.testing.assert_array_equal(found, theirs(pixel_values=pixels).predicted_depth[0].numpy())


def test_everything_that_answers_depend_on_is_in_the_hash(folder: Path, tmp_path: Path) -> None:
    hashes = {DepthAnything(str(folder)).sha256}
    for name, change in ((CONFIG, {"initializer_range": 0.5}), (PREPROCESSOR, {"size": {"height": 70, "width": 70}})):
        other = tmp_path / name
        shutil.copytree(folder, other)
        (other / name).write_text(json.dumps({**json.loads((other / name).read_text()), **change}))
        hashes.add(DepthAnything(str(other)).sha256)
    other = shutil.copytree(folder, tmp_path / "weights")
    state = load_file(other / TENSORS)
    save_file({**state, "head.conv3.bias": state["head.conv3.bias"] + 1}, other / TENSORS, {"format": "pt"})
    hashes.add(DepthAnything(str(other)).sha256)
    assert len(hashes) == 4


def test_a_file_that_does_not_fit_its_description_is_refused(folder: Path, tmp_path: Path, picture: np.ndarray) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    state = load_file(other / TENSORS)
    state["junk"] = state.pop("head.conv3.bias")
    state["head.conv2.bias"] = torch.zeros(9)
    save_file(state, other / TENSORS, {"format": "pt"})
    with pytest.raises(BenchError, match="1 missing") as told:
        DepthAnything(str(other)).inverse_depth(picture)
    assert "1 unexpected" in str(told.value) and "1 mismatched" in str(told.value)


def test_the_published_file_is_of_the_architecture_that_is_known_here(
    library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network of that description, kept by the library, has as many bytes as the published file."""
    with torch.device("meta"):
        network = library.DepthAnythingForDepthEstimation(library.DepthAnythingConfig.from_dict(dict(SMALL_CONFIG)))
    network.to_empty(device="cpu").save_pretrained(tmp_path)
    assert (tmp_path / TENSORS).stat().st_size == entry(SMALL).size
    weight_checks.depth_anything(tmp_path / TENSORS)
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    monkeypatch.setitem(WEIGHTS, SMALL, replace(entry(SMALL), sha256=None))
    assert "bench weights fetch" in DepthAnything(SMALL).unavailable
    (tmp_path / TENSORS).rename(tmp_path / entry(SMALL).file)
    opened = DepthAnything(SMALL)
    assert opened.unavailable == ""
    for name, tensor in opened.network.state_dict().items():
        assert tensor.shape == network.state_dict()[name].shape


def test_files_of_other_networks_are_told_apart(tmp_path: Path) -> None:
    key = "neck.reassemble_stage.layers.0.projection.weight"
    for name, shape, said in (
        (key, (96, 768, 1, 1), "another Depth Anything"),
        ("depth_head.projects.0.weight", (1,), "as its authors store it"),
    ):
        save_file({name: torch.zeros(shape)}, tmp_path / "one.safetensors")
        with pytest.raises(BenchError, match=said):
            weight_checks.depth_anything(tmp_path / "one.safetensors")
    save_file({key: torch.zeros(48, 384, 1, 1)}, tmp_path / "one.safetensors")
    weight_checks.depth_anything(tmp_path / "one.safetensors")


def test_the_library_is_imported_by_the_first_look_only(tmp_path: Path) -> None:
    code = (
        "import sys; from visaudio_bench.models.backbones.depth_anything import DepthAnything, SMALL\n"
        "from visaudio_bench.baselines import foleyspace, depth_track\n"
        "DepthAnything(SMALL).unavailable\n"
        "sys.exit('transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
