"""Entries of the cache that something else has changed: computed again, never taken as they are, never an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.bench.evaluation.score_cache import cached
from visaudio_bench.files import cache_dir

VALUES = {"cues": np.arange(12.0).reshape(3, 4), "active": np.array([True, False]), "words": np.array(["a", "bc"])}
asked = 0


def compute() -> dict[str, np.ndarray]:
    global asked  # noqa: PLW0603 - counts the calls
    asked += 1
    return VALUES


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    cached(compute, ["one"])
    (path,) = (path for path in cache_dir().rglob("*") if path.is_file())
    return path


def read() -> bool:
    """Whether the values are right; and had to be computed again."""
    before = asked
    found = cached(compute, ["one"])
    assert found.keys() == VALUES.keys()
    assert all(np.array_equal(found[name], value) for name, value in VALUES.items())
    return asked > before


def test_every_flipped_bit_is_noticed(entry: Path) -> None:
    assert not read()
    whole = entry.read_bytes()
    for place in range(0, len(whole), 7):
        entry.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        assert read()
        assert not read()
        assert entry.read_bytes() == whole


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + b"\0" * 18, b"\x80\x04.", b"x" * 31, b"x" * 32, b"x" * 500])
def test_other_bytes_are_replaced(entry: Path, data: bytes) -> None:
    entry.write_bytes(data)
    assert read()
    assert not read()


def test_foreign_folders_do_no_harm(entry: Path) -> None:
    (entry.parent / ".snapshot" / "deep").mkdir(parents=True)
    entry.unlink()
    entry.mkdir()  # in the place of an entry
    with pytest.raises(OSError, match="directory"):
        cached(compute, ["one"])
    entry.rmdir()
    assert read()
    assert (entry.parent / ".snapshot" / "deep").is_dir()
