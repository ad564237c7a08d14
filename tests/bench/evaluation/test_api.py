"""The Python interface: the manual's examples, frames that hold what files hold, errors, and what it leaves alone."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import visaudio_bench
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.suites.media import write_audio

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `references` and `predictions` of two clips."""
    folder = tmp_path_factory.mktemp("sounds")
    for name, gain in (("references", 0.5), ("predictions", 0.8)):
        (folder / name).mkdir()
        for seed in range(2):
            sound = np.random.default_rng(seed).normal(0, 0.1, (2, 70_000))
            write_audio(folder / name / f"c{seed}.wav", (sound * [[1], [gain]]).astype(np.float32), 44100)
    return folder


def read_csv(path: Path) -> Any:
    numbers = {name: [""] for name in ("value", "low", "high")}
    return pd.read_csv(path, keep_default_na=False, na_values=numbers, float_precision="round_trip")


def test_the_examples_of_the_manual_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = doctest.testfile(str(ROOT / "docs" / "python.md"), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert ran.attempted > 20 and ran.failed == 0


def test_score_says_what_the_command_says(
    bench: Callable, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions, references = sounds / "predictions", sounds / "references"
    metrics = ["delta_ild", "lat_ccc", "fd_vgg"]
    told = bench(
        "score", "--predictions", predictions, "--references", references, "--out", tmp_path / "run", "--metric",
        ",".join(metrics),
    )  # fmt: skip
    assert told.code == 0, told.err
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    capsys.readouterr()
    scored = visaudio_bench.score(predictions, references, metrics=metrics)
    assert capsys.readouterr() == ("", "")
    assert not list(Path.cwd().iterdir())
    assert scored.folder is None
    written = read_csv(tmp_path / "run" / "results.csv")
    pd.testing.assert_frame_equal(scored.results[list(written.columns)], written, check_dtype=False, check_exact=True)
    rows = read_csv(tmp_path / "run" / "clips.csv")
    pd.testing.assert_frame_equal(scored.clips, rows, check_dtype=False, check_exact=True)
    again = visaudio_bench.read_run(tmp_path / "run")
    pd.testing.assert_frame_equal(again.results, scored.results)
    assert again.folder == tmp_path / "run"


def test_progress_is_shown_on_request(sounds: Path, capfd: pytest.CaptureFixture[str]) -> None:
    visaudio_bench.score(sounds / "predictions", metrics="side_mid", progress=True)
    out, err = capfd.readouterr()
    assert out == "" and "plan" in err and "scoring" in err


def test_cues_are_those_of_the_scores_at_any_rate() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 88_200))
    sound[1] = 0.5 * sound[0]
    sound[:, 60_000:] = 0
    frame, found = visaudio_bench.cues(sound, 44100), interaural_cues(sound)
    assert frame["start_s"].tolist() == pytest.approx([0, 0.25, 0.5, 0.75])
    np.testing.assert_array_equal(frame["iacc"], found.iacc)
    np.testing.assert_array_equal(frame["ild_db"][found.ild_ok], found.ild[found.ild_ok])
    silent = np.zeros((2, 200_000))
    silent[:, :60_000] = sound[:, :60_000]
    quiet = visaudio_bench.cues(silent, 44100).iloc[-1]
    assert np.isnan([quiet.ild_db, quiet.itd_us, quiet.lateralisation]).all() and not quiet.active
    tone = np.stack([np.sin(np.arange(96_000) * 0.3), 0.25 * np.sin(np.arange(96_000) * 0.3)])
    faster = visaudio_bench.cues(tone, 48000)
    assert faster["ild_db"].to_numpy() == pytest.approx(12.04, abs=0.05)
    assert len(faster) == 4


@pytest.mark.parametrize(
    ("samples", "rate", "told"),
    [
        (np.zeros((96_000, 2)), 48000, "transpose"),
        (np.zeros(96_000), 48000, "expected"),
        (np.zeros((2, 96_000), np.int16), 48000, "divide int16"),
        (np.zeros((2, 900)), 48000, "at least"),
    ],
)
def test_sounds_that_have_no_cues_are_refused(samples: np.ndarray, rate: int, told: str) -> None:
    with pytest.raises(ClipError, match=told):
        visaudio_bench.cues(samples, rate)
    with pytest.raises(UsageError, match="sample rate"):
        visaudio_bench.cues(samples, 0)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"allow_missing": -1}, "allow_missing must be at least 0"),
        ({"dtype": "float16"}, "dtype must be one of float32, tf32, bfloat16, got float16"),
        ({"compat": "other"}, "compat must be one of None, av-benchmark"),
        ({"duration": 0.0}, "duration must be more than 0"),
        ({"metrics": "delta_idl"}, "delta_ild"),
        ({"references": "nowhere"}, "nowhere"),
        ({"predictions": []}, "at least one folder"),
    ],
)
def test_what_the_command_line_refuses_is_refused(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=told):
        visaudio_bench.score(**{"predictions": sounds / "predictions", "references": sounds / "references"} | wrong)
    with pytest.raises(UsageError, match="limit must be at least 1"):
        visaudio_bench.run(limit=0)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="finished run"):
        visaudio_bench.read_run(tmp_path)


def test_importing_the_package_imports_nothing_heavy_and_the_command_line_no_pandas() -> None:
    code = (
        "import sys, visaudio_bench; assert 'run' in dir(visaudio_bench); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'numpy', 'pandas', 'torch', 'click'}), "
        "*[name for name in sys.modules if name.startswith('visaudio_bench.')]); "
        "import visaudio_bench.bench.api, visaudio_bench.bench.evaluation.execution; print('pandas' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert told.stdout.splitlines() == ["", "False"]
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        _ = visaudio_bench.scores  # type: ignore[attr-defined]
