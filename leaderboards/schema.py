"""What a run leaves behind, as code: the rows, their fields, and how they are read, written and checked.

Two tables matter. `ClipRow` is the primary output: one value of one quantity for one clip of one system; every
aggregate can be recomputed from these rows. `Result` is a metric's value for a suite and a system. A value that does
not exist is null with a reason, never 0 or -1 or NaN. Run folders come from strangers too: readers check everything
before anything is done with it, and name file, row and field of what does not keep the schema.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.errors import UsageError
from visaudio_bench.escapes import csv_cell, csv_meaning
from visaudio_bench.files import atomic_path, read_json, write_json, write_text
from visaudio_bench.metrics.protocol import PROTOCOLS
from visaudio_bench.names import fault
from visaudio_bench.shapes import require
from visaudio_bench.sheets import read_objects, read_text

SCHEMA_VERSION = 1

FINISHED = "expected the folder of a finished run (bench run --out DIR makes one)"
Status = Literal["measured", "published", "synthetic", "missing", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)
VALUED: frozenset[Status] = frozenset({"measured", "published", "synthetic"})  # rows with a value, and no others
_QUANTITY = re.compile(r"[^\[\]]+(\[\d{1,5}\])?")  # a value, or one of several of a clip
_VECTOR = re.compile(r"[^\[\]]+\[\]")  # all of those, where a clip has none
KEY = ("suite", "system", "clip", "metric", "view")  # what a row is of; each is there once
SPARSE = 16  # times as many places as rows, from which on they are numbered anew


class ClipRow(NamedTuple):
    """One quantity of one clip: a score, or a sum that a pooled metric is computed from."""

    suite: str
    system: str
    clip: str
    metric: str
    view: str
    value: float | None
    status: Status
    reason: str


@dataclass(frozen=True)
class Result:
    """One metric's value for one suite and one system; `results.csv` holds the fields up to `reason`.

    Attributes:
        suite: name of the suite.
        system: name of the system.
        metric: key of the metric, as `bench list metrics` prints it.
        view: which sound was judged: mix, left, right, avg, or binaural where both channels count jointly.
        value: the metric's value in its unit; null where there is none.
        low: lower end of the 95 % interval; null where none is computed.
        high: upper end of the 95 % interval; null where none is computed.
        n: number of clips that the value rests on.
        status: measured, published, synthetic (measured on simulated scenes: not comparable with published
            numbers), missing or failed.
        reason: why the value is null, or a remark on it; empty otherwise.
        unit: unit of value, low and high.
        better: which values are better: higher, lower, reference (close to the reference's) or none.
        version: version of the metric's definition; numbers of different versions do not compare.
        interval: how the interval was made: bootstrap, jackknife, plain jackknife or none.
        rank: place among the table's competing systems; systems that are not separable share one. Null for anchors,
            and for all where no test separates any two.
    """

    suite: str
    system: str
    metric: str
    view: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    status: Status
    reason: str = ""
    unit: str = ""
    better: str = ""
    version: int = 1
    interval: str = "none"
    rank: int | None = None


@dataclass(frozen=True)
class SystemComparison:
    """Two competing systems in one column; `results.json` lists all pairs.

    Attributes:
        suite: name of the suite.
        metric: key of the metric.
        view: which sound was judged.
        first: name of the system with the better value.
        second: name of the other.
        difference: first minus second, in the unit of the metric, on the clips that both have; null where undefined.
        low: lower end of its 95 % interval; null where there is none.
        high: upper end of its 95 % interval; null where there is none.
        p: of no difference, by itself; null where there is no test.
        p_holm: the same, adjusted by Holm over the pairs of the column; systems are separated below 0.05.
        n: number of clips that it rests on.
        reason: why something is null.
    """

    suite: str
    metric: str
    view: str
    first: str
    second: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    n: int
    reason: str = ""


@dataclass(frozen=True)
class SystemInfo:
    """What a table must know of a system: its name, whether it is an anchor, and whether it heard the reference.

    `missing` says why it could not run on the machine of the run; it then has no rows, and results without values.
    `remarks` say what a reader should know of its sounds: `3 of 6 clipped`. `optimised` names the metrics that it was
    trained on, by key.
    """

    name: str
    title: str
    anchor: bool
    binauralises: bool
    missing: str = ""
    remarks: Sequence[str] = ()
    optimised: Sequence[str] = ()


@dataclass(frozen=True)
class SuiteInfo:
    """What a table must know of a suite; `remarks` are sentences under it."""

    name: str
    title: str
    clips: int
    synthetic: bool
    remarks: Sequence[str] = ()


_SHOWN = ("title?", "summary?", "paper?", "code_licence?", "weights_licence?")  # of a card, on pages
# What other code reads of `results.json`; what else is there is shown and not acted upon.
_BODY = {
    "schema_version": int,
    "provenance": {
        "seed": int,
        "protocol": {"name": frozenset(PROTOCOLS)},
        "backbones?": {str: {"module": str}},
        "weights?": {str: (str, None)},
        "dtype?": frozenset({"", "float32", "tf32", "bfloat16"}),
        "earlier?": [{}],
    },
    "suites": [
        {
            "info": SuiteInfo,
            "manifest": str,
            "systems": [SystemInfo],
            "metrics": [str],
            "cards": [{"name": str, "revision": str, **dict.fromkeys(_SHOWN, str), "inputs?": [str]}],
        }
    ],
    "metrics": {str: int},
    "unavailable": {str: str},
    "failures?": int,
    "files?": {str: str},
    "results": [Result],
}
CSV_FIELDS = tuple(f.name for f in dataclasses.fields(Result))[:10]


class Failure(NamedTuple):
    """One thing that went wrong with one clip; `trace`, the traceback of what nobody expected, is kept elsewhere."""

    suite: str
    system: str
    clip: str
    stage: str
    reason: str
    message: str
    trace: str = ""


@dataclass(frozen=True)
class ClipTable:
    """The per-clip table as columns, which is how hundreds of thousands of rows are read and computed with.

    Attributes:
        labels: the different texts of each column but `value`, in the order in which they come.
        codes: by column, (rows,) the place of each row's text in `labels`.
        value: (rows,) the values, NaN where there is none.
    """

    labels: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, NDArray[np.int64]]
    value: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[ClipRow]) -> ClipTable:
        """The table with these rows."""
        labels, codes = {}, {}
        for place, name in enumerate(ClipRow._fields):
            if name != "value":
                known: dict[Any, int] = {}
                codes[name] = np.array([known.setdefault(row[place], len(known)) for row in rows], dtype=np.int64)
                labels[name] = tuple(known)
        value = np.array([math.nan if row.value is None else row.value for row in rows], dtype=np.float64)
        return cls(labels, codes, value)

    def __len__(self) -> int:
        return len(self.value)

    def by_clip(self, suite: str) -> dict[tuple[str, str, str], dict[str, float]]:
        """What single clips of a suite have: by (system, metric, view) the values there are, by clip."""
        here = np.flatnonzero((self.column("suite") == suite) & ~np.isnan(self.value))
        keys = (self.column(name)[here].tolist() for name in ("system", "metric", "view"))
        values: dict[tuple[str, str, str], dict[str, float]] = {}
        for *key, clip, value in zip(*keys, self.column("clip")[here].tolist(), self.value[here].tolist(), strict=True):
            system, metric, view = key
            values.setdefault((system, metric, view), {})[clip] = value
        return values

    def column(self, name: str) -> NDArray[np.object_]:
        """(rows,) the texts of a column."""
        texts = np.empty(len(self.labels[name]), dtype=object)
        texts[:] = self.labels[name]
        column: NDArray[np.object_] = texts[self.codes[name]]
        return column


def write_clip_rows(folder: Path, rows: Iterable[ClipRow]) -> None:
    """Write `clips.csv` and `clips.parquet` with the same rows; floats keep every digit in both.

    Args:
        folder: run folder.
        rows: of every suite and system.
    """
    import pyarrow.parquet as pq

    path = folder / "clips.csv"
    _write_csv(path, ClipRow._fields, rows)
    with atomic_path(folder / "clips.parquet") as temporary:
        pq.write_table(_as_meant(_read_csv(path.read_bytes(), "string")), temporary)


def _as_meant(table: Any) -> Any:
    """A table of texts without the apostrophes that keep spreadsheets from calculating."""
    import pyarrow as pa
    from pyarrow import compute

    for place, name in enumerate(ClipRow._fields):
        if name != "value" and compute.any(compute.starts_with(table[name], "'")).as_py():
            table = table.set_column(place, name, pa.array(map(csv_meaning, table[name].to_pylist()), pa.string()))
    return table


def read_clip_rows(path: Path) -> ClipTable:
    """The rows of a `clips.csv`.

    Raises:
        UsageError: the file is not there or does not keep the schema; names line and column.
    """
    import pyarrow as pa

    if not path.is_file():
        raise UsageError(f"{path} is not there; {FINISHED}.")
    text, _ = read_text(path)
    header, _, body = text.partition("\n")
    try:
        columns = next(csv.reader([header]), None)
    except csv.Error:
        columns = None
    if columns != list(ClipRow._fields):
        raise UsageError(f"{path} does not start with the columns {','.join(ClipRow._fields)}.")
    try:
        table = _columns(_read_csv(text.encode(), "dictionary")) if body else ClipTable.of([])
    except pa.ArrowInvalid:
        table = None
    if table is None or not _keeps_the_schema(table):
        # Row by row, which finds and names the first one that is wrong; or none, where Python reads more than pyarrow.
        table = ClipTable.of(_row_by_row(path, text))
    return table


def _keeps_the_schema(table: ClipTable) -> bool:
    """Whether every row may be there, and none twice; which row is wrong, and how, is found by `_row_by_row`."""
    valued = np.array([status in VALUED for status in table.labels["status"]], dtype=bool)[table.codes["status"]]
    named = [fault(name) for column in ("suite", "system", "clip") for name in table.labels[column]]
    vectors = np.array([_VECTOR.fullmatch(name) is not None for name in table.labels["metric"]], dtype=bool)
    quantities = np.array([_QUANTITY.fullmatch(name) is not None for name in table.labels["metric"]], dtype=bool)
    if any(named) or not np.all(vectors | quantities) or (valued & vectors[table.codes["metric"]]).any():
        return False
    if not {*table.labels["status"]} <= {*STATUSES} or (valued == np.isnan(table.value)).any():
        return False
    place, places = np.zeros(len(table), np.int64), 1
    for name in KEY:
        place, places = place * len(table.labels[name]) + table.codes[name], places * len(table.labels[name])
        if places > SPARSE * len(table):
            used, place = np.unique(place, return_inverse=True)
            places = len(used)
    return bool((np.bincount(place) <= 1).all())


def _row_by_row(path: Path, text: str) -> list[ClipRow]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[ClipRow] = []
    lines: dict[tuple[Any, ...], int] = {}
    begin = 2
    try:
        next(reader)
        for fields in reader:
            row = _clip_row(path, begin, fields)
            first = lines.setdefault(tuple(getattr(row, name) for name in KEY), begin)
            if first != begin:
                raise UsageError(
                    f"{path}, line {begin}, says again what line {first} says: {row.metric} ({row.view}) of clip "
                    f'"{row.clip}" of system "{row.system}". Each is there once.'
                )
            rows.append(row)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{path}, line {begin}, is not a row of this schema: {error}.") from error
    return rows


def _read_csv(data: bytes, texts: Literal["string", "dictionary"]) -> Any:
    """A `clips.csv` as pyarrow's table; an empty value is null, an empty text is a text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    text = pa.string() if texts == "string" else pa.dictionary(pa.int32(), pa.string())
    types = {name: pa.float64() if name == "value" else text for name in ClipRow._fields}
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
    )


def _columns(table: Any) -> ClipTable:
    """A table with dictionaries as columns of ours.

    Taken from the buffers, because pyarrow's own ways import pandas or its functions for longer than the rest takes.
    """
    whole = table.unify_dictionaries().combine_chunks()
    columns = {name: whole[name].combine_chunks() for name in ClipRow._fields}
    value = columns.pop("value")
    valid, data = value.buffers()
    numbers = np.frombuffer(data, np.float64)[value.offset :][: len(value)]
    known = np.ones(len(value), np.uint8)
    if valid is not None:
        known = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")[value.offset :][: len(value)]
    return ClipTable(
        {name: tuple(map(csv_meaning, column.dictionary.to_pylist())) for name, column in columns.items()},
        {name: np.asarray(np.from_dlpack(column.indices), np.int64) for name, column in columns.items()},
        np.where(known == 1, numbers, math.nan),
    )


def _clip_row(path: Path, number: int, fields: list[str]) -> ClipRow:
    try:
        if len(fields) != len(ClipRow._fields):
            raise ValueError(f"{len(fields)} fields instead of {len(ClipRow._fields)}")
        suite, system, clip, metric, view, value, status, reason = map(csv_meaning, fields)
        for name, text in (("suite", suite), ("system", system), ("clip", clip)):
            if why := fault(text):
                raise ValueError(f"{name} {text!a} cannot name a file: {why}")
        if not (_QUANTITY.fullmatch(metric) or (_VECTOR.fullmatch(metric) and status not in VALUED)):
            raise ValueError(f"metric {metric!a} is no name of a quantity: `name`, or `name[0]`, `name[1]`, ...")
        if status not in STATUSES:
            raise ValueError(f"status {status!a} is none of {', '.join(STATUSES)}")
        known = _number(value)
        if (known is None) == (status in VALUED):
            raise ValueError(f"value {value!a} with status {status}")
        return ClipRow(suite, system, clip, metric, view, known, status, reason)
    except ValueError as error:
        raise UsageError(f"{path}, line {number}, is not a row of this schema: {error}.") from error


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ValueError(f"value {text!a} is no number; a value that does not exist is empty")
    return value


def write_results(
    folder: Path, results: Sequence[Result], provenance: Mapping[str, Any], extra: Mapping[str, Any]
) -> None:
    """Write `results.csv` (long) and `results.json` (with provenance and every field).

    Args:
        folder: run folder.
        results: of every suite and system.
        provenance: what everything was computed from.
        extra: further fields of `results.json`.
    """
    for result in results:
        _check(result)
    _write_csv(folder / "results.csv", CSV_FIELDS, [[getattr(r, name) for name in CSV_FIELDS] for r in results])
    body = {
        "schema_version": SCHEMA_VERSION,
        "provenance": dict(provenance),
        **extra,
        "results": [dataclasses.asdict(result) for result in results],
    }
    write_json(folder / "results.json", body)


class Run(NamedTuple):
    """What `results.json` says."""

    provenance: dict[str, Any]
    results: list[Result]
    body: dict[str, Any]


def read_results(folder: Path) -> Run:
    """Read and check the `results.json` of a run folder.

    Raises:
        UsageError: no such file, another schema version, or a field that is not as the schema says.
    """
    path = folder / "results.json"
    if not path.is_file():
        begun = (folder / "plan.json").is_file()  # what a run leaves first; nothing is read from it
        raise UsageError(
            f"{path} is not there: the run in {folder} was begun and has not ended. The command that began it goes on "
            "where it was."
            if begun
            else f"{path} is not there; {FINISHED}."
        )
    try:
        body = read_json(path)
        version = body.get("schema_version") if isinstance(body, dict) else None
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema version {version!a}, this program reads {SCHEMA_VERSION}")
        require(body, _BODY)
        results = [Result(**row) for row in body["results"]]
        for result in results:
            _check(result)
        _check_names(body, results)
        return Run(body["provenance"], results, body)
    except ValueError as error:
        raise UsageError(f"{path} does not keep the result schema: {error}.") from error


def _check_names(body: Mapping[str, Any], results: Sequence[Result]) -> None:
    """Suites and systems have names that files can have, each once, and results are of these, each once."""
    known = set()
    for suite in body["suites"]:
        name, systems = suite["info"]["name"], [system["name"] for system in suite["systems"]]
        for word in (name, *systems):
            if why := fault(word):
                raise ValueError(f"suites: the name {word!a} cannot name a file: {why}")
        known |= {(name, system) for system in systems}
        _once(systems, f'systems of suite "{name}"')
    _once([suite["info"]["name"] for suite in body["suites"]], "suites")
    _once([(result.suite, result.system, result.metric, result.view) for result in results], "results")
    for number, result in enumerate(results):
        if (result.suite, result.system) not in known:
            raise ValueError(
                f"results[{number}] is of {result.suite!a} and {result.system!a}, which suites do not list"
            )


def _once(names: Sequence[object], where: str) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{where}: {name!a} is there twice")
        seen.add(name)


def _check(result: Result) -> None:
    """A result keeps the schema: known status, finite numbers, and null only with a reason."""
    where = f"{result.suite}/{result.system}/{result.metric}"
    if result.status not in STATUSES:
        raise ValueError(f'{where}: status "{result.status}" is none of {", ".join(STATUSES)}')
    for name in ("value", "low", "high"):
        number = getattr(result, name)
        if number is not None and not math.isfinite(number):
            raise ValueError(f"{where}: {name} is {number}; a value that does not exist is null")
    if result.n < 0:
        raise ValueError(f"{where}: n is {result.n}")
    if result.value is None and not result.reason:
        raise ValueError(f"{where}: the value is null without a reason")


def write_failures(path: Path, failures: Iterable[Failure]) -> None:
    """Write `failures.jsonl`, one object a line; an empty file says that nothing failed.

    Args:
        path: of the file.
        failures: in the order in which they are told.
    """
    told = ({name: text for name, text in failure._asdict().items() if name != "trace"} for failure in failures)
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in told))


def read_failures(path: Path) -> list[Failure]:
    """The failures of a `failures.jsonl`.

    Raises:
        UsageError: it cannot be read, or a line has other fields.
    """
    return [_failure(path, number, told) for number, told in read_objects(path)]


def _failure(path: Path, number: int, told: Mapping[str, Any]) -> Failure:
    try:
        require(told, {str: str})
        return Failure(**told)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}:{number}: not a failure of this schema: {error}.") from error


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_plain(value) for value in row] for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _cell(value)
    return "" if value is None else repr(value) if isinstance(value, float) else value


_cell = lru_cache(maxsize=1 << 12)(csv_cell)  # the same few texts stand in millions of rows
