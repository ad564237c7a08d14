"""Which process something belongs to, and whether that process has ended."""

from __future__ import annotations

import os
import socket
import sys
from functools import lru_cache
from pathlib import Path


@lru_cache
def place() -> str:
    """The running system and the name space of its process numbers: two containers may share a host's name.

    Empty where the system does not tell.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def began(pid: int) -> str:
    """When a process started, in ticks, because its number may be another's later; empty where it has ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if told[0] in "ZX" else told[19]


def has_ended(pid: int, start: str) -> bool | None:
    """Whether the process of this place with that number and start has ended; None where it cannot be seen.

    Args:
        pid: its number.
        start: when it began, as `began` says.

    Returns:
        True or false; None where it cannot be seen.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return None  # another user's
    return began(pid) != start


def responsible() -> int:
    """The process that this one works for: of a pool's worker its parent, without which it ends."""
    module = sys.modules.get("multiprocessing.process")
    parent = module.parent_process() if module is not None else None
    return os.getpid() if parent is None or parent.pid is None else parent.pid


def _ended_for_memory() -> int | None:
    """How many processes the running system has ended because memory ran out; None where it does not say."""
    try:
        counts = dict(line.split() for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines())
        return int(counts["oom_kill"])
    except (OSError, KeyError, ValueError):
        return None


_BEFORE = _ended_for_memory()


def whether_memory_ran_out() -> str:
    """What the system says of memory since this process began, for a message about a process that has died."""
    now = _ended_for_memory()
    if now is None or _BEFORE is None:
        return "whether memory ran out, the system does not say"
    if now > _BEFORE:
        return f"memory ran out: the system has ended {now - _BEFORE} of its processes for it meanwhile"
    return "memory did not run out: the system has ended no process for it meanwhile"
