"""`kill -9` at any stage, then the same command: it goes on, and ends with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TABLES = ("results.csv", "clips.csv", "leaderboard.md")


def command(out: Path) -> list[str]:
    code = "from visaudio_bench.bench.cli import main; main()"
    return [sys.executable, "-c", code, "run", "--suite", "simroom-mini", "--out", str(out), "--workers", "1"]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "VISAUDIO_BENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def kill_after(out: Path, cache: Path, ready: object) -> None:
    """Start the run, kill it with its whole group as soon as `ready()` is true."""
    process = subprocess.Popen(
        command(out), env=environment(cache), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.005)
    assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def finish(out: Path, cache: Path) -> None:
    done = subprocess.run(command(out), env=environment(cache), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def count(folder: Path, pattern: str) -> int:
    return sum(1 for path in folder.rglob(pattern) if not path.name.startswith("."))


@pytest.mark.timeout(280)
def test_killed_in_every_stage_the_run_ends_with_the_same_numbers(tmp_path: Path, shared_cache: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "run"
    features = cache / "features"
    kill_after(out, cache, lambda: count(cache, "*.json") >= 3)  # while the suite is rendered
    rendered = {path: path.stat().st_mtime_ns for path in cache.rglob("simroom-mini-*") if path.suffix == ".json"}
    assert 3 <= len(rendered) < 12
    kill_after(out, cache, lambda: count(features, "*.npz") >= 4)  # while references are read
    kill_after(out, cache, lambda: count(out, "swapped/*.json") >= 4)  # while sounds are made
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.wav") if not path.name.startswith(".")}
    before = count(features, "*.npz")
    kill_after(out, cache, lambda: count(features, "*.npz") >= before + 8)  # while sounds are scored
    finish(out, cache)
    assert all(path.stat().st_mtime_ns == time for path, time in rendered.items()), "a rendered clip was made again"
    kept = [path for path, time in made.items() if path.stat().st_mtime_ns == time]
    assert len(kept) >= len(made) - 1, "finished sounds were made again"
    undisturbed = tmp_path / "undisturbed"
    finish(undisturbed, shared_cache)
    for table in TABLES:
        assert (out / table).read_bytes() == (undisturbed / table).read_bytes(), table


def test_ctrl_c_ends_the_run_with_one_sentence(tmp_path: Path) -> None:
    arguments = [*command(tmp_path / "run")[:-1], "2"]
    process = subprocess.Popen(
        arguments, env=environment(tmp_path / "cache"), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while count(tmp_path / "cache", "*.json") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "interrupted; what was finished is kept" in said
    assert "Traceback" not in said
