"""Errors that a user can act on: one sentence with what was got, what was expected and what to do next."""

from __future__ import annotations

from collections.abc import Mapping


class BenchError(Exception):
    """A failed run. The command line prints the message without a traceback and exits with `exit_code`."""

    exit_code = 1


class UsageError(BenchError):
    """A request that cannot be carried out as it was written (unknown name, impossible option, wrong folder)."""

    exit_code = 2


class MissingArgumentError(UsageError):
    """A suite or a system was named without what must stand behind its colon.

    Lists have no argument to open it with: `summary` says what it is, `needs` what must stand there and how it is
    written, `inputs` what a system is given.
    """

    def __init__(self, message: str, *, summary: str, needs: str, inputs: tuple[str, ...] = ()):
        super().__init__(message)
        self.summary = summary
        self.needs = needs
        self.inputs = inputs


class ClipError(BenchError):
    """One clip or one prediction cannot be used; the run goes on with the others and lists this one.

    `reason` is a short stable code (`mono`, `no_audio`, `unreadable`, ...) that scripts may rely on. `trace` is the
    traceback of an error that nobody expected (see `visaudio_bench.guard`), empty otherwise.
    """

    def __init__(self, reason: str, message: str, trace: str = ""):
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.trace = trace

    def __str__(self) -> str:
        return self.message


class ClipsError(BenchError):
    """Some clips could not be made, each with its own `ClipError` by id in `errors`; the others are made, and stay."""

    def __init__(self, message: str, errors: Mapping[str, ClipError]):
        super().__init__(message, errors)
        self.message = message
        self.errors = dict(errors)

    def __str__(self) -> str:
        return self.message
