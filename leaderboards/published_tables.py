"""What papers report, as data: `published/*.csv`, one file a paper, every row one number of one of its tables.

The names are this benchmark's: keys of systems, metrics and views, so that a published number finds its measured one.
A number is kept as it is printed. Where two tables of a paper say different things about the same model on the same
clips, both stay here; the first of the file is shown and `contradictions` words the difference.

Columns: source (the paper), table, dataset, split, clips (how many it rests on; empty where the paper does not say),
system, title (as in the table), metric (a key of the catalogue, or `MOS_SI` ... `MOS_AR`), view, value, half (half the
width of the 95 % interval), remark (the conditions it holds under).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.suite_tables import Shown
from visaudio_bench.leaderboards.tables import Column
from visaudio_bench.metrics.catalogue import BINAURAL, METRICS

FILES = tuple(Path(__file__).parent / "published" / name for name in ("visaudio.csv", "garg.csv"))
# The aspects that the ViSAudio paper's raters judged (section 5.1).
ASPECTS = {
    "SI": "spatial impression",
    "SC": "spatial consistency",
    "TA": "temporal alignment",
    "SA": "semantic alignment",
    "AR": "audio realism",
}

Place = tuple[str, str]  # metric and view: a column


def content_columns() -> dict[Place, Column]:
    """The columns of the ViSAudio paper's Table 2, in its order."""
    return _columns("content")


def all_columns() -> dict[Place, Column]:
    """Every column that published numbers may stand in."""
    opinions = {(f"MOS_{key}", BINAURAL[0]): Column(f"MOS_{key}", f"MOS {key}", better="higher") for key in ASPECTS}
    return {**_columns("content"), **_columns("binauralisation"), **opinions}


def _columns(track: str) -> dict[Place, Column]:
    shown = [Shown(m, view) for m in METRICS.values() if m.default and m.track == track for view in m.shown]
    return {(column.metric.key, column.view): column.column(compared=True) for column in shown}


@dataclass(frozen=True)
class Published:
    """One number of a paper's table; `printed` and `half` are as printed there, `half` empty where there is none."""

    source: str
    table: str
    dataset: str
    split: str
    clips: int | None
    system: str
    title: str
    metric: str
    view: str
    printed: str
    half: str
    remark: str

    @property
    def value(self) -> float:
        """The number."""
        return float(self.printed)

    @property
    def place(self) -> Place:
        """The column it stands in."""
        return self.metric, self.view


HEADER = tuple({"printed": "value"}.get(field.name, field.name) for field in fields(Published))


def read_published(files: Iterable[Path] = FILES) -> list[Published]:
    """Every published number, in the order of files and rows.

    Raises:
        UsageError: a row is not as the columns say; the message names file and line.
    """
    return [row for path in files for row in _read(path)]


def _read(path: Path) -> list[Published]:
    columns = all_columns()
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if tuple(next(reader, ())) != HEADER:
            raise UsageError(f"{path} does not start with the columns {','.join(HEADER)}.")
        rows = []
        for line in reader:
            try:
                rows.append(_row(line, columns))
            except ValueError as error:
                where = f"{path}, line {reader.line_num}"
                raise UsageError(f"{where}, is not a published number: {error}.") from error
    return rows


def _row(line: Sequence[str], columns: Mapping[Place, Column]) -> Published:
    if len(line) != len(HEADER):
        raise ValueError(f"{len(line)} fields, {len(HEADER)} expected")
    source, table, dataset, split, clips, *rest = line
    row = Published(source, table, dataset, split, int(clips) if clips else None, *rest)
    for name in ("source", "table", "dataset", "split", "system", "title"):
        if not getattr(row, name):
            raise ValueError(f"{name} is empty")
    if row.place not in columns:
        raise ValueError(f'no column for metric "{row.metric}" of view "{row.view}"')
    if not all(math.isfinite(float(number)) for number in (row.printed, row.half or "0")):
        raise ValueError("value and half are finite numbers")
    return row


def contradictions(rows: Iterable[Published]) -> list[str]:
    """What the tables of a paper say differently about the same model on the same clips, one sentence each."""
    statements: dict[tuple[str, ...], dict[str, list[str]]] = {}
    titles = {place: column.title for place, column in all_columns().items()}
    for row in rows:
        what = f"{titles[row.place]} of {row.title} on {row.dataset}"
        said = statements.setdefault((row.source, row.split, row.system, what), {})
        said.setdefault(row.printed, []).append(row.table)
    return [
        f"{source} contradicts itself on {what}: "
        + "; ".join(f"{printed} in {' and '.join(tables)}" for printed, tables in said.items())
        + "."
        for (source, _, _, what), said in statements.items()
        if len({float(printed) for printed in said}) > 1
    ]
