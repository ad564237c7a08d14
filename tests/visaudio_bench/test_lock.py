"""One writer a folder, through kill -9, on machines that see one another's files and on nothing but O_EXCL."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench import lock
from visaudio_bench.errors import UsageError
from visaudio_bench.lock import NAME, hold

HOLDER = """
import sys, time
from pathlib import Path
from visaudio_bench import lock
lock.BEAT = 0.05
with lock.hold(Path(sys.argv[1]), "bench train visaudio"):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lock, "LEASE", 0.4)
    monkeypatch.setattr(lock, "BEAT", 0.02)
    monkeypatch.setattr(lock, "_POLL", 0.02)


@pytest.fixture
def holder(tmp_path):
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def foreign(folder: Path, **changes: object) -> dict[str, object]:
    """A record of a process on another machine."""
    folder.mkdir(exist_ok=True)
    there = {"host": "node7", "pid": 1234, "since": "2026-11-01 10:00:00+00:00", "doing": "bench run", "token": "t"}
    there |= {"place": "node7 boot 1", "start": "5", "path": str(folder / NAME), "beat": 0, **changes}
    (folder / NAME).write_text(json.dumps(there))
    return there


def test_a_second_process_refuses_and_says_who_is_there(holder, tmp_path):
    with pytest.raises(UsageError) as refused, hold(tmp_path / "run", "bench run"):
        pass
    said = str(refused.value)
    assert f"run is in use: bench train visaudio is at work there (process {holder.pid} on " in said
    assert "since 20" in said and f"kill {holder.pid}" in said and "--out DIR" in said


def test_after_kill_9_the_next_one_goes_on_at_once_and_leaves_nothing(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / NAME).exists()
    began = time.monotonic()
    with hold(tmp_path / "run", "bench run"):
        assert json.loads((tmp_path / "run" / NAME).read_text())["pid"] == os.getpid()
        (tmp_path / "run" / "kept").touch()
    assert time.monotonic() - began < lock.LEASE / 4
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["kept"]


def test_nothing_but_exclusive_creation_is_asked_of_the_file_system(holder, tmp_path, monkeypatch):
    """As on Lustre without -o flock, or on FUSE without links."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    for module, name in ((fcntl, "flock"), (fcntl, "lockf"), (fcntl, "fcntl"), (os, "link"), (os, "symlink")):
        monkeypatch.setattr(module, name, refuse)
    with pytest.raises(UsageError, match="is in use"), hold(tmp_path / "run", "bench run"):
        pass
    holder.kill()
    holder.wait()
    with hold(tmp_path / "run", "bench run"):
        pass


def test_a_record_of_another_machine_is_watched_and_taken_over_when_it_stands_still(quick, tmp_path, capsys):
    foreign(tmp_path)
    began = time.monotonic()
    with hold(tmp_path, "bench run"):
        assert time.monotonic() - began >= lock.LEASE
    said = capsys.readouterr().err
    assert "was in use (process 1234 on node7, since 2026-11-01 10:00:00+00:00); watching" in said
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_another_machine_that_moves_is_left_alone(quick, tmp_path):
    stop = threading.Event()

    def beat() -> None:
        number = 0
        while not stop.wait(0.05):
            number += 1
            foreign(tmp_path, beat=number)

    foreign(tmp_path)
    writer = threading.Thread(target=beat)
    writer.start()
    try:
        with (
            pytest.raises(UsageError, match=r"bench run is at work there \(process 1234 on node7"),
            hold(tmp_path, "x"),
        ):
            pass
    finally:
        stop.set()
        writer.join()
    assert json.loads((tmp_path / NAME).read_text())["host"] == "node7"


@pytest.mark.parametrize("text", ["", '{"host": "node7"', "[1]"])
def test_half_a_record_does_not_stop_anybody_for_long(quick, tmp_path, text):
    (tmp_path / NAME).write_text(text)
    with hold(tmp_path, "bench run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_copy_of_a_folder_in_use_is_not_in_use(quick, holder, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / NAME).write_bytes((tmp_path / "run" / NAME).read_bytes())
    with hold(tmp_path / "copy", "bench run"):
        pass


def test_another_process_under_the_same_number_is_not_the_holder(tmp_path):
    with hold(tmp_path, "bench run"):
        there = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps({**there, "start": "1", "token": "before"}))
    with hold(tmp_path, "bench run"):
        pass


def test_a_holder_that_was_replaced_ends_before_it_overwrites(holder, tmp_path):
    foreign(tmp_path / "run")
    _, said = holder.communicate(timeout=60)
    assert holder.returncode == 1
    assert "was taken over by another process" in said and "Traceback" not in said
    assert json.loads((tmp_path / "run" / NAME).read_text())["host"] == "node7"


def test_a_record_removed_by_hand_is_made_again(quick, tmp_path):
    with hold(tmp_path, "bench run"):
        (tmp_path / NAME).unlink()
        deadline = time.monotonic() + 30
        while not (tmp_path / NAME).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / NAME).exists()
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_nothing_came_of_is_gone(tmp_path):
    with pytest.raises(RuntimeError), hold(tmp_path / "new", "bench run"):
        raise RuntimeError
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"), hold(tmp_path / "file", "bench run"):
        pass


def test_locks_of_other_names_do_not_know_of_each_other(tmp_path):
    with hold(tmp_path, "part 1", name=".in-use-1"), hold(tmp_path, "part 2", name=".in-use-2"):
        assert len(list(tmp_path.iterdir())) == 2


def test_every_command_that_writes_a_folder_holds_it(bench: Callable, clips: Path, tmp_path: Path, monkeypatch) -> None:
    from visaudio_bench.models.weights import WEIGHTS_VARIABLE

    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "out"))
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    out, suite, sounds = tmp_path / "out", f"folder:{clips}", tmp_path / "sounds"
    sounds.mkdir()
    shutil.copy(clips / "clip0.wav", sounds)
    folders: dict[tuple[object, ...], tuple[Path, str]] = {
        ("run", "--suite", suite, "--system", "mono", "--out", out): (out, NAME),
        ("score", "--predictions", sounds, "--references", sounds, "--out", out): (out, NAME),
        ("generate", "--system", "mono", "--suite", suite, "--out", out): (out / f"{clips.name}", NAME),
        ("train", "visaudio", "--out", out): (out, NAME),
        ("features", "build", "--suite", suite, "--parts", "built-in", "--out", out): (out, NAME),
        ("features", "merge", out, tmp_path): (out, NAME),
        ("data", "build", "twin", "--suite", "simroom-mini", "--out", out): (out, NAME),
        ("weights", "fetch", "vggish"): (out, ".vggish-10086976.pth.in-use"),
    }
    for call, (folder, name) in folders.items():
        with hold(folder, "somebody else", name=name):
            told = bench(*call)
            assert (told.code, "is in use: somebody else" in told.err) == (2, True), (call, told.err)
            assert [path.name for path in folder.iterdir()] == [name], call


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "folder", "dangling link"])
def test_what_stands_in_place_of_a_record_is_named(tmp_path: Path, kind: str) -> None:
    record = tmp_path / ".in-use"
    {"pipe": os.mkfifo, "folder": Path.mkdir, "dangling link": lambda path: path.symlink_to("nowhere")}[kind](record)
    with pytest.raises(UsageError, match=r"\.in-use is no file"), hold(tmp_path, "x"):
        pass


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", '{"host": 5}', "\ud800", "1" * 5000])
def test_a_record_of_anything_else_is_watched_and_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(lock, "LEASE", 0.01)
    monkeypatch.setattr(lock, "_POLL", 0.02)
    (tmp_path / ".in-use").write_bytes(text.encode(errors="surrogatepass"))
    with hold(tmp_path, "x"):
        assert json.loads((tmp_path / ".in-use").read_text())["doing"] == "x"
