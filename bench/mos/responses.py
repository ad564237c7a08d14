"""Responses of listening tests as one tidy table, whatever form they came in, and their checks.

`Responses` are strings as read, with the line each came from. What does not fit is refused, naming file and line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from visaudio_bench.bench.mos.questions import KEYS, REQUIRED, SCALE, TITLES
from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.opinion import ROLES, Codes
from visaudio_bench.registry import did_you_mean

# Spellings that differ only by case, blanks, - and _ are taken for slips.
BLANKS = str.maketrans("", "", " -_")
Mask = npt.NDArray[np.bool_]


@dataclass
class Responses:
    """One file of responses: canonical column name -> one string a vote, and the line of the file for each.

    `raters_known` is false where the form does not say which votes belong to the same rater; `rater_id` then only
    numbers the votes of a sample.
    """

    path: Path
    form: str
    columns: dict[str, list[str]]
    lines: list[int]
    notes: tuple[str, ...] = ()
    raters_known: bool = True

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """File and line of a vote, to begin a message with."""
        return f"{self.path}:{self.lines[row]}"

    def get(self, name: str) -> list[str]:
        """A column; empty strings where the form has none."""
        return self.columns.get(name) or [""] * len(self)


@dataclass(frozen=True)
class ResponseRules:
    """What counts as a valid response, and what is allowed beyond that.

    `dimensions` are the keys that may occur; `systems`, where given, the only names that may. `allow_missing` is how
    many votes may be missing in each study, infinity for any number. `duplicates` is "refuse", or which of several
    votes is kept: "first", "last".
    """

    scale: tuple[int, int] = SCALE
    dimensions: tuple[str, ...] = KEYS
    systems: tuple[str, ...] = ()
    allow_missing: float = 0
    duplicates: str = "refuse"


def codes_of(values: Sequence[str]) -> tuple[Codes, tuple[str, ...]]:
    """Integer codes and the distinct values in order of appearance."""
    encoded = pa.array(values, pa.string()).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), tuple(encoded.dictionary.to_pylist())


def check_values(responses: Responses, rules: ResponseRules) -> None:
    """Refuse missing columns, empty names, and names that are not known.

    Raises:
        UsageError: the first such place, with file and line.
    """
    for name in REQUIRED:
        if name not in responses.columns:
            raise UsageError(f'{responses.path}: no column "{name}"; a table of votes needs {", ".join(REQUIRED)}.')
        if name != "rating":
            codes, found = codes_of(responses.columns[name])
            if "" in found:
                row = int(np.flatnonzero(codes == found.index(""))[0])
                raise UsageError(f'{responses.where(row)}: "{name}" is empty.')
    _known(responses, "dimension", rules.dimensions, "Other dimensions are named with --dimensions.")
    if rules.systems:
        _known(responses, "system", rules.systems, "The expected ones were given with --systems.")
    _known(responses, "role", ("", *ROLES), "")
    _alike(responses)


def _known(responses: Responses, column: str, known: Sequence[str], advice: str) -> None:
    codes, found = codes_of(responses.get(column))
    for code, name in enumerate(found):
        if name not in known:
            row = int(np.flatnonzero(codes == code)[0])
            listed = ", ".join(
                f"{key} ({TITLES[key]})" if column == "dimension" and key in TITLES else key for key in known if key
            )
            raise UsageError(
                f'{responses.where(row)}: unknown {column} "{name}".{did_you_mean(name, known)} '
                f"Known: {listed}. {advice}".rstrip()
            )


def _alike(responses: Responses) -> None:
    """Two spellings of one system would silently become two systems."""
    codes, found = codes_of(responses.columns["system"])
    seen: dict[str, str] = {}
    for code, name in enumerate(found):
        plain = name.casefold().translate(BLANKS)
        if plain and plain in seen:
            row = int(np.flatnonzero(codes == code)[0])
            raise UsageError(
                f'{responses.where(row)}: system "{name}" is written "{seen[plain]}" before. '
                "One system has one spelling; correct one of them."
            )
        seen[plain] = name


def ratings_of(responses: Responses, scale: tuple[int, int]) -> tuple[Codes, Mask]:
    """Ratings as integers and which are there; an empty one is missing.

    Raises:
        UsageError: a rating that is not an integer of the scale, with file and line.
    """
    codes, found = codes_of(responses.columns["rating"])
    values = np.zeros(len(found), dtype=np.int64)
    there = np.ones(len(found), dtype=np.bool_)
    for code, text in enumerate(found):
        if not text:
            there[code] = False
            continue
        problem = _rating_problem(text, scale)
        if problem:
            row = int(np.flatnonzero(codes == code)[0])
            raise UsageError(f'{responses.where(row)}: rating "{text}" {problem}')
        values[code] = int(float(text))
    return values[codes], there[codes]


def _rating_problem(text: str, scale: tuple[int, int]) -> str:
    low, high = scale
    try:
        number = float(text)
    except ValueError:
        return f"is not a number; an integer from {low} to {high} was expected."
    if not number.is_integer():
        return f"is not an integer from {low} to {high}; votes between the steps of the scale are not accepted."
    if not low <= number <= high:
        return f"is outside the scale {low}-{high}. If the study used another scale: --scale LOW-HIGH"
    return ""
