"""Files of ours: the cache folder, atomic writes, hashes."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path

from visaudio_bench.escapes import csv_row
from visaudio_bench.guard import is_of_the_machine
from visaudio_bench.processes import began, has_ended, place, responsible

CACHE_VARIABLE = "VISAUDIO_BENCH_CACHE"
Content = TypeVar("Content")
DEEPEST = 100  # lists and objects within each other; files of ours have ten
TOO_DEEP = "it is nested too deeply to be read"
STALE = 600  # s: a temporary file of another machine that was not written to for so long has lost its writer
_WHOSE = re.compile(r"~(?P<place>[0-9a-f]{8})-(?P<pid>\d{1,10})-(?P<start>\d+)~[0-9a-f]{8}(\.[^~]*)?$")


def cache_dir() -> Path:
    """Where rendered suites and computed features live: `$VISAUDIO_BENCH_CACHE`, else the user's cache folder."""
    override = os.environ.get(CACHE_VARIABLE)
    return Path(override).expanduser() if override else user_cache_path("visaudio-bench", appauthor=False)


@contextmanager
def atomic_path(path: Path, mode: int | None = None) -> Iterator[Path]:
    """A temporary path with the same suffix beside `path`, renamed to it when the block ends well.

    `mode` says who may read it, from the start; without it the user's mask does.

    A killed process leaves at most a temporary file, never half of `path`; the next one that writes into the folder
    removes it.

    Args:
        path: of the file.
        mode: of the file, as in `chmod`; None for the usual one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers_once(path.parent)
    temporary = beside(path)
    try:
        temporary.touch(0o666 if mode is None else mode, exist_ok=False)
        yield temporary
        temporary.chmod(0o666 & ~_umask() if mode is None else mode)
        temporary.replace(path)
    except BaseException as error:
        # A full disk does not say which file had no room; other errors of the block may be of a file that it reads.
        if is_of_the_machine(error) and error.filename is None:
            error.filename = str(path)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """A hidden folder below `parent` for as long as the block lasts; a killed process leaves it to the next one.

    Args:
        parent: where it lies.
        name: what its name begins with.
    """
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(parent)
    folder = beside(parent / name)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def beside(path: Path) -> Path:
    """A new hidden name beside `path` with its suffix, which says whose it is, so that leftovers can be told."""
    # Eighty bytes, for names may be at most 255 long, and letters take up to four.
    stem = path.stem.encode(errors="surrogateescape")[:80].decode(errors="ignore").lstrip(".")
    pid = responsible()
    return path.with_name(f".{stem}~{_here()}-{pid}-{began(pid) or 0}~{uuid.uuid4().hex[:8]}{path.suffix}")


def _here() -> str:
    return hashlib.sha256(place().encode()).hexdigest()[:8]


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half written in a folder; nothing that is not named as `beside` names it.

    On this machine the process is looked for; what belongs to another one goes once nobody has written to it for
    `STALE` seconds.
    """
    try:
        hidden = [Path(entry.path) for entry in os.scandir(folder) if entry.name.startswith(".")]
    except OSError:
        return
    for leftover in hidden:
        with suppress(OSError):  # another process has just finished or removed it
            if _is_left(leftover):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _is_left(path: Path) -> bool:
    whose = _WHOSE.search(path.name)
    if whose is None:
        return False
    ended = has_ended(int(whose["pid"]), whose["start"]) if place() and whose["place"] == _here() else None
    return time.time() - path.stat().st_mtime > STALE if ended is None else ended


_seen: set[Path] = set()


def _remove_leftovers_once(folder: Path) -> None:
    """As `remove_leftovers`, for the first file that this process writes into a folder: it may hold very many."""
    if folder not in _seen:
        _seen.add(folder)
        remove_leftovers(folder)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, atomically; half a character, which UTF-8 does not have, as JSON spells it.

    Args:
        path: of the file.
        text: what is in it.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically; a NaN is an error, because missing values are null here.

    Args:
        path: of the file.
        value: what `json` can write.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """What a file of JSON says, of whoever wrote it.

    Raises:
        OSError: there is no file, or what is there is none: a pipe or a device may never come to an end.
        ValueError: it is not JSON in UTF-8, or nested deeper than can be read.
    """
    if not path.is_file():
        path.stat()  # says that nothing is there
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return parse_json(path.read_bytes())


def parse_json(text: str | bytes) -> Any:
    """What JSON says, of whoever wrote it.

    Raises:
        ValueError: it is not JSON in UTF-8, or nested deeper than can be read.
    """
    try:
        value = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
        refuse_depth(value)
        return value
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def refuse_depth(value: Any) -> None:
    """Refuse what functions that call themselves could not go through to the end.

    Raises:
        ValueError: lists and objects lie within each other more than `DEEPEST` times.
    """
    level = [value]
    for _ in range(DEEPEST):
        objects = (entry.values() for entry in level if isinstance(entry, dict))
        level = [
            inner for entries in (*objects, *(entry for entry in level if isinstance(entry, list))) for inner in entries
        ]
        if not level:
            return
    raise ValueError(TOO_DEEP)


def is_there(path: str) -> bool:
    """Whether a text that somebody wrote is the path of something; one that is too long for any name is not."""
    try:
        return Path(path).exists()
    except OSError:
        return False


def file_stamp(path: Path) -> dict[str, int]:
    """Tell a changed file from an unchanged one without reading it.

    Returns:
        `bytes`, its size, and `mtime_ns`, when it was last written, in nanoseconds since 1970.

    Raises:
        OSError: there is no such file.
    """
    status = path.stat()
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def file_sha256(path: Path) -> str:
    """SHA-256 of the bytes of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_once(read: Callable[[Path], Content]) -> Callable[[Path], Content]:
    """A reader that keeps what it read of the last few files, for as long as a file does not change."""

    @lru_cache(maxsize=4)
    def kept(path: Path, stamp: object) -> Content:
        del stamp
        return read(path)

    @wraps(read)
    def reader(path: Path) -> Content:
        return kept(path, tuple(file_stamp(path).values()) if path.is_file() else None)

    return reader


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table as CSV with a header: of each row the columns, empty where it has none or None.

    A text that a spreadsheet would calculate is kept from that (`escapes.csv_cell`).

    Args:
        columns: names, in order.
        rows: values by name; what is missing or None is an empty cell.

    Returns:
        The text, a header first.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(csv_row, rows))
    return out.getvalue()


def digest(value: Any) -> str:
    """SHA-256 of a JSON-able value with sorted keys: the identity of parameters, independent of their order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
