"""Entries of the cache that something else has changed: computed again, never taken as they are, never an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.bench.evaluation.score_cache import answers, cached
from visaudio_bench.files import cache_dir

VALUES = {"cues": np.arange(12.0).reshape(3, 4), "active": np.array([True, False]), "words": np.array(["a", "bc"])}
asked = 0


def compute() -> dict[str, np.ndarray]:
    global asked  # noqa: PLW0603 - counts the calls
    asked += 1
    return VALUES


@pytest.fixture
def segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    cached(compute, ["one"])
    (path,) = (cache_dir() / "answers").iterdir()
    return path


def read() -> bool:
    """Whether the values, which a new process reads right, had to be computed again."""
    answers.cache_clear()
    before = asked
    kept = cached(compute, ["one"])
    assert kept.keys() == VALUES.keys()
    assert all(np.array_equal(kept[name], value) for name, value in VALUES.items())
    return asked > before


@pytest.mark.parametrize(("name", "step"), [("index", 1), ("data", 13)])
def test_every_flipped_bit_is_noticed(segment: Path, name: str, step: int) -> None:
    assert not read()
    whole = {path: path.read_bytes() for path in segment.iterdir()}
    for place in range(0, len(whole[segment / name]), step):
        for path, data in whole.items():
            path.write_bytes(data)
        data = whole[segment / name]
        (segment / name).write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        assert read()
        assert not read()


@pytest.mark.parametrize("name", ["index", "data"])
@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + b"\0" * 18, b"\x80\x04.", b"x" * 31, b"x" * 48, b"x" * 500])
def test_other_bytes_are_not_taken_for_answers(segment: Path, name: str, data: bytes) -> None:
    (segment / name).write_bytes(data)
    assert read()
    assert not read()


def test_foreign_folders_do_no_harm(segment: Path) -> None:
    (segment.parent / ".snapshot" / "deep").mkdir(parents=True)
    (segment.parent / "a~folder").mkdir()
    (segment.parent / "file~").touch()
    (segment / "data").unlink()
    (segment / "data").mkdir()  # in the place of a file
    assert read()
    assert not read()
    assert (segment.parent / ".snapshot" / "deep").is_dir()
