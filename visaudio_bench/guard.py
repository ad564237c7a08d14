"""One clip costs one clip: whatever a clip raises, in any stage of any command, becomes its failure and nobody else's.

Code that works on one clip runs inside `one_clip`, or in a pool whose outcomes are asked for their `clip_error`. What
nobody expected gets the reason `internal` (`out_of_memory` where memory ran out) and brings its traceback, which is
appended to `tracebacks.txt` beside the list of failures, for a report.

Some errors are not of one clip, and go through: a request that cannot be carried out, weights that are missing
(`BenchError`s that are no `ClipError`), and what the system refuses everybody, such as a full disk.
"""

from __future__ import annotations

import errno
import pickle
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import TypeGuard

from visaudio_bench import __version__
from visaudio_bench.errors import BenchError, ClipError

INTERNAL, MEMORY = "internal", "out_of_memory"
# Reasons that another try may not meet again: the fault was the program's or the machine's.
UNEXPECTED = frozenset({INTERNAL, MEMORY})
TRACES = "tracebacks.txt"
LONGEST = 300  # characters of an error's own words in a message; the file has them all

# What the system refuses whichever clip asks: no room left, a file larger than may be, no right to write, too many
# files open.
_REFUSALS = {"ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EMFILE", "ENFILE"}
_MACHINE = frozenset(getattr(errno, name) for name in _REFUSALS if hasattr(errno, name))
_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def one_clip() -> Iterator[None]:
    """Work on one clip: whatever the block raises comes out as a `ClipError`, unless it is not of this clip.

    Raises:
        ClipError: as the block did, or `internal` or `out_of_memory` with the traceback of what it did raise.
        BenchError: as the block did.
        OSError: the system refuses something whichever clip is worked on.
    """
    try:
        yield
    except Exception as error:
        failure = as_clip_error(error)
        if failure is error:
            raise
        raise failure from error


def as_clip_error(error: Exception) -> ClipError:
    """The failure of one clip that an exception means.

    Raises:
        BenchError: the error itself, where it is not of one clip.
        OSError: likewise.
    """
    if isinstance(error, ClipError):
        return error
    if isinstance(error, BenchError) or is_of_the_machine(error):
        raise error
    return _unexpected(error)


def is_of_the_machine(error: BaseException) -> TypeGuard[OSError]:
    """Whether the system refused what it would refuse whichever clip is worked on."""
    return isinstance(error, OSError) and error.errno in _MACHINE


def is_of_permission(error: Exception) -> TypeGuard[OSError]:
    """Whether the system refused for want of a right; of a file that is read this is the file's own fault."""
    return isinstance(error, OSError) and error.errno in _PERMISSION


def advice_on(error: OSError) -> str:
    """What to do where the system refused to write, to be continued by `and run the same command again`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room there"
    if error.errno == errno.EFBIG:
        return "lift the limit on the size of files (ulimit -f)"
    if is_of_permission(error):
        return "choose a folder that you may write to"
    return "make room or choose another folder"


def portable(error: Exception) -> Exception:
    """An exception for another process: with its traceback as text, and without parts that cannot be pickled."""
    with suppress(Exception):  # not every exception takes an attribute
        error.trace = _trace_of(error)  # type: ignore[attr-defined]
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # classes may do anything when they are made anew
        return BenchError(str(error)) if isinstance(error, BenchError) else _unexpected(error)
    return error


def _unexpected(error: Exception) -> ClipError:
    name, words = type(error).__name__, " ".join(str(error).split())[:LONGEST]
    # torch has a class of its own for the memory of a graphics card, and is not imported for its name.
    memory = isinstance(error, MemoryError) or name == "OutOfMemoryError"
    return ClipError(MEMORY if memory else INTERNAL, f"{name}: {words}" if words else name, _trace_of(error))


def _trace_of(error: Exception) -> str:
    brought: str = getattr(error, "trace", "")
    return brought or "".join(traceback.format_exception(error))


def keep_trace(folder: Path, what: str, trace: str) -> Path:
    """Append a traceback to the file of them.

    Args:
        folder: where that file lies or will lie.
        what: a clip, and what was done with it.
        trace: the traceback.

    Returns:
        The file.
    """
    path = folder / TRACES
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"== {now}, visaudio-bench {__version__}: {what}\n{trace.rstrip()}\n\n")
    return path


def report(what: str, message: str, file: Path) -> str:
    """Word what the user is told of an unexpected error.

    Args:
        what: a clip, and what was done with it.
        message: the error's own words.
        file: of tracebacks.

    Returns:
        One sentence with the clip, the error, the file, and where to report it.
    """
    address = _address()
    please = f"please report it with that file at {address}" if address else "please report it with that file"
    return f"unexpected error: {what}: {message}. The others go on; the traceback is in {file}: {please}."


@lru_cache
def _address() -> str:
    """Where the project wants to hear of errors: its first address for issues, else its first one, else nothing."""
    try:
        addresses = metadata("visaudio-bench").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    urls = {label.strip().lower(): url.strip() for label, _, url in (line.partition(",") for line in addresses)}
    wanted = [url for label, url in urls.items() if "issue" in label or "bug" in label]
    return next(iter([*wanted, *urls.values()]), "")
