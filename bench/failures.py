"""The failures of a command: told as they come, listed in one file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from visaudio_bench.bench.console import note, track
from visaudio_bench.errors import ClipError, ClipsError
from visaudio_bench.guard import keep_trace, one_clip, report
from visaudio_bench.leaderboards.schema import Failure, write_failures
from visaudio_bench.suites import Suite


class Ledger:
    """What went wrong with which clip; whatever nobody expected is told at once and its traceback kept in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.failures: list[Failure] = []

    def add(self, failures: Iterable[Failure]) -> None:
        """Take down some failures."""
        for failure in failures:
            self.failures.append(failure)
            tell(failure, self.folder)

    def write(self, earlier: Iterable[Failure] = ()) -> Path:
        """Write `failures.jsonl`, behind what other commands could not make, and return its path."""
        path = self.folder / "failures.jsonl"
        write_failures(path, [*earlier, *self.failures])
        return path


def failure_of(error: ClipError, suite: str, clip: str, stage: str, system: str = "") -> Failure:
    """Make the row that an error becomes.

    Args:
        error: of one clip.
        suite: name of its suite.
        clip: its id.
        stage: what was being done.
        system: name of the system, if it was one's.

    Returns:
        The row of `failures.jsonl`.
    """
    return Failure(suite, system, clip, stage, error.reason, error.message, error.trace)


def tell(failure: Failure, folder: Path) -> None:
    """Keep the traceback of an unexpected error in `folder` and say where it is; others are told by the command.

    Args:
        failure: what went wrong.
        folder: where its traceback is kept.
    """
    if failure.trace:
        who = f", {failure.system}" if failure.system else ""
        what = f'clip "{failure.clip}" ({failure.stage}, {failure.suite}{who})'
        note(report(what, failure.message, keep_trace(folder, what, failure.trace)))


def prepare(suite: Suite, workers: int, clips: Iterable[str] | None = None) -> dict[str, ClipError]:
    """Let a suite make its files.

    Args:
        suite: whose files may still have to be made.
        workers: processes.
        clips: ids of those that are needed, after which it stops; None for all.

    Returns:
        What was wrong with each clip that is needed and could not be made, by its id.

    Raises:
        BenchError: nothing could be prepared, for a reason that is not of single clips.
    """
    pending = suite.pending()
    left = set(pending if clips is None else clips).intersection(pending)
    if clips is not None and not left:
        return {}
    try:
        with one_clip():
            for name in track(suite.prepare(workers), len(pending), f"preparing {suite.name}"):
                left.discard(name)
                if clips is not None and not left:
                    return {}
    except ClipsError as failed:
        errors = failed.errors
    except ClipError as error:  # a suite of a plug-in, say, that gave up: its clips may be there all the same
        absent = suite.pending()
        if not absent:
            raise
        # One traceback is enough for all of them.
        errors = dict.fromkeys(absent, ClipError(error.reason, error.message)) | {absent[0]: error}
    else:
        return {}
    return {name: error for name, error in errors.items() if clips is None or name in left}
