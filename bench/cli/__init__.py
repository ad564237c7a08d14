"""The command line: how it begins, and how it ends whatever happens. The commands are in `commands`.

Only little is imported here, so that this module is in charge of Ctrl-C before anything large is loaded.
"""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
import threading
from functools import lru_cache
from types import FrameType

PATIENCE = 1.2  # s after Ctrl-C until the process ends whatever it is at: people wait for two
INTERRUPTED = "interrupted; what was finished is kept, the same command goes on from there"
INTERRUPTED_CODE = 130
LOST = (
    "another process that this one talked to has ended in the middle. What was finished is kept: run the same command "
    "again."
)


def main() -> None:
    """Run the command line; exit codes are 0 (ok), 1 (the run failed), 2 (it was asked for wrongly), 130 (Ctrl-C)."""
    with _Interrupts() as interrupts:
        try:
            code = _run()
        except BaseException as error:
            # Some libraries make another error of an interruption while they are imported.
            if not (interrupts.told or isinstance(error, KeyboardInterrupt)):
                raise
            _end_children()
            _say_interrupted()
            code = INTERRUPTED_CODE
    sys.exit(code)


class _Interrupts:
    """From Ctrl-C on a process has `PATIENCE` seconds to tidy up; a second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self.told = False
        self._before: object = None
        self._end: threading.Timer | None = None

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not None:
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        atexit.register(self._leave)  # before anything else registers, and therefore after all of that
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]
        if not self.told:
            atexit.unregister(self._leave)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.told:
            _end_at_once()
        self.told = True
        threading.excepthook = _ignore  # of threads whose processes are ended under them
        self._end = threading.Timer(PATIENCE, _end_at_once)
        self._end.daemon = True
        self._end.start()
        raise KeyboardInterrupt

    def _leave(self) -> None:
        """Spare the interpreter's own tidying up, which takes seconds with large libraries."""
        if self.told:
            sys.stdout.flush()
            os._exit(INTERRUPTED_CODE)


def _ignore(error: threading.ExceptHookArgs) -> None:
    del error


@lru_cache(maxsize=1)  # who tidies up for longer than there is patience has said so already
def _say_interrupted() -> None:
    _say(INTERRUPTED)


def _end_at_once() -> None:
    _end_children()
    _say_interrupted()
    os._exit(INTERRUPTED_CODE)


def _end_children() -> None:
    """End the processes of pools, which would finish what they are at; whatever they leave half written goes later."""
    if "multiprocessing" in sys.modules:
        import multiprocessing

        for child in multiprocessing.active_children():
            child.kill()


def _run() -> int:
    """Run the command that the arguments name; the exit code."""
    try:
        import click

        from visaudio_bench.bench.cli.commands import cli
        from visaudio_bench.errors import BenchError, UsageError

        try:
            cli(prog_name="bench", standalone_mode=False)
        except click.exceptions.Exit as stop:
            return stop.exit_code
        except click.Abort as abort:
            if isinstance(abort.__cause__, EOFError):  # click takes the end of any file for that of the terminal
                _say(f"error: {LOST}")
                return 1
            raise KeyboardInterrupt from None
        except click.ClickException as error:
            error.show()
            return UsageError.exit_code
        except BenchError as error:
            _say(f"error: {error}")
            return error.exit_code
    except (MemoryError, ImportError, RuntimeError, OSError) as error:
        told = _out_of_memory(error) or _refused(error)
        if not told:
            raise
        _say(f"error: {told}")
        return 1
    return 0


def _refused(error: Exception) -> str:
    if not isinstance(error, OSError):
        return ""
    from visaudio_bench.guard import advice_on

    where = f" ({error.filename})" if error.filename else ""
    return (
        f"the system refused a file operation: {error.strerror or error}{where}. "
        f"What was finished is kept; {advice_on(error)}, and run the same command again."
    )


def _out_of_memory(error: Exception) -> str:
    """What to say where memory, or what a limit leaves of it, ran out; empty for any other error."""
    words = str(error).lower()
    signs = ("failed to map segment", "cannot allocate memory", "can't allocate memory", "can't start new thread")
    lacking = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if not (lacking or any(sign in words for sign in signs)):
        return ""
    limit = _address_space()
    advice = (
        f"This shell allows {limit / 1024**3:.1f} GiB of address space (ulimit -v), of which torch takes four or "
        "more: raise the limit."
        if limit
        else "Ask for fewer --workers, or run it on a machine with more."
    )
    return f"memory ran out ({type(error).__name__}). What was finished is kept. {advice}"


def _address_space() -> int:
    """Bytes that this process may map; 0 where nothing limits them."""
    try:
        import resource
    except ImportError:  # not on every system
        return 0
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return 0 if soft == resource.RLIM_INFINITY else soft


def _say(line: str) -> None:
    from visaudio_bench.escapes import say

    say(line)
