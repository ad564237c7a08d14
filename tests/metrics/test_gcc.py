"""GCC-MSE and GCC-MAE against the definition written out, and what they are blind to."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.metrics import gcc
from visaudio_bench.metrics.gcc import WindowDelays, gcc_quantities, window_delays
from visaudio_bench.suites.media import write_audio

from ..conftest import lateral_noise

FEW = 8  # instead of 512 sub-windows, where their number is not the point


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcc, "SHIFTS", FEW)


def written_out(audio: np.ndarray, start: int) -> float:
    """The delay of one window, ms: transforms as sums over lags, nothing shared with the module."""
    delays = []
    for shift in range(FEW + 1):
        left, right = (np.fft.fft(ear[start + shift : start + shift + 3840], 7680) for ear in audio.astype(float))
        phase = np.exp(1j * (np.angle(left) - np.angle(right)))
        bins = np.arange(7680)
        lags = np.arange(-24, 25)
        correlation = np.array([abs(np.sum(phase * np.exp(2j * np.pi * bins * lag / 7680)).real) for lag in lags])
        delays.append(-lags[int(np.argmax(correlation))] / 16)
    return float(np.mean(delays))


@pytest.mark.usefixtures("few")
def test_windows_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(3)
    source = rng.standard_normal(9000)
    moved = np.concatenate([source[9:3609], 0.5 * source[3580:7980]])
    sound = np.stack([moved, 0.5 * source[:8000]]) + 0.9 * rng.standard_normal((2, 8000))
    starts = [0, 0, 1280, 2880, 8000 - 3840 - FEW]  # around 0 s, 0.1 s, ..., kept inside
    assert len(set(window_delays(sound, every=1).delay.round(2).tolist())) > 1
    np.testing.assert_allclose(
        window_delays(sound, every=1).delay, [written_out(sound, start) for start in starts], atol=0.02
    )
    levels = [10 * np.log10((sound[:, start : start + 3840] ** 2).mean()) for start in starts]
    np.testing.assert_allclose(window_delays(sound, every=1).level, levels)


def test_every_sixteenth_shift_is_enough() -> None:
    sound = lateral_noise(0.6, side="left", seed=5)[:, :9600]
    every, some = (window_delays(sound, every=step).delay.mean() for step in (1, gcc.EVERY))
    assert some == pytest.approx(every, abs=0.01)


def test_both_protocols_written_out() -> None:
    rng = np.random.default_rng(4)
    p, g = (WindowDelays(rng.uniform(-1, 1, 80), rng.uniform(-30, -5, 80)) for _ in range(2))
    scores = {name: quantity.value for name, quantity in gcc_quantities(p, g).items()}
    hundred = [(sum(one.delay) + 20 * one.delay[-1]) / 100 for one in (p, g)]
    loud = [np.mean([d for d, level in zip(*one, strict=True) if level >= -16]) for one in (p, g)]
    for protocol, (mine, theirs) in (("code", hundred), ("paper", loud)):
        assert scores[f"gcc_mse_{protocol}"] == pytest.approx(1000 * (mine - theirs) ** 2)
        assert scores[f"gcc_mae_{protocol}"] == pytest.approx(1000 * abs(mine - theirs))
    assert scores["gcc_mse_code"] != pytest.approx(scores["gcc_mse_paper"])


def test_movement_is_forgotten_and_opposite_phase_turns_the_sign() -> None:
    still = WindowDelays(np.zeros(80), np.zeros(80))
    moving = still._replace(delay=np.linspace(-0.5, 0.5, 80))
    assert gcc_quantities(still, moving)["gcc_mse_paper"].value == pytest.approx(0)
    assert gcc_quantities(still, still._replace(level=np.full(80, -17.0)))["gcc_mse_paper"].reason == "below_gate"
    assert gcc_quantities(still, WindowDelays(np.zeros(0), np.zeros(0)))["gcc_mae_code"].reason == "short"


def test_swapped_and_mono_rows(bench: Callable, tmp_path: Path) -> None:
    for index in range(2):
        loud = 8 * lateral_noise(1.2, side="left", seed=70 + index)
        write_audio(tmp_path / "clips" / f"clip{index}.wav", np.clip(loud, -1, 1), 44100)
    run = tmp_path / "run"
    told = bench("run", "--suite", f"folder:{tmp_path / 'clips'}", "--metric", "gcc", "--out", run, "--workers", 1,
                 "--system", "noise")  # fmt: skip
    assert told.code == 0, told.err
    with (run / "results.csv").open() as file:
        value = {(row["system"], row["metric"]): float(row["value"] or "nan") for row in csv.DictReader(file)}
    ten_samples = 1000 * 10 / 44.1  # µs
    for protocol in ("code", "paper"):
        mae, mse = f"gcc_mae_{protocol}", f"gcc_mse_{protocol}"
        assert value["reference", mae] == value["reference", mse] == 0
        assert value["mono", mae] == pytest.approx(ten_samples, abs=31.3)
        assert value["swapped", mae] == pytest.approx(2 * value["mono", mae], rel=1e-6)
        assert value["swapped", mse] == pytest.approx(4 * value["mono", mse], rel=1e-6)
