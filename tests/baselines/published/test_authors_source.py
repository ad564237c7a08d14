"""Published systems from their authors' real source, with random weights, on the CPU: install, check, run.

`VISAUDIO_BENCH_UPSTREAM` is a folder with one checkout a system, named as the system's folder here, and
`VISAUDIO_BENCH_UPSTREAM_PYTHON` an interpreter that has the packages of their locks. Nobody's continuous integration
has either; docs/add-a-system.md says how to run these by hand.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from visaudio_bench.suites.media import read_sound

UPSTREAM = os.environ.get("VISAUDIO_BENCH_UPSTREAM", "")
PYTHON = os.environ.get("VISAUDIO_BENCH_UPSTREAM_PYTHON", "")
SMALL = {"mmaudio": ":model=small_44k:steps=2:precision=float32"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


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


# A network of MMAudio's class that is small and of its second version, a flow of three steps, and what comes out.
FLOW = """
import sys
import torch
from mmaudio.model.flow_matching import FlowMatching
from mmaudio.model.networks import MMAudio

torch.manual_seed(0)
net = MMAudio(latent_dim=40, clip_dim=1024, sync_dim=768, text_dim=1024, hidden_dim=128, depth=5, fused_depth=3,
              num_heads=2, latent_seq_len=44, clip_seq_len=8, sync_seq_len=16, v2=True).eval()
for name, parameter in net.named_parameters():
    if not parameter.isfinite().all():
        parameter.data.fill_(0.3 if name == "latent_mean" else 1.2)
    elif not parameter.any():
        parameter.data.normal_(0, 0.05)
clip, sync, text = torch.randn(1, 8, 1024), torch.randn(1, 16, 768), torch.randn(1, 77, 1024)
noise = torch.randn(1, 44, 40)
with torch.inference_mode():
    wanted = net.preprocess_conditions(clip, sync, text)
    unwanted = net.get_empty_conditions(1)
    flow = FlowMatching(min_sigma=0, inference_mode="euler", num_steps=3)
    made = flow.to_data(lambda t, x: net.ode_wrapper(t, x, wanted, unwanted, 4.5), noise.clone())
    made = net.unnormalize(made)
torch.save({"state": net.state_dict(), "clip": clip, "sync": sync, "text": text, "noise": noise, "made": made},
           sys.argv[1])
"""


def test_mmaudio_and_our_own_agree_on_the_same_weights(tmp_path: Path) -> None:
    from visaudio_bench.models.visaudio.checkpoints import load_mmaudio, recognise
    from visaudio_bench.models.visaudio.conditions import Conditions
    from visaudio_bench.models.visaudio.sampler import sample

    source = source_of("mmaudio")
    path = tmp_path / "theirs.pt"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    subprocess.run([PYTHON, "-c", FLOW, str(path)], env=environment, check=True, timeout=600)
    theirs = torch.load(path, weights_only=True)
    skipped = ("latent_rot", "clip_rot", "t_embed.freqs")  # tables, which their loader drops too
    state = {name: tensor for name, tensor in theirs["state"].items() if name not in skipped}
    network = load_mmaudio(state, recognise(state, "theirs").mono).network.eval()
    conditions = Conditions(theirs["clip"], theirs["sync"], theirs["text"])
    ours = network.unnormalise(sample(network, conditions, theirs["noise"], steps=3, guidance=4.5))
    torch.testing.assert_close(ours, theirs["made"], rtol=1e-4, atol=1e-4)
