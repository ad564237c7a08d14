"""Atomic files, registry, pool, errors."""

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from visaudio_bench import pool, processes
from visaudio_bench.errors import BenchError, ClipError, UsageError
from visaudio_bench.files import (
    STALE,
    atomic_path,
    beside,
    cache_dir,
    digest,
    file_stamp,
    read_json,
    remove_leftovers,
    write_json,
)
from visaudio_bench.guard import keep_trace, one_clip, report
from visaudio_bench.lock import hold
from visaudio_bench.pool import map_unordered
from visaudio_bench.registry import Registry, did_you_mean


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_json_never_holds_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1}) != digest({"a": 1, "b": [3, 2]})


def test_the_stamp_of_a_file_follows_its_size_and_time_and_is_taken_in_one_place(tmp_path: Path) -> None:
    path = tmp_path / "a"
    stamps = []
    for text, written in (("x", 1), ("y", 1), ("xy", 1), ("xy", 2)):
        path.write_text(text)
        os.utime(path, ns=(0, written))
        stamps.append(tuple(sorted(file_stamp(path).items())))
    assert stamps[0] == stamps[1] == (("bytes", 1), ("mtime_ns", 1))
    assert len(set(stamps)) == 3
    root = Path(__file__).resolve().parents[2]
    rooms = ("baselines", "bench", "leaderboards", "metrics", "models", "suites", "visaudio_bench")
    readers = [file for room in rooms for file in (root / room).rglob("*.py") if "st_mtime_ns" in file.read_text()]
    assert {file.relative_to(root).as_posix() for file in readers} == {"visaudio_bench/files.py"}


def test_registry_resolves_lazily_and_suggests() -> None:
    registry: Registry[object] = Registry("suite", "no.such.group", {"simroom": "json:loads", "broken": "no_module:x"})
    assert registry.names() == ("simroom", "broken")
    assert registry.get("simroom")('{"a": 1}') == {"a": 1}  # type: ignore[operator]
    with pytest.raises(UsageError, match=r'unknown suite "simrom"\. Did you mean "simroom"\?'):
        registry.get("simrom")
    assert did_you_mean("zzzzzz", ["simroom"]) == ""


def test_a_plug_in_is_found_and_a_broken_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    import visaudio_bench.registry as module

    points = [EntryPoint("theirs", "json:dumps", "g"), EntryPoint("bad", "no_such_module:x", "g")]
    monkeypatch.setattr(module, "entry_points", lambda group: points if group == "g" else [])
    registry: Registry[object] = Registry("metric", "g", {})
    assert registry.names() == ("bad", "theirs")
    assert registry.get("theirs") is __import__("json").dumps
    with pytest.raises(UsageError, match="plug-in no_such_module:x, which does not import"):
        registry.get("bad")


def test_clip_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ClipError("mono", "a sentence")))
    assert (error.reason, str(error)) == ("mono", "a sentence")


def square(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number * number


@pytest.mark.parametrize("workers", [1, 2])
def test_pool_keeps_every_item_and_its_error(workers: int) -> None:
    outcomes = {outcome.item: outcome for outcome in map_unordered(square, list(range(20)), workers)}
    assert sorted(outcomes) == list(range(20))
    assert all(outcome.result() == item * item for item, outcome in outcomes.items() if item != 3)
    with pytest.raises(ValueError, match="three"):
        outcomes[3].result()


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (3, 3, "memory did not run out: the system has ended no process"),
        (3, 5, "memory ran out: the system has ended 2 of its processes"),
        (None, None, "the system does not say"),
    ],
)
def test_that_memory_ran_out_is_said_where_the_system_says_so(
    monkeypatch: pytest.MonkeyPatch, before: int | None, now: int | None, said: str
) -> None:
    monkeypatch.setattr(processes, "_BEFORE", before)
    monkeypatch.setattr(processes, "_ended_for_memory", lambda: now)
    assert said in processes.whether_memory_ran_out()


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_worker_is_an_error_and_the_next_pool_works() -> None:
    with pytest.raises(BenchError, match=r"a worker process died; .*memory .*smaller --workers"):
        list(map_unordered(die, [1, 2], 2))
    assert sum(outcome.result() for outcome in map_unordered(abs, [-1, -2], 2)) == 3


def test_workers_that_are_ended_while_they_wait_for_work_are_replaced_without_a_word() -> None:
    def total() -> int:
        return sum(outcome.result() for outcome in map_unordered(abs, [-1, -2], 2))

    assert total() == 3
    kept = pool._started(2, cache_dir())
    for child in multiprocessing.active_children():
        child.kill()
    while not kept._broken:  # type: ignore[attr-defined]
        time.sleep(0.01)
    assert total() == 3


def sometimes(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 3:
        raise UnsendableError("three", number)
    return number


class UnsendableError(Exception):
    """Cannot be made anew from what it was made with, as pickling wants to."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"{what} {number}")


def test_one_item_costs_one_item_even_if_it_kills_its_worker_or_raises_what_cannot_be_sent() -> None:
    outcomes = {outcome.item: outcome for outcome in map_unordered(sometimes, list(range(6)), 2)}
    assert {item: one.value for item, one in outcomes.items() if one.error is None} == {0: 0, 1: 1, 4: 4, 5: 5}
    killed, unsendable = outcomes[2].clip_error(), outcomes[3].clip_error()
    assert killed is not None and killed.reason == "crashed"
    assert unsendable is not None
    assert (unsendable.reason, unsendable.message) == ("internal", "UnsendableError: three 3")
    assert "in sometimes" in unsendable.trace


def last(item: int) -> int:
    if item == 1:
        time.sleep(1)  # all else is finished by then
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_one_item_that_kills_its_worker_when_all_others_are_finished_costs_itself() -> None:
    outcomes = {outcome.item: outcome.clip_error() for outcome in map_unordered(last, [0, 1, 2], 2)}
    assert outcomes[0] is None and outcomes[2] is None
    assert outcomes[1] is not None and outcomes[1].reason == "crashed"


def cache_of(item: int) -> str:
    return str(cache_dir())


def test_workers_have_the_cache_of_the_process_that_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "other"):
        monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / name))
        outcomes = map_unordered(cache_of, [0, 1], 2)
        assert {outcome.value for outcome in outcomes} == {str(tmp_path / name)}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("no"), "internal"),
        (MemoryError(), "out_of_memory"),
        (ClipError("mono", "one channel"), "mono"),
        (OSError(errno.EIO, "a bad sector"), "internal"),
        (OSError(errno.ENOSPC, "no space"), None),
        (UsageError("a wish"), None),
        (KeyboardInterrupt(), None),
    ],
)
def test_the_guard_knows_what_is_of_one_clip(error: BaseException, reason: str | None) -> None:
    with pytest.raises(type(error) if reason in (None, "mono") else ClipError) as caught, one_clip():
        raise error
    if reason is not None:
        assert caught.value.reason == reason
        assert pickle.loads(pickle.dumps(caught.value)).trace == caught.value.trace
        assert bool(caught.value.trace) == (reason != "mono")


def test_tracebacks_are_appended_and_the_sentence_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for clip in ("a", "b"):
        path = keep_trace(tmp_path / "run", f'clip "{clip}"', "Traceback ...")
    assert path.read_text().count("Traceback ...") == 2
    monkeypatch.setattr("visaudio_bench.guard._address", lambda: "")
    assert report("clip a", "no", path).endswith(f"the traceback is in {path}: please report it with that file.")
    monkeypatch.setattr("visaudio_bench.guard._address", lambda: "https://example.org/issues")
    assert report("clip a", "no", path).endswith("please report it with that file at https://example.org/issues.")


def _parent_that_works(folder: Path) -> None:
    list(map_unordered(_sleep, [folder / "a", folder / "b"], 2))


def _sleep(mark: Path) -> None:
    import time

    mark.write_text(str(os.getpid()))
    time.sleep(600)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    import time

    parent = multiprocessing.get_context("spawn").Process(target=_parent_that_works, args=(tmp_path,))
    parent.start()
    deadline = time.monotonic() + 600
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = [int(path.read_text() or 0) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    parent.kill()
    parent.join()
    while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in workers)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


HALF = """
import sys, time
from pathlib import Path
from visaudio_bench.files import atomic_path, scratch_folder
with scratch_folder(Path(sys.argv[1]), "work") as work, atomic_path(Path(sys.argv[1]) / ("x" * 300)[:200]) as half:
    (work / "file").write_text("half")
    half.write_text("half")
    print("written", flush=True)
    time.sleep(60)
"""


def test_what_a_dead_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HALF, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        mine = beside(tmp_path / "mine.txt")
        mine.write_text("still at work")
        elsewhere = tmp_path / ".other~00000000-1-1~00000000.txt"  # of another machine
        for name in (".other~00000000-1-1~00000000.txt", ".hidden.txt", "~1-2~.txt", ".gitignore"):
            (tmp_path / name).write_text("theirs")
        (tmp_path / ".snapshot").mkdir()
        remove_leftovers(tmp_path)
        there = {path.name for path in tmp_path.iterdir()}
        assert len(there) == 8, "its writer lives"
        writer.kill()
    remove_leftovers(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {mine.name, elsewhere.name, ".hidden.txt", "~1-2~.txt", ".gitignore", ".snapshot"}
    os.utime(elsewhere, (0, time.time() - 2 * STALE))
    remove_leftovers(tmp_path)
    assert not elsewhere.exists()


def test_the_next_writer_and_the_next_owner_of_a_folder_remove_leftovers(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        pass
    mine = beside(tmp_path / "file.txt").name
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / mine.replace(f"-{os.getpid()}-", f"-{ended.pid}-")).write_text("half")
    write_json(tmp_path / "one" / "new.json", 1)
    with hold(tmp_path / "other", "a test"):
        assert [path.name for path in (tmp_path / "other").iterdir()] == [".in-use"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["new.json"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff{}", b"[" * 100_000, b'{"a":' * 100_000, b"1" + b"0" * 5000])
def test_json_of_strangers_is_read_or_a_value_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(ValueError, match=r"."):
        read_json(tmp_path / "x.json")


@pytest.mark.timeout(60)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "x.json")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "endless.json"):
        with pytest.raises(OSError, match="it is not a file"):
            read_json(tmp_path / name)
