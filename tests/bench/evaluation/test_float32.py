"""How float32 is multiplied on a graphics card is a choice that results name, and no other code changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from visaudio_bench.bench.evaluation.frozen_networks import Dtype, Net
from visaudio_bench.models.backbones.layers import exact_float32, multiply_float32
from visaudio_bench.models.weights import Located

CARD = torch.device("cuda")  # nothing is computed on it


@pytest.fixture(autouse=True)
def _in_full() -> Iterator[None]:
    yield
    multiply_float32("ieee")


@pytest.mark.parametrize(
    ("dtype", "products", "numbers"),
    [("float32", "ieee", torch.float32), ("tf32", "tf32", torch.float32), ("bfloat16", "ieee", torch.bfloat16)],
)
def test_a_network_is_loaded_for_the_numbers_that_were_asked_for(
    dtype: Dtype, products: str, numbers: torch.dtype
) -> None:
    given: list[torch.dtype] = []
    _ = Net("n", lambda path, device, kind: given.append(kind), Located(Path("n"), "n"), "cpu", dtype).module
    assert given == [numbers]
    assert torch.backends.cuda.matmul.fp32_precision == products
    before = torch.backends.cudnn.conv.fp32_precision
    with exact_float32(CARD):
        assert torch.backends.cudnn.conv.fp32_precision == products
    assert torch.backends.cudnn.conv.fp32_precision == before


def test_a_processor_does_not_round_and_says_so(bench: Callable, clips: Path, tmp_path: Path) -> None:
    told = bench("run", "--suite", f"folder:{clips}", "--dtype", "tf32", "--device", "cpu", "--out", tmp_path / "run")
    assert told.code == 2 and "graphics cards" in told.err and "Traceback" not in told.err
    assert not (tmp_path / "run").exists()
