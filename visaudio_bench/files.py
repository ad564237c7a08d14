"""Files of ours: the cache folder, atomic writes, hashes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

CACHE_VARIABLE = "VISAUDIO_BENCH_CACHE"
STALE = 600  # s: a temporary file that has not been written to for so long has lost its writer


def cache_dir() -> Path:
    """Where rendered suites and computed features live: `$VISAUDIO_BENCH_CACHE`, else the user's cache folder."""
    override = os.environ.get(CACHE_VARIABLE)
    return Path(override).expanduser() if override else user_cache_path("visaudio-bench", appauthor=False)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path with the same suffix beside `path`, renamed to it when the block ends well.

    A killed process leaves at most a temporary file (its name starts with a dot), never half of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Eighty bytes, for names may be at most 255 long, and letters take up to four.
    prefix = path.stem.encode(errors="surrogateescape")[:80].decode(errors="ignore")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{prefix}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs left half written; a file that another process is writing now is younger."""
    for leftover in folder.glob(".*"):
        with suppress(FileNotFoundError):  # another process has just finished or removed it
            if time.time() - leftover.stat().st_mtime > STALE:
                leftover.unlink()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically; half a character, which UTF-8 does not have, as JSON spells it."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; a NaN is an error, because missing values are null here."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_sealed(path: Path, data: bytes) -> None:
    """Write bytes behind their SHA-256, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(hashlib.sha256(data).digest() + data)


def read_sealed(path: Path) -> bytes | None:
    """What `write_sealed` wrote; None where there is nothing, or anything else."""
    try:
        found = path.read_bytes()
    except OSError:  # most often there is no file; it may be a folder of somebody's, or a bad sector
        return None
    seal, data = found[:32], found[32:]
    return data if hashlib.sha256(data).digest() == seal else None


def digest(value: Any) -> str:
    """SHA-256 of a JSON-able value with sorted keys: the identity of parameters, independent of their order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
