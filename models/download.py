"""Fetching weight files: resumable, checked before use, and only when the user asks.

A download grows in `FILE.part` beside its place; a killed one goes on from there with an HTTP range request. Only a
file whose size and checksums are right gets its name. On machines without internet, files that came another way are
taken in with `adopt`, after the same checks.
"""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.client import HTTPException
from pathlib import Path

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.lock import hold
from visaudio_bench.models.weights import (
    WEIGHTS_VARIABLE,
    Located,
    WeightFile,
    check_file,
    entry,
    known_answer,
    move_checked,
    path_of,
)

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes that there will be."""

_BLOCK = 1 << 20
_TIMEOUT = 60.0
_RETRIES = 3


def fetch(name: str, progress: Progress | None = None) -> Located:
    """Download a registered file into its place, or find it there; goes on where an earlier download stopped.

    Args:
        name: of the file in the registry.
        progress: is told how far it is.

    Returns:
        Where it lies, and its SHA-256.

    Raises:
        BenchError: the server cannot be reached or does not have it, the disk is too small, or what came is not the
            published file (it is then kept aside as `FILE.wrong`).
    """
    return fetch_to(entry(name), path_of(name), progress)


def fetch_to(wanted: WeightFile, path: Path, progress: Progress | None = None) -> Located:
    """Download any published file to a path, or find it there; goes on where an earlier download stopped.

    Args:
        wanted: what is known of the file.
        path: where it goes; its folder is made.
        progress: is told how far it is.

    Returns:
        Where it lies, and its SHA-256.

    Raises:
        BenchError: as `fetch`.
    """
    if path.is_file():  # in a folder that is only to be read, perhaps
        return Located(path, check_file(wanted, path, keep_receipt=True))
    with _hold(wanted, path):
        return _fetch(wanted, path, progress)


def _hold(wanted: WeightFile, path: Path) -> AbstractContextManager[None]:
    """Two processes that append to one `.part` would spoil it for both."""
    return hold(path.parent, wanted.fetch_command, name=f".{path.name}.in-use", otherwise=f"set {WEIGHTS_VARIABLE}")


def _fetch(wanted: WeightFile, path: Path, progress: Progress | None) -> Located:
    part = path.with_name(path.name + ".part")
    _require_room(wanted, part)
    for attempt in range(_RETRIES):
        before = _size(part)
        try:
            _download(wanted, part, progress)
            break
        except (OSError, HTTPException) as error:
            stuck = _size(part) == before
            if isinstance(error, urllib.error.HTTPError) or stuck or attempt == _RETRIES - 1:
                raise BenchError(_unreachable(wanted, part, error)) from error
    return _accept(wanted, part, path)


def adopt(name: str, source: Path) -> Located:
    """Take a file that is already on this machine.

    Args:
        name: of the file in the registry.
        source: the file itself, or a folder that has it by its published name.

    Returns:
        Where it lies now, and its SHA-256.

    Raises:
        UsageError: there is no such file.
        BenchError: it is not the published one.
    """
    wanted, path = entry(name), path_of(name)
    brought = source / wanted.file if source.is_dir() else source
    if not brought.is_file():
        raise UsageError(f"there is no {brought}; {wanted.name} was published as {wanted.file} at {wanted.origin}")
    sha256 = check_file(wanted, brought, keep_receipt=True)
    known_answer(wanted, brought)
    if brought.resolve() == path.resolve():
        return Located(path, sha256)
    part = path.with_name(path.name + ".part")
    with _hold(wanted, path):
        _require_room(wanted, part)
        shutil.copyfile(brought, part)
        return _accept(wanted, part, path)


def _accept(wanted: WeightFile, part: Path, path: Path) -> Located:
    try:
        check_file(wanted, part, keep_receipt=True)
        known_answer(wanted, part)
    except BenchError as error:
        rejected = path.with_name(path.name + ".wrong")
        part.replace(rejected)
        raise BenchError(f"{error} (kept aside as {rejected})") from error
    return Located(path, move_checked(part, path))


def _download(wanted: WeightFile, part: Path, progress: Progress | None) -> None:
    start = _size(part)
    headers = {"User-Agent": "visaudio-bench", **({"Range": f"bytes={start}-"} if start else {})}
    try:
        response = urllib.request.urlopen(urllib.request.Request(wanted.origin, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return  # nothing is left to send: the part is whole, or is not this file, which its check will tell
        raise
    with response, part.open("ab") as file:
        if response.status != 206:
            # the server does not resume: what is there is written again from the beginning
            start = 0
            file.truncate(0)
        total = start + int(response.headers.get("Content-Length") or 0)
        while block := response.read(_BLOCK):
            file.write(block)
            start += len(block)
            if progress:
                progress(start, max(total, start))
    if start < total:
        raise ConnectionError(f"the connection ended after {start:,} of {total:,} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _require_room(wanted: WeightFile, part: Path) -> None:
    needed, free = wanted.size - _size(part), shutil.disk_usage(part.parent).free
    if free < needed:
        raise BenchError(
            f"{part.parent} has {free / 1e9:.1f} GB free, {wanted.name} needs {needed / 1e9:.1f} GB more. Make room, "
            "or set VISAUDIO_BENCH_WEIGHTS to a folder on a larger disk"
        )


def _unreachable(wanted: WeightFile, part: Path, error: Exception) -> str:
    kept = f" {_size(part):,} bytes are kept and the same command goes on from there." if _size(part) else ""
    return (
        f"{wanted.file} could not be fetched from {wanted.origin}: {error}.{kept} On a machine without internet copy "
        f"the file here and run: {wanted.fetch_command} --from FILE"
    )
