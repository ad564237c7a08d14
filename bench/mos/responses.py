"""Responses of listening tests as one tidy table, whatever form they came in, and their checks.

`Responses` are strings as read, with the line each came from. `studies` turns them into votes, one `Study` a
`study_id`: it refuses what does not fit, naming file and line, except what the user allowed, which it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.mos.protocol import COLUMNS, KEYS, REQUIRED, SCALE, TITLES
from metrics.opinion import ROLES, Codes, Floats, Votes
from visaudio_bench.errors import UsageError
from visaudio_bench.registry import did_you_mean

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
class Rules:
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


@dataclass
class Study:
    """The votes of one study with what must be reported beside them."""

    study_id: str
    votes: Votes
    scale: tuple[int, int]
    checks: dict[str, dict[str, str]]
    sources: list[str]
    forms: list[str]
    suites: list[str]
    devices: dict[str, int]
    dates: tuple[str, str] | None
    raters_known: bool
    exceptions: dict[str, int] = field(default_factory=dict)


def studies(files: Sequence[Responses], rules: Rules) -> list[Study]:
    """The studies found in the files, in order of appearance. A file without `study_id` is a study of its own name.

    Raises:
        UsageError: a response that `rules` do not allow.
    """
    parts: dict[str, list[tuple[Responses, Codes]]] = {}
    for responses in files:
        _check_values(responses, rules)
        names = [name or responses.path.stem for name in responses.get("study_id")]
        codes, found = _codes(names)
        for code, name in enumerate(found):
            parts.setdefault(name, []).append((responses, np.flatnonzero(codes == code)))
    return [_study(name, pieces, rules) for name, pieces in parts.items()]


def _codes(values: Sequence[str]) -> tuple[Codes, tuple[str, ...]]:
    """Integer codes and the distinct values in order of appearance."""
    encoded = pa.array(values, pa.string()).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), tuple(encoded.dictionary.to_pylist())


def _check_values(responses: Responses, rules: Rules) -> None:
    for name in REQUIRED:
        if name not in responses.columns:
            raise UsageError(f'{responses.path}: no column "{name}"; a table of votes needs {", ".join(REQUIRED)}.')
        if name != "rating":
            codes, found = _codes(responses.columns[name])
            if "" in found:
                row = int(np.flatnonzero(codes == found.index(""))[0])
                raise UsageError(f'{responses.where(row)}: "{name}" is empty.')
    _known(responses, "dimension", rules.dimensions, "Other dimensions are named with --dimensions.")
    if rules.systems:
        _known(responses, "system", rules.systems, "The expected ones were given with --systems.")
    _known(responses, "role", ("", *ROLES), "")
    _alike(responses)


def _known(responses: Responses, column: str, known: Sequence[str], advice: str) -> None:
    codes, found = _codes(responses.get(column))
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
    codes, found = _codes(responses.columns["system"])
    seen: dict[str, str] = {}
    for code, name in enumerate(found):
        plain = "".join(character for character in name.casefold() if character.isalnum())
        if plain and plain in seen:
            row = int(np.flatnonzero(codes == code)[0])
            raise UsageError(
                f'{responses.where(row)}: system "{name}" is written "{seen[plain]}" before. '
                "One system has one spelling; correct one of them."
            )
        seen[plain] = name


def _ratings(responses: Responses, scale: tuple[int, int]) -> tuple[Codes, Mask]:
    """Ratings as integers and which are there; an empty one is missing."""
    codes, found = _codes(responses.columns["rating"])
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


@dataclass
class _Gathered:
    """Columns of one study over its files."""

    columns: dict[str, list[str]]
    rating: Codes
    there: Mask
    where: list[tuple[Responses, int]]


def _gather(pieces: list[tuple[Responses, Codes]], scale: tuple[int, int]) -> _Gathered:
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    ratings, there = [], []
    where: list[tuple[Responses, int]] = []
    for responses, rows in pieces:
        rating, is_there = _ratings(responses, scale)
        ratings.append(rating[rows])
        there.append(is_there[rows])
        where += [(responses, int(row)) for row in rows]
        everything = len(rows) == len(responses)
        for name, column in columns.items():
            values = responses.get(name)
            column.extend(values if everything else [values[row] for row in rows])
    return _Gathered(columns, np.concatenate(ratings), np.concatenate(there), where)


def _study(name: str, pieces: list[tuple[Responses, Codes]], rules: Rules) -> Study:
    data = _gather(pieces, rules.scale)
    votes = _votes(data)
    keep, repeated = _duplicates(votes, data, rules.duplicates)
    kept = votes.where(keep & data.there)
    missing = _missing(name, kept, rules)
    files = [responses for responses, _ in pieces]
    stamps = sorted(stamp for stamp in set(data.columns["timestamp_utc"]) if stamp)
    return Study(
        study_id=name,
        votes=kept,
        scale=rules.scale,
        checks={
            "headphones": _by_rater(data, "headphone_check"),
            "orientation": _by_rater(data, "lr_check"),
        },
        sources=[responses.path.name for responses in files],
        forms=[responses.form for responses in files],
        suites=sorted({suite for suite in data.columns["suite"] if suite}),
        devices=_devices(data),
        dates=(stamps[0], stamps[-1]) if stamps else None,
        raters_known=all(responses.raters_known for responses in files),
        exceptions={"missing votes": missing, "repeated votes left out": repeated},
    )


def _votes(data: _Gathered) -> Votes:
    coded = {name: _codes(data.columns[name]) for name in ("rater_id", "clip_id", "system", "dimension")}
    dimensions = coded["dimension"][1]
    order = sorted(range(len(dimensions)), key=lambda code: (_place(dimensions[code]), code))
    rank = np.argsort(order)
    roles, role_names = _codes(data.columns["role"])
    return Votes(
        rater=coded["rater_id"][0],
        clip=coded["clip_id"][0],
        system=coded["system"][0],
        dimension=rank[coded["dimension"][0]],
        rating=data.rating,
        role=np.array([ROLES.index(role or "test") for role in role_names], dtype=np.int64)[roles],
        expected=_expected(data),
        raters=coded["rater_id"][1],
        clips=coded["clip_id"][1],
        systems=coded["system"][1],
        dimensions=tuple(dimensions[code] for code in order),
    )


def _place(dimension: str) -> int:
    return KEYS.index(dimension) if dimension in KEYS else len(KEYS)


def _expected(data: _Gathered) -> Floats:
    codes, found = _codes(data.columns["expected"])
    values = np.full(len(found), np.nan)
    for code, text in enumerate(found):
        if not text:
            continue
        try:
            values[code] = float(text)
        except ValueError:
            responses, row = data.where[int(np.flatnonzero(codes == code)[0])]
            raise UsageError(f'{responses.where(row)}: "expected" is "{text}", a number was expected.') from None
    return values[codes]


def _duplicates(votes: Votes, data: _Gathered, policy: str) -> tuple[Mask, int]:
    """Which votes to keep when a rater voted twice on the same clip, system and dimension, and how many go."""
    sizes = (len(votes.clips), len(votes.systems), len(votes.dimensions))
    key = ((votes.rater * sizes[0] + votes.clip) * sizes[1] + votes.system) * sizes[2] + votes.dimension
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(key[order][1:] == key[order][:-1])
    keep = np.ones(len(key), dtype=np.bool_)
    if len(again) and policy == "refuse":
        first, second = order[again[0]], order[again[0] + 1]
        responses, row = data.where[second]
        other, other_row = data.where[first]
        raise UsageError(
            f"{responses.where(row)}: a second vote of rater {votes.raters[votes.rater[second]]} on clip "
            f"{votes.clips[votes.clip[second]]}, system {votes.systems[votes.system[second]]}, dimension "
            f"{votes.dimensions[votes.dimension[second]]}; the first is {other.where(other_row)}. "
            f"{len(again)} vote(s) are repeated; to keep one of each: --duplicates first, or: --duplicates last"
        )
    keep[order[again + 1 if policy == "first" else again]] = False
    return keep, len(again)


def _missing(name: str, votes: Votes, rules: Rules) -> int:
    """How many test votes are missing for every rater to have voted on every sample; more than allowed is an error."""
    test = votes.with_role("test")
    sample = (test.clip * len(votes.systems) + test.system) * len(votes.dimensions) + test.dimension
    wanted = len(np.unique(sample))
    by_rater = np.bincount(test.rater, minlength=len(votes.raters))
    present = by_rater > 0
    missing = int(wanted * present.sum() - by_rater.sum())
    if missing > rules.allow_missing:
        short = [f"{votes.raters[k]} {by_rater[k]}" for k in np.flatnonzero(present & (by_rater < wanted))]
        by_system = np.bincount(test.system, minlength=len(votes.systems))
        counts = ", ".join(
            f"{system} {count}{_misspelt(system, votes.systems) if 2 * count < by_system.max() else ''}"
            for system, count in zip(votes.systems, by_system, strict=True)
            if count
        )
        raise UsageError(
            f'study "{name}": {missing} of {wanted * int(present.sum())} votes are missing. Of {wanted} votes each, '
            f"these raters gave fewer: {', '.join(short[:8])}{' …' if len(short) > 8 else ''}. "
            f"Votes by system: {counts}. "
            f"To go on without them: --allow-missing {missing}; to leave incomplete raters out: --screen incomplete"
        )
    return missing


def _misspelt(system: str, systems: Sequence[str]) -> str:
    return did_you_mean(system, [other for other in systems if other != system])


def _by_rater(data: _Gathered, column: str) -> dict[str, str]:
    """The check's outcome of each rater; "fail" anywhere wins over "pass"."""
    worst: dict[str, str] = {}
    for rater, outcome in set(zip(data.columns["rater_id"], data.columns[column], strict=True)):
        known = outcome if outcome in ("pass", "fail") else "none"
        ranks = ("fail", "none", "pass")
        worst[rater] = min(worst.get(rater, "pass"), known, key=ranks.index)
    return worst


def _devices(data: _Gathered) -> dict[str, int]:
    devices: dict[str, int] = {}
    for _, device in sorted(set(zip(data.columns["rater_id"], data.columns["listening_device"], strict=True))):
        devices[device or "not stated"] = devices.get(device or "not stated", 0) + 1
    return devices
