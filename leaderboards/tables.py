r"""One table, five formats: terminal text, Markdown, LaTeX (booktabs), CSV and JSON.

A `Table` is data: what each cell shows, its exact value, and whether it is the best or second best of its column.
The formats differ only in how they mark that: text and Markdown set the best in bold and underline the second
(`<u>` in Markdown), LaTeX uses `\textbf` and `\underline`; CSV and JSON carry the exact values and the marks. Every
format has the notes; in CSV they are rows of the column `note`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table as RichTable

from visaudio_bench.escapes import csv_cell, json_text, markdown, one_line, tex, tex_comment, tex_needs

Mark = Literal["", "best", "second"]
Format = Literal["text", "md", "tex", "csv", "json"]
FORMATS: tuple[Format, ...] = ("text", "md", "tex", "csv", "json")
EMPTY = "–"
LABEL = 30  # characters of a label that a narrow terminal keeps on one line
WORDS = 24  # characters that a column of words is given at least
GAP = 3  # characters between columns


@dataclass(frozen=True)
class Cell:
    """What is shown (`text`), the exact `value` behind it (None where there is none, with the `reason`), its mark.

    `optimised` says that its system was trained on what the column measures; the text then ends with a sign of it.
    """

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    mark: Mark = ""
    reason: str = ""
    optimised: bool = False


@dataclass(frozen=True)
class Column:
    """A column: stable `key`, shown `title`, unit, which direction is better; words stand to the `left`."""

    key: str
    title: str
    unit: str = ""
    better: Literal["higher", "lower", "reference", "none"] = "none"
    left: bool = False

    @property
    def heading(self) -> str:
        """Title with its arrow, as printed over the column: `ΔILD ↓`."""
        return self.title + {"higher": " ↑", "lower": " ↓", "reference": " →ref", "none": ""}[self.better]


@dataclass(frozen=True)
class TableRow:
    """One line of a table; a rule is drawn where `group` changes."""

    label: str
    cells: tuple[Cell, ...]
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A titled table with notes under it; `corner` heads the column of row labels."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    corner: str = "system"
    notes: tuple[str, ...] = field(default=())


def render(tables: Sequence[Table], form: Format, *, colour: bool = False, width: int | None = None) -> str:
    """Write tables in one of the five formats.

    Args:
        tables: in their order.
        form: `text`, `md`, `tex`, `csv` or `json`.
        colour: let the text format use terminal attributes.
        width: of the terminal in columns, None for as wide as needed. What does not fit is continued below; no number
            is cut. A table without rows is left out.

    Returns:
        The text, ending with a newline.
    """
    tables = [table for table in tables if table.rows or table.notes or form == "json"]
    if form == "text":
        return _text(tables, colour, width)
    renderers: dict[str, Callable[[Sequence[Table]], str]] = {"md": _md, "tex": _tex, "csv": _csv, "json": _json}
    return renderers[form](tables)


def _text(tables: Sequence[Table], colour: bool, width: int | None) -> str:
    from rich.console import Console
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out, width=width or 10_000, force_terminal=colour, color_system="standard" if colour else None
    )
    for table in tables:
        console.print(Text(one_line(table.title), "bold"), soft_wrap=width is None)
        for columns in _fitting(table, width):
            console.print(_grid(table, columns))
        for note in table.notes:
            console.print(Text(one_line(note)), soft_wrap=width is None)
        console.print()
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _fitting(table: Table, width: int | None) -> list[list[int]]:
    """The columns, in as many parts one below the other as it takes for no number to be cut."""
    every = list(range(len(table.columns)))
    if width is None or not every:
        return [every]
    label = min(_longest(table), LABEL)
    parts: list[list[int]] = [[]]
    left = width - label - 1
    for column in every:
        needed = _needed(table, column) + GAP
        if parts[-1] and needed > left:
            parts.append([])
            left = width - label - 1
        parts[-1].append(column)
        left -= needed
    return parts


def _head(column: Column) -> list[str]:
    return [one_line(line) for line in (column.heading, column.unit) if line]


def _needed(table: Table, number: int) -> int:
    """Characters that a column takes at least: words wrap, numbers do not."""
    column = table.columns[number]
    texts = [*_head(column), *(one_line(row.cells[number].text) for row in table.rows)]
    return min(max(map(len, texts)), WORDS) if column.left else max(map(len, texts))


def _grid(table: Table, columns: Sequence[int]) -> RichTable:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    styles = {"": "", "best": "bold", "second": "underline"}
    grid = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column(Text(one_line(table.corner)), overflow="fold", min_width=min(_longest(table), LABEL))
    for number in columns:
        column = table.columns[number]
        grid.add_column(
            Text("\n".join(_head(column))),
            justify="left" if column.left else "right",
            no_wrap=not column.left,
            overflow="fold",
            min_width=_needed(table, number),
        )
    for index, row in enumerate(table.rows):
        last = index + 1 == len(table.rows) or table.rows[index + 1].group != row.group
        cells = (Text(one_line(cell.text), styles[cell.mark]) for cell in (row.cells[number] for number in columns))
        grid.add_row(Text(one_line(row.label)), *cells, end_section=last)
    return grid


def _longest(table: Table) -> int:
    return max(len(one_line(table.corner)), *(len(one_line(row.label)) for row in table.rows), 1)


def _md(tables: Sequence[Table]) -> str:
    marks = {"": "{}", "best": "**{}**", "second": "<u>{}</u>"}
    lines: list[str] = []
    for table in tables:
        heads = [table.corner, *(f"{column.heading} {column.unit}" for column in table.columns)]
        lines += [f"### {markdown(table.title)}", "", "| " + " | ".join(markdown(head) for head in heads) + " |"]
        lines.append("|" + "|".join(["---", *("---" if column.left else "---:" for column in table.columns)]) + "|")
        for row in table.rows:
            shown = [marks[cell.mark].format(markdown(cell.text)) for cell in row.cells]
            lines.append("| " + " | ".join([markdown(row.label), *shown]) + " |")
        lines += ["", *(f"{markdown(note)}\n" for note in table.notes)]
    return "\n".join(lines).rstrip() + "\n"


def _tex(tables: Sequence[Table]) -> str:
    """Tables for booktabs; notes become comments, so that the file pastes into a paper as it is."""
    marks = {"": "{}", "best": r"\textbf{{{}}}", "second": r"\underline{{{}}}"}
    lines: list[str] = []
    for table in tables:
        lines += [tex_comment(line) for line in (table.title, *table.notes)]
        lines += [
            r"\begin{tabular}{l" + "".join("l" if column.left else "r" for column in table.columns) + "}",
            r"\toprule",
        ]
        lines.append(" & ".join(tex(head) for head in [table.corner, *(c.heading for c in table.columns)]) + r" \\")
        if any(column.unit for column in table.columns):
            lines.append(" & ".join(["", *(tex(column.unit) for column in table.columns)]) + r" \\")
        lines.append(r"\midrule")
        for index, row in enumerate(table.rows):
            if index and row.group != table.rows[index - 1].group:
                lines.append(r"\midrule")
            shown = [marks[cell.mark].format(tex(cell.text)) for cell in row.cells]
            lines.append(" & ".join([tex(row.label), *shown]) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    needs = tex_needs("\n".join(line for line in lines if not line.startswith("%")))
    return "\n".join([needs, *lines])


def _csv(tables: Sequence[Table]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "row", "column", "unit", "text", "value", "low", "high", "mark", "reason"])
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                numbers = ["" if number is None else repr(number) for number in (cell.value, cell.low, cell.high)]
                words = map(csv_cell, (table.title, row.label, column.key, column.unit, cell.text))
                writer.writerow([*words, *numbers, cell.mark, csv_cell(cell.reason)])
        writer.writerows(
            [csv_cell(table.title), "", "note", "", csv_cell(note), "", "", "", "", ""] for note in table.notes
        )
    return out.getvalue()


def _finite(number: float | None) -> float | None:
    """JSON has no infinity; a change between infinite values is none of its numbers."""
    return number if number is not None and math.isfinite(number) else None


def _json(tables: Sequence[Table]) -> str:
    def cell_object(cell: Cell) -> dict[str, Any]:
        numbers = {key: _finite(getattr(cell, key)) for key in ("value", "low", "high")}
        return {"text": cell.text, **numbers, "mark": cell.mark, "reason": cell.reason, "optimised": cell.optimised}

    value = [
        {
            "title": table.title,
            "columns": [{key: getattr(c, key) for key in ("key", "title", "unit", "better")} for c in table.columns],
            "rows": [
                {
                    table.corner: row.label,
                    "group": row.group,
                    "cells": {c.key: cell_object(cell) for c, cell in zip(table.columns, row.cells, strict=True)},
                }
                for row in table.rows
            ],
            "notes": list(table.notes),
        }
        for table in tables
    ]
    return json_text(value) + "\n"
