"""`bench run --protocol binauralize`: the columns of Garg et al.'s Table 2, their numbers, and where sounds are."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.metrics.binaural_error import binaural_errors
from visaudio_bench.suites.media import read_binaural, resample


@pytest.fixture
def fairplay(clips: Path) -> Path:
    """Some clips in a folder that is called as the data set."""
    for path in clips.glob("clip[2-5].*"):
        path.unlink()
    return clips.rename(clips.with_name("fairplay"))


def test_measured_rows_stand_beside_published_ones(bench: Callable, fairplay: Path, tmp_path: Path) -> None:
    call = ("run", "--suite", f"folder:{fairplay}", "--protocol", "binauralize", "--workers", 1)
    told = bench(*call, "--system", "motion-pan", "--out", tmp_path / "run", "--format", "csv")
    assert told.code == 0, told.err
    table = [row for row in csv.DictReader(told.out.splitlines()) if "beside" in row["table"]]
    cells = {(row["row"], row["column"]): row["value"] for row in table}
    assert float(cells["Mono-Mono: published", "stft"]) == 1.215
    assert float(cells["Garg et al.: published", "env"]) == 0.134
    assert {"Audio-Only: published", "Flipped-Visual: published", "Mono", "Mono: difference"} <= {r for r, _ in cells}
    with (tmp_path / "run" / "results.csv").open() as file:
        values = {(row["system"], row["metric"]): row for row in csv.DictReader(file)}
    assert {metric for _, metric in values} == {"stft", "env", "lat_r", "lr_acc", "lat_err", "delta_ild", "delta_itd"}
    true = [resample(read_binaural(path).samples, 44100, 16000) for path in sorted(fairplay.glob("*.wav"))]
    errors = [binaural_errors(np.stack([ears.mean(0)] * 2), ears) for ears in true]
    assert float(values["mono", "stft"]["value"]) == pytest.approx(np.mean([e.stft for e in errors]), rel=1e-3)
    assert float(values["mono", "env"]["value"]) == pytest.approx(np.mean([e.env for e in errors]), rel=1e-3)


def test_who_makes_sounds_of_its_own_is_refused(bench: Callable, fairplay: Path, tmp_path: Path) -> None:
    call = ("run", "--suite", f"folder:{fairplay}", "--protocol", "binauralize", "--out", tmp_path / "run")
    for system in ("noise", "noise+motion-pan"):
        told = bench(*call, "--system", system)
        assert (told.code, f"{system} is not given the reference's mono sound" in told.err) == (2, True), told.err
