"""The three forms of responses.csv, told apart by their columns, and key files that say what was hidden.

long           rater_id, clip_id, system, dimension, rating (one vote a row)
wide by sample rater_id, clip_id, system, SI, SC, TA, SA, AR (one sample a row)
wide by rater  rater_id, G01_V1_SI ... G10_V5_AR, or headings with a tag (module `services`): one rater a row, what form
               services give, and a key file

Key files (`--codes`): `code, clip_id, system` replaces the blind code in the column `system`; `code, system` keeps the
clip; `group_id, slot, clip_id, system`, optionally with `rater_id`, says what was shown where. Further columns of a
key (`suite`, `role`, `expected`) fill in what the responses lack.

Columns may be written with other case, blanks or hyphens. Qualtrics' further header rows are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from visaudio_bench.bench.mos.questions import COLUMNS, REQUIRED
from visaudio_bench.bench.mos.responses import Responses
from visaudio_bench.bench.mos.services import tagged, with_raters_and_times
from visaudio_bench.bench.mos.tabular import as_meant, read_responses_sheet
from visaudio_bench.errors import UsageError
from visaudio_bench.registry import did_you_mean
from visaudio_bench.sheets import Sheet, read_sheet
from visaudio_bench.spelling import alike, difference

PLACE = re.compile(r"(?P<group>[A-Za-z]*\d+)_V?(?P<slot>\d+)_(?P<dimension>.+)")
FROM_KEY = ("clip_id", "system", "suite", "role", "expected")
KEY_COLUMNS = ("code", "rater_id", "group_id", "slot", *FROM_KEY)
UNUSED = 8  # names of columns that a note lists


def detect(sheet: Sheet, dimensions: Sequence[str]) -> str:
    """Tell the form of a table of responses from its columns.

    Args:
        sheet: the table.
        dimensions: keys that may occur as columns or in headings.

    Returns:
        `long`, `wide-sample` or `wide-rater`.

    Raises:
        UsageError: none of them, or more than one.
    """
    header = set(sheet.header)
    places = [name for name in sheet.header if _holds_votes(name, dimensions)]
    wide = [name for name in dimensions if name in header]
    forms = []
    if {"dimension", "rating"} <= header:
        forms.append(("long", "the columns dimension and rating"))
    if wide:
        forms.append(("wide-sample", f"the column {wide[0]}"))
    if places:
        forms.append(("wide-rater", f"the column {places[0]}"))
    if len(forms) > 1:
        raise UsageError(
            f"{sheet.path}:1: forms are mixed: {' and '.join(f'{why} ({form})' for form, why in forms)}. "
            "One file has one form; split it, or remove the columns that do not belong."
        )
    if not forms:
        close = did_you_mean("dimension", header - set(REQUIRED)) or did_you_mean("rating", header - set(REQUIRED))
        raise UsageError(
            f"{sheet.path}:1: the columns {', '.join(sheet.header[:8])} are none of the known forms "
            f"(long: {', '.join(REQUIRED)}; wide by sample: one column a dimension; "
            f"wide by rater: G01_V1_SI ...).{close} "
            "A file of another tool needs its name: bench mos --form webmushra ... (see bench mos --help)"
        )
    return forms[0][0]


def read_own_form(path: Path, form: str, dimensions: Sequence[str]) -> Responses:
    """Read one of our three forms.

    Args:
        path: of the table.
        form: its name, or "auto" to tell it from the columns.
        dimensions: keys of what may be rated.

    Returns:
        A vote a row, as they are written: ratings are not judged here.

    Raises:
        UsageError: the table cannot be read, or is of no form or of several.
    """
    sheet = with_raters_and_times(read_responses_sheet(path, (*COLUMNS, *dimensions)))
    if form == "auto":
        form = detect(sheet, dimensions)
    reader = {"long": _long, "wide-sample": _wide_by_sample, "wide-rater": _wide_by_rater}[form]
    columns, lines = reader(sheet, dimensions)
    return Responses(path, form, columns, lines, (*sheet.notes, *_unused(sheet, dimensions)))


def _holds_votes(name: str, dimensions: Sequence[str]) -> bool:
    """Whether a column of the wide form by rater is one of votes, as its heading says."""
    return bool(PLACE.fullmatch(name) or tagged(name, dimensions))


def _unused(sheet: Sheet, dimensions: Sequence[str]) -> tuple[str, ...]:
    used = {*COLUMNS, *dimensions}
    names = [name for name in sheet.header if name and name not in used and not _holds_votes(name, dimensions)]
    more = f" and {len(names) - UNUSED} more" if len(names) > UNUSED else ""
    return (f"columns not used: {', '.join(names[:UNUSED])}{more}",) if names else ()


def _long(sheet: Sheet, dimensions: Sequence[str]) -> tuple[dict[str, list[str]], list[int]]:
    del dimensions
    named = zip(sheet.header, zip(*sheet.rows, strict=True), strict=True)
    return {name: list(values) for name, values in named if name in COLUMNS}, sheet.lines


def _wide_by_sample(sheet: Sheet, dimensions: Sequence[str]) -> tuple[dict[str, list[str]], list[int]]:
    present = [name for name in dimensions if name in sheet.header]
    times = len(present)
    columns = {
        name: [value for value in sheet.column(name) for _ in range(times)]
        for name in sheet.header
        if name in COLUMNS and name not in present
    }
    by_dimension = [sheet.column(name) for name in present]
    columns["dimension"] = present * len(sheet.rows)
    columns["rating"] = [value for votes in zip(*by_dimension, strict=True) for value in votes]
    return columns, [line for line in sheet.lines for _ in range(times)]


def _wide_by_rater(sheet: Sheet, dimensions: Sequence[str]) -> tuple[dict[str, list[str]], list[int]]:
    if "rater_id" not in sheet.header:
        raise UsageError(f"{sheet.path}:1: the wide form by rater needs the column rater_id.")
    places = _places(sheet, dimensions)
    other = [name for name in sheet.header if name in COLUMNS]
    columns: dict[str, list[str]] = {name: [] for name in (*other, *next(iter(places.values())), "rating")}
    lines: list[int] = []
    for row, line in zip(sheet.rows, sheet.lines, strict=True):
        record = dict(zip(sheet.header, row, strict=True))
        for name, place in places.items():
            for column, value in (
                *((column, record[column]) for column in other),
                *place.items(),
                ("rating", record[name]),
            ):
                columns[column].append(value)
            lines.append(line)
    return columns, lines


def _places(sheet: Sheet, dimensions: Sequence[str]) -> dict[str, dict[str, str]]:
    """What each column of votes says of itself: group and slot, or the code of a sample, and the dimension."""
    by_slot, by_code = {}, {}
    for name in sheet.header:
        if match := PLACE.fullmatch(name):
            by_slot[name] = {"group_id": match["group"], "slot": match["slot"], "dimension": match["dimension"]}
        elif tag := tagged(name, dimensions):
            by_code[name] = {"system": tag[0], "dimension": tag[1]}
    if by_slot and by_code:
        raise UsageError(
            f"{sheet.path}:1: some columns name places ({next(iter(by_slot))}) and some codes ({next(iter(by_code))}); "
            "one file has one kind."
        )
    return by_slot or by_code


def unblind(responses: Responses, key: Path) -> Responses:
    """Put clips and systems where the responses have codes or places.

    Args:
        responses: with codes instead of systems, or with places (group and slot).
        key: of the table that says what each code or place was.

    Returns:
        The responses with the columns that the key knows, its systems as `order`, and a note that names it.

    Raises:
        UsageError: a code or place that the key does not have, or a key without the columns that it needs.
    """
    sheet = as_meant(read_sheet(key, known=KEY_COLUMNS))
    by = _join_columns(sheet, responses)
    if "system" not in sheet.header:
        raise UsageError(f"{key}:1: a key needs the column system, and code, or group_id and slot.")
    table: dict[tuple[str, ...], dict[str, str]] = {}
    for row, line in zip(sheet.rows, sheet.lines, strict=True):
        record = dict(zip(sheet.header, row, strict=True))
        place = tuple(record[name] for name in by)
        if place in table and table[place] != record:
            raise UsageError(f"{key}:{line}: {', '.join(place)} has a second, different meaning.")
        table[place] = record
    here = ["system" if name == "code" else name for name in by]
    hidden = list(zip(*(responses.get(name) for name in here), strict=True))
    for index, place in enumerate(hidden):
        if place not in table:
            raise UsageError(
                f"{responses.where(index)}: {dict(zip(by, place, strict=True))} is not in the key {key}. "
                f"{_nearly(place, table) or 'Is it the key of this study?'}"
            )
    columns = dict(responses.columns)
    for name in FROM_KEY:
        if name in sheet.header:
            columns[name] = [table[place][name] for place in hidden]
    if "code" in by and any(responses.get("compared_with")):
        columns["compared_with"] = [_named(responses, row, table, key) for row in range(len(responses))]
    order = tuple(dict.fromkeys(record["system"] for record in table.values()))
    return replace(responses, columns=columns, notes=(*responses.notes, f"key {key}"), order=order)


def _named(responses: Responses, row: int, table: dict[tuple[str, ...], dict[str, str]], key: Path) -> str:
    """The system behind the code of the sample that was compared with."""
    code = responses.columns["compared_with"][row]
    if (code,) not in table:
        raise UsageError(f'{responses.where(row)}: "{code}" is not in the key {key}. Is it the key of this study?')
    return table[code,]["system"]


def _nearly(place: tuple[str, ...], table: Iterable[tuple[str, ...]]) -> str:
    """The place of the key that differs from one only in how its names are written, in a sentence."""
    for known in table:
        differ = [(a, b) for a, b in zip(place, known, strict=True) if a != b]
        if differ and all(alike(a) == alike(b) for a, b in differ):
            theirs, ours = differ[0]
            return f'The key has "{ours}" where the responses have "{theirs}": {difference(theirs, ours)}.'
    return ""


def _join_columns(sheet: Sheet, responses: Responses) -> tuple[str, ...]:
    if "code" in sheet.header:
        return ("code",)
    if {"group_id", "slot"} <= set(sheet.header):
        per_rater = "rater_id" in sheet.header and "rater_id" in responses.columns
        return ("rater_id", "group_id", "slot") if per_rater else ("group_id", "slot")
    raise UsageError(
        f"{sheet.path}:1: the key has the columns {', '.join(sheet.header)}; "
        "code and system, or group_id, slot, clip_id and system were expected."
    )
