"""What the system does not let us write, and files that something else has damaged: told with the way on."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.bench.evaluation.answer_store import AnswerStore
from visaudio_bench.files import atomic_path
from visaudio_bench.guard import advice_on
from visaudio_bench.models import weights
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.media import write_audio
from visaudio_bench.suites.simulated import SimulatedSuite
from visaudio_bench.suites.simulator.render import clip_files


def forbidden(*_: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied", "/somebody/else's")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_cache_of_somebody_else_ends_a_run_with_one_sentence(
    bench: Callable, clips: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("run", "--suite", f"folder:{clips}", "--system", "noise", "--workers", 1, "--out", tmp_path / "run")
    with monkeypatch.context() as foreign:
        foreign.setattr(AnswerStore, "put", forbidden)
        done = bench(*call)
    assert done.code == 1
    assert f"answers cannot be kept in {cache / 'answers'}: Permission denied" in done.err
    assert "VISAUDIO_BENCH_CACHE=DIR" in done.err and "internal" not in done.err
    assert bench(*call).code == 0, "what was made is kept, and the same command goes on"


def test_a_receipt_that_cannot_be_kept_costs_time_alone(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"weights")
    monkeypatch.setattr(weights, "write_json", forbidden)
    assert weights.sha256(tmp_path / "file") == hashlib.sha256(b"weights").hexdigest()


def test_a_full_disk_says_which_file_had_no_room(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="here") as caught, atomic_path(tmp_path / "here"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "here")
    assert advice_on(caught.value) == "make room there"
    assert "ulimit -f" in advice_on(OSError(errno.EFBIG, "File too large"))
    assert "may write" in advice_on(OSError(errno.EROFS, "Read-only file system"))


def test_a_damaged_scene_is_told_with_what_renders_it_again(bench: Callable, tmp_path: Path, cache: Path) -> None:
    suite = open_suite("simroom-mini")
    assert isinstance(suite, SimulatedSuite)
    write_audio(tmp_path / "whole.flac", np.random.default_rng(0).uniform(-0.1, 0.1, (2, 44_100)), 44_100)
    for name in suite.clip_ids():  # they are there, so that nothing is rendered
        for path in clip_files(suite.folder, name):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((tmp_path / "whole.flac").read_bytes()[:20_000])
    call = ("run", "--suite", "simroom-mini", "--limit", 1, "--system", "mono", "--metric", "side_mid")
    assert bench(*call, "--workers", 1, "--out", tmp_path / "run").code == 1
    (told,) = (json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines())
    assert ".flac cannot be read as sound" in told["message"] and "give it the suffix" not in told["message"]
    assert told["message"].endswith(f"delete the folder {suite.folder}, and the same command renders it again.")


@pytest.mark.parametrize(
    "name", ["clips.csv", *(pytest.param(name, marks=pytest.mark.slow) for name in ("media.json", "results.json"))]
)
def test_a_damaged_file_of_a_run_can_be_given_up(
    bench: Callable, clips: Path, tmp_path: Path, cache: Path, name: str
) -> None:
    call = ("run", "--suite", f"folder:{clips}", "--system", "mono", "--metric", "side_mid", "--workers", 1)
    call = (*call, "--out", tmp_path / "run")
    assert bench(*call).code == 0
    whole = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.csv")}
    damaged = tmp_path / "run" / name
    damaged.write_bytes(damaged.read_bytes()[:-25])
    done = bench(*call)
    assert done.code == 2 and "not its sounds, add --replace" in done.err
    assert bench(*call, "--replace").code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.csv")} == whole
