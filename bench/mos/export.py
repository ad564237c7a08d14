"""Responses out of a server's database, or out of a long responses.csv, for `bench mos` or for another tool.

long    our canonical form
sureal  a dataset as sureal reads it: one dimension, `os` from rater to score
p808    votes_per_worker of the P.808 toolkit: HITId, workerid, file, short_file_name, vote, condition
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from visaudio_bench.bench.mos.forms import read_own_form
from visaudio_bench.bench.mos.questions import COLUMNS, KEYS
from visaudio_bench.bench.mos.responses import understood
from visaudio_bench.errors import UsageError

SQLITE = b"SQLite format 3\x00"
Row = dict[str, str]
ANY_SCALE = (0, 100)  # a table of responses does not say its scale; MUSHRA's is the widest in use


def export_text(source: Path, target: str, dimension: str | None = None) -> tuple[str, int]:
    """The responses of a database or a long CSV as text for `target`, and how many votes they are.

    sureal and p808 hold one number a sample, so `dimension` says which; without it there must be only one.

    Raises:
        UsageError: no such file, no responses, or several dimensions.
    """
    rows = _rows(source)
    if not rows:
        raise UsageError(f"{source} holds no responses yet.")
    if target == "long":
        return _write(COLUMNS, rows), len(rows)
    found = sorted({row["dimension"] for row in rows})
    if dimension is None and len(found) > 1:
        raise UsageError(f"{target} holds one dimension and the responses have {', '.join(found)}: --dimension NAME")
    chosen = [row for row in rows if dimension in (None, row["dimension"]) and row["rating"] != ""]
    if not chosen:
        raise UsageError(f'no votes on dimension "{dimension}"; there are votes on {", ".join(found)}.')
    return (_sureal(chosen) if target == "sureal" else _p808(chosen)), len(chosen)


def _rows(source: Path) -> list[Row]:
    if not source.is_file():
        raise UsageError(f"{source} does not exist; a database of bench mos serve or a responses.csv was expected.")
    with source.open("rb") as file:
        is_database = file.read(len(SQLITE)) == SQLITE
    if not is_database:
        columns = understood(read_own_form(source, "auto", KEYS), ANY_SCALE).columns
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    connection = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
    try:
        bodies = connection.execute("SELECT body FROM responses ORDER BY id").fetchall()
    except sqlite3.Error as error:
        raise UsageError(f"{source} is not a database of bench mos serve: {error}.") from error
    finally:
        connection.close()
    return [row for (body,) in bodies for row in json.loads(body)]


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
    return _write(names, out)


def _write(columns: Sequence[str], rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
