"""The store of answers: found again by everybody, whoever is killed, cleared away, or asleep meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench.bench.evaluation import answer_store
from visaudio_bench.bench.evaluation.answer_store import AnswerStore
from visaudio_bench.processes import began

KEY, OTHER = b"k" * 32, b"k" * 8 + b"o" * 24  # which begin alike


def key(number: int) -> bytes:
    return number.to_bytes(4, "big") * 8


def data(number: int) -> bytes:
    return str(number).encode() * (number % 50)


def write(folder: Path, start: int, count: int, forever: bool = False) -> None:
    store = AnswerStore(folder)
    for number in range(start, start + count):
        store.put(key(number), data(number))
        while forever and number == start + count - 1:
            store.put(KEY, b"x" * 100_000)


def started(*arguments: object) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=write, args=arguments, daemon=True)
    process.start()
    return process


def segments(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]


def test_what_was_put_is_got_also_by_others(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, b"")
    store.put(OTHER, b"other")
    assert (store.get(KEY), store.get(OTHER)) == (b"", b"other")
    reader = AnswerStore(tmp_path)
    assert (reader.get(KEY), reader.get(OTHER)) == (b"", b"other")
    store.put(KEY, b"newer")
    assert store.get(KEY) == b"newer"
    assert AnswerStore(tmp_path).get(KEY) == b"newer"
    assert store.contents() == (3, sum(f.stat().st_size for f in segments(tmp_path)[0].iterdir()), 1)


def test_readers_see_what_is_appended_later(tmp_path: Path) -> None:
    reader, store = AnswerStore(tmp_path), AnswerStore(tmp_path)
    for number in range(200):
        store.put(key(number), data(number))
        deadline = time.monotonic() + 30
        while reader.get(key(number)) is None:  # looking takes a small share of the time
            assert time.monotonic() < deadline
    assert [reader.get(key(number)) for number in range(200)] == [data(number) for number in range(200)]


def test_many_writers_at_a_time_and_the_next_ones_take_their_segments_over(tmp_path: Path) -> None:
    for first in (0, 300):
        processes = [started(tmp_path, first + start, 100) for start in (0, 100, 200)]
        for process in processes:
            process.join()
            assert process.exitcode == 0
    store = AnswerStore(tmp_path)
    assert all(store.get(key(number)) == data(number) for number in range(600))
    assert 1 <= len(segments(tmp_path)) <= 3


def test_killed_at_work_a_process_loses_one_answer_at_most(tmp_path: Path) -> None:
    process = started(tmp_path, 0, 50, True)
    deadline = time.monotonic() + 60
    while AnswerStore(tmp_path).get(KEY) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
    process.join()
    store = AnswerStore(tmp_path)
    assert all(store.get(key(number)) == data(number) for number in range(50))
    store.put(OTHER, b"after")
    assert len(segments(tmp_path)) == 1, "the segment was not taken over"
    assert AnswerStore(tmp_path).get(OTHER) == b"after"
    assert AnswerStore(tmp_path).get(KEY) == b"x" * 100_000


@pytest.mark.parametrize("cut", [1, 20, 47])
def test_half_a_row_is_cut_off_before_the_next_one(tmp_path: Path, cut: int) -> None:
    store = AnswerStore(tmp_path)
    store.put(KEY, b"whole")
    store.put(OTHER, b"torn")
    index = segments(tmp_path)[0] / "index"
    os.truncate(index, index.stat().st_size - cut)
    reader = AnswerStore(tmp_path)
    assert (reader.get(KEY), reader.get(OTHER)) == (b"whole", None)
    store.put(key(1), b"next")
    reader = AnswerStore(tmp_path)
    assert [reader.get(k) for k in (KEY, OTHER, key(1))] == [b"whole", None, b"next"]


def test_a_data_file_that_ends_early_costs_what_it_has_lost(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    store.put(KEY, b"whole")
    store.put(OTHER, b"lost")
    file = segments(tmp_path)[0] / "data"
    os.truncate(file, file.stat().st_size - 1)
    reader = AnswerStore(tmp_path)
    assert (reader.get(KEY), reader.get(OTHER)) == (b"whole", None)


def test_cleared_away_while_others_read_and_write(tmp_path: Path) -> None:
    store, other = AnswerStore(tmp_path), AnswerStore(tmp_path)
    store.put(KEY, b"one")
    assert other.get(KEY) == b"one"
    other.clear()
    assert other.get(KEY) is None
    assert not tmp_path.exists()
    store.put(OTHER, b"two")
    assert store.get(OTHER) == b"two"
    assert AnswerStore(tmp_path).get(OTHER) == b"two"
    assert AnswerStore(tmp_path).get(KEY) is None


@pytest.mark.parametrize(("age", "taken"), [(10.0, False), (answer_store.ABANDONED + 60, True)])
def test_another_machines_segment_is_taken_over_when_it_was_silent_for_a_day(
    tmp_path: Path, age: float, taken: bool
) -> None:
    store = AnswerStore(tmp_path)
    store.put(KEY, b"theirs")
    path = segments(tmp_path)[0]
    theirs = path.rename(path.with_name(f"{path.name.partition('~')[0]}~0123abcd-1-5"))
    os.utime(theirs / "index", (time.time() - age,) * 2)
    mine = AnswerStore(tmp_path)
    mine.put(OTHER, b"mine")
    assert len(segments(tmp_path)) == (1 if taken else 2)
    assert (mine.get(KEY), mine.get(OTHER)) == (b"theirs", b"mine")
    store.put(key(1), b"awake")  # whose segment is not where it was
    assert AnswerStore(tmp_path).get(key(1)) == b"awake"


def test_a_living_process_keeps_its_segment(tmp_path: Path) -> None:
    alive = tmp_path / f"{'0' * 32}~{answer_store._here()}-{os.getppid()}-{began(os.getppid())}"
    alive.mkdir()
    (alive / "index").touch()
    (alive / "data").touch()
    AnswerStore(tmp_path).put(KEY, b"mine")
    assert alive.is_dir()
    assert len(segments(tmp_path)) == 2


def test_what_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    store.put(KEY, b"secret")
    file = segments(tmp_path)[0] / "data"
    file.rename(file.with_name("elsewhere"))
    file.mkdir()
    assert AnswerStore(tmp_path).get(KEY) is None


def test_memory_and_time_of_very_many_entries(tmp_path: Path) -> None:
    """As many rows as half a million answers have are read at once; what is looked for is found in microseconds."""
    store = AnswerStore(tmp_path)
    store.put(KEY, b"last")
    index = segments(tmp_path)[0] / "index"
    row = index.read_bytes()
    rows = b"".join(os.urandom(32) + row[32:] for _ in range(200_000))
    index.write_bytes(rows + row)
    reader = AnswerStore(tmp_path)
    began_at = time.process_time()
    assert reader.get(KEY) == b"last"
    assert time.process_time() - began_at < 5.0
    assert reader.contents().entries == 200_001
    assert reader.get(rows[:32]) is None  # sealed for another key


def test_info_and_clear(bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    AnswerStore(tmp_path / "cache" / "answers").put(KEY, b"x" * 1_000_000)
    old = tmp_path / "cache" / "features" / "ab"
    old.mkdir(parents=True)
    (old / "abc.sealed").write_bytes(b"old")
    (tmp_path / "cache" / "suites").mkdir()
    told = bench("cache", "info", "--format", "csv")
    assert told.code == 0, told.err
    assert "cache,answers,number,,1,1" in told.out and "cache,answers,megabytes,,1.0,1.0" in told.out
    assert "no longer read: bench cache clear" in told.out
    told = bench("cache", "clear")
    assert told.code == 0, told.err
    assert "removed 2 answers, 1.0 MB" in told.err
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["suites"]
    assert bench("cache", "info").code == 0
