"""The store of answers: bytes by key in few large files, which any number of processes and machines may share.

Each writing process has a segment of its own, a folder with two files that are only ever appended to: `data`, each
entry behind its seal, and `index`, a row of fixed length for each entry: key, place, length. Nobody waits for anybody,
and nothing is asked of a file system but O_EXCL, append and rename, for the reasons that `visaudio_bench.lock` gives.

* An entry is there once its row is. A process that is killed loses at most the entry that it was writing.
* The seal is a hash of key and data: what is not, to the bit, what was written under that key is not found.
* A segment says in its name whose it is. When its process has ended the next one takes it over by renaming it, so that
  there are as many segments as there ever were processes at a time.
* Readers keep the rows in memory, 64 bytes each, and look for what others have appended when they miss something.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from visaudio_bench.files import file_stamp
from visaudio_bench.processes import began, has_ended, place

_ROW = struct.Struct("<32sQQ")  # key, place of the seal in `data`, bytes behind the seal
_ROWS = np.dtype([("prefix", "<u8"), ("rest", "V24"), ("place", "<u8"), ("length", "<u8")])
_SEAL = 32
ABANDONED = 86_400.0  # s without an entry after which another machine's segment is taken over
_SHARE = 20  # looking for others' entries takes at most this part of the time
_OPEN = 64  # files that a reader keeps open


class StoreContents(NamedTuple):
    """What a store holds: entries (of one key perhaps several), bytes on disk, and segments."""

    entries: int
    size: int
    segments: int


@dataclass
class _Segment:
    """What is known of a segment: where it lies, its rows in the order of their keys' first eight bytes."""

    path: Path
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, _ROWS))
    order: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint32))
    sorted: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))

    def extend(self, size: int) -> None:
        """Read the rows that were appended since."""
        have = len(self.rows) * _ROW.size
        if size - size % _ROW.size == have:
            return
        if size < have:  # cut off by something else
            have = 0
        with (self.path / "index").open("rb") as file:
            file.seek(have)
            more = file.read(size - have)
        new = np.frombuffer(more, _ROWS, len(more) // _ROW.size)
        self.rows = np.concatenate([self.rows, new]) if have else new
        self.order = np.argsort(self.rows["prefix"], kind="stable").astype(np.uint32)
        self.sorted = self.rows["prefix"][self.order]

    def find(self, key: bytes) -> tuple[int, int] | None:
        """Place and length of the newest entry of a key."""
        prefix = np.uint64(int.from_bytes(key[:8], "little"))
        first, end = (int(np.searchsorted(self.sorted, prefix, side)) for side in ("left", "right"))
        for row in self.rows[self.order[first:end]][::-1]:
            if row["rest"].tobytes() == key[8:]:
                return int(row["place"]), int(row["length"])
        return None


@dataclass
class _Own:
    """The segment that this process appends to."""

    path: Path
    index: int
    data: int

    def is_there(self) -> bool:
        """Whether it still lies where it did: it may have been cleared away, or taken over after a long sleep."""
        try:
            return os.path.samestat((self.path / "index").stat(), os.fstat(self.index))
        except OSError:
            return False

    def append(self, key: bytes, sealed: bytes) -> tuple[int, int]:
        """Write an entry and then its row; returns place and length."""
        where = os.lseek(self.data, 0, os.SEEK_END)
        _write(self.data, sealed)
        size = os.fstat(self.index).st_size
        if size % _ROW.size:  # the disk was full in the middle of a row
            os.ftruncate(self.index, size - size % _ROW.size)
        _write(self.index, _ROW.pack(key, where, len(sealed) - _SEAL))
        return where, len(sealed) - _SEAL

    def close(self) -> None:
        for handle in (self.index, self.data):
            with suppress(OSError):
                os.close(handle)


class AnswerStore:
    """Bytes by keys of 32 bytes, below `folder`, which is made when something is first written."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._segments: dict[str, _Segment] = {}
        self._own: _Own | None = None
        self._written: dict[bytes, tuple[int, int]] = {}
        self._process = os.getpid()
        self._files: dict[str, int] = {}
        self._next_look = 0.0
        self._lock = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        """What was put under a key; None where there is nothing, or anything else."""
        with self._lock:
            data = self._find(key)
            if data is None and time.monotonic() >= self._next_look:
                self._look()
                data = self._find(key)
            return data

    def put(self, key: bytes, data: bytes) -> None:
        """Keep bytes under a key.

        Args:
            key: 32 bytes.
            data: what is kept.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        with self._lock:
            own = self._segment_of_ours()
            self._written[key] = own.append(key, _seal(key, data) + data)

    def contents(self) -> StoreContents:
        """How much there is."""
        with self._lock:
            self._look()
            entries = sum(len(segment.rows) for segment in self._segments.values())
            size = sum(_size(segment.path / name) for segment in self._segments.values() for name in ("index", "data"))
            return StoreContents(entries, size, len(self._segments))

    def clear(self) -> None:
        """Remove everything. Who is writing meanwhile begins a new segment."""
        with self._lock:
            self._forget()
            shutil.rmtree(self.folder, ignore_errors=True)

    def __del__(self) -> None:
        try:
            self._forget()
        except Exception:  # at the interpreter's end the names of modules are gone, `suppress` too
            return

    def _find(self, key: bytes) -> bytes | None:
        if self._own is not None and key in self._written:
            data = _read(self._own.data, *self._written[key], key)
            if data is not None:
                return data
        for name, segment in reversed(self._segments.items()):  # the one that was written to last comes first
            entry = segment.find(key)
            data = self._data(name, segment, *entry, key) if entry else None
            if data is not None:
                return data
        return None

    def _data(self, name: str, segment: _Segment, where: int, length: int, key: bytes) -> bytes | None:
        try:
            if name not in self._files:
                while len(self._files) >= _OPEN:
                    os.close(self._files.pop(next(iter(self._files))))
                self._files[name] = os.open(segment.path / "data", os.O_RDONLY)
            return _read(self._files[name], where, length, key)
        except OSError:  # cleared away, taken over under another name, not ours to read, or a bad sector
            return None

    def _look(self) -> None:
        """Learn of what others have appended, and of new segments."""
        began_at = time.monotonic()
        places = {path.name.partition("~")[0]: path for path in _folders(self.folder)}
        for name in self._segments.keys() - places.keys():  # cleared away
            del self._segments[name]
            if name in self._files:
                os.close(self._files.pop(name))
        changed: list[tuple[int, str, Path, int]] = []
        for name, path in places.items():
            with suppress(OSError):  # cleared away meanwhile, or not ours to read
                stamp = file_stamp(path / "index")
                changed.append((stamp["mtime_ns"], name, path, stamp["bytes"]))
        for _, name, path, size in sorted(changed):
            segment = self._segments.pop(name, None) or _Segment(path)
            segment.path = path
            with suppress(OSError):
                segment.extend(size)
            self._segments[name] = segment
        self._written = {}  # they are among the rows
        took = time.monotonic() - began_at
        self._next_look = time.monotonic() + _SHARE * took

    def _segment_of_ours(self) -> _Own:
        if self._process != os.getpid():  # a copy of the process may not go on in the same files
            self._own, self._written, self._process = None, {}, os.getpid()
        if self._own is None or not self._own.is_there():
            if self._own is not None:
                self._own.close()
            self._written = {}
            self._own = self._taken_over() or self._new()
        return self._own

    def _taken_over(self) -> _Own | None:
        """The segment of a process that has ended, if there is one; of several who want it one gets it."""
        for path in _folders(self.folder):
            name, _, whose = path.name.partition("~")
            ours = path.with_name(f"{name}~{_me()}")
            if path != ours and not _is_left(path, whose):
                continue
            with suppress(OSError):  # another one was faster, or it is another user's
                path.rename(ours)
                return _opened(ours)
        return None

    def _new(self) -> _Own:
        path = self.folder / f"{uuid.uuid4().hex}~{_me()}"
        path.mkdir(parents=True)
        return _opened(path)

    def _forget(self) -> None:
        if self._own is not None:
            self._own.close()
        for handle in self._files.values():
            os.close(handle)
        self._own, self._written, self._files, self._segments, self._next_look = None, {}, {}, {}, 0.0


def _me() -> str:
    pid = os.getpid()
    return f"{_here()}-{pid}-{began(pid) or 0}"


def _here() -> str:
    return hashlib.sha256(place().encode()).hexdigest()[:8]


def _is_left(path: Path, whose: str) -> bool:
    """Whether a segment has lost its writer: on this machine it is looked for, elsewhere it is silent for a day."""
    where, _, process = whose.partition("-")
    pid, _, start = process.partition("-")
    ended = has_ended(int(pid), start) if place() and where == _here() and pid.isdigit() else None
    if ended is not None:
        return ended
    with suppress(OSError):
        return time.time() - (path / "index").stat().st_mtime > ABANDONED
    return False


def _opened(path: Path) -> _Own:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    index = os.open(path / "index", flags, 0o666)
    try:
        return _Own(path, index, os.open(path / "data", flags, 0o666))
    except OSError:
        os.close(index)
        raise


def _folders(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder) if "~" in entry.name and entry.is_dir()]
    except OSError:
        return []


def _seal(key: bytes, data: bytes) -> bytes:
    return hashlib.sha256(key + data).digest()


def _read(handle: int, where: int, length: int, key: bytes) -> bytes | None:
    if where + _SEAL + length > os.fstat(handle).st_size:
        return None
    sealed = os.pread(handle, _SEAL + length, where)
    data = sealed[_SEAL:]
    return data if _seal(key, data) == sealed[:_SEAL] else None


def _write(handle: int, data: bytes) -> None:
    """All of it: one call may take a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
