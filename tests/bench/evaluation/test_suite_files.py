"""Suites as files and from files: export, captions of folders, folders of videos, suites that are not here."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from visaudio_bench.suites import open_suite

from ...conftest import Bench


def test_an_exported_suite_comes_back_as_a_folder_with_its_captions(bench: Bench, clips: Path, tmp_path: Path) -> None:
    (clips / "clip0.txt").write_text("a dog\nbarks\n")
    (clips / "captions.csv").write_text("clip,caption\nclip1,a bell\nclip0,another\nelsewhere,nothing\n")
    suite = open_suite(f"folder:{clips}")
    assert [clip.caption for clip in suite.clips()[:3]] == ["a dog barks", "a bell", None]
    assert not suite.told  # type: ignore[attr-defined]  # all is read
    out = tmp_path / "out"
    told = bench("export", f"folder:{clips}", "--out", out, "--limit", 2, "--workers", 1)
    assert told.code == 0, told.err
    assert sorted(path.name for path in out.rglob("*.*") if not path.name.startswith(".")) == [
        "captions.csv", "clip0.mp4", "clip0.wav", "clip1.mp4", "clip1.wav", "failures.jsonl"
    ]  # fmt: skip
    with (out / "captions.csv").open() as file:
        assert [(row["clip"], row["caption"]) for row in csv.DictReader(file)] == [
            ("clip0", "a dog barks"), ("clip1", "a bell")
        ]  # fmt: skip
    told = bench("score", "--predictions", out / "references", "--references", clips, "--workers", 1, "--metric",
                 "lat_err", "--allow-missing", 9, "--format", "json", "--out", tmp_path / "run")  # fmt: skip
    assert told.code == 0, told.err
    rows = {row["system"]: row["cells"]["lat_err"]["value"] for row in json.loads(told.out)[0]["rows"]}
    assert rows["references"] == pytest.approx(0, abs=1e-6)
    (clips / "captions.csv").write_text("name,text\nclip1,a bell\n")
    told = bench("run", "--suite", f"folder:{clips}", "--dry-run")
    assert told.code == 2 and "no column clip" in told.err


def test_generate_takes_a_folder_of_videos(bench: Bench, clips: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("clip0.mp4", "clip1.mp4"):
        shutil.copy(clips / name, videos / name)
    told = bench("generate", "--system", "noise", "--video", videos, "--duration", 2, "--out", tmp_path / "out")
    assert told.code == 0, told.err
    assert sorted(path.name for path in (tmp_path / "out").glob("*.wav")) == ["clip0.wav", "clip1.wav"]
    (tmp_path / "empty").mkdir()
    told = bench("generate", "--system", "noise", "--video", tmp_path / "empty", "--out", tmp_path / "out")
    assert told.code == 2 and "holds no video" in told.err


def test_a_suite_that_is_not_here_costs_itself_alone(bench: Bench, clips: Path, tmp_path: Path) -> None:
    asked = (
        "run", "--suite", f"folder:{clips},music", "--system", "noise", "--metric", "lr_acc", "--workers", 1,
        "--out", tmp_path / "run", "--format", "json",
    )  # fmt: skip
    told = bench(*asked)
    tables = json.loads(told.out)
    assert told.code == 1 and "--allow-missing-suite" in told.err
    assert len(tables[0]["rows"]) > 3
    assert tables[1]["rows"][0]["suite"] == "music"
    assert "bench data prepare music" in tables[1]["rows"][0]["cells"]["todo"]["text"]
    assert bench(*asked, "--allow-missing-suite").code == 0
    told = bench("run", "--suite", "music,fairplay", "--dry-run")
    assert told.code == 2
    told = bench("run", "--suite", f"folder:{clips},musik", "--dry-run")
    assert told.code == 2 and 'unknown suite "musik"' in told.err


def test_unusable_clips_stand_under_the_table_in_every_format(bench: Bench, clips: Path, tmp_path: Path) -> None:
    (clips / "clip2.wav").write_bytes(b"no sound")
    for form in ("text", "md", "tex", "csv", "json"):
        told = bench("run", "--suite", f"folder:{clips}", "--system", "noise", "--metric", "lr_acc", "--workers", 1,
                     "--out", tmp_path / "run", "--allow-missing", 1, "--format", form)  # fmt: skip
        assert told.code == 0, told.err
        assert "clip2" in told.out.replace("\\", "")
    told = bench("report", tmp_path / "run")
    assert "A sound is left out in 1 of 6 clips: clip2" in told.out


def test_outputs_that_match_no_clip_stop_before_any_work(bench: Bench, clips: Path, tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    shutil.copy(clips / "clip0.wav", strange / "other.wav")
    told = bench("run", "--suite", f"folder:{clips}", "--system", f"outputs:{strange}", "--out", tmp_path / "run")
    assert told.code == 2 and "other" in told.err and "clip0" in told.err
    assert not (tmp_path / "run").exists()
