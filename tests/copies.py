"""Processes that are copies of this one: what takes a new interpreter seconds to import is there.

For tests of what happens to a process, or to several at once. What an interpreter does at its start, Ctrl-C while it
imports, and processes that learn (copies cannot compute gradients once this process has) take a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

How = Literal["fork", "spawn"]
FORGIVEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def copied(work: Callable[..., object], *arguments: object, said: Path, how: How = "fork") -> BaseProcess:
    """Begin some work in a copy of this process.

    Args:
        work: what the copy does; its exit code is that of `SystemExit`, or 1 for any other exception.
        arguments: with what.
        said: the file that it writes its output to, of both kinds.
        how: "spawn" for a new interpreter instead: where this process has threads, a copy inherits their locks.

    Returns:
        The process, started.
    """
    process = multiprocessing.get_context(how).Process(target=_do, args=(work, arguments, said), daemon=True)
    process.start()
    return process


def _do(work: Callable[..., object], arguments: Sequence[object], said: Path) -> None:
    code = 1
    with said.open("w", buffering=1) as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        sys.stdout = sys.stderr = file
        warnings.resetwarnings()  # which are errors in tests alone
        for kind in FORGIVEN:
            warnings.simplefilter("ignore", kind)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)  # threads are not copied
        try:
            work(*arguments)
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
    os._exit(code)  # nothing that this process has open is closed for it


def bench_there(*arguments: object) -> None:
    """What a copy does that is `bench ...`."""
    from visaudio_bench.bench.cli import main

    sys.argv = ["bench", *map(str, arguments)]
    main()


def without_ours() -> None:
    """In a copy: nothing of the project is imported any more."""
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("visaudio_bench", "tests"):
            del sys.modules[name]
