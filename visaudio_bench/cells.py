"""What one cell of a list means: nothing, a number, a time, or what a spreadsheet left of it.

Every function that refuses raises `ValueError` with the cause; the caller says where.
"""

from __future__ import annotations

import math
import re

# Written for "nothing" by statistics programs and people.
NOTHING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "--", "\u2013", "\u2014"})
_ERROR = re.compile(r"#(N/A|NV|[^\w\s]?\w[\w/]*[!?]|#+)")
_ROUNDED = re.compile(r"-?\d([.,]\d+)?E[+-]\d{2,3}")
_WRAPPED = re.compile(r'="(?P<text>(?:[^"]|"")*)"')
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_CLOCK = re.compile(r"((?P<hours>\d+):(?=\d+:))?(?P<minutes>\d+):(?P<seconds>\d{1,2}([.,]\d+)?)")
# UTF-8 read as Windows-1252 and saved so: one of these, then what stands for a byte of 80 to BF.
_TWICE = re.compile("[\u00c2\u00c3\u00e2][\u0080-\u00bf\u20ac\u201a-\u2026\u02c6\u2018-\u201d\u2022\u2013\u2014\u2122]")


def nothing(text: str) -> bool:
    """Whether a cell says that there is nothing: empty, or `nan`, `NA`, `none`, `-` and the like."""
    return text.casefold() in NOTHING


def unwrapped(text: str) -> str:
    """`000001` of `="000001"`, in which people keep spreadsheets from changing a text; any other text as it is."""
    match = _WRAPPED.fullmatch(text) if text.startswith("=") else None
    return match["text"].replace('""', '"') if match else text


def damage(text: str) -> str:
    """What a spreadsheet or a wrong encoding did to a text; empty if nothing can be seen.

    An id beginning with `-` or `=` is a formula to a spreadsheet, and one of many digits a number that it rounds.
    """
    if _ERROR.fullmatch(text):
        return "a spreadsheet's error value; it took a text for a formula. Set the column to text and enter it again"
    if text.startswith("="):
        return "a formula, not a text. Save the list with its values"
    if _ROUNDED.fullmatch(text):
        return "a number that a spreadsheet has rounded. Set the column to text and enter it again"
    if "\ufffd" in text:
        return "it holds U+FFFD, which stands for a character that was lost. Convert the list again"
    return _twice_encoded(text)


def _twice_encoded(text: str) -> str:
    match = _TWICE.search(text)
    if match is None:
        return ""
    try:
        meant = text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return ""
    return f'UTF-8 that was read as Windows-1252; it should read "{meant}". Convert the list again'


def number(text: str) -> float:
    """A finite number, with a decimal point or comma.

    Raises:
        ValueError: it is none, or may as well be thousands.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    if _THOUSANDS.fullmatch(text):
        raise ValueError("thousands, or a decimal comma? Write it without comma")
    value = float(text.replace(",", "."))
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def seconds(text: str) -> float:
    """A time from a start in seconds, or as a clock shows it: `12.5`, `12,5`, `0:12`, `00:00:12.5`.

    Raises:
        ValueError: it is neither, or before the start.
    """
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hours, minutes = int(clock["hours"] or 0), int(clock["minutes"])
        rest = float(clock["seconds"].replace(",", "."))
        if rest >= 60 or (clock["hours"] and minutes >= 60):
            raise ValueError("not a time: sixty seconds are a minute, sixty minutes an hour")
        return 3600.0 * hours + 60.0 * minutes + rest
    try:
        value = number(text)
    except ValueError as error:
        raise ValueError(f"{error}; seconds, or a clock time such as 0:12, were expected") from error
    if value < 0:
        raise ValueError("before the clip's start; seconds from 0 on were expected")
    return value
