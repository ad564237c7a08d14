"""How commands end when a person or the machine stops them: soon, with one sentence, and never with a traceback."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from visaudio_bench.bench.cli import _run

COMMAND = (sys.executable, "-c", "from visaudio_bench.bench.cli import main; main()")
SOON = 8.0  # s: a person waits for two, and a loaded machine gets a few more


def interrupted(arguments: tuple[object, ...], ready: Callable[[int], bool]) -> tuple[int, str, float]:
    """Exit code, what was said, and seconds from Ctrl-C on, which a terminal sends to the whole group."""
    command = [*COMMAND, *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        until = time.monotonic() + 120
        while not ready(running.pid):
            assert running.poll() is None, running.stderr.read() if running.stderr else ""
            assert time.monotonic() < until
            time.sleep(0.02)
        began = time.monotonic()
        os.killpg(running.pid, signal.SIGINT)
        said = running.communicate()[1]
    return running.returncode, said, time.monotonic() - began


def maps(pid: int, *words: str) -> bool:
    """Whether a process has such a library open: where it is in its imports."""
    try:
        text = Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False
    return any(word in text for word in words)


def descendants(pid: int) -> int:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return 0
    return len(children) + sum(map(descendants, children))


pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="processes are looked at in /proc")


@pytest.mark.parametrize("library", [("_bisect", "_random", "_json"), ("multiarray",), ("libtorch",)])
def test_ctrl_c_while_libraries_are_loaded(library: tuple[str, ...], tmp_path: Path) -> None:
    run = ("run", "--suite", "simroom-mini", "--limit", 1, "--out", tmp_path / "run")
    code, said, seconds = interrupted(run, lambda pid: maps(pid, *library))
    assert (code, "Traceback" in said) == (130, False), said  # a plan may have been told by then
    assert (
        said.strip().splitlines()[-1] == "interrupted; what was finished is kept, the same command goes on from there"
    )
    assert seconds < SOON


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(("data", "build", "twin", "--suite", "simroom-mini", "--height", 256), marks=pytest.mark.slow),
        ("features", "build", "--suite", "simroom-mini", "--parts", "built-in"),
    ],
)
def test_ctrl_c_while_a_pool_is_at_work(
    call: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    code, said, seconds = interrupted(
        (*call, "--workers", 2, "--out", tmp_path / "made"), lambda pid: descendants(pid) > 3 and not time.sleep(1)
    )  # two that help (from one workers are copied, one cleans up behind them), and two workers
    assert (code, "Traceback" in said, said.count("interrupted;")) == (130, False, 1), said
    assert seconds < SOON
    assert not list((tmp_path / "made").glob(".in-use*"))


def test_a_limit_of_memory_is_named(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))

    command = [*COMMAND, "run", "--suite", "simroom-mini", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "allows 0.9 GiB of address space (ulimit -v)" in done.stderr


@pytest.mark.slow
def test_the_process_that_workers_are_copied_from_may_be_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    call = ("features", "build", "--suite", "simroom-mini", "--parts", "built-in", "--workers", 2)
    command = [*COMMAND, *map(str, call), "--out", str(tmp_path / "made")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 120
        while descendants(running.pid) <= 3:
            assert running.poll() is None and time.monotonic() < until
            time.sleep(0.02)
        for child in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split():
            if "forkserver" in Path(f"/proc/{child}/cmdline").read_text():  # which workers are copied from
                os.kill(int(child), signal.SIGKILL)
        _, said = running.communicate(timeout=120)
    assert (running.returncode, "Traceback" in said, "interrupted" in said) == (0, False, False), said
    assert "12/12" in said


def test_the_end_of_a_file_is_no_interruption(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """The library of the command line takes every `EOFError` for the end of the terminal."""
    monkeypatch.setattr("visaudio_bench.bench.cli.commands.cli", _ended)
    assert _run() == 1
    assert "has ended in the middle. What was finished is kept" in capsys.readouterr().err


def _ended(**_: object) -> None:
    try:
        raise EOFError
    except EOFError as error:
        raise click.Abort from error
