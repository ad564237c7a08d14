"""Processes that are copies of this one: what takes a new interpreter seconds to import is there.

Only for what uses nothing of the project that this process has used: a copy inherits the locks that threads of this
process hold, so that a whole `bench` in one may wait for ever, and it cannot compute gradients once this process has.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import process
from multiprocessing.process import BaseProcess
from pathlib import Path

FORGIVEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def copied(work: Callable[..., object], *arguments: object, said: Path) -> BaseProcess:
    """Begin some work in a copy of this process.

    Args:
        work: what the copy does; its exit code is that of `SystemExit`, or 1 for any other exception.
        arguments: with what.
        said: the file that it writes its output to, of both kinds.

    Returns:
        The process, started.
    """
    begun = multiprocessing.get_context("fork").Process(target=_do, args=(work, arguments, said), daemon=True)
    begun.start()
    return begun


def _do(work: Callable[..., object], arguments: Sequence[object], said: Path) -> None:
    code = 1
    process._parent_process = None  # type: ignore[attr-defined]  # it is nobody's worker, whose files were its parent's
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


def without_ours() -> None:
    """In a copy: nothing of the project is imported any more."""
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("visaudio_bench", "tests"):
            del sys.modules[name]
