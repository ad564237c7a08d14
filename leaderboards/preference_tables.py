"""Tables of paired preferences: strengths of systems, and every pair with its share, interval and p."""

from __future__ import annotations

import math
from collections.abc import Sequence

from visaudio_bench.files import csv_text
from visaudio_bench.leaderboards.opinion_tables import (
    ALPHA,
    DIGITS,
    Study,
    apart_from_others,
    bracketed,
    counted,
    counts_of,
    p_cells,
    tested,
)
from visaudio_bench.leaderboards.tables import Cell, Column, Mark, Table, TableRow

CSV_COLUMNS = ("study_id", "system", "strength", "low", "high", "n_votes")


def strength_table(study: Study, digits: int = DIGITS) -> Table:
    """Systems with their Bradley-Terry strengths, and how often an average system would lose to each.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The table.
    """
    columns = (
        Column("strength", "strength", "log-odds", "higher"),
        Column("beats_average", "preferred", "to an average system"),
        Column("n_votes", "votes"),
    )
    marks = _marks(study)
    rows = []
    for row in study["strengths"]:
        share = 1 / (1 + math.exp(-row["strength"]))
        reason = "fewer than 2 raters or clips" if row["low"] is None else ""
        mark = marks.get(row["system"], "")
        cells = (
            bracketed(row["strength"], row["low"], row["high"], digits, mark=mark, reason=reason),
            Cell(f"{share:.0%}", share),
            Cell(str(row["n_votes"]), row["n_votes"]),
        )
        rows.append(TableRow(row["system"], cells))
    return Table(f"Preferences, study {study['study_id']}", columns, tuple(rows), notes=_notes(study))


def preference_pair_table(study: Study, digits: int = DIGITS) -> Table:
    """Every pair that was asked: share of votes for A, no difference counting half.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The table.
    """
    columns = (
        Column("share", "for A", f"{study['confidence']:.0%} interval"),
        Column("ties", "no difference"),
        Column("p", "p"),
        Column("p_holm", "p Holm"),
        Column("n_votes", "votes"),
    )
    rows = []
    for pair in study["pairs"]:
        share = pair["share"]
        cells = (
            bracketed(share["mean"], share["low"], share["high"], digits, reason=share["reason"]),
            Cell(f"{pair['ties']:.0%}", pair["ties"]),
            *p_cells(pair),
            Cell(str(pair["n_votes"]), pair["n_votes"]),
        )
        rows.append(TableRow(f"A = {pair['a']}, B = {pair['b']}", cells))
    return Table(f"Pairs, study {study['study_id']}", columns, tuple(rows), "pair")


def preferences_csv(studies: Sequence[Study]) -> str:
    """One row a study and system."""
    rows = ({"study_id": study["study_id"], **row} for study in studies for row in study["strengths"])
    return csv_text(CSV_COLUMNS, rows)


def _marks(study: Study) -> dict[str, Mark]:
    """The strongest, and whoever it is not told apart from; nobody where it is told apart from nobody."""
    best = max(study["strengths"], key=lambda row: row["strength"])["system"]
    apart = {
        ({pair["a"], pair["b"]} - {best}).pop()
        for pair in study["pairs"]
        if best in (pair["a"], pair["b"]) and pair["p_holm"] is not None and pair["p_holm"] <= ALPHA
    }
    return {name: "best" for name in study["systems"] if name not in apart} if apart else {}


def _notes(study: Study) -> tuple[str, ...]:
    report = study["report"]
    counts = counts_of(report, "rater", "clip", "vote")
    apart = f"{report['pairs_apart']} of {counted(len(study['pairs']), 'pair')} told apart {tested()}"
    marked = "marked: the strongest and whoever is not told apart from it"
    unmarked = "nothing is marked: the strongest is told apart from no other"
    return (
        f"{counts}, {report['no_difference'] / report['votes']:.0%} of them no difference",
        f"question: {study['question']}",
        f"strength: Bradley-Terry, mean 0, no difference half for each; {study['confidence']:.0%} interval by "
        f"resampling raters and clips (seed {study['seed']})",
        f"{apart}; {marked if _marks(study) else unmarked}",
        apart_from_others("strengths"),
    )
