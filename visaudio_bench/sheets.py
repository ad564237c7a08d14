"""The one reader of lists that people write: tables as spreadsheets save them, names one a line, objects one a line.

What was understood beyond plain CSV in UTF-8 is said in `notes`; what cannot be read as it was meant is an error with
the file and the line. No row is skipped and no cell shortened: a quote that swallows the rows below it, a text with a
comma that nobody quoted and a row of another length are refused.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visaudio_bench.cells import damage, unwrapped
from visaudio_bench.errors import UsageError
from visaudio_bench.files import refuse_depth
from visaudio_bench.spelling import plain

MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
WORKBOOK = "a workbook, not a text file. In the spreadsheet: save as CSV in UTF-8"
FOREIGN = {
    b"PK\x03\x04": WORKBOOK,
    b"\xd0\xcf\x11\xe0": WORKBOOK,
    b"\x1f\x8b": "compressed with gzip. Unpack it: gunzip FILE",
    b"version https://git-lfs": "a git-lfs pointer; the list itself was not fetched. In its folder: git lfs pull",
}
DELIMITERS = ",;\t|"  # of several that part the header into as many columns, the first
NAMED = {"\t": "tab"}
LINE_END = re.compile(r"\r\n|\r|\n")
# What Excel writes, and understands, as the first line: which delimiter follows.
SEPARATOR_LINE = re.compile(r'"?sep=(?P<mark>[^"\r\n])"?[,;\t ]*(\r\n|\r|\n)', re.I)
_HALF = re.compile(r"\\[uU][dD][89a-fA-F]")  # what JSON spells half of a character with
SHOWN = 80  # characters of a row that a message shows


@dataclass(frozen=True)
class Sheet:
    """A header and rows of as many fields, without blanks around them; row `k` begins in line `lines[k]`."""

    path: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    notes: tuple[str, ...]
    delimiter: str = ","

    def column(self, name: str) -> list[str]:
        """Every value of one column; empty strings if there is no such column."""
        if name not in self.header:
            return [""] * len(self.rows)
        index = self.header.index(name)
        return [row[index] for row in self.rows]


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """A text file in UTF-8, or UTF-16 with its mark, and a note if it carried a byte order mark.

    Raises:
        UsageError: the file is missing, no text, or in another encoding.
    """
    if not path.is_file():
        raise UsageError(f"{path} does not exist, or is not a file; a list was expected there.")
    data = path.read_bytes()
    foreign = next((what for mark, what in FOREIGN.items() if data.startswith(mark)), "")
    if foreign:
        raise UsageError(f"{path} is {foreign}")
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UsageError(_not_text(path, data, encoding, error)) from error
    if "\0" in text:
        why = "UTF-16 without its byte order mark?" if text.count("\0") > len(text) // 4 else "The file is damaged."
        line = len(LINE_END.findall(text[: text.index("\0")])) + 1
        raise UsageError(f"{path}:{line}: a NUL character. {why} Save the list again as CSV in UTF-8.")
    # Files that were written twice with a mark have two.
    return text.lstrip("\ufeff"), () if encoding == "utf-8" else ("byte order mark",)


def _not_text(path: Path, data: bytes, encoding: str, error: UnicodeDecodeError) -> str:
    line = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
    told = f"{path}:{line}: not {encoding.upper()} text"
    if encoding != "utf-8":
        return f"{told}: {error.reason}. Save the list again as CSV in UTF-8."
    shown = data[: error.start + 20].splitlines()[-1][-SHOWN:].decode("cp1252", errors="replace")
    return (
        f'{told} (byte 0x{data[error.start]:02X}). If this part should read "{shown}", it is Windows-1252: '
        "iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW. Otherwise save the list again as CSV in UTF-8."
    )


def read_sheet(
    path: Path,
    *,
    skip: int = 0,
    known: Iterable[str] = (),
    texts: Sequence[str] = (),
    gaps: bool = False,
    empty: bool = False,
) -> Sheet:
    """A CSV file with commas, semicolons, tabs or bars, whichever its header, or Excel's line `sep=;`, tells.

    Args:
        path: of the file.
        skip: rows before the header that are left out.
        known: names of columns; a header that writes them with other case, blanks or hyphens is taken for them.
        texts: columns that may hold commas: a row where one of them seems to have been cut at a comma is refused.
        gaps: leave empty rows between others out, with a note, instead of refusing them.
        empty: take a header alone for a table without rows, instead of refusing it.

    Returns:
        The rows, and what was understood beyond plain CSV.

    Raises:
        UsageError: no header, a header that names a column twice, a row with another number of fields, quotes that do
            not match, or a cell that goes on over what looks like a row of its own.
    """
    text, notes = read_text(path)
    before, text, delimiter, notes = _opened(text, skip, notes)
    rows, lines, spans = _parse(path, text, delimiter, before)
    if '="' in text or '=""' in text:
        rows, count = _unwrap(rows)
        notes = (*notes, f'{count} cell(s) written ="..." taken for the text inside') if count else notes
    sheet = Sheet(path, (), rows[skip:], lines[skip:], notes, delimiter)
    sheet = _body(sheet, tuple(known), gaps, fewest=1 if empty else 2)
    if spans or texts:
        _check_rows(sheet, LINE_END.split(text), before, spans, texts)
    return sheet


def _opened(text: str, skip: int, notes: tuple[str, ...]) -> tuple[int, str, str, tuple[str, ...]]:
    """How many lines come before the text that is parsed, that text, its delimiter, and notes."""
    declared = SEPARATOR_LINE.match(text)
    if declared is not None:
        text = text[declared.end() :]
        notes = (*notes, f'the line "sep={NAMED.get(declared["mark"], declared["mark"])}"')
        return 1, text, declared["mark"], notes
    first = LINE_END.split(text.lstrip("\r\n"), skip + 1)
    head = first[min(skip, len(first) - 1)]
    delimiter = max(DELIMITERS, key=lambda mark: _columns(head, mark))
    if delimiter != ",":
        notes = (*notes, f"delimiter {NAMED.get(delimiter, delimiter)}")
    return 0, text, delimiter, notes


def _columns(head: str, delimiter: str) -> int:
    """How many columns a header has with a delimiter; none where a cell would be longer than any is."""
    try:
        return len(next(csv.reader([head], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _parse(
    path: Path, text: str, delimiter: str, before: int
) -> tuple[list[list[str]], list[int], list[tuple[int, int]]]:
    """Rows, the line in which each begins, and first and last line of those that go on over several lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    spans: list[tuple[int, int]] = []
    begin = 1
    try:
        for row in reader:
            rows.append([field.strip() for field in row])
            lines.append(begin + before)
            if reader.line_num != begin:
                spans.append((begin + before, reader.line_num + before))
            begin = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            raise UsageError(
                f"{path}:{begin + before}: a cell of more than {csv.field_size_limit():,} characters begins in this "
                "row. Is a quote open, or is it another file?"
            ) from error
        raise UsageError(
            f"{path}:{begin + before}: the quotes of the row that begins here do not match (seen in line "
            f"{reader.line_num + before}: {error}). A text in quotes ends with a quote before the next "
            f'"{NAMED.get(delimiter, delimiter)}", and a quote inside it is written twice.'
        ) from error
    return rows, lines, spans


def _unwrap(rows: list[list[str]]) -> tuple[list[list[str]], int]:
    count = sum(field != unwrapped(field) for row in rows for field in row)
    return [[unwrapped(field) for field in row] for row in rows], count


def _body(sheet: Sheet, known: tuple[str, ...], gaps: bool, fewest: int) -> Sheet:
    path, rows, lines, notes = sheet.path, sheet.rows, sheet.lines, sheet.notes
    last = len(rows)
    while last and not any(rows[last - 1]):
        last -= 1
    if last < len(rows):
        notes = (*notes, f"{len(rows) - last} empty row(s) at the end left out")
    rows, lines = rows[:last], lines[:last]
    while rows and not any(rows[0]):
        rows, lines = rows[1:], lines[1:]
    if len(rows) < fewest:
        wanted = "a header and at least one row were" if fewest > 1 else "a header was"
        raise UsageError(f"{path}: {wanted} expected, {len(rows)} row(s) found.")
    raw = rows[0]
    while raw and not raw[-1]:
        raw = raw[:-1]
    header, renamed = _named(raw, known)
    for name in header:
        if header.count(name) > 1:
            raise UsageError(f'{path}:{lines[0]}: the header names the column "{name}" twice.')
    if gaps and not all(any(row) for row in rows):
        kept = [index for index, row in enumerate(rows) if any(row)]
        notes = (*notes, f"{len(rows) - len(kept)} empty row(s) between others left out")
        rows, lines = [rows[index] for index in kept], [lines[index] for index in kept]
    body = [_fit(path, line, row, raw, sheet.delimiter) for row, line in zip(rows[1:], lines[1:], strict=True)]
    return Sheet(path, tuple(header), body, lines[1:], (*notes, *renamed), sheet.delimiter)


def _named(raw: list[str], known: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The header with known columns under their names, and what was renamed."""
    meant = {plain(name): name for name in known}
    header = [name if name in known else meant.get(plain(name), name) for name in raw]
    pairs = zip(raw, header, strict=True)
    return header, [f'column "{written}" read as {name}' for written, name in pairs if written != name]


def _fit(path: Path, line: int, row: list[str], header: list[str], delimiter: str) -> list[str]:
    """A row of the header's length; spreadsheets pad rows with empty fields on the right."""
    if len(row) == len(header):
        if row == header:
            raise UsageError(f"{path}:{line}: the header again. Were two files pasted together? Give each its own.")
        return row
    if len(row) > len(header) and not any(row[len(header) :]):
        return row[: len(header)]
    what = f"{len(row)} field(s)" if any(row) else "an empty row"
    mark = NAMED.get(delimiter, delimiter)
    advice = f' A text that holds a "{mark}" must stand in quotes.' if len(row) > len(header) else ""
    shown = " | ".join(row)[:SHOWN]
    raise UsageError(f"{path}:{line}: {what} where the header has {len(header)} columns: {shown}.{advice}")


def _check_rows(
    sheet: Sheet, physical: list[str], before: int, spans: list[tuple[int, int]], texts: Sequence[str]
) -> None:
    """Refuse rows that were swallowed by a quote, and texts that were cut at a comma."""
    for begin, end in spans:
        for line in range(begin + 1, end + 1):
            if _like_a_row(physical[line - 1 - before], sheet):
                raise UsageError(
                    f"{sheet.path}:{begin}: a cell that is opened with a quote here goes on over line {line}, which "
                    "looks like a row of its own. Close the quote, or take the line break out of the text."
                )
    places = [index for index, name in enumerate(sheet.header) if name in texts and index + 1 < len(sheet.header)]
    if not places:
        return
    # A person who types "a, b" leaves a blank after the comma; whoever parts columns so does it in the header too.
    spaced = f"{sheet.delimiter} " in next((line for line in physical if line.strip()), "")
    for row, line in zip(sheet.rows, sheet.lines, strict=True):
        for index in places:
            text, after = row[index], row[index + 1]
            cut = not spaced and after and f"{text}{sheet.delimiter} {after}" in physical[line - 1 - before]
            if cut or (text.count('"') % 2 and after.count('"') % 2):
                raise UsageError(
                    f'{sheet.path}:{line}: is "{after}", read as {sheet.header[index + 1]}, the rest of the '
                    f'{sheet.header[index]} "{text}"? A text that holds a "{sheet.delimiter}" must stand in quotes; '
                    "if it is not, take the blank away."
                )


def _like_a_row(line: str, sheet: Sheet) -> bool:
    first, *others = line.split(sheet.delimiter)
    return bool(others) and len(others) + 1 == len(sheet.header) and bool(first.strip()) and " " not in first.strip()


def read_names(path: Path) -> tuple[list[tuple[int, str]], tuple[str, ...]]:
    """The names of a plain list, one or several a line, with the line of each, and notes.

    Raises:
        UsageError: the list cannot be read, or a line is not made of names.
    """
    text, notes = read_text(path)
    listed: list[tuple[int, str]] = []
    for number, line in enumerate(LINE_END.split(text), 1):
        if number == 1 and SEPARATOR_LINE.fullmatch(f"{line}\n"):
            continue
        # A list of one column that went through a spreadsheet has delimiters at its ends, and may have quotes.
        for word in line.rstrip(",;\t ").split():
            name = word[1:-1] if len(word) > 2 and word[0] == word[-1] == '"' else word
            cause = damage(name) or ("one name a line was expected" if set(name) & set(',;"|') else "")
            if cause:
                raise UsageError(f'{path}:{number}: "{name}": {cause}.')
            listed.append((number, name))
    return listed, notes


def read_objects(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a jsonl file with the line of each; what is no number (NaN) is None.

    Raises:
        UsageError: it cannot be read, or a line is no object or names a key twice.
    """
    text, _ = read_text(path)
    return [(number, _object(path, number, line)) for number, line in _lines(text)]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): a text may hold what Unicode calls a line separator.
    for number, line in enumerate(LINE_END.split(text), 1):
        if line.strip():
            yield number, line


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            raise ValueError("a key is there twice")
        return made

    try:
        value = json.loads(line, parse_constant=lambda _: None, object_pairs_hook=once)
        refuse_depth(value)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}:{number}: not a JSON object: {error}.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}:{number}: not a JSON object.")
    if _HALF.search(line):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}:{number}: a text holds half a character (a lone surrogate).") from error
    return value
