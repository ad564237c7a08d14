"""`bench doctor`: can this machine do the work."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from visaudio_bench.bench.cli.common import format_option, print_tables

GIGABYTE = 1e9
ENOUGH_DISK = 2.0


@click.command()
@format_option
def doctor(form: str) -> None:
    """Check this machine: Python, packages, cache, disk, memory, device. Exit code 1 if something is in the way."""
    from visaudio_bench.errors import BenchError
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow

    checks = list(_checks())
    columns = (Column("state", "state", left=True), Column("found", "found", left=True))
    rows = tuple(TableRow(name, (Cell("ok" if fine else "PROBLEM"), Cell(detail))) for name, fine, detail in checks)
    print_tables([Table("this machine", columns, rows, corner="what")], form)
    wrong = [name for name, fine, _ in checks if not fine]
    if wrong:
        raise BenchError(f"{len(wrong)} of {len(checks)} checks found a problem: {', '.join(wrong)}.")


def _checks() -> Iterator[tuple[str, bool, str]]:
    """Name, whether it is fine, and what was found."""
    from visaudio_bench.bench.provenance import package_versions
    from visaudio_bench.files import CACHE_VARIABLE, cache_dir
    from visaudio_bench.pool import available_cores

    yield "python", sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.platform()}"
    for name, version in package_versions().items():
        yield name, version != "missing", version
    cache = cache_dir()
    writable = _writable(cache)
    yield "cache", writable, f"{cache}{'' if writable else ' cannot be written'} (set {CACHE_VARIABLE} to move it)"
    if writable:
        free = shutil.disk_usage(cache).free / GIGABYTE
        yield "disk", free > ENOUGH_DISK, f"{free:.1f} GB free, the embedded suite and its run need {ENOUGH_DISK:g}"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE
    yield "machine", True, f"{available_cores()} cores, {memory:.0f} GB of memory"
    yield "device", True, _device()


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return "cpu (no CUDA device that torch can use)"
