"""Votes of one study out of files of responses: what is repeated or missing is refused, or allowed and counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from visaudio_bench.bench.mos.questions import COLUMNS, DESIGNS, KEYS
from visaudio_bench.bench.mos.responses import Mask, ResponseRules, Responses, check_values, codes_of, ratings_of
from visaudio_bench.cells import number
from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.opinion import ROLES, Codes, Floats, Votes
from visaudio_bench.registry import did_you_mean
from visaudio_bench.spelling import alike, difference, pairs_alike

# Of a system's name, hyphens and underscores are taken for slips too.
BLANKS = str.maketrans("", "", " -_")
Piece: TypeAlias = tuple[Responses, Codes]  # a file, and which rows of it


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
    per_rater: int = 0  # clips that each rater was asked about, 0 for all
    exceptions: dict[str, int] = field(default_factory=dict)


def studies(files: Sequence[Responses], rules: ResponseRules) -> list[Study]:
    """Gather the studies of the files.

    Args:
        files: responses; one without `study_id` is a study of its own name.
        rules: what is allowed.

    Returns:
        The studies in order of appearance.

    Raises:
        UsageError: a response that `rules` do not allow.
    """
    for responses in files:
        check_values(responses, rules)
    return [_study(name, pieces, rules) for name, pieces in by_study(files).items()]


def partly_asked(design: str, files: Sequence[Responses], rules: ResponseRules) -> list[Study]:
    """Read the studies of a design whose raters may each be asked a part of the questions.

    Args:
        design: of `DESIGNS`, which has the dimensions and the scale.
        files: responses.
        rules: what else counts.

    Returns:
        The studies with the votes of their systems and anchors.

    Raises:
        UsageError: as `studies`.
    """
    dimensions, scale = DESIGNS[design]
    keys = tuple(dimension.key for dimension in dimensions)
    read = studies(files, replace(rules, scale=scale, dimensions=keys, allow_missing=math.inf))
    return [replace(study, votes=study.votes.with_role("test", "hidden_reference", "low_anchor")) for study in read]


def counts(study: Study) -> dict[str, Any]:
    """How many raters, clips and votes a study has, and where they are from."""
    return {
        "raters": len(np.unique(study.votes.rater)),
        "clips": len(np.unique(study.votes.clip)),
        "votes": len(study.votes),
        "checks": study.checks,
        "sources": study.sources,
    }


def by_study(files: Sequence[Responses]) -> dict[str, list[Piece]]:
    """What of which file belongs to each study, in order of appearance."""
    parts: dict[str, list[Piece]] = {}
    for responses in files:
        codes, names = codes_of([name or responses.path.stem for name in responses.get("study_id")])
        for code, name in enumerate(names):
            parts.setdefault(name, []).append((responses, np.flatnonzero(codes == code)))
    return parts


def in_order(systems: Iterable[str], order: Sequence[str]) -> list[str]:
    """Put systems in order: as given, then by name, for responses come in an order that was made to mean nothing.

    Args:
        systems: their names.
        order: some of them.

    Returns:
        All of `systems`.
    """
    return sorted(systems, key=lambda name: (order.index(name) if name in order else len(order), name.casefold(), name))


@dataclass
class _Gathered:
    """Columns of one study over its files."""

    columns: dict[str, list[str]]
    rating: Codes
    is_given: Mask
    where: list[tuple[Responses, int]]


def _gather(pieces: list[Piece]) -> _Gathered:
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    ratings, is_given = [], []
    where: list[tuple[Responses, int]] = []
    for responses, rows in pieces:
        rating, given = ratings_of(responses)
        ratings.append(rating[rows])
        is_given.append(given[rows])
        where += [(responses, int(row)) for row in rows]
        everything = len(rows) == len(responses)
        for name, column in columns.items():
            values = responses.get(name)
            column.extend(values if everything else [values[row] for row in rows])
    return _Gathered(columns, np.concatenate(ratings), np.concatenate(is_given), where)


def _study(name: str, pieces: list[Piece], rules: ResponseRules) -> Study:
    data = _gather(pieces)
    asked = _votes(data)
    known = all(responses.raters_known for responses, _ in pieces)
    _alike(data, "system", asked.system, asked.systems, lambda name: alike(name).translate(BLANKS))
    _alike(data, "clip", asked.clip, asked.clips)
    if known:
        _alike(data, "rater", asked.rater, asked.raters)
    given = asked.where(data.is_given)
    keep, repeated = _duplicates(given, [data.where[row] for row in np.flatnonzero(data.is_given)], rules.duplicates)
    kept = given.where(keep)
    files = [responses for responses, _ in pieces]
    per_rater = max(responses.per_rater for responses in files)
    missing = _missing(name, asked, kept, rules, per_rater)
    stamps = sorted(stamp for stamp in set(data.columns["timestamp_utc"]) if stamp)
    return Study(
        study_id=name,
        votes=kept,
        scale=rules.scale,
        checks={
            "headphones": _by_rater(data, "headphone_check"),
            "orientation": _by_rater(data, "lr_check"),
            **({"completion": _by_rater(data, "completion_check")} if any(data.columns["completion_check"]) else {}),
        },
        sources=[responses.path.name for responses in files],
        forms=[responses.form for responses in files],
        suites=sorted({suite for suite in data.columns["suite"] if suite}),
        devices=_devices(data),
        dates=(stamps[0], stamps[-1]) if stamps else None,
        raters_known=known,
        per_rater=per_rater,
        exceptions={"missing votes": missing, "repeated votes left out": repeated},
    )


def _votes(data: _Gathered) -> Votes:
    coded = {name: codes_of(data.columns[name]) for name in ("rater_id", "clip_id", "system", "dimension")}
    dimensions = coded["dimension"][1]
    order = sorted(range(len(dimensions)), key=lambda code: (_place(dimensions[code]), code))
    rank = np.argsort(order)
    roles, role_names = codes_of(data.columns["role"])
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
    codes, expected = codes_of(data.columns["expected"])
    values = np.full(len(expected), np.nan)
    for code, text in enumerate(expected):
        if not text:
            continue
        try:
            values[code] = number(text)
        except ValueError:
            responses, row = data.where[int(np.flatnonzero(codes == code)[0])]
            raise UsageError(f'{responses.where(row)}: "expected" is "{text}", a number was expected.') from None
    return values[codes]


def _alike(data: _Gathered, kind: str, codes: Codes, names: Sequence[str], key: Callable[[str], str] = alike) -> None:
    """Two spellings of one system, clip or rater would silently become two."""
    pairs = pairs_alike(names, key)
    if not pairs:
        return
    pair = pairs[0]
    listed = f": {', '.join(' and '.join(sorted(pair)) for pair in sorted(pairs)[:8])}" if len(pairs) > 1 else ""
    responses, row = data.where[int(np.flatnonzero(codes == names.index(pair[1]))[0])]
    other, other_row = data.where[int(np.flatnonzero(codes == names.index(pair[0]))[0])]
    raise UsageError(
        f'{responses.where(row)}: {kind} "{pair[1]}" is written "{pair[0]}" before ({other.where(other_row)}): '
        f"{difference(*pair)}. One {kind} has one spelling; correct one of them{listed}."
    )


def _duplicates(votes: Votes, where: list[tuple[Responses, int]], policy: str) -> tuple[Mask, int]:
    """Which votes to keep when a rater voted twice on the same clip, system and dimension, and how many go."""
    sizes = (len(votes.clips), len(votes.systems), len(votes.dimensions))
    key = ((votes.rater * sizes[0] + votes.clip) * sizes[1] + votes.system) * sizes[2] + votes.dimension
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(key[order][1:] == key[order][:-1])
    keep = np.ones(len(key), dtype=np.bool_)
    if len(again) and policy == "refuse":
        first, second = order[again[0]], order[again[0] + 1]
        responses, row = where[second]
        other, other_row = where[first]
        raise UsageError(
            f"{responses.where(row)}: a second vote of rater {votes.raters[votes.rater[second]]} on clip "
            f"{votes.clips[votes.clip[second]]}, system {votes.systems[votes.system[second]]}, dimension "
            f"{votes.dimensions[votes.dimension[second]]}; the first is {other.where(other_row)}. "
            f"{len(again)} vote(s) are repeated. Which of each counts is yours to say, and changes the means: "
            "--duplicates first, or: --duplicates last"
        )
    keep[order[again + 1 if policy == "first" else again]] = False
    return keep, len(again)


def _missing(name: str, asked: Votes, votes: Votes, rules: ResponseRules, per_rater: int) -> int:
    """How many test votes are missing for every rater to have voted on every sample; more than allowed is an error.

    Raters and samples are those of `asked`, which holds empty ratings as well: who gave none at all counts too. Where
    raters were asked about a part of the clips, samples are those of the clips that each has a row of.
    """
    test = votes.with_role("test")
    wanted = _wanted(asked.with_role("test"), per_rater)
    by_rater = np.bincount(test.rater, minlength=len(votes.raters))
    missing = int(np.maximum(wanted - by_rater, 0).sum())
    if missing > rules.allow_missing:
        short = [f"{votes.raters[k]} {by_rater[k]}" for k in np.flatnonzero(by_rater < wanted)]
        by_system = np.bincount(test.system, minlength=len(votes.systems))
        counts = ", ".join(
            f"{system} {count}{_misspelt(system, votes.systems) if 2 * count < by_system.max() else ''}"
            for system, count in zip(votes.systems, by_system, strict=True)
            if count
        )
        raise UsageError(
            f'study "{name}": {missing} of {wanted.sum()} votes are missing. Of {wanted.max()} votes each, '
            f"these raters gave fewer: {', '.join(short[:8])}{' …' if len(short) > 8 else ''}. "
            f"Votes by system: {counts}. "
            "Either option changes the means: over the votes that are there, so that raters and clips weigh "
            f"unequally, --allow-missing {missing}; without the incomplete raters, --screen incomplete"
        )
    return missing


def _wanted(rows: Votes, per_rater: int) -> Codes:
    """How many votes each rater was asked for, (R,)."""
    sample = (rows.clip * len(rows.systems) + rows.system) * len(rows.dimensions) + rows.dimension
    _, first = np.unique(sample, return_index=True)
    by_clip = np.bincount(rows.clip[first], minlength=len(rows.clips))
    clips = int(np.count_nonzero(by_clip))
    if not 0 < per_rater < clips:
        return np.full(len(rows.raters), len(first))
    shown = np.zeros((len(rows.raters), len(rows.clips)), dtype=np.int64)
    shown[rows.rater, rows.clip] = 1
    unseen = np.maximum(per_rater - shown.sum(1), 0)
    return np.asarray(shown @ by_clip + unseen * len(first) // clips)


def _misspelt(system: str, systems: Sequence[str]) -> str:
    return did_you_mean(system, [other for other in systems if other != system])


def _by_rater(data: _Gathered, column: str) -> dict[str, str]:
    """The check's outcome of each rater; "fail" anywhere wins over "pass"."""
    worst: dict[str, str] = {}
    for rater, outcome in sorted(set(zip(data.columns["rater_id"], data.columns[column], strict=True))):
        known = outcome if outcome in ("pass", "fail") else "none"
        ranks = ("fail", "none", "pass")
        worst[rater] = min(worst.get(rater, "pass"), known, key=ranks.index)
    return worst


def _devices(data: _Gathered) -> dict[str, int]:
    devices: dict[str, int] = {}
    for _, device in sorted(set(zip(data.columns["rater_id"], data.columns["listening_device"], strict=True))):
        devices[device or "not stated"] = devices.get(device or "not stated", 0) + 1
    return devices
