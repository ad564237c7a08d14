"""Tables of mean opinion scores from `mos.json`, and their place beside objective results.

The main table has the layout of the ViSAudio paper's Table 3 (arXiv:2512.03036).

A study is one set of raters, clips and systems rated together. Opinions are relative: they move with the systems in
the test and its anchors (Le Maguer, King and Harte 2024; Cooper and Yamagishi 2023), so two studies are never merged:
every table and every column carries its `study_id`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visaudio_bench.errors import UsageError
from visaudio_bench.escapes import csv_cell
from visaudio_bench.files import write_json, write_text
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
_OPINION = {"system": str, "dimension": str, "role": str, "mean": _NUMBER, "intervals": [_INTERVAL]}
# What tables beside results read; `bench mos` reads its own studies whole.
_STUDY = {
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
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; make it with: bench mos --ratings responses.csv --out DIR") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}. A mos.json written by bench mos was expected.") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise UsageError(f'{path} has the schema "{schema}", "{SCHEMA}" was expected; write it again with: bench mos')
    try:
        require(document, {"studies": [_STUDY]})
        for number, study in enumerate(document["studies"]):
            methods = [[one["ci_method"] for one in row["intervals"]] for row in study["opinions"]]
            if not study["ci_methods"] or any(found != study["ci_methods"] for found in methods):
                raise ValueError(f"studies[{number}]: ci_methods and the intervals of its opinions differ")
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} does not keep the schema {SCHEMA}: {error}. Write it again with: bench mos"
        ) from error
    studies: list[Study] = document["studies"]
    return studies


def write_opinions(folder: Path, studies: Sequence[Study], provenance: dict[str, Any]) -> None:
    """Write `mos.json` and `mos.csv`."""
    write_json(folder / "mos.json", {"schema": SCHEMA, **provenance, "studies": list(studies)})
    write_text(folder / "mos.csv", opinions_csv(studies))


def opinions_csv(studies: Sequence[Study]) -> str:
    """The long table: one row a study, system, dimension and interval method; a missing number is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for study in studies:
        for row in study["opinions"]:
            for interval in row["intervals"]:
                values = {"study_id": study["study_id"], **row, **interval}
                writer.writerow([_in_csv(values[name]) for name in CSV_COLUMNS])
    return out.getvalue()


def _in_csv(value: Any) -> Any:
    return csv_cell(value) if isinstance(value, str) else "" if value is None else value


def opinion_table(study: Study, *, screened: bool = True) -> Table:
    """Systems by dimensions, `mean ± half`, best in bold, with what must be known to read it as notes.

    Several interval methods stand side by side, the mean with the first. Controls (hidden reference, low anchor) come
    in a group of their own and are never marked. `screened` false shows the table before screening.
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
            for cell in _cells(study, mine.get(dimension["key"]), marks.get((system, dimension["key"]), ""))
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


def _cells(study: Study, row: dict[str, Any] | None, mark: Mark) -> list[Cell]:
    if row is None or row["mean"] is None:
        return [Cell(EMPTY, reason="no votes")] * len(study["ci_methods"])
    return [_cell(row, interval, mark, position == 0) for position, interval in enumerate(row["intervals"])]


def _cell(row: dict[str, Any], interval: dict[str, Any], mark: Mark, with_mean: bool) -> Cell:
    half = EMPTY if interval["half"] is None else f"{interval['half']:.3f}"
    flag = BEYOND if interval["beyond_scale"] else ""
    text = f"{row['mean']:.3f} ± {half}{flag}" if with_mean else f"± {half}{flag}"
    return Cell(text, row["mean"], interval["low"], interval["high"], mark if with_mean else "", interval["reason"])


def _marks(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], Mark]:
    """Best and second best mean of each dimension among the tested systems; equal means share a mark."""
    marks: dict[tuple[str, str], Mark] = {}
    for key in {row["dimension"] for row in rows}:
        mine = [row for row in rows if row["dimension"] == key and row["role"] == "test" and row["mean"] is not None]
        means = sorted({row["mean"] for row in mine}, reverse=True)
        names: tuple[Mark, ...] = ("best", "second")
        for row in mine:
            place = means.index(row["mean"])
            if len(mine) > 1 and place < len(names):
                marks[row["system"], key] = names[place]
    return marks


def _notes(study: Study, rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The minimum of information for reading a MOS (ITU-T P.800.2), the screening, and what the intervals mean."""
    report, screening = study["report"], study["screening"]
    spread = [row["sd"] for row in rows if row["role"] == "test" and row["sd"] is not None]
    per_cell = sorted({row["n_votes"] for row in rows if row["role"] == "test"})
    who = f"{report['raters']} raters" if report["raters_known"] else "unknown raters"
    dates = f", {report['dates'][0]} to {report['dates'][1]}" if report["dates"] else ", dates not stated"
    devices = ", ".join(f"{name} ({count})" for name, count in report["listening_devices"].items())
    checks = "; ".join(
        f"{name} check: {answers['pass']} passed, {answers['fail']} failed, {answers['none']} without"
        for name, answers in report["checks"].items()
    )
    notes = [
        f"{who}, {report['clips']} clips, {_range(per_cell)} votes a cell, {report['votes']} in all{dates}",
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
    if any(interval["beyond_scale"] for row in rows for interval in row["intervals"]):
        notes.append(f"{BEYOND} the interval reaches beyond the scale")
    notes.append("scores hold for this set of systems, clips and raters; do not merge them with those of another study")
    return tuple(notes)


def _range(numbers: Sequence[int]) -> str:
    if not numbers:
        return "0"
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _screening_note(screening: dict[str, Any], report: dict[str, Any]) -> str:
    if not screening["rules"]:
        return "no rater was screened out; no screening rule was asked for"
    each = ", ".join(f"{rule} ({len(names)})" for rule, names in screening["excluded"].items())
    return f"screened by {each}: {report['raters_excluded']} rater(s) left out"


def with_opinions(table: Table, studies: Sequence[Study], titles: Mapping[str, str] | None = None) -> Table:
    """A leaderboard with MOS columns to its right, one a study and dimension.

    `titles` maps the name of a system in a study to the label of its row; a name that it lacks is a label itself. A
    column's key is `MOS_<dimension>@<study_id>` and its unit line names the study. A row that a study did not rate
    has an empty cell with the reason; a system that only the study has is named in a note, not added.
    """
    columns, notes = list(table.columns), list(table.notes)
    cells = [list(row.cells) for row in table.rows]
    labels = [row.label for row in table.rows]
    for study in studies:
        rows = [
            {**row, "system": (titles or {}).get(row["system"], row["system"])}
            for row in study["opinions"]
            if row["role"] == "test"
        ]
        found = {(row["system"], row["dimension"]): row for row in rows}
        marks = _marks([row for row in rows if row["system"] in labels])
        for dimension in study["dimensions"]:
            key = dimension["key"]
            columns.append(Column(f"MOS_{key}@{study['study_id']}", f"MOS {key}", study["study_id"], "higher"))
            for label, line in zip(labels, cells, strict=True):
                line.append(_joined(found.get((label, key)), marks.get((label, key), ""), study["study_id"]))
        notes.append(_study_note(study, sorted({row["system"] for row in rows} - set(labels))))
    rows_out = tuple(TableRow(row.label, tuple(line), row.group) for row, line in zip(table.rows, cells, strict=True))
    return Table(table.title, tuple(columns), rows_out, table.corner, tuple(notes))


def _study_note(study: Study, absent: Sequence[str]) -> str:
    report = study["report"]
    return (
        f"MOS of study {study['study_id']}: {report['raters']} raters, {report['clips']} clips, "
        f"± {study['confidence']:.0%} {study['ci_methods'][0]}"
        + (f"; rated but not in this table: {', '.join(absent)}" if absent else "")
    )


def _joined(row: dict[str, Any] | None, mark: Mark, study_id: str) -> Cell:
    if row is None or row["mean"] is None:
        return Cell(EMPTY, reason=f"not rated in study {study_id}")
    return _cell(row, row["intervals"][0], mark, with_mean=True)
