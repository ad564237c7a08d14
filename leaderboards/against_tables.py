"""Tables of how far objective metrics agree with listeners, one for each dimension of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from visaudio_bench.files import csv_text
from visaudio_bench.leaderboards.opinion_tables import DIGITS, Study, bracketed
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Table, TableRow

CSV_COLUMNS = (
    "study_id", "dimension", "suite", "metric", "view", "over", "coefficient", "value", "low", "high", "n", "reason"
)  # fmt: skip


def against_tables(study: Study, digits: int = DIGITS) -> list[Table]:
    """Metrics in rows; rank and linear correlation over systems and over clips, with intervals.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The tables.
    """
    columns = tuple(
        Column(f"{over}_{coefficient}", f"{title} over {over}", f"{study['confidence']:.0%} interval")
        for over in ("systems", "clips")
        for coefficient, title in (("spearman", "ρ"), ("pearson", "r"))
    )
    tables = []
    for dimension in study["dimensions"]:
        mine = [row for row in study["against"] if row["dimension"] == dimension["key"]]
        rows = tuple(TableRow(f"{row['metric']} {row['view']}", _cells(row, digits)) for row in mine)
        title = f"Agreement of metrics with {dimension['title']}, study {study['study_id']}"
        tables.append(Table(title, columns, rows, "metric", _notes(mine)))
    return tables


def _cells(row: dict[str, Any], digits: int) -> tuple[Cell, ...]:
    return tuple(
        _cell(row.get(over, {}).get(coefficient), digits)
        for over in ("systems", "clips")
        for coefficient in ("spearman", "pearson")
    )


def _cell(estimate: dict[str, Any] | None, digits: int) -> Cell:
    if estimate is None:
        return Cell(EMPTY, reason="the metric has no value for a clip")
    if estimate["value"] is None:
        return Cell(EMPTY, reason=estimate["reason"])
    return bracketed(estimate["value"], estimate["low"], estimate["high"], digits, reason=estimate["reason"])


def against_csv(studies: Sequence[Study]) -> str:
    """One row a study, dimension, metric, kind of point and coefficient."""
    rows = (
        {"study_id": study["study_id"], "over": over, "coefficient": coefficient, **row, **estimate}
        for study in studies
        for row in study.get("against", ())
        for over in ("systems", "clips")
        for coefficient, estimate in row.get(over, {}).items()
    )
    return csv_text(CSV_COLUMNS, rows)


def _notes(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    systems = max((row["systems"]["pearson"]["n"] for row in rows), default=0)
    samples = max((row["clips"]["pearson"]["n"] for row in rows if "clips" in row), default=0)
    neither = sorted({row["metric"] for row in rows if row["better"] not in ("higher", "lower")})
    notes = [
        f"over systems: up to {systems} points, interval by Fisher's z; over clips: up to {samples} samples (a clip by "
        "a system), interval by resampling clips",
        "above 0 the metric agrees with listeners, whichever way its values are better"
        + (f"; {', '.join(neither)}: no way is better, the sign is that of the values" if neither else ""),
    ]
    return tuple(notes)
