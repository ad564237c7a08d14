"""Tables of responses: what a questionnaire's service adds to a plain table, before it is read as one of our forms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from visaudio_bench.errors import UsageError
from visaudio_bench.escapes import csv_meaning
from visaudio_bench.sheets import Sheet, read_sheet

IMPORT_ID = '{"ImportId"'  # begins the cells of Qualtrics' third header row
# Of a response that nobody gave: as words, and as the numbers that Qualtrics exports instead.
UNREAL = {
    "Status": {"Survey Preview", "Survey Test", "Spam", "1", "2", "8"},
    "DistributionChannel": {"preview", "test"},
}
QUALTRICS = "ResponseId"  # a column that no table of Qualtrics lacks


def read_responses_sheet(path: Path, known: Iterable[str] = (), *, skip: int = 0) -> Sheet:
    """Read a table of responses, without Qualtrics' second and third header rows.

    Args:
        path: of the table.
        known: names of columns; a header that writes them with other case, blanks or hyphens is taken for them.
        skip: lines before the header.

    Returns:
        The table with its headings as they were meant.

    Raises:
        UsageError: as `read_sheet`, or a response is a preview of whoever made the questionnaire.
    """
    sheet = as_meant(_without_header_rows(read_sheet(path, known=known, skip=skip)))
    if QUALTRICS in sheet.header:
        _refuse_previews(sheet)
    return sheet


def as_meant(sheet: Sheet) -> Sheet:
    """A table without the apostrophes that our own tables keep spreadsheets from calculating texts with."""
    return replace(sheet, rows=[[csv_meaning(cell) for cell in row] for row in sheet.rows])


def _without_header_rows(sheet: Sheet) -> Sheet:
    last = next((k for k, row in enumerate(sheet.rows[:2]) if any(cell.startswith(IMPORT_ID) for cell in row)), None)
    if last is None:
        return sheet
    first, rest = sheet.lines[0], sheet.rows[last + 1 :]
    if not rest:
        raise UsageError(f"{sheet.path}: Qualtrics' header rows, and no responses below them.")
    note = f"Qualtrics' header rows left out, from line {first} to {sheet.lines[last + 1] - 1}"
    return replace(sheet, rows=rest, lines=sheet.lines[last + 1 :], notes=(*sheet.notes, note))


def _refuse_previews(sheet: Sheet) -> None:
    for column, words in UNREAL.items():
        lines = [line for cell, line in zip(sheet.column(column), sheet.lines, strict=True) if cell in words]
        if lines:
            cell = sheet.column(column)[sheet.lines.index(lines[0])]
            raise UsageError(
                f'{sheet.path}:{lines[0]}: the response is no rater\'s: its {column} is "{cell}". '
                f"Take out {len(lines)} such row(s), in line(s) {', '.join(map(str, lines[:8]))}."
            )
