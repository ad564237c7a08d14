"""`kill -9` at any stage, then the same command: it goes on, and ends with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from visaudio_bench.bench.evaluation.answer_store import AnswerStore

TABLES = ("results.csv", "clips.csv", "leaderboard.md")
CLIPS = 5
LONG = 250  # s: what a stage may take on a machine that does much else


def run(out: Path, workers: int = 1, suite: str = "simroom-mini") -> list[str]:
    asked = ["run", "--suite", suite, "--limit", CLIPS, "--system", "noise"]
    asked += ["--out", out, "--workers", workers]
    return [str(word) for word in asked]


def command(*asked: str) -> list[str]:
    return [sys.executable, "-c", "from visaudio_bench.bench.cli import main; main()", *asked]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "VISAUDIO_BENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def kill_after(asked: Sequence[str], cache: Path, ready: Callable[[], bool]) -> None:
    """Start the run, kill it with its whole group as soon as `ready()` is true."""
    process = subprocess.Popen(
        command(*asked), env=environment(cache), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + LONG
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def stamps(paths: Iterable[Path]) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in paths if not path.name.startswith(".")}


def count(folder: Path, pattern: str) -> int:
    return sum(1 for path in folder.rglob(pattern) if not path.name.startswith("."))


def goes_on(bench: Callable, out: Path, made: dict[Path, int], suite: str = "simroom-mini") -> None:
    """The same command ends well; of the sounds that were there, it makes at most the one again that was at work."""
    told = bench(*run(out, suite=suite))
    assert told.code == 0, told.err
    kept = [path for path, time in made.items() if path.stat().st_mtime_ns == time]
    assert len(kept) >= len(made) - 1 > 0, "finished sounds were made again"


def alike(out: Path, undisturbed: Path) -> None:
    for table in TABLES:
        assert (out / table).read_bytes() == (undisturbed / table).read_bytes(), table


def test_killed_while_sounds_are_made_the_run_ends_with_the_same_numbers(
    bench: Callable, clips: Path, tmp_path: Path
) -> None:
    out, suite = tmp_path / "run", f"folder:{clips}"
    kill_after(run(out, suite=suite), tmp_path / "cache", lambda: count(out, "swapped/*.json") >= 2)
    goes_on(bench, out, stamps(out.rglob("*.wav")), suite)
    assert bench(*run(tmp_path / "undisturbed", suite=suite)).code == 0
    alike(out, tmp_path / "undisturbed")


@pytest.mark.slow
def test_killed_in_every_stage_the_run_ends_with_the_same_numbers(
    bench: Callable, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, out = tmp_path / "cache", tmp_path / "run"

    def answers() -> int:
        return AnswerStore(cache / "answers").contents().entries

    kill_after(run(out), cache, lambda: count(cache, "*.json") >= 2)  # while the suite is rendered
    rendered = stamps(path for path in cache.rglob("simroom-mini-*") if path.suffix == ".json")
    assert 2 <= len(rendered) < 12
    kill_after(run(out), cache, lambda: answers() >= 2)  # while references are read
    kill_after(run(out), cache, lambda: count(out, "swapped/*.json") >= 2)  # while sounds are made
    made = stamps(out.rglob("*.wav"))
    before = answers()
    kill_after(run(out), cache, lambda: answers() >= before + 3)  # while sounds are scored
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(cache))
    goes_on(bench, out, made)
    assert stamps(rendered) == rendered, "a rendered clip was made again"
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(shared_cache))
    assert bench(*run(tmp_path / "undisturbed")).code == 0
    alike(out, tmp_path / "undisturbed")


@pytest.mark.slow  # other commands: tests/bench/cli/test_ends.py
def test_ctrl_c_ends_the_run_with_one_sentence(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(*run(tmp_path / "run", workers=2)), env=environment(tmp_path / "cache"), stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + LONG
    while count(tmp_path / "cache", "*.json") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=LONG)
    assert process.returncode == 130, said
    assert "interrupted; what was finished is kept" in said
    assert "Traceback" not in said
