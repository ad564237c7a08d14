"""Worker processes: start them, listen to their events, survive whatever becomes of them.

Clips are dealt to shards; a shard is one process at a time. A clip that fails is reported and the process goes on. A
process that ends, hangs or is killed takes the clip that it was at with it and a new one goes on behind that clip;
only when memory ran out is the clip tried once more, first of all in a fresh process. A process that never gets its
model loaded is not started again. When the caller stops listening, or dies, all processes end with their children, also
with those that have left the group (see `worker_kit`).

What a worker says is not believed further than it can be checked: time counts between steps that each clip takes once,
whatever else is written, and events and log are read and kept up to a limit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from visaudio_bench.baselines.published.job_folders import JobFolder
from visaudio_bench.baselines.published.worker_kit import OUT_OF_MEMORY
from visaudio_bench.processes import whether_memory_ran_out

POLL_SECONDS = 0.02
# How long a process that is through may take to leave: authors' code starts threads that never end.
LEAVE_SECONDS = 20.0
LOG_CHARACTERS = 300
# Bytes of a log beyond which its beginning is thrown away, and what is then kept: authors' code may print for ever.
LOG_LIMIT, LOG_KEPT = 32 << 20, 1 << 20
# Bytes of events: of one that is not whole, and of all: a clip has two, of some hundred bytes each.
LINE_LIMIT, EVENTS_LIMIT = 1 << 20, 64 << 20
# How long a worker's keeper may take to end everything, before the group is ended from here.
KEEPER_SECONDS = 15.0


class WorkerAnswer(NamedTuple):
    """What became of one clip: the native file with its event, or the reason and sentence why there is none."""

    clip: str
    file: Path | None
    event: Mapping[str, Any]
    reason: str = ""
    message: str = ""


class Start(NamedTuple):
    """How to start a worker: its job, its command line, its environment variables."""

    job: JobFolder
    command: Sequence[str]
    environment: Mapping[str, str]


# (number of the shard, number of the attempt, clips) -> a worker that is ready to be started
Starter = Callable[[int, int, Sequence[str]], Start]


def supervise(clips: Sequence[str], start: Starter, *, shards: int = 1, timeout: float) -> Iterator[WorkerAnswer]:
    """Have every clip made, whatever becomes of the processes.

    Args:
        clips: ids, each once.
        start: prepares a worker for some of them.
        shards: how many processes at a time.
        timeout: seconds after which a process counts as hanging that has not got further: loaded its model, begun or
            concluded a clip. Each counts once, so that nothing a process writes holds its time up.

    Returns:
        What became of each clip, once, in the order they finish.
    """
    count = max(1, min(shards, len(clips)))
    running = [_Shard(number, deque(clips[number::count]), start, timeout) for number in range(count)]
    try:
        while running:
            for shard in running:
                yield from shard.step()
            running = [shard for shard in running if not shard.is_over]
            if running:
                time.sleep(POLL_SECONDS)
    finally:
        for shard in running:
            shard.stop()


@dataclass
class _Shard:
    number: int
    pending: deque[str]
    start: Starter
    timeout: float
    attempts: int = 0
    retried: set[str] = field(default_factory=set)
    worker: _Worker | None = None

    @property
    def is_over(self) -> bool:
        return self.worker is None and not self.pending

    def step(self) -> Iterator[WorkerAnswer]:
        """Start a process if none runs, and report what it said since the last step."""
        if self.worker is None:
            if not self.pending:
                return
            asked = tuple(self.pending)
            self.worker = _Worker(self.start(self.number, self.attempts, asked), asked)
            self.attempts += 1
        worker = self.worker
        code = worker.poll()  # before reading: what was said before the end is then read
        for answer in worker.listen():
            if answer.clip in self.pending and not self._again(worker, answer):
                self.pending.remove(answer.clip)
                yield answer
        quiet = time.monotonic() - worker.last_step
        if code is not None:
            yield from self._bury(worker, code)
        elif worker.is_finished and quiet > LEAVE_SECONDS:
            yield from self._bury(worker, 0)
        elif quiet > self.timeout:
            worker.stop()
            yield from self._lose(worker, "timeout", f"got no further for {self.timeout:g} s and was ended")
        elif worker.is_flooding:
            worker.stop()
            yield from self._lose(worker, "flood", f"wrote over {EVENTS_LIMIT >> 20} MiB of events and was ended")
        else:
            worker.shorten_log()
        if self.worker is not None and self.worker.is_ended:
            self.worker = None

    def _again(self, worker: _Worker, answer: WorkerAnswer) -> bool:
        """Whether a clip gets a second try: memory that ran out may have been taken by the clips before it."""
        second = answer.reason == "out_of_memory" and worker.concluded > 1 and answer.clip not in self.retried
        if second:
            self.retried.add(answer.clip)
            self.pending.remove(answer.clip)
            self.pending.appendleft(answer.clip)
        return second

    def _bury(self, worker: _Worker, code: int) -> Iterator[WorkerAnswer]:
        """What the end of a process means for the clips that it left."""
        worker.stop()
        if code == 0 and worker.is_finished:
            for clip in tuple(self.pending):
                self.pending.remove(clip)
                yield WorkerAnswer(
                    clip, None, {}, "no_record", f"the worker ended well and reported nothing of clip {clip}."
                )
        elif code == OUT_OF_MEMORY and worker.current is None:
            return
        elif code == -signal.SIGKILL:
            yield from self._lose(worker, "killed", f"was killed from outside; {whether_memory_ran_out()}")
        elif code < 0:
            yield from self._lose(worker, "crash", f"crashed with signal {-code} ({signal.strsignal(-code)})")
        else:
            yield from self._lose(worker, "crash", f"ended with exit code {code}")

    def _lose(self, worker: _Worker, reason: str, what: str) -> Iterator[WorkerAnswer]:
        """The clip that a process was at is lost; all clips are, where the model never was loaded."""
        if not worker.is_loaded:
            message = worker.not_loaded or f"the worker {what} while the model was loaded.{worker.last_lines()}"
            lost = tuple(self.pending)
            reason = "not_loaded"
        else:
            at = worker.current if worker.current in self.pending else next(iter(self.pending), None)
            lost = () if at is None else (at,)
            message = f"the worker {what} at this clip.{worker.last_lines()}"
        for clip in lost:
            self.pending.remove(clip)
            yield WorkerAnswer(clip, None, {}, reason, message)

    def stop(self) -> None:
        """End the process and its children."""
        if self.worker is not None:
            self.worker.stop()


class _Worker:
    """One process and what is known of it."""

    def __init__(self, start: Start, clips: Sequence[str]):
        self.job, self.clips = start.job, frozenset(clips)
        with self.job.log.open("ab") as log:
            # Its own session: it and its children are ended as a group. The pipe tells its keeper that we are here.
            self.process = subprocess.Popen(
                list(start.command), stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.job.work,
                env=dict(start.environment), start_new_session=True,
            )  # fmt: skip
        self.read = 0
        self.last_step = time.monotonic()
        self.is_loaded = self.is_finished = self.is_ended = self.is_flooding = False
        self.not_loaded = ""
        self.current: str | None = None
        self.concluded = 0
        self.setting: dict[str, Any] = {}
        self._taken: set[tuple[str, str]] = set()

    def poll(self) -> int | None:
        return self.process.poll()

    def listen(self) -> Iterator[WorkerAnswer]:
        """The clips that were concluded since the last call; a line without its end is left for the next one."""
        with suppress(OSError):  # not there yet, or something else in its place
            with self.job.events.open("rb") as stream:
                stream.seek(self.read)
                said = stream.read(LINE_LIMIT)
            whole = said[: said.rfind(b"\n") + 1]
            self.read += len(whole) or (len(said) if len(said) == LINE_LIMIT else 0)  # such a line is no event
            self.is_flooding = self.read > EVENTS_LIMIT
            for line in whole.splitlines():
                yield from self._understand(line)

    def _step(self, kind: str, clip: str = "") -> None:
        """Time begins anew, the first time that the process gets so far."""
        if (kind, clip) not in self._taken:
            self._taken.add((kind, clip))
            self.last_step = time.monotonic()

    def _understand(self, line: bytes) -> Iterator[WorkerAnswer]:
        try:
            event = json.loads(line)
            kind, clip = event["event"], event.get("clip", "")
            if not (isinstance(kind, str) and isinstance(clip, str)):
                return
            answer = self._concluded(kind, clip, event) if kind in ("done", "failed") else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # damaged: the clip it spoke of is missed at the end of the process
        if kind in ("environment", "loaded"):
            self._step(kind)
            self.setting |= {name: value for name, value in event.items() if name not in ("event", "pid")}
            self.is_loaded |= kind == "loaded"
        elif kind == "not_loaded":
            self.not_loaded = f"the model could not be loaded: {event.get('message')} ({event.get('where')})."
        elif kind == "started" and clip in self.clips:
            self._step(kind, clip)
            self.current = clip
        elif kind == "finished":
            self._step(kind)
            self.is_finished = True
        elif answer is not None and clip == self.current:
            self._step(kind, clip)
            self.current = None
            self.concluded += 1
            yield answer

    def _concluded(self, kind: str, clip: str, event: dict[str, Any]) -> WorkerAnswer:
        if kind == "done":
            told = {**event, "seconds": float(event.get("seconds", 0.0)), "setting": self.setting}
            return WorkerAnswer(clip, self.job.native / Path(event["file"]).name, told)
        told = {"seconds": float(event.get("seconds", 0.0))}
        return WorkerAnswer(clip, None, told, str(event["reason"]), f"{event['message']} ({event['where']})")

    def last_lines(self) -> str:
        """The end of what the process printed, for messages."""
        with suppress(OSError):
            with self.job.log.open("rb") as log:
                log.seek(max(0, self.job.log.stat().st_size - 4 * LOG_CHARACTERS))
                text = log.read().decode("utf-8", errors="replace").strip()
            if text:
                return f" It last said: {text[-LOG_CHARACTERS:].splitlines()[-1]}"
        return ""

    def shorten_log(self) -> None:
        """Keep the end of a log that has grown too long; the process appends to the same file."""
        with suppress(OSError):
            size = self.job.log.stat().st_size
            if size > LOG_LIMIT:
                with self.job.log.open("r+b") as log:
                    log.seek(size - LOG_KEPT)
                    end = log.read(LOG_KEPT)
                    log.truncate(0)
                with self.job.log.open("ab") as log:
                    log.write(end)

    def stop(self) -> None:
        """Have the keeper end everything that it keeps, and end the group."""
        if self.is_ended:
            return
        self.is_ended = True
        if self.process.stdin is not None:
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(KEEPER_SECONDS)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
