"""The tables of a study of localisation: how far off, how often near, how often on the wrong side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from visaudio_bench.files import csv_text
from visaudio_bench.leaderboards.opinion_tables import (
    METHODS,
    Study,
    bracketed,
    counts_of,
    marks_of,
    p_cells,
    tested,
)
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Table, TableRow

COLUMNS = (
    Column("error", "angular error", "degrees", "lower"),
    Column("near", "within 15°", "%", "higher"),
    Column("confusion", "wrong side", "%", "lower"),
)
CSV_COLUMNS = ("study_id", "system", "score", "mean", "low", "high", "half", "n_votes")


def localisation_table(study: Study) -> Table:
    """Systems by scores; the best errors are marked as the test allows."""
    marks = marks_of({row["system"]: row["rank"] for row in study["scores"]})
    rows = []
    for row in study["scores"]:
        error = replace(_cell(row["error"]), mark=marks.get(row["system"], ""))
        rows.append(TableRow(row["system"], (error, *(_percent(row[column.key]) for column in COLUMNS[1:]))))
    return Table(f"Localisation, study {study['study_id']}", COLUMNS, tuple(rows), notes=_notes(study, bool(marks)))


def localisation_pair_table(study: Study) -> Table:
    """Every pair of systems: difference of their errors."""
    columns = (Column("difference", "A − B", "degrees"), Column("p", "p"), Column("p_holm", "p Holm"))
    rows = []
    for pair in study["pairs"]:
        rows.append(TableRow(f"{pair['a']} − {pair['b']}", (_cell(pair["difference"]), *p_cells(pair))))
    return Table(f"Errors compared, study {study['study_id']}", columns, tuple(rows), "pair")


def localisations_csv(studies: Sequence[Study]) -> str:
    """One row a study, system and score; shares are from 0 to 1."""
    rows = (
        {"study_id": study["study_id"], "score": column.key, **row, **row[column.key]}
        for study in studies
        for row in study["scores"]
        for column in COLUMNS
    )
    return csv_text(CSV_COLUMNS, rows)


def _cell(estimate: dict[str, Any]) -> Cell:
    half = "" if estimate["half"] is None else f" ± {estimate['half']:.1f}"
    return Cell(
        f"{estimate['mean']:.1f}{half}", estimate["mean"], estimate["low"], estimate["high"], "", estimate["reason"]
    )


def _percent(share: dict[str, Any]) -> Cell:
    """A share in percent; the cell's own numbers are from 0 to 1, as in the CSV."""
    if share["mean"] is None:
        return Cell(EMPTY, reason=share["reason"])
    mean, low, high = (share[name] for name in ("mean", "low", "high"))
    bottom, top = (None if end is None else 100 * end for end in (low, high))
    return replace(bracketed(100 * mean, bottom, top, 0, reason=share["reason"]), value=mean, low=low, high=high)


def _notes(study: Study, marked: bool) -> tuple[str, ...]:
    told = "marks: the smallest error, and the next, shared by systems that are not told apart"
    return (
        counts_of(study["report"], "rater", "clip", "vote"),
        f"question: {study['question']}",
        f"± and [ ] {study['confidence']:.0%} intervals: {METHODS['crossed']}; of shares Wilson's at the number of "
        "independent answers",
        f"{told if marked else 'nothing is marked: no two systems are told apart'} {tested()}",
        "answers are on a frontal scale of ±90°; wrong side: of sources at 10° or more, 50 % is chance",
    )
