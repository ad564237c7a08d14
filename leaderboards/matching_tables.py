"""The tables of a study of matching: how often a system's sound for the video was told from its sound for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from visaudio_bench.files import csv_text
from visaudio_bench.leaderboards.opinion_tables import (
    Study,
    bracketed,
    counted,
    counts_of,
    marks_of,
    p_cells,
    tested,
)
from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow

CSV_COLUMNS = ("study_id", "system", "mean", "low", "high", "p", "p_holm", "n_votes")


def matching_table(study: Study, digits: int) -> Table:
    """Lay a study out: systems with their shares of right answers, and p against guessing.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The table.
    """
    columns = (
        Column("share", "matched", "0.5 is chance", "higher"),
        Column("p", "p", "of chance"),
        Column("p_holm", "p Holm", "of chance"),
        Column("n_votes", "answers"),
    )
    marks = marks_of({row["system"]: row["rank"] for row in study["shares"]})
    rows = []
    for row in study["shares"]:
        share = row["share"]
        cell = bracketed(share["mean"], share["low"], share["high"], digits, reason=share["reason"])
        cells = (
            replace(cell, mark=marks.get(row["system"], "")),
            *p_cells(row),
            Cell(str(row["n_votes"]), row["n_votes"]),
        )
        rows.append(TableRow(row["system"], cells))
    return Table(f"Matching, study {study['study_id']}", columns, tuple(rows), notes=_notes(study, bool(marks)))


def matching_pair_table(study: Study, digits: int) -> Table:
    """Lay out every pair of systems: difference of their shares.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The table.
    """
    columns = (Column("difference", "A − B", "share"), Column("p", "p"), Column("p_holm", "p Holm"))
    rows = []
    for pair in study["pairs"]:
        estimate = pair["difference"]
        cell = bracketed(estimate["mean"], estimate["low"], estimate["high"], digits, reason=estimate["reason"])
        rows.append(TableRow(f"{pair['a']} − {pair['b']}", (cell, *p_cells(pair))))
    return Table(f"Shares compared, study {study['study_id']}", columns, tuple(rows), "pair")


def matching_csv(studies: Sequence[Study]) -> str:
    """One row a study and system."""
    rows = (
        {"study_id": study["study_id"], **row, **row["share"], "p": row["p"]}
        for study in studies
        for row in study["shares"]
    )
    return csv_text(CSV_COLUMNS, rows)


def _notes(study: Study, marked: bool) -> tuple[str, ...]:
    report = study["report"]
    told = "marks: the largest share, and the next, shared by systems that are not told apart"
    return (
        counts_of(report, "rater", "clip", "vote"),
        f"question: {study['question']}",
        f"matched: share of answers that chose a system's sound for the video before its sound for another video; "
        f"[{study['confidence']:.0%} interval]: raters and clips both random, Wilson's at the number of independent "
        "answers",
        f"{report['apart_from_chance']} of {counted(len(study['systems']), 'system')} told from guessing {tested()}",
        f"{told if marked else 'nothing is marked: no two systems are told apart'} {tested()}",
    )
