"""Published systems from their authors' real source, with random weights, on the CPU: install, check, run.

`VISAUDIO_BENCH_UPSTREAM` is a folder with one checkout a system, named as the system's folder here, and
`VISAUDIO_BENCH_UPSTREAM_PYTHON` an interpreter that has the packages of their locks. Nobody's continuous integration
has either; docs/add-a-system.md says how to run these by hand.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from visaudio_bench.suites.media import read_sound

from ...models.visaudio import mmaudio_chain

UPSTREAM = os.environ.get("VISAUDIO_BENCH_UPSTREAM", "")
PYTHON = os.environ.get("VISAUDIO_BENCH_UPSTREAM_PYTHON", "")
SMALL = {"mmaudio": ":model=small_44k:steps=2:precision=float32"}

pytestmark = pytest.mark.slow


def source_of(folder: str) -> Path:
    source = Path(UPSTREAM) / folder
    if not UPSTREAM or not PYTHON or not source.is_dir():
        pytest.skip(f"VISAUDIO_BENCH_UPSTREAM has no {folder}, or VISAUDIO_BENCH_UPSTREAM_PYTHON is not set")
    return source


@pytest.mark.parametrize("name", ["visual-sound-25d", "sep-stereo", "pseudo-binaural", "mmaudio"])
def test_it_runs_from_its_authors_source(
    name: str, bench: Callable, clips: Path, own_cache: Path, tmp_path: Path
) -> None:
    source = source_of(name.replace("-", "_"))
    installed = bench(
        "systems", "install", name, "--source", source, "--python", PYTHON, "--random-weights", "--accept-licence"
    )
    assert installed.code == 0, installed.err
    told = bench(
        "run", "--suite", f"folder:{clips}", "--limit", 1, "--system", name + SMALL.get(name, ""),
        "--workers", 1, "--device", "cpu", "--out", tmp_path / "run",
    )  # fmt: skip
    # Random weights may make anything, also sounds that the screen refuses; they must have been made and finished.
    assert told.code in (0, 1), told.err
    (wav,) = (tmp_path / "run" / "audio").rglob(f"{name}-random-weights*/clip0.wav")
    sound = read_sound(wav)
    assert (sound.sample_rate, sound.samples.shape) == (44100, (2, 88200))
    assert np.isfinite(sound.samples).all()
    assert sound.samples.any()
    record = json.loads(wav.with_suffix(".json").read_text())
    assert record["provenance"]["made_from"]["weights"] == "random"
    assert record["provenance"]["worker"]["setting"]["packages"]["torch"]
    with (tmp_path / "run" / "results.csv").open() as file:
        values = [row for row in csv.DictReader(file) if row["system"].startswith(name) and row["value"]]
    assert values


# Of the largest value; the second version of the flow turns its waves by what an ulp of the time does to them.
V2 = {**mmaudio_chain.TINY, "flow": {**mmaudio_chain.TINY["flow"], "v2": True}}
CHAINS = [
    pytest.param(mmaudio_chain.TINY, 1e-4, id="tiny"),
    pytest.param(V2, 3e-4, id="tiny-v2"),
    pytest.param(mmaudio_chain.SMALL, 1e-4, id="small_44k"),
]


@pytest.mark.parametrize(("sizes", "bound"), CHAINS)
def test_mmaudio_and_our_own_make_the_same_sound_of_the_same_weights_noise_and_video(
    sizes: dict[str, Any], bound: float, filled: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of("mmaudio")
    video = Path(__file__).parents[2] / "golden" / "architecture" / "mmaudio_chain.mp4"
    shutil.copy(video, tmp_path / mmaudio_chain.VIDEO)
    mmaudio_chain.write_inputs(tmp_path, sizes, filled)
    environment = {**os.environ, "PYTHONPATH": str(source)}
    subprocess.run([PYTHON, mmaudio_chain.__file__, str(tmp_path)], env=environment, check=True, timeout=5400)
    theirs = load_file(tmp_path / "theirs.safetensors")
    off = mmaudio_chain.differences(mmaudio_chain.our_sound(tmp_path, monkeypatch), theirs)
    assert not {name: value for name, value in off.items() if value > bound}, off
