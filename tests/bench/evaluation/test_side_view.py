"""Distances of the side, and IS-PANN: against few lines, and through the command line by a small VGGish."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from scipy.linalg import sqrtm
from scipy.special import log_softmax

from visaudio_bench.bench.evaluation.families.panns import PannsScores
from visaudio_bench.bench.evaluation.families.panns_side import PannsOfTheSide
from visaudio_bench.bench.evaluation.families.vggish_side import VggishOfTheSide
from visaudio_bench.bench.evaluation.frozen_networks import Hearing
from visaudio_bench.leaderboards.feature_distances import FeatureSet, set_distance
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.models import weights
from visaudio_bench.models.backbones import vggish
from visaudio_bench.models.backbones.panns import PannsOutput
from visaudio_bench.models.backbones.waveform import resample
from visaudio_bench.suites.media import Sound

from ...conftest import lateral_noise

SMALL = partial(vggish.Vggish, channels=(4,) * 6, hidden=8)


class Spectra:
    """Four bands of the spectrum, for a network."""

    sample_rate = 32000

    def __call__(self, rows: torch.Tensor) -> PannsOutput:
        bands = torch.stack([part.abs().mean(-1) for part in torch.fft.rfft(rows).chunk(4, -1)], -1)
        return PannsOutput(bands, bands.log1p())


def hearing(samples: np.ndarray, rate: int = 44100) -> SimpleNamespace:
    native = Hearing(Sound(samples.astype(np.float32), rate, rate), samples.shape[1] / rate)
    return SimpleNamespace(native=native)


NET = {"panns": SimpleNamespace(module=Spectra(), device="cpu", answer=lambda name, compute, *_: compute())}


def side_of(samples: np.ndarray) -> np.ndarray:
    return PannsOfTheSide().features(hearing(samples), NET)["panns_side"]  # type: ignore[arg-type]


def test_the_side_is_half_of_left_less_right_and_cannot_tell_left_from_right() -> None:
    ears = lateral_noise(1.0, side="left", seed=2)
    half = (ears[0] - ears[1]) / 2
    expected = Spectra()(resample(torch.from_numpy(half - half.mean())[None], 44100, 32000)).features
    np.testing.assert_allclose(side_of(ears), expected.numpy()[None], rtol=1e-4)
    np.testing.assert_allclose(side_of(ears[::-1].copy()), side_of(ears), rtol=1e-5)
    assert not side_of(np.stack([ears[0], ears[0]])).any(), "mono has none"
    mid = PannsScores().features(hearing(ears), NET)["panns"][:, 0]  # type: ignore[arg-type]
    assert np.abs(mid - side_of(ears)[:, 0]).max() > 0.1


def of(rows: np.ndarray) -> FeatureSet:
    return FeatureSet(rows, np.arange(len(rows)), tuple(f"c{i}" for i in range(len(rows))))


def metric_of(metrics: tuple[Metric, ...], key: str) -> Metric:
    return next(metric for metric in metrics if metric.key == key)


def test_the_distance_is_frechets_of_those_rows() -> None:
    rng = np.random.default_rng(0)
    p, g = rng.normal(0, 1, (40, 1, 3)), rng.normal(0.5, 2, (40, 1, 3))
    (mp, cp), (mg, cg) = ((x[:, 0].mean(0), np.cov(x[:, 0], rowvar=False)) for x in (p, g))
    expected = (mp - mg) @ (mp - mg) + np.trace(cp + cg - 2 * sqrtm(cp @ cg).real)
    metric = metric_of(PannsOfTheSide.metrics, "fd_pann_side")
    assert (metric.views, metric.default) == (("side",), False)
    assert set_distance(metric, of(p), of(g), "side", "float64").plain == pytest.approx(expected, rel=1e-9)


def test_the_inception_score_written_out() -> None:
    logits = np.random.default_rng(1).normal(0, 2, (43, 3, 527))
    order = np.random.RandomState(2020).permutation(43)
    p = np.exp(log_softmax(logits[:, 0], axis=-1))[order]
    groups = [p[i * 43 // 10 : (i + 1) * 43 // 10] for i in range(10)]
    scores = [np.exp(np.mean(np.sum(q * (np.log(q) - np.log(q.mean(0))), 1))) for q in groups]
    metric = metric_of(PannsScores.metrics, "is_pann")
    assert (metric.needs_reference, metric.default) == (False, False)
    assert set_distance(metric, of(logits), of(logits), "mix", "float64").plain == pytest.approx(
        np.mean(scores), rel=1e-9
    )
    answer = PannsScores().features(hearing(lateral_noise(1.0)), NET)  # type: ignore[arg-type]
    assert answer["panns_logits"].shape == (1, 3, 4)


def test_a_column_of_the_side_on_request(
    bench: Callable, tmp_path: Path, filled: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights" / weights.WEIGHTS["vggish"].file
    path.parent.mkdir()
    torch.save(filled(SMALL), path)
    monkeypatch.setenv(weights.WEIGHTS_VARIABLE, str(path.parent))
    known = replace(weights.WEIGHTS["vggish"], size=path.stat().st_size, sha256=None, md5=None)
    monkeypatch.setitem(weights.WEIGHTS, "vggish", known)
    monkeypatch.setattr(vggish, "Vggish", SMALL)
    for index in range(3):
        (tmp_path / "clips").mkdir(exist_ok=True)
        sound = lateral_noise(1.5, side="left" if index else "right", seed=index)
        soundfile.write(tmp_path / "clips" / f"clip{index}.wav", sound.T, 44100, subtype="PCM_16")
    run = tmp_path / "run"
    asked = ("--metric", "fd_vgg,vggish_side", "--system", "noise", "--workers", 1, "--out", run)
    told = bench("run", "--suite", f"folder:{tmp_path / 'clips'}", *asked)
    assert told.code == 0, told.err
    with (run / "results.csv").open() as file:
        value = {
            (row["system"], row["metric"], row["view"]): float(row["value"])
            for row in csv.DictReader(file)
            if row["value"]
        }
    assert value["reference", "fd_vgg_side", "side"] == pytest.approx(0, abs=1e-6)
    assert value["swapped", "fd_vgg_side", "side"] == pytest.approx(0, abs=1e-4)
    assert value["mono", "fd_vgg_side", "side"] > value["noise", "fd_vgg_side", "side"] > 0
    assert VggishOfTheSide.metrics[0].title in told.out
    stored = np.load(run / "features" / "clips" / "mono.npz")
    assert (stored["vggish"].shape[1], stored["vggish_side"].shape[1]) == (3, 1)
    assert bench("report", run, "--format", "md").out == (run / "leaderboard.md").read_text()
