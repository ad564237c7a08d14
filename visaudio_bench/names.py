"""The one check of names that become paths: clips, suites, systems, runs, manifests, plug-ins.

A name is one part of a path: it cannot lead to another folder, is not hidden, and holds nothing that a terminal, a
page or a reader of a listing takes for something else.
"""

from __future__ import annotations

import re

from visaudio_bench.errors import UsageError
from visaudio_bench.escapes import HIDDEN

# Bytes of a name: file systems take 255, and the longest suffix that is put behind one is `.json`.
LONGEST = 250
# Separators of every system, angle brackets, and what is not seen.
_UNSAFE = re.compile(rf"[/\\<>{HIDDEN}]")


def fault(name: str) -> str:
    """Why a name cannot be part of a path: `it holds "/"`; empty if it can."""
    if not name:
        return "it is empty"
    unsafe = _UNSAFE.search(name)
    if unsafe is not None:
        return f"it holds {unsafe[0]!a}"
    if name.startswith("."):
        return "it begins with a dot"
    size = len(name.encode())
    return f"it has {size} bytes, {LONGEST} are the most" if size > LONGEST else ""


def require_name(what: str, name: str, advice: str) -> str:
    """The name, if it can be part of a path.

    Args:
        what: is called so, for the message: `the system`.
        name: the name.
        advice: what to do about it, a sentence.

    Returns:
        The name.

    Raises:
        UsageError: it cannot.
    """
    why = fault(name)
    if why:
        raise UsageError(f"{what} is called {name!a}, which cannot name a file or folder: {why}. {advice}")
    return name
