"""Tables of mean opinion scores from `mos.json`, and their place beside objective results.

The main table has the layout of the ViSAudio paper's Table 3 (arXiv:2512.03036).

A study is one set of raters, clips and systems rated together. Opinions are relative: they move with the systems in
the test and its anchors (Le Maguer, King and Harte 2024; Cooper and Yamagishi 2023), so two studies are never merged:
every table and every column carries its `study_id`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visaudio_bench.errors import UsageError
from visaudio_bench.files import csv_text, read_json, write_json, write_text
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Mark, Table, TableRow
from visaudio_bench.shapes import require

SCHEMA = "visaudio-bench/mos/1"
CSV_COLUMNS = (
    "study_id",
    "system",
    "dimension",
    "mean",
    "low",
    "high",
    "half",
    "ci_method",
    "n_raters",
    "n_clips",
    "n_votes",
)
BEYOND = "†"
P_DIGITS = 3
ALPHA = 0.05  # a corrected p of at most this tells two systems apart
DIGITS = 2  # decimals; a table of the literature has three, which the intervals of twelve raters do not carry
Study = dict[str, Any]

METHODS = {
    "crossed": "crossed (raters and clips both random)",
    "raters-t": "raters-t (Student's t over rater means; clips fixed)",
    "clips-t": "clips-t (Student's t over clip means; raters fixed)",
    "bootstrap": "bootstrap (raters and clips resampled)",
    "normal": "normal (assumes independent votes)",
    "paper": "paper (normal quantile times the population SD of rater means / sqrt(raters))",
    "paper-clips": "paper-clips (as paper, over clip means)",
}

_NUMBER = (float, None)
_INTERVAL = {
    "ci_method": frozenset(METHODS),
    "low": _NUMBER,
    "high": _NUMBER,
    "half": _NUMBER,
    "reason": str,
    "beyond_scale": bool,
}
_OPINION = {
    "system": str,
    "dimension": str,
    "role": str,
    "mean": _NUMBER,
    "rank?": (int, None),
    "intervals": [_INTERVAL],
}
# What tables beside results read; a study of preferences or of places has no opinions, and is passed over.
_STUDY = {"study_id": str}
_RATED = {
    "study_id": str,
    "confidence": float,
    "ci_methods": [frozenset(METHODS)],
    "dimensions": [{"key": str}],
    "report": {"raters": int, "clips": int},
    "opinions": [_OPINION],
}


def read_opinions(path: Path) -> list[Study]:
    """The studies of a `mos.json`, or of the one in a folder.

    Raises:
        UsageError: the file is missing or is not such a document.
    """
    path = path / "mos.json" if path.is_dir() else path
    try:
        document = read_json(path)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; make it with: bench mos --ratings responses.csv --out DIR") from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}. A mos.json written by bench mos was expected.") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise UsageError(f'{path} has the schema "{schema}", "{SCHEMA}" was expected; write it again with: bench mos')
    try:
        require(document, {"studies": [_STUDY]})
        for number, study in enumerate(document["studies"]):
            if "opinions" in study:
                _require_rated(study, f"studies[{number}]")
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} does not keep the schema {SCHEMA}: {error}. Write it again with: bench mos"
        ) from error
    studies: list[Study] = document["studies"]
    return studies


def _require_rated(study: Study, where: str) -> None:
    require(study, _RATED, where)
    methods = study["ci_methods"]
    if not methods:
        raise ValueError(f"{where}.ci_methods is empty, the methods of its intervals were expected")
    if any([told["ci_method"] for told in row["intervals"]] != methods for row in study["opinions"]):
        raise ValueError(f"{where}: ci_methods and the intervals of its opinions differ")


def write_opinions(folder: Path, studies: Sequence[Study], provenance: dict[str, Any]) -> None:
    """Write `mos.json` and `mos.csv`.

    Args:
        folder: where they go.
        studies: what was rated and how.
        provenance: what everything was computed from.
    """
    write_json(folder / "mos.json", {"schema": SCHEMA, **provenance, "studies": list(studies)})
    write_text(folder / "mos.csv", opinions_csv(studies))


def opinions_csv(studies: Sequence[Study]) -> str:
    """The long table: one row a study, system, dimension and interval method; a missing number is empty."""
    rows = (
        {"study_id": study["study_id"], **row, **interval}
        for study in studies
        for row in study.get("opinions", ())  # a study of preferences has none
        for interval in row["intervals"]
    )
    return csv_text(CSV_COLUMNS, rows)


def opinion_table(study: Study, *, screened: bool = True, digits: int = DIGITS) -> Table:
    """Lay a study out: systems by dimensions, `mean ± half`, marked as tests allow, and what is needed to read it.

    Several interval methods stand side by side, the mean with the first. Controls (hidden reference, low anchor) come
    in a group of their own and are never marked.

    Args:
        study: what was rated and how.
        screened: show what is left after screening; false shows the table before it.
        digits: decimals.

    Returns:
        The table.
    """
    rows = study["opinions"] if screened or not study["unscreened"] else study["unscreened"]
    columns = tuple(column for dimension in study["dimensions"] for column in _columns(study, dimension))
    marks = _marks(rows)
    lines = []
    for role, system in dict.fromkeys((row["role"], row["system"]) for row in rows):
        mine = {row["dimension"]: row for row in rows if row["system"] == system and row["role"] == role}
        cells = tuple(
            cell
            for dimension in study["dimensions"]
            for cell in _cells(study, mine.get(dimension["key"]), marks.get((system, dimension["key"]), ""), digits)
        )
        label = system if role == "test" else f"{system} ({role.replace('_', ' ')})"
        lines.append(TableRow(label, cells, "test" if role == "test" else "control"))
    title = f"Mean opinion scores, study {study['study_id']}" + ("" if screened else ", before screening")
    return Table(title, columns, tuple(lines), notes=_notes(study, rows) if screened else ())


def _columns(study: Study, dimension: dict[str, Any]) -> list[Column]:
    key, title, methods = dimension["key"], dimension["title"], study["ci_methods"]
    if len(methods) == 1:
        return [Column(key, title, better="higher")]
    first = Column(f"{key}:{methods[0]}", title, f"± {methods[0]}", "higher")
    return [first, *(Column(f"{key}:{method}", key, f"± {method}") for method in methods[1:])]


def _cells(study: Study, row: dict[str, Any] | None, mark: Mark, digits: int) -> list[Cell]:
    if row is None or row["mean"] is None:
        return [Cell(EMPTY, reason="no votes")] * len(study["ci_methods"])
    return [_cell(row, interval, mark, digits, position == 0) for position, interval in enumerate(row["intervals"])]


def _cell(row: dict[str, Any], interval: dict[str, Any], mark: Mark, digits: int, with_mean: bool = True) -> Cell:
    half = EMPTY if interval["half"] is None else f"{interval['half']:.{digits}f}"
    flag = BEYOND if interval["beyond_scale"] else ""
    text = f"{row['mean']:.{digits}f} ± {half}{flag}" if with_mean else f"± {half}{flag}"
    return Cell(text, row["mean"], interval["low"], interval["high"], mark if with_mean else "", interval["reason"])


def _marks(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], Mark]:
    """Best and second best of each dimension among the tested systems: the first two ranks, where a test ranked them.

    Systems that the test cannot tell apart share a rank and a mark; where it tells no two apart there is none.
    """
    marks: dict[tuple[str, str], Mark] = {}
    for key in {row["dimension"] for row in rows}:
        ranks = {row["system"]: row.get("rank") for row in rows if row["dimension"] == key and row["role"] == "test"}
        marks |= {(name, key): mark for name, mark in marks_of(ranks).items()}
    return marks


def marks_of(ranks: Mapping[str, int | None]) -> dict[str, Mark]:
    """Best and second best by rank; nobody where all share one rank, or a test ranked none (None)."""
    names: tuple[Mark, ...] = ("best", "second")
    places = sorted({rank for rank in ranks.values() if rank is not None})
    if len(places) < 2:
        return {}
    return {name: names[places.index(rank)] for name, rank in ranks.items() if rank in places[:2]}


def bracketed(
    value: float, low: float | None, high: float | None, digits: int, *, mark: Mark = "", reason: str = ""
) -> Cell:
    """A cell that shows `value [low, high]`, or the value alone.

    Args:
        value: of the cell.
        low: lower end of its interval, None where there is none.
        high: upper end.
        digits: decimals.
        mark: of the cell.
        reason: why something is missing.

    Returns:
        The cell.
    """
    interval = "" if low is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return Cell(f"{value:.{digits}f}{interval}", value, low, high, mark, reason)


def p_text(p: float | None) -> str:
    """A probability in three decimals; one that would be shown as 0 is below what is shown."""
    if p is None:
        return EMPTY
    least = 10**-P_DIGITS
    return f"{p:.{P_DIGITS}f}" if p >= least / 2 else f"<{least}"


def p_cells(pair: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Cells of a comparison's p and p_holm."""
    return tuple(Cell(p_text(pair[name]), pair[name]) for name in ("p", "p_holm"))


def _notes(study: Study, rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The minimum of information for reading a MOS (ITU-T P.800.2), the screening, and what the intervals mean."""
    report, screening = study["report"], study["screening"]
    spread = [row["sd"] for row in rows if row["role"] == "test" and row["sd"] is not None]
    per_cell = sorted({row["n_votes"] for row in rows if row["role"] == "test"})
    who = counted(report["raters"], "rater") if report["raters_known"] else "unknown raters"
    dates = f", {report['dates'][0]} to {report['dates'][1]}" if report["dates"] else ", dates not stated"
    devices = ", ".join(f"{name} ({count})" for name, count in report["listening_devices"].items())
    checks = "; ".join(
        f"{name} check: {answers['pass']} passed, {answers['fail']} failed, {answers['none']} without"
        for name, answers in report["checks"].items()
    )
    notes = [
        f"{who}, {counted(report['clips'], 'clip')}, {_range(per_cell)} vote{'s' * (per_cell != [1])} a cell, "
        f"{report['votes']} in all{dates}",
        f"scale {study['scale'][0]} to {study['scale'][1]}; {report['test_method']}",
        *(f"{d['key']}: {d['question']}" for d in study["dimensions"] if d["question"]),
        f"listening: {devices}; {checks}",
        f"± {study['confidence']:.0%} interval: {', '.join(METHODS[name] for name in study['ci_methods'])}",
    ]
    if "bootstrap" in study["ci_methods"]:
        notes.append(f"bootstrap seed {study['seed']}; its ± is half the width of the percentile interval")
    if spread:
        notes.append(f"standard deviation of votes within a cell: {min(spread):.2f} to {max(spread):.2f}")
    notes.append(_screening_note(screening, report))
    notes += [f"{name}: {count}" for name, count in report["exceptions"].items() if count]
    if report.get("per_rater"):
        notes.append(f"each rater was asked about {report['per_rater']} of the clips")
    if any(interval["beyond_scale"] for row in rows for interval in row["intervals"]):
        notes.append(f"{BEYOND} the interval reaches beyond the scale")
    notes.append(_marks_note(study, rows))
    notes.append(apart_from_others("scores"))
    return tuple(notes)


def _marks_note(study: Study, rows: Sequence[dict[str, Any]]) -> str:
    if not any(row.get("rank") for row in rows):
        return "nothing is marked as best: no pair of systems could be tested"
    if not _marks(rows):
        raters, pairs = study["report"]["raters"], math.comb(len(study["systems"]), 2)
        never = study["test"] == "fixed-clips" and pairs * 2.0 ** (1 - raters) > ALPHA
        return f"nothing is marked as best: no two systems are told apart {tested(study['test'])}" + (
            f"; {counted(raters, 'rater')} and {counted(pairs, 'pair')} could not, whatever they say" if never else ""
        )
    return f"marks: the best and the second best, shared by systems that are not told apart {tested(study['test'])}"


TESTS = {
    "crossed": "test over raters and clips, both random",
    "fixed-clips": "test over raters by sign flips; it holds for these clips alone",
}


def tested(test: str = "crossed") -> str:
    """What told systems apart, in brackets: one of `TESTS`, and its correction."""
    return f"({TESTS[test]}; Holm, 5 %)"


def apart_from_others(what: str) -> str:
    """The note that `what` of two studies are never merged."""
    return f"{what} hold for this set of systems, clips and raters; do not merge them with those of another study"


def counts_of(report: Mapping[str, Any], *things: str) -> str:
    """`12 raters, 10 clips`, as a study's report counts them.

    Args:
        report: of a study.
        things: what is counted, in the singular.

    Returns:
        Numbers and things, parted by commas.
    """
    return ", ".join(counted(report[f"{thing}s"], thing) for thing in things)


def counted(number: int, thing: str) -> str:
    """`1 rater`, `12 raters`.

    Args:
        number: how many.
        thing: what is counted, in the singular.

    Returns:
        The number and the thing, in the plural unless it is one.
    """
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _range(numbers: Sequence[int]) -> str:
    if not numbers:
        return "0"
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _screening_note(screening: dict[str, Any], report: dict[str, Any]) -> str:
    if not screening["rules"]:
        return "no rater was screened out; no screening rule was asked for"
    each = ", ".join(f"{rule} ({len(names)})" for rule, names in screening["excluded"].items())
    return f"screened by {each}: {counted(report['raters_excluded'], 'rater')} left out"


def with_opinions(table: Table, studies: Sequence[Study], titles: Mapping[str, str] | None = None) -> Table:
    """Put MOS columns to the right of a leaderboard, one a study and dimension.

    A column's key is `MOS_<dimension>@<study_id>` and its unit line names the study. A row that a study did not rate
    has an empty cell with the reason; a system that only the study has is named in a note, not added.

    Args:
        table: the leaderboard.
        studies: what was rated.
        titles: label of the row by the name of a system in a study; a name that it lacks is a label itself.

    Returns:
        A leaderboard with more columns.
    """
    columns, notes = list(table.columns), list(table.notes)
    cells = [list(row.cells) for row in table.rows]
    labels = [row.label for row in table.rows]
    for study in (rated for rated in studies if "opinions" in rated):  # a study of preferences has no opinions
        rows = [
            {**row, "system": (titles or {}).get(row["system"], row["system"])}
            for row in study["opinions"]
            if row["role"] == "test"
        ]
        by_cell = {(row["system"], row["dimension"]): row for row in rows}
        marks = _marks([row for row in rows if row["system"] in labels])
        for dimension in study["dimensions"]:
            key = dimension["key"]
            columns.append(Column(f"MOS_{key}@{study['study_id']}", f"MOS {key}", study["study_id"], "higher"))
            for label, line in zip(labels, cells, strict=True):
                line.append(_joined(by_cell.get((label, key)), marks.get((label, key), ""), study["study_id"]))
        notes.append(_study_note(study, sorted({row["system"] for row in rows} - set(labels))))
    rows_out = tuple(TableRow(row.label, tuple(line), row.group) for row, line in zip(table.rows, cells, strict=True))
    return Table(table.title, tuple(columns), rows_out, table.corner, tuple(notes))


def _study_note(study: Study, absent: Sequence[str]) -> str:
    return (
        f"MOS of study {study['study_id']}: {counts_of(study['report'], 'rater', 'clip')}, "
        f"± {study['confidence']:.0%} {study['ci_methods'][0]}"
        + (f"; rated but not in this table: {', '.join(absent)}" if absent else "")
    )


def _joined(row: dict[str, Any] | None, mark: Mark, study_id: str) -> Cell:
    if row is None or row["mean"] is None:
        return Cell(EMPTY, reason=f"not rated in study {study_id}")
    return _cell(row, row["intervals"][0], mark, DIGITS)
