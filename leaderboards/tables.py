r"""One table, five formats: terminal text, Markdown, LaTeX (booktabs), CSV and JSON.

A `Table` is data: what each cell shows, its exact value, and whether it is the best or second best of its column.
The formats differ only in how they mark that: text and Markdown set the best in bold and underline the second
(`<u>` in Markdown), LaTeX uses `\textbf` and `\underline`; CSV and JSON carry the exact values and the marks.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from visaudio_bench.escapes import csv_cell, json_text, markdown, one_line, tex, tex_comment

Mark = Literal["", "best", "second"]
Format = Literal["text", "md", "tex", "csv", "json"]
FORMATS: tuple[Format, ...] = ("text", "md", "tex", "csv", "json")
EMPTY = "–"


@dataclass(frozen=True)
class Cell:
    """What is shown (`text`), the exact `value` behind it (None where there is none, with the `reason`), its mark."""

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    mark: Mark = ""
    reason: str = ""


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
        width: of the terminal in columns, None for as wide as needed.

    Returns:
        The text, ending with a newline.
    """
    if form == "text":
        return _text(tables, colour, width)
    renderers: dict[str, Callable[[Sequence[Table]], str]] = {"md": _md, "tex": _tex, "csv": _csv, "json": _json}
    return renderers[form](tables)


def _text(tables: Sequence[Table], colour: bool, width: int | None) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out, width=width or 10_000, force_terminal=colour, color_system="standard" if colour else None
    )
    styles = {"": "", "best": "bold", "second": "underline"}
    for table in tables:
        console.print(Text(one_line(table.title), "bold"), soft_wrap=True)
        grid = RichTable(box=SIMPLE_HEAD, pad_edge=False)
        grid.add_column(Text(one_line(table.corner)), no_wrap=True)
        for column in table.columns:
            head = Text("\n".join(one_line(line) for line in (column.heading, column.unit) if line))
            grid.add_column(head, justify="left" if column.left else "right", no_wrap=not column.left)
        for index, row in enumerate(table.rows):
            last = index + 1 == len(table.rows) or table.rows[index + 1].group != row.group
            cells = (Text(one_line(cell.text), styles[cell.mark]) for cell in row.cells)
            grid.add_row(Text(one_line(row.label)), *cells, end_section=last)
        console.print(grid)
        for note in table.notes:
            console.print(Text(one_line(note)), soft_wrap=True)
        console.print()
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


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
    lines = [r"% needs \usepackage{booktabs}"]
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
    return "\n".join(lines)


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
    return out.getvalue()


def _finite(number: float | None) -> float | None:
    """JSON has no infinity; a change between infinite values is none of its numbers."""
    return number if number is not None and math.isfinite(number) else None


def _json(tables: Sequence[Table]) -> str:
    def cell_object(cell: Cell) -> dict[str, Any]:
        numbers = {key: _finite(getattr(cell, key)) for key in ("value", "low", "high")}
        return {"text": cell.text, **numbers, "mark": cell.mark, "reason": cell.reason}

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
