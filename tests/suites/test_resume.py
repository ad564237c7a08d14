"""Preparation goes on where it was killed, reads nothing twice, and `check` sees what has changed since."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench.lock import hold
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.datasets import DATASETS, Options
from visaudio_bench.suites.media import write_audio
from visaudio_bench.suites.preparation import Preparation

Tree = Callable[[Path], Path]


def journal(data: Path) -> list[str]:
    path = data / "fairplay" / "examined.jsonl"
    return path.read_text().splitlines() if path.is_file() else []


def test_killed_at_any_moment_it_goes_on(bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Tree) -> None:
    root = fairplay_tree(tmp_path / "fairplay")
    for index in range(5, 60):
        for folder, suffix in (("videos", "mp4"), ("binaural_audios", "wav")):
            (root / folder / f"{index:06d}.{suffix}").symlink_to(root / folder / f"{1 + index % 4:06d}.{suffix}")
    code = "from visaudio_bench.bench.cli import main; main()"
    arguments = ["data", "prepare", "fairplay", "--from", str(root), "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    deadline = time.monotonic() + 600
    while len(journal(data)) < 5 and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = journal(data)
    assert 5 <= len(before) < 59
    assert not (data / "fairplay" / "manifest.parquet").exists()
    with (data / "fairplay" / "examined.jsonl").open("a") as file:
        file.write('{"key": "half a li')  # as a machine that lost its power would leave it
    told = bench(*arguments)
    assert told.code == 0, told.err
    assert f"{len(before)} of 59 files were read before" in told.err
    assert len(open_suite("fairplay").clips()) == 59
    keys = [json.loads(line)["key"] for line in journal(data) if line.endswith("}")]
    assert len(keys) == len(set(keys)) == 59


def test_only_what_has_changed_is_read_again(bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Tree) -> None:
    root = fairplay_tree(tmp_path / "fairplay")
    arguments = ("data", "prepare", "fairplay", "--from", root, "--workers", 1)
    assert bench(*arguments).code == 0
    first = open_suite("fairplay").manifest_hash()
    # bytes that decode to nothing, under the old size and time: were they read, the clip would be refused
    path = root / "binaural_audios" / "000001.wav"
    status, content = path.stat(), path.read_bytes()
    path.write_bytes(bytes(len(content)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    told = bench(*arguments)
    assert "4 of 4 files were read before" in told.err
    assert open_suite("fairplay").manifest_hash() == first
    path.write_bytes(content[: len(content) // 2])
    assert [one.entry.clip_id for one in Preparation(DATASETS.get("fairplay"), root, Options()).pending] == ["000001"]
    told = bench(*arguments)
    assert "000001 (short)" in told.err
    assert len(open_suite("fairplay").clips()) == 3
    assert Preparation(DATASETS.get("fairplay"), root, Options(), pictures=True).pending  # other rules, other reading


def test_a_damaged_line_of_the_journal_is_read_again(
    bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Tree
) -> None:
    """One flipped digit would be a wrong number in the manifest, which nobody sees."""
    root = fairplay_tree(tmp_path / "fairplay")
    arguments = ("data", "prepare", "fairplay", "--from", root, "--workers", 1)
    assert bench(*arguments).code == 0
    first, path = open_suite("fairplay").manifest_hash(), data / "fairplay" / "examined.jsonl"
    lines = path.read_text().splitlines()
    digits = re.search(r"\d\.\d+", lines[1])
    assert digits is not None
    lines[1] = lines[1].replace(digits[0], "7.5", 1)
    path.write_text("\n".join([*lines, '{"key": "x", "windows": 5}', "[" * 2000, "5"]) + "\n")
    told = bench(*arguments)
    assert told.code == 0, told.err
    assert "3 of 4 files were read before" in told.err
    assert open_suite("fairplay").manifest_hash() == first


def test_one_preparation_at_a_time(bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Tree) -> None:
    root = fairplay_tree(tmp_path / "fairplay")
    with hold(data / "fairplay", "somebody else"):
        told = bench("data", "prepare", "fairplay", "--from", root, "--workers", 1)
        assert (told.code, "is in use: somebody else" in told.err) == (2, True)
        assert "VISAUDIO_BENCH_DATA" in told.err
        assert not (data / "fairplay" / "examined.jsonl").exists()


@pytest.fixture
def prepared(bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Tree) -> Path:
    root = fairplay_tree(tmp_path / "fairplay")
    assert bench("data", "prepare", "fairplay", "--from", root, "--workers", 1).code == 0
    return root


def test_check_passes_what_is_as_it_was(bench: Callable, prepared: Path) -> None:
    told = bench("data", "check", "fairplay", "--format", "json")
    assert told.code == 0, told.err
    (table,) = json.loads(told.out) if isinstance(json.loads(told.out), list) else [json.loads(told.out)]
    text = json.dumps(table)
    assert "all clips" in text
    assert "left out in preparation: not_found" in text


def test_check_names_what_is_missing_changed_or_wrong(bench: Callable, prepared: Path, sound: Callable) -> None:
    (prepared / "videos" / "000001.mp4").unlink()
    (prepared / "binaural_audios" / "000002.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    write_audio(prepared / "binaural_audios" / "000003.wav", sound(10.0, rate=44100), 44100)
    content = bytearray((prepared / "binaural_audios" / "000004.wav").read_bytes())
    content[-1] ^= 1
    (prepared / "binaural_audios" / "000004.wav").write_bytes(content)
    told = bench("data", "check", "fairplay")
    assert told.code == 1
    for words in (
        "000001 (not_found)", "000002 (lfs_pointer)", "000003 (wrong_rate)", "000004 (changed)",
        "4 of 4 clips of fairplay are not as they were prepared",
    ):  # fmt: skip
        assert words in told.err
    assert "wrong now: wrong_rate" in told.out


def test_a_clip_that_vanishes_after_preparation_fails_the_run_and_is_named(
    bench: Callable, prepared: Path, tmp_path: Path
) -> None:
    (prepared / "binaural_audios" / "000002.wav").unlink()
    arguments = ("run", "--suite", "fairplay", "--system", "noise", "--out", tmp_path / "run", "--workers", 1)
    told = bench(*arguments)
    assert told.code == 1
    (failure,) = [json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines()]
    assert (failure["clip"], failure["reason"]) == ("000002", "not_found")
    assert bench(*arguments, "--allow-missing", 1).code == 0
    shutil.rmtree(prepared)
    assert "Traceback" not in bench(*arguments).err


def test_what_took_too_long_is_tried_again(
    bench: Callable, data: Path, tmp_path: Path, biaudio_tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = biaudio_tree(tmp_path / "biaudio")
    (root / "test.csv").write_text("clip_id,caption\naaaaaaaaaaa_10,a man\n")  # each costs a process that is ended
    arguments = ("data", "prepare", "biaudio", "--from", root, "--workers", 1)
    with monkeypatch.context() as patch:
        patch.setattr("visaudio_bench.suites.preparation.TIMEOUT", 0.0)
        told = bench(*arguments)
    assert (told.code, "holds no usable clip (1 timeout)" in told.err) == (2, True)
    assert "aaaaaaaaaaa_10" in (data / "biaudio" / "rejects.jsonl").read_text()
    assert bench(*arguments).code == 0
    assert len(open_suite("biaudio").clips()) == 1
