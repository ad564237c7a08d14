"""One writer a folder: who writes into it says so, and a second one refuses instead of overwriting.

The holder keeps a small record in the folder, with host, process and a number that it raises every few seconds. The
record is made with O_EXCL, and nothing else is asked of a file system: kernel locks are missing on some network file
systems, are valid on one machine only on others, and cannot be told apart from there. A record whose writer has ended
stops nobody: on the same machine the process is looked for, so that after kill -9 the next one goes on at once; from
another machine the record is watched, and one that does not change for `LEASE` seconds by the watcher's own clock is
taken over. A holder that finds its record replaced (it was suspended for longer) ends at once, before it writes more.

Readers need no lock: every file here is replaced whole.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.escapes import say
from visaudio_bench.files import beside, parse_json, remove_leftovers
from visaudio_bench.processes import began, has_ended, place
from visaudio_bench.shapes import require

NAME = ".in-use"
_RECORD = {"host": str, "pid": int, "since": str, "doing": str, "token": str}
LEASE = 60.0  # s without a sign of life after which a record of another machine is taken over
BEAT = 5.0  # s between two signs of life
_PATIENCE = 5.0  # s that a write may take before the end of a command waits no longer: a file system may be away
_POLL = 0.5

Record = dict[str, Any]


@contextmanager
def hold(folder: Path, doing: str, *, name: str = NAME, otherwise: str = "--out DIR") -> Iterator[None]:
    """Be the only writer of `folder`, which is made if need be, until the block ends.

    Args:
        folder: what is written into.
        doing: the command, for the message that another process gives.
        name: of the record; locks of different names do not know of each other.
        otherwise: how to choose another folder.

    Raises:
        UsageError: another process is at work there, or the folder cannot be written.
    """
    lock = _Lock(folder, doing, name, otherwise)
    lock.take()
    try:
        yield
    finally:
        lock.give_back()


class _Lock:
    def __init__(self, folder: Path, doing: str, name: str, otherwise: str):
        self.folder, self.path, self.otherwise = folder, folder / name, otherwise
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        self.mine: Record = {"host": socket.gethostname(), "pid": os.getpid(), "since": since, "doing": doing}
        self.mine |= {"place": place(), "start": began(os.getpid()), "path": str(self.path.absolute())}
        self.mine |= {"token": uuid.uuid4().hex, "beat": 0}
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._new = not folder.exists()

    def take(self) -> None:
        """Make the record, as soon as there is no other that lives."""
        watched: str | None = None
        deadline = 0.0
        while not self._make():
            text = _text(self.path)
            if text is None:
                continue  # given back just now
            record = _record(text)
            alive = self._alive(record) if record else None
            if record and (alive or (watched not in (None, text))):
                raise self._in_use(record)
            if alive is False or (watched == text and time.monotonic() > deadline):
                self._put_away(text)
                continue
            if watched != text:  # first seen, or half written
                watched, deadline = text, time.monotonic() + LEASE
                self._say_that_we_wait(record)
            time.sleep(_POLL)
        remove_leftovers(self.folder)
        self._keeper.start()

    def give_back(self) -> None:
        """Remove the record, if it is still ours."""
        self._stop.set()
        self._keeper.join(_PATIENCE)  # it may be in the middle of writing the record
        with suppress(OSError):
            if self._is_mine(_text(self.path)):
                self.path.unlink()
            if self._new:
                self.folder.rmdir()  # nothing came of it

    def _make(self) -> bool:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            if self.folder.is_dir():
                return False
            raise UsageError(
                f"{self.folder} is a file; a folder is needed. Choose another one: {self.otherwise}"
            ) from None
        except OSError as error:
            raise UsageError(
                f"the output folder {self.folder} cannot be written: {error.strerror}. "
                f"Choose another one: {self.otherwise}"
            ) from error
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(self.mine))
        return True

    def _alive(self, record: Record) -> bool | None:
        """Whether the writer of a record lives; None where that cannot be seen from here.

        A record under another path is the copy of a folder, or the same folder mounted elsewhere: it is watched.
        """
        if not self.mine["place"] or (record.get("place"), record.get("path")) != (
            self.mine["place"],
            self.mine["path"],
        ):
            return None
        ended = has_ended(int(record["pid"]), str(record.get("start")))
        return None if ended is None else not ended

    def _put_away(self, dead: str) -> None:
        """Remove a record that has lost its writer; of several processes that see it, one does."""
        aside = beside(self.path)
        with suppress(FileNotFoundError):
            self.path.rename(aside)
            if _text(aside) != dead and not self.path.exists():
                aside.rename(self.path)  # somebody was faster, and this is theirs
            else:
                aside.unlink()

    def _is_mine(self, text: str | None) -> bool:
        record = _record(text or "")
        return record is not None and record["token"] == self.mine["token"]

    def _keep(self) -> None:
        """Raise the number in the record until the block ends."""
        while not self._stop.wait(BEAT):
            try:
                with self.path.open("r+", encoding="utf-8") as file:
                    if not self._is_mine(file.read()):
                        break
                    self.mine["beat"] += 1
                    file.seek(0)
                    file.write(json.dumps(self.mine))
            except FileNotFoundError:  # removed by hand; without its folder there is nothing to guard
                if self.folder.is_dir() and not self._stop.is_set() and not self._make():
                    break
            except (OSError, UsageError):
                continue  # a file system that is away for a moment
        else:
            return
        if not self._stop.is_set():
            self._give_up()

    def _give_up(self) -> None:
        say(
            f"error: {self.folder} was taken over by another process while this one gave no sign of life for "
            f"{LEASE:.0f} s; it ends here, so that nothing is overwritten. What was finished is kept"
        )
        os._exit(BenchError.exit_code)

    def _in_use(self, record: Record) -> UsageError:
        who = f"process {record['pid']} on {record['host']}, since {record['since']}"
        return UsageError(
            f"{self.folder} is in use: {record['doing']} is at work there ({who}). Wait until it has ended, stop it on "
            f"{record['host']} with: kill {record['pid']}, or choose another folder: {self.otherwise}"
        )

    def _say_that_we_wait(self, record: Record | None) -> None:
        who = f"process {record['pid']} on {record['host']}, since {record['since']}" if record else "a process unknown"
        say(f"{self.folder} was in use ({who}); watching for up to {LEASE:.0f} s whether it still is")


def _text(path: Path) -> str | None:
    """A record as it is written; None where there is none.

    Raises:
        UsageError: something else stands in its place.
    """
    try:
        if not path.is_file():
            path.lstat()
            raise UsageError(f"{path} is no file, and stands where a command says that it is at work. Remove it.")
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _record(text: str) -> Record | None:
    """What a record says; None for a part of one."""
    try:
        record: Record = parse_json(text)
        require(record, _RECORD)
    except ValueError:
        return None
    return record
