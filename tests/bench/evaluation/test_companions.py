"""Files of other programs beside a run: Spatial AV-Align and the angle of ambisonics through the command line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.suites.ambisonics import encode
from visaudio_bench.suites.media import write_audio

from ...conftest import lateral_noise


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two clips of two systems' sounds, with what others say of them."""
    for index in range(2):
        for system in ("true", "ours"):
            write_audio(tmp_path / system / f"clip{index}.wav", lateral_noise(2.0, seed=index), 44100)
        wave = np.random.default_rng(index).standard_normal(32000).astype(np.float32) / 8
        for system, azimuth in (("reference", 0.0), ("ours", 0.5)):
            write_audio(tmp_path / "beside" / "foa" / system / f"clip{index}.wav", encode(wave, azimuth, 0.0), 16000)
    write(tmp_path / "beside" / "boxes" / "clip0.csv", "".join(f"{frame},0,100.9,0,150,90\n" for frame in range(8)))
    write(tmp_path / "beside" / "boxes" / "clip1.csv", "")
    write(tmp_path / "beside" / "events" / "ours" / "clip0.csv", "0,1,59.9\n5,1,60.2\n6,1,120\n")
    write(tmp_path / "beside" / "events" / "ours" / "clip1.csv", "19,3,10\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def scored(bench: Callable, folder: Path, *more: object) -> dict[tuple[str, str], dict[str, str]]:
    asked = ("--predictions", folder / "ours", "--references", folder / "true", "--workers", 1, *more)
    told = bench("score", *asked, "--metric", "av_align,foa_angular,lr_acc", "--out", folder / "run", "--replace")
    assert told.code == 0, told.err
    with (folder / "run" / "results.csv").open() as file:
        return {(row["system"], row["metric"]): row for row in csv.DictReader(file)}


def test_given_files_become_columns(bench: Callable, folders: Path) -> None:
    rows = scored(bench, folders, "--companions", folders / "beside")
    assert float(rows["ours", "av_align"]["value"]) == 50  # x of 60 and 120 of four events
    assert rows["ours", "av_align"]["n"] == "2"
    assert float(rows["ours", "foa_angular"]["value"]) == pytest.approx(0.5, abs=1e-3)
    assert float(rows["reference", "foa_angular"]["value"]) == pytest.approx(0, abs=1e-6)
    assert (rows["mono", "foa_angular"]["value"], rows["mono", "foa_angular"]["reason"]) == ("", "no_foa")
    assert (rows["mono", "av_align"]["value"], rows["mono", "av_align"]["reason"]) == ("", "no_events")
    assert rows["ours", "lr_acc"]["value"], "the other columns are as ever"


def test_what_is_not_given_leaves_its_columns_empty(bench: Callable, folders: Path) -> None:
    rows = scored(bench, folders)
    assert {rows["ours", key]["reason"] for key in ("av_align", "foa_angular")} == {"no_companions"}
    assert rows["ours", "lr_acc"]["value"]


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("events/ours/clip0.csv", "frame,class,x\n0,1,2\n", "bad_companion"),
        ("events/ours/clip0.csv", "0,1\n", "bad_companion"),
        ("boxes/clip0.csv", "0,1,2,3,4,nan\n", "bad_companion"),
        ("boxes/clip0.csv", "0,1,2,3,4,1e30\n", "bad_companion"),
    ],
)
def test_a_file_that_cannot_be_read_costs_its_clip_these_columns(
    bench: Callable, folders: Path, path: str, text: str, reason: str
) -> None:
    (folders / "beside" / path).write_text(text)
    rows = scored(bench, folders, "--companions", folders / "beside")
    assert (rows["ours", "av_align"]["n"], float(rows["ours", "av_align"]["value"])) == ("1", 0)
    with (folders / "run" / "clips.csv").open() as file:
        assert reason in {row["reason"] for row in csv.DictReader(file) if row["system"] == "ours"}
    assert rows["ours", "lr_acc"]["n"] == "2"


def test_two_channels_are_no_ambisonics_and_an_empty_folder_is_refused(bench: Callable, folders: Path) -> None:
    for index in range(2):
        write_audio(folders / "beside" / "foa" / "ours" / f"clip{index}.wav", np.zeros((2, 32000), np.float32), 16000)
    rows = scored(bench, folders, "--companions", folders / "beside")
    assert rows["ours", "foa_angular"]["reason"] == "bad_companion"
    told = bench("score", "--predictions", folders / "ours", "--companions", folders / "true")
    assert (told.code, "holds none of the folders events, boxes, foa" in told.err) == (2, True)
