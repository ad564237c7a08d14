"""Responses out of a server's database, or out of a long responses.csv, for `bench mos` or for another tool.

long    our canonical form
sureal  a dataset as sureal reads it: one dimension, `os` from rater to score
p808    votes_per_worker of the P.808 toolkit: HITId, workerid, file, short_file_name, vote, condition
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from visaudio_bench.bench.mos.forms import read_own_form
from visaudio_bench.bench.mos.questions import COLUMNS, KEYS, REQUIRED
from visaudio_bench.bench.mos.responses import understood
from visaudio_bench.bench.mos.session import INTEGER
from visaudio_bench.errors import UsageError
from visaudio_bench.files import csv_text

SQLITE = b"SQLite format 3\x00"
SHOWN = 40  # characters of what a note repeats
Row = dict[str, str]
ANY_SCALE = (0, 100)  # a table of responses does not say its scale; MUSHRA's is the widest in use


class Export(NamedTuple):
    """Responses for another tool: the text, how many votes it holds, and what could not be taken over as it was."""

    text: str
    votes: int
    notes: tuple[str, ...]


def export_text(source: Path, target: str, dimension: str | None = None) -> Export:
    """Write the responses of a database or of a long CSV as text for another tool.

    Args:
        source: a server's database, or responses.csv in the long form.
        target: `long`, `sureal` or `p808`.
        dimension: of which the ratings are taken; sureal and p808 hold one number a sample. None where there is only
            one.

    Returns:
        The text, how many votes it holds (of `long`, rows), and notes on what was not taken over as it was.

    Raises:
        UsageError: no such file, no responses, several dimensions and none named, or ratings that are no whole numbers.
    """
    rows, notes = _rows(source)
    if not rows:
        raise UsageError(f"{source} holds no responses yet.{''.join(f' {note}.' for note in notes)}")
    if target == "long":
        return Export(csv_text(COLUMNS, rows), len(rows), notes)
    rated = sorted({row["dimension"] for row in rows})
    if dimension is None and len(rated) > 1:
        raise UsageError(f"{target} holds one dimension and the responses have {', '.join(rated)}: --dimension NAME")
    chosen = [row for row in rows if dimension in (None, row["dimension"]) and row["rating"] != ""]
    if not chosen:
        raise UsageError(f'no votes on dimension "{dimension}"; there are votes on {", ".join(rated)}.')
    strange = next((row["rating"] for row in chosen if not INTEGER.fullmatch(row["rating"])), None)
    if strange is not None:
        raise UsageError(f"{target} takes whole numbers, and a rating is {strange[:SHOWN]!a}.")
    return Export(_sureal(chosen) if target == "sureal" else _p808(chosen), len(chosen), notes)


def is_database(path: Path) -> bool:
    """Whether a file is a database of SQLite."""
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _rows(source: Path) -> tuple[list[Row], tuple[str, ...]]:
    if not source.is_file():
        raise UsageError(f"{source} does not exist; a database of bench mos serve or a responses.csv was expected.")
    if not is_database(source):
        columns = understood(read_own_form(source, "auto", KEYS), ANY_SCALE).columns
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)], ()
    return database_rows(source)


def database_rows(source: Path) -> tuple[list[Row], tuple[str, ...]]:
    """The votes in a database of `bench mos serve`, as text that can be written and read again.

    Older servers took what this one refuses. Such a session stays: what no file can hold is written with backslashes,
    a number as digits; a session that is no table of votes is left out. Notes list all of it.

    Raises:
        UsageError: not such a database.
    """
    try:
        connection = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
        connection.text_factory = _as_text
        with closing(connection):
            _require_table(connection)
            sessions = connection.execute("SELECT id, body FROM responses ORDER BY id").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{source} is not a database of bench mos serve: {error}.") from error
    rows: list[Row] = []
    notes = []
    for number, body in sessions:
        try:
            votes = [{str(name): str(value) for name, value in vote.items()} for vote in json.loads(body)]
            if not all(set(REQUIRED) <= vote.keys() for vote in votes):
                raise ValueError("a vote lacks a column")
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            notes.append(f"session {number} left out, it is no table of votes: {str(error)[:SHOWN]!a}")
            continue
        written = [_writable(vote) for vote in votes]
        changed = {
            name: (vote[name], other.get(name, "nothing"))
            for vote, other in zip(votes, written, strict=True)
            for name in vote
            if other.get(name) != vote[name]
        }
        for name, (got, now) in changed.items():
            notes.append(f"session {number}: {name!a} {got[:SHOWN]!a} written as {now[:SHOWN]!a}")
        rows += written
    return rows, tuple(notes)


def _as_text(data: bytes) -> str:
    """A text of the database; a byte that is none costs its own session, which spells it out."""
    return data.decode("utf-8", errors="surrogateescape")


def _require_table(connection: sqlite3.Connection) -> None:
    """Refuse what only looks like our table: a view is a program, which may never end.

    Raises:
        sqlite3.Error: it is none.
    """
    (told,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'responses'").fetchone() or ("",)
    if not re.match(r"CREATE TABLE\b", str(told), re.IGNORECASE):
        raise sqlite3.DatabaseError("it has no table of responses")


def _writable(vote: Row) -> Row:
    """The columns of responses.csv, each a text of printable characters, and a rating in plain digits."""
    row = {
        name: value if value.isprintable() else value.encode("unicode_escape").decode("ascii")
        for name, value in vote.items()
        if name in COLUMNS
    }
    rating = row["rating"]
    return row | {"rating": str(int(rating)) if rating.isdecimal() and len(rating) < SHOWN else rating}


def _sureal(rows: Sequence[Row]) -> str:
    clips = list(dict.fromkeys(row["clip_id"] for row in rows))
    scores: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        scores.setdefault((row["clip_id"], row["system"]), {})[row["rater_id"]] = int(row["rating"])
    document = {
        "ref_videos": [{"content_id": k, "content_name": clip, "path": clip} for k, clip in enumerate(clips)],
        "dis_videos": [
            {"content_id": clips.index(clip), "asset_id": k, "os": votes, "path": f"{clip}__{system}"}
            for k, ((clip, system), votes) in enumerate(scores.items())
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _p808(rows: Sequence[Row]) -> str:
    names = ("HITId", "workerid", "file", "short_file_name", "vote", "condition")
    out = []
    for row in rows:
        file = f"{row['clip_id']}__{row['system']}"
        values = (row.get("session_id", ""), row["rater_id"], f"{file}.wav", file, row["rating"], row["system"])
        out.append(dict(zip(names, values, strict=True)))
    return csv_text(names, out)
