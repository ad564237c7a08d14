"""The tables behind a table of mean opinion scores: comparisons, agreement, raters, clips, votes."""

from __future__ import annotations

import math

from visaudio_bench.leaderboards.opinion_tables import DIGITS, P_DIGITS, Study, p_text
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Table, TableRow

MOST_VALUES = 11  # of a scale that have columns of their own


def pair_table(study: Study, digits: int = DIGITS) -> Table:
    """Every pair of systems on every dimension: difference, probability of a higher vote, p-values.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The table.
    """
    columns = (
        Column("difference", "A − B", f"± {study['confidence']:.0%}"),
        Column("superiority", "P(A > B)"),
        Column("p_crossed", "p crossed"),
        Column("p_sign_flip", "p sign flip", "these clips"),
        Column("p_wilcoxon", "p Wilcoxon", "these clips"),
        Column("p_holm", "p Holm", study["test"]),
    )
    rows = []
    for pair in study["pairs"]:
        d = pair["difference"]
        shown = EMPTY if d["mean"] is None else f"{d['mean']:+.{digits}f} ± {_number(d['half'], digits)}"
        cells = [Cell(shown, d["mean"], d["low"], d["high"], reason=d["reason"])]
        cells.append(Cell(_number(pair["superiority"], P_DIGITS), pair["superiority"]))
        cells += [Cell(p_text(pair[column.key]), pair[column.key]) for column in columns[2:]]
        rows.append(TableRow(f"{pair['dimension']}: {pair['a']} − {pair['b']}", tuple(cells), pair["dimension"]))
    groups = [
        f"{d['key']} tie groups (systems sharing a letter are not told apart): "
        + ", ".join(
            f"{row['system']} {row['tie_group']}"
            for row in sorted(study["opinions"], key=lambda row: -(row["mean"] or 0))
            if row["dimension"] == d["key"] and row["role"] == "test"
        )
        for d in study["dimensions"]
    ]
    tests = [
        f"{row['dimension']} Friedman chi-square {_number(row['statistic'], digits)}, p {p_text(row['p'])}"
        for row in study["omnibus"]
    ]
    return Table(f"Comparisons, study {study['study_id']}", columns, tuple(rows), "pair", (*groups, *tests))


def agreement_table(study: Study, digits: int = DIGITS) -> Table:
    """Reliability of the ratings by dimension.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The table.
    """
    columns = (
        Column("icc_2_1", "ICC(2,1)"),
        Column("icc_2_k", "ICC(2,k)"),
        Column("krippendorff_alpha_ordinal", "Krippendorff α", "ordinal"),
        Column("n_complete_samples", "samples", "complete"),
    )
    rows = [
        TableRow(row["dimension"], tuple(Cell(_number(row[column.key], digits), row[column.key]) for column in columns))
        for row in study["agreement"]
    ]
    return Table(f"Agreement of raters, study {study['study_id']}", columns, tuple(rows), "dimension")


def rater_table(study: Study, digits: int = DIGITS) -> Table:
    """Each rater's votes, bias, inconsistency, agreement with the others, and the rules that leave them out.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The table.
    """
    columns = (
        Column("n_votes", "votes"),
        Column("mean", "mean"),
        Column("sd", "SD"),
        Column("bias", "bias"),
        Column("inconsistency", "inconsistency"),
        Column("agreement", "r with others"),
    )
    rows = []
    for rater in study["raters"]:
        cells = [Cell(_number(rater[column.key], digits), rater[column.key]) for column in columns]
        label = rater["rater"] + (f" (out: {', '.join(rater['excluded_by'])})" if rater["excluded_by"] else "")
        rows.append(TableRow(label, tuple(cells)))
    return Table(f"Raters, study {study['study_id']}", columns, tuple(rows), "rater")


def clip_table(study: Study, digits: int = DIGITS) -> Table:
    """Mean opinion score of every clip, systems in rows within clips, one column a dimension.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The table.
    """
    columns = tuple(Column(d["key"], d["title"], better="higher") for d in study["dimensions"])
    by_cell = {(row["clip"], row["system"], row["dimension"]): row for row in study["clips"]}
    rows = []
    for clip in dict.fromkeys(row["clip"] for row in study["clips"]):
        for system in study["systems"]:
            mine = [by_cell.get((clip, system, column.key)) for column in columns]
            if any(mine):
                cells = tuple(
                    Cell(_number(m["mean"], digits), m["mean"]) if m else Cell(EMPTY, reason="no votes") for m in mine
                )
                rows.append(TableRow(f"{clip}: {system}", cells, clip))
    return Table(f"Mean opinion scores by clip, study {study['study_id']}", columns, tuple(rows), "clip: system")


def vote_table(study: Study, digits: int = DIGITS) -> Table:
    """How often each value of the scale was given, and the standard deviation of votes, by system and dimension.

    A scale of many values, such as that of MUSHRA, is shown in ten parts.

    Args:
        study: as analysed.
        digits: decimals.

    Returns:
        The table.
    """
    low, high = study["scale"]
    width = 1 if high - low <= MOST_VALUES else math.ceil((high - low) / 10)
    starts = range(low, high + (width == 1), width)
    names = [str(start) if width == 1 else f"{start}–{min(start + width - 1, high)}" for start in starts]
    if width > 1:
        names[-1] = f"{starts[-1]}–{high}"  # the highest value is in the last part
    columns = (*(Column(name, name, "votes") for name in names), Column("sd", "SD"))
    rows = []
    for row in study["opinions"]:
        ends = [*(start - low for start in starts[1:]), len(row["histogram"])]
        parts = [sum(row["histogram"][start - low : end]) for start, end in zip(starts, ends, strict=True)]
        cells = [*(Cell(str(count), count) for count in parts), Cell(_number(row["sd"], digits), row["sd"])]
        rows.append(TableRow(f"{row['dimension']}: {row['system']}", tuple(cells), row["system"]))
    return Table(f"Votes, study {study['study_id']}", columns, tuple(rows), "dimension: system")


def _number(value: float | None, digits: int) -> str:
    """So many decimals, two digits where that would show nothing but zeros, integers as they are."""
    if value is None:
        return EMPTY
    if isinstance(value, int):
        return str(value)
    return f"{value:.2g}" if 0 < abs(value) < 0.5 * 10**-digits else f"{value:.{digits}f}"
