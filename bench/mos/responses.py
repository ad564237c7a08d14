"""Responses of listening tests as one tidy table, whatever form they came in, and their checks.

`Responses` are strings as read, with the line each came from. What does not fit is refused, naming file and line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from visaudio_bench.bench.mos.questions import DESIGNS, KEYS, REQUIRED, SCALE, TITLES
from visaudio_bench.cells import damage, nothing, number
from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.opinion import ROLES, Codes
from visaudio_bench.registry import did_you_mean
from visaudio_bench.spelling import date_of

THOUSAND = 1000  # on a scale that reaches so far, "1.000" may be one or a thousand
# "5 - excellent": the rating, a word or more, and no other digit.
LABELLED = re.compile(r"(?P<rating>\d+)(?:\s*[-\u2013\u2014:=.)(]\s*|\s+)(?P<label>[^\W\d_]\D*)")
# ITU-T P.800; a label that says otherwise tells of a scale that runs the other way.
WORDS = {"excellent": 5, "good": 4, "fair": 3, "poor": 2, "bad": 1}
Mask = npt.NDArray[np.bool_]


@dataclass
class Responses:
    """One file of responses: canonical column name -> one string a vote, and the line of the file for each.

    `raters_known` is false where the form does not say which votes belong to the same rater; `rater_id` then only
    numbers the votes of a sample. `order` are the systems as the key lists them, where there is one. `per_rater` is how
    many of the questions each rater was asked, 0 for all.
    """

    path: Path
    form: str
    columns: dict[str, list[str]]
    lines: list[int]
    notes: tuple[str, ...] = ()
    raters_known: bool = True
    order: tuple[str, ...] = ()
    per_rater: int = 0

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


def rules_for(responses: Responses, rules: ResponseRules) -> ResponseRules:
    """Adapt rules to a file of one of our designs, which have a dimension and a scale of their own.

    Args:
        responses: whose dimensions tell the design.
        rules: as the user gave them.

    Returns:
        The rules with that scale and dimension; as given where the file is of no such design.
    """
    rated = set(responses.get("dimension"))
    for dimensions, scale in DESIGNS.values():
        keys = tuple(dimension.key for dimension in dimensions)
        if len(keys) == 1 and rated == set(keys):
            return replace(rules, scale=scale, dimensions=keys)
    return rules


def codes_of(values: Sequence[str]) -> tuple[Codes, tuple[str, ...]]:
    """Integer codes and the distinct values in order of appearance."""
    encoded = pa.array(values, pa.string()).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), tuple(encoded.dictionary.to_pylist())


def check_values(responses: Responses, rules: ResponseRules) -> None:
    """Refuse missing columns, empty names, and names that are not known.

    Args:
        responses: one file.
        rules: which dimensions and systems may occur.

    Raises:
        UsageError: the first such place, with file and line.
    """
    for name in REQUIRED:
        if name not in responses.columns:
            raise UsageError(f'{responses.path}: no column "{name}"; a table of votes needs {", ".join(REQUIRED)}.')
        if name != "rating":
            codes, names = codes_of(responses.columns[name])
            if "" in names:
                row = int(np.flatnonzero(codes == names.index(""))[0])
                raise UsageError(f'{responses.where(row)}: "{name}" is empty.')
    _known(responses, "dimension", rules.dimensions, "Other dimensions are named with --dimensions.")
    if rules.systems:
        votes = set(zip(responses.get("system"), responses.get("role"), strict=True))
        controls = sorted({name for name, role in votes if role not in ("", "test")})  # references, attention checks
        _known(responses, "system", (*rules.systems, *controls), "The expected ones were given with --systems.")
    _known(responses, "role", ("", *ROLES), "")
    damaged(responses)


def _known(responses: Responses, column: str, known: Sequence[str], advice: str) -> None:
    codes, names = codes_of(responses.get(column))
    for code, name in enumerate(names):
        if name not in known:
            row = int(np.flatnonzero(codes == code)[0])
            listed = ", ".join(
                f"{key} ({TITLES[key]})" if column == "dimension" and key in TITLES else key for key in known if key
            )
            raise UsageError(
                f'{responses.where(row)}: unknown {column} "{name}".{did_you_mean(name, known)} '
                f"Known: {listed}. {advice}".rstrip()
            )


def damaged(responses: Responses) -> None:
    """Refuse names that a spreadsheet or a wrong encoding has spoilt.

    Raises:
        UsageError: the first such name, with file and line.
    """
    for column in ("clip_id", "rater_id", "system"):
        codes, names = codes_of(responses.get(column))
        for code, name in enumerate(names):
            cause = damage(name)
            if cause:
                row = int(np.flatnonzero(codes == code)[0])
                raise UsageError(f'{responses.where(row)}: {column} "{name}" is {cause}.')


def understood(responses: Responses, scale: tuple[int, int]) -> Responses:
    """Read every rating as a step of the scale.

    `5,0` is 5, `5 - excellent` is 5, `NA` is no rating.

    Args:
        responses: with ratings as they were written.
        scale: its lowest and its highest step.

    Returns:
        The responses with whole numbers or empty texts as ratings, and notes on what was read as what.

    Raises:
        UsageError: a rating that is not an integer of the scale, with file and line.
    """
    if "rating" not in responses.columns:
        return responses
    codes, ratings = codes_of(responses.columns["rating"])
    values = []
    for code, text in enumerate(ratings):
        try:
            values.append(_rating(text, scale))
        except ValueError as error:
            row = int(np.flatnonzero(codes == code)[0])
            said = f'{responses.where(row)}: rating "{text}" {error}{_second_header(responses, row)}'
            raise UsageError(said) from error
    columns = responses.columns
    if values != list(ratings):
        columns = {**columns, "rating": [values[code] for code in codes]}
    counts = np.bincount(codes, minlength=len(ratings))
    return replace(responses, columns=columns, notes=(*responses.notes, *_notes(ratings, values, counts)))


def _notes(ratings: Sequence[str], values: Sequence[str], counts: Codes) -> list[str]:
    """How many ratings were read otherwise than a computer reads numbers, by kind, with an example of each."""
    kinds: dict[str, list[int]] = {}
    for code, (text, value) in enumerate(zip(ratings, values, strict=True)):
        if text and not value:
            kinds.setdefault("taken for no rating", []).append(code)
        elif value and LABELLED.fullmatch(text):
            kinds.setdefault("with a label, taken for their number", []).append(code)
        elif "," in text:
            kinds.setdefault("with a decimal comma", []).append(code)
    return [f'{counts[codes].sum()} rating(s) {kind} (such as "{ratings[codes[0]]}")' for kind, codes in kinds.items()]


def ratings_of(responses: Responses) -> tuple[Codes, Mask]:
    """Ratings as integers and which are there; an empty one is missing. Of responses that are `understood`."""
    codes, ratings = codes_of(responses.columns["rating"])
    values = np.array([int(text or 0) for text in ratings], dtype=np.int64)
    is_given = np.array([bool(text) for text in ratings], dtype=np.bool_)
    return values[codes], is_given[codes]


def _rating(text: str, scale: tuple[int, int]) -> str:
    low, high = scale
    if nothing(text):
        return ""
    try:
        value = number(text if high >= THOUSAND else text.replace(",", "."))
    except ValueError as error:
        if str(error) != "not a number":
            raise ValueError(f"is {error}.") from error
        value = _labelled(text, scale)
    if high >= THOUSAND and re.fullmatch(r"[1-9]\d{0,2}(\.\d{3})+", text):
        raise ValueError(f"may be {value:g} or {text.replace('.', '')}. Write it without a mark for thousands.")
    if not value.is_integer():
        raise ValueError(
            f"is not an integer from {low} to {high}; votes between the steps of the scale are not accepted."
        )
    if not low <= value <= high:
        raise ValueError(f"is outside the scale {low}-{high}. If the study used another scale: --scale LOW-HIGH")
    return str(int(value))


def _labelled(text: str, scale: tuple[int, int]) -> float:
    low, high = scale
    match = LABELLED.fullmatch(text)
    if match is None or date_of(text) is not None:
        cause = damage(text) or ("a date, which a spreadsheet makes of numbers" if date_of(text) else "")
        raise ValueError(f"is {cause or 'not a number'}; an integer from {low} to {high} was expected.")
    word = re.match(r"\w+", match["label"])
    meant = WORDS.get(word[0].casefold()) if word and scale == SCALE else None
    if meant is not None and meant != int(match["rating"]):
        raise ValueError(
            f"has the label of {meant} on the scale of ITU-T P.800, where {high} is best. Does this scale run "
            "the other way? Write the ratings so that the highest is best."
        )
    return float(match["rating"])


def _second_header(responses: Responses, row: int) -> str:
    """The cause, in a sentence, where the first line of responses holds no number and the lines below do."""
    if responses.lines[row] != responses.lines[0]:
        return ""
    ratings = responses.columns["rating"]
    first = [text for text, line in zip(ratings, responses.lines, strict=True) if line == responses.lines[0]]
    rest = ratings[len(first) :]
    if not rest or any(text[:1].isdigit() for text in first) or not any(text[:1].isdigit() for text in rest):
        return ""
    return (
        f" No rating of line {responses.lines[0]} is a number, and those below are: it is a second header row, "
        "as questionnaires' exports have. Take it out."
    )
