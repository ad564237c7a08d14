"""FD, KL and IS on PaSST through the command line, by a small PaSST with filled weights."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import lfilter
from scipy.special import softmax

from visaudio_bench.bench.evaluation.families.passt import WEIGHTS, PasstScores
from visaudio_bench.models import weights
from visaudio_bench.models.backbones import passt
from visaudio_bench.models.backbones.waveform import resample

from ...conftest import lateral_noise

SMALL = partial(passt.Passt, width=32, depth=1, heads=2)
VIEWS = ("mix", "left", "right")


@pytest.fixture
def small(tmp_path: Path, filled: Callable, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """A small PaSST, whose file is taken for the published one; its classes differ more than filled weights' do."""
    path = tmp_path / "weights" / WEIGHTS.file
    path.parent.mkdir()
    state = filled(SMALL)
    state["head.1.weight"] *= 6
    torch.save(state | {"head_dist.weight": torch.zeros(527, 32), "head_dist.bias": torch.zeros(527)}, path)
    monkeypatch.setenv(weights.WEIGHTS_VARIABLE, str(path.parent))
    monkeypatch.setattr(weights, "WEIGHTS", {k: v for k, v in weights.WEIGHTS.items() if k != WEIGHTS.name})
    here = PasstScores.networks[0]._replace(weights=replace(WEIGHTS, size=path.stat().st_size, sha256=None))
    monkeypatch.setattr(PasstScores, "networks", (here,))
    monkeypatch.setattr(passt, "Passt", SMALL)
    network = SMALL()
    network.load_state_dict(state)
    return network.eval()


def sounds(folder: Path, count: int, *, dark: bool = False) -> Path:
    """Noises of 1.5 s that swell, the later ones the more; `dark` ones have little but bass."""
    folder.mkdir()
    for index in range(count):
        sound = lateral_noise(1.5, side="left" if index % 3 else "right", seed=index + 50 * dark)
        if dark:
            sound = lfilter([0.02], [1, -0.98], sound)
        swell = np.linspace(0.05, 1, sound.shape[1]) ** (index % 4)
        soundfile.write(folder / f"clip{index}.wav", (sound * swell).T, 44100, subtype="PCM_16")
    return folder


def results(run: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    with (run / "results.csv").open() as file:
        return {(row["system"], row["metric"], row["view"]): row for row in csv.DictReader(file)}


def heard(network: torch.nn.Module, path: Path) -> passt.PasstOutput:
    """Step by step what av-benchmark does with a file, for each view."""
    samples, rate = soundfile.read(path, dtype="float32")
    ears = torch.from_numpy(samples.T)
    rows = []
    for view in (ears.mean(0), ears[0], ears[1]):
        rows.append(torch.zeros(320000))
        rows[-1][:48000] = resample(view - view.mean(), rate, 32000)[:48000]
    with torch.inference_mode():
        return network(torch.stack(rows))


def test_three_scores_from_the_weights_to_their_columns(
    bench: Callable, tmp_path: Path, small: torch.nn.Module
) -> None:
    true, made = sounds(tmp_path / "true", 2), sounds(tmp_path / "made", 2, dark=True)
    run = tmp_path / "run"
    told = bench(
        "score", "--predictions", made, "--references", true, "--metric", "passt", "--out", run, "--workers", 1
    )
    assert told.code == 0, told.err
    for title in ("FD-PaSST mix ↓", "KL-PaSST avg ↓", "N = 2 rows of 2 clips, d = 32"):
        assert title in told.out
    own, reference = ([heard(small, folder / f"clip{i}.wav") for i in range(2)] for folder in (made, true))
    found = results(run)
    divergence = [
        (p * np.log(p / q)).sum(-1)
        for p, q in (
            (softmax(theirs.logits.numpy(), -1), softmax(ours.logits.numpy(), -1))
            for ours, theirs in zip(own, reference, strict=True)
        )
    ]
    for index, view in enumerate(VIEWS):
        expected = float(np.mean([clip[index] for clip in divergence]))
        assert expected > 0.01
        assert float(found["made", "kl_passt", view]["value"]) == pytest.approx(expected, rel=1e-3)
    both = [float(found["made", "kl_passt", view]["value"]) for view in ("avg", "left", "right")]
    assert both[0] == pytest.approx((both[1] + both[2]) / 2)
    kept = np.load(run / "features" / "true" / "made.npz")["passt"]
    np.testing.assert_allclose(kept, np.stack([clip.features.numpy() for clip in own]), atol=1e-4)
    assert float(found["reference", "fd_passt", "mix"]["value"]) == pytest.approx(0, abs=1e-6)
    assert float(found["made", "fd_passt", "mix"]["value"]) > 0
    few = found["made", "is_passt", "mix"]
    assert (few["value"], few["status"]) == ("", "missing")
    assert few["reason"] == "too few clips: N = 2 clips in 10 groups"


def test_an_inception_score_needs_no_reference(bench: Callable, tmp_path: Path, small: torch.nn.Module) -> None:
    made, run = sounds(tmp_path / "made", 11), tmp_path / "run"
    told = bench("score", "--predictions", made, "--metric", "is_passt,fd_passt", "--out", run, "--workers", 1)
    assert told.code == 0, told.err
    assert "IS-PaSST mix ↑" in told.out and "IS-PaSST: N = 11 clips in 10 groups." in told.out
    logits = np.load(run / "features" / "predictions" / "made.npz")["passt_logits"]
    order = np.random.RandomState(2020).permutation(11)
    groups = [order[i * 11 // 10 : (i + 1) * 11 // 10] for i in range(10)]
    for index, view in enumerate(VIEWS):
        p = softmax(logits[:, index].astype(np.float64), -1)
        gains = [(p[group] * np.log(p[group] / p[group].mean(0))).sum(-1).mean() for group in groups]
        found = results(run)["made", "is_passt", view]
        assert float(found["value"]) == pytest.approx(np.exp(gains).mean())
        assert (found["low"], found["reason"]) == ("", "N = 11 clips in 10 groups")
    both = [float(results(run)["made", "is_passt", view]["value"]) for view in ("avg", "left", "right")]
    assert both[0] == pytest.approx((both[1] + both[2]) / 2)
    assert results(run)["made", "fd_passt", "mix"]["value"] == ""
