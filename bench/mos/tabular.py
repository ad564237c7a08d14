"""Reading CSV files as people and spreadsheets write them: byte order marks, semicolons, tabs, empty rows at the end.

What was understood is said in `notes`; what cannot be is an error with the file and the line.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from visaudio_bench.errors import UsageError

MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True)
class Sheet:
    """A header and rows of as many fields; `lines[k]` is the line of the file where row `k` ends."""

    path: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    notes: tuple[str, ...]

    def column(self, name: str) -> list[str]:
        """Every value of one column; empty strings if there is no such column."""
        if name not in self.header:
            return [""] * len(self.rows)
        index = self.header.index(name)
        return [row[index] for row in self.rows]


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """A text file in UTF-8, or UTF-16 with its mark, and a note if it carried a byte order mark.

    Raises:
        UsageError: the file is missing or in another encoding.
    """
    if not path.is_file():
        raise UsageError(f"{path} does not exist; a file of responses was expected.")
    data = path.read_bytes()
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: not {encoding.upper()} text; save the file as CSV in UTF-8.") from error
    return text, () if encoding == "utf-8" else ("byte order mark",)


def read_sheet(path: Path, *, skip: int = 0) -> Sheet:
    """A CSV file with commas, semicolons or tabs, whichever its header has most of.

    `skip` rows before the header are left out. Fields are stripped of blanks around them.

    Raises:
        UsageError: no header, a header that names a column twice, or a row with another number of fields.
    """
    text, notes = read_text(path)
    first = text.lstrip("\r\n").split("\n", skip + 1)[min(skip, text.count("\n"))]
    delimiter = max(",;\t", key=first.count)
    if delimiter != ",":
        notes = (*notes, f"delimiter {'tab' if delimiter == chr(9) else delimiter}")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            rows.append([field.strip() for field in row])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not a CSV row: {error}.") from error
    return _body(path, rows[skip:], lines[skip:], notes)


def _body(path: Path, rows: list[list[str]], lines: list[int], notes: tuple[str, ...]) -> Sheet:
    last = len(rows)
    while last and not any(rows[last - 1]):
        last -= 1
    if last < len(rows):
        notes = (*notes, f"{len(rows) - last} empty row(s) at the end left out")
    rows, lines = rows[:last], lines[:last]
    while rows and not any(rows[0]):
        rows, lines = rows[1:], lines[1:]
    if len(rows) < 2:
        raise UsageError(f"{path}: a header and at least one row of responses were expected, {len(rows)} row(s) found.")
    header = rows[0]
    while header and not header[-1]:
        header = header[:-1]
    for name in header:
        if header.count(name) > 1:
            raise UsageError(f'{path}:{lines[0]}: the header names the column "{name}" twice.')
    body = [_fit(path, line, row, header) for row, line in zip(rows[1:], lines[1:], strict=True)]
    return Sheet(path, tuple(header), body, lines[1:], notes)


def _fit(path: Path, line: int, row: list[str], header: list[str]) -> list[str]:
    """A row of the header's length; spreadsheets pad rows with empty fields on the right."""
    if len(row) == len(header):
        if row == header:
            raise UsageError(
                f"{path}:{line}: the header again. Were two files pasted together? Give both: --ratings A --ratings B"
            )
        return row
    if len(row) > len(header) and not any(row[len(header) :]):
        return row[: len(header)]
    what = "an empty row" if not any(row) else f"{len(row)} field(s)"
    raise UsageError(
        f"{path}:{line}: {what} where the header has {len(header)} columns. Were two files pasted together?"
    )
