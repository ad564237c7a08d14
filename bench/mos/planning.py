"""A table of what a study of a given size can tell apart, and of what would help: more raters, or more clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from visaudio_bench.bench.mos.responses import ResponseRules, Responses
from visaudio_bench.bench.mos.study import studies
from visaudio_bench.leaderboards.opinion_tables import ALPHA, counted
from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow
from visaudio_bench.metrics.opinion import Components
from visaudio_bench.metrics.opinion_planning import (
    MOST,
    assumed_components,
    difference_components,
    needed,
    power,
    smallest_difference,
)

WANTED = 0.8


class Design(NamedTuple):
    """Raters, clips and systems of a study, and the difference that it should find, in points of the scale."""

    raters: int
    clips: int
    systems: int
    difference: float


class Spread(NamedTuple):
    """Variances of the difference of two systems, what they are of, and where they come from."""

    name: str
    parts: Components
    source: str


def assumed(rater: float, clip: float, noise: float) -> list[Spread]:
    """Make a plan's spreads of standard deviations that somebody assumes of one system's votes.

    Args:
        rater: over raters, in steps of the scale.
        clip: over clips, likewise.
        noise: what is left, likewise.

    Returns:
        One spread, with the sentence that says it is assumed.
    """
    source = f"assumed: a system's votes have SD {rater:g} over raters, {clip:g} over clips, {noise:g} otherwise"
    return [Spread("assumed", assumed_components(rater, clip, noise), source)]


def estimated(files: Sequence[Responses], rules: ResponseRules) -> list[Spread]:
    """Estimate a plan's spreads from the responses of earlier studies.

    Args:
        files: the responses.
        rules: what of them is allowed.

    Returns:
        A spread of differences between systems for each study and dimension whose responses tell it; none where they do
        not.

    Raises:
        UsageError: a response that `rules` do not allow.
    """
    spreads = []
    for study in studies(files, rules):
        votes = study.votes.with_role("test")
        systems = [votes.systems[code] for code in np.unique(votes.system)]
        for dimension in (votes.dimensions[code] for code in np.unique(votes.dimension)):
            parts = difference_components(votes, dimension, systems)
            if not math.isnan(parts.residual):
                source = f"{dimension}: pairs of systems of study {study.study_id} differ with SD " + ", ".join(
                    f"{math.sqrt(part):.2f} {word}"
                    for part, word in zip(parts, ("over raters", "over clips", "otherwise"), strict=True)
                )
                spreads.append(Spread(dimension, parts, source))
    return spreads


def plan_table(design: Design, spreads: Sequence[Spread]) -> Table:
    """Tabulate what a study can tell apart as planned, with twice the raters, twice the clips and twice both.

    Args:
        design: number of systems, raters and clips, and the difference that is asked for.
        spreads: how much votes differ.

    Returns:
        Four rows for each spread: power in [0, 1] at the difference, and the smallest difference that reaches the
        wanted power, each alone and corrected for all pairs of systems.
    """
    columns = (
        Column("power", "power", f"difference {design.difference:g}"),
        Column("power_corrected", "power corrected", counted(math.comb(design.systems, 2), "pair")),
        Column("smallest", "smallest found", f"power {WANTED:g}"),
        Column("smallest_corrected", "smallest corrected", f"power {WANTED:g}"),
    )
    rows = []
    for spread in spreads:
        for raters, clips in (
            (design.raters, design.clips),
            (2 * design.raters, design.clips),
            (design.raters, 2 * design.clips),
            (2 * design.raters, 2 * design.clips),
        ):
            label = f"{spread.name}: {counted(raters, 'rater')}, {counted(clips, 'clip')}"
            rows.append(TableRow(label, _cells(design, spread.parts, raters, clips), spread.name))
    return Table(
        f"Plan for {counted(design.systems, 'system')}", columns, tuple(rows), "study", _notes(design, spreads)
    )


def _cells(design: Design, parts: Components, raters: int, clips: int) -> tuple[Cell, ...]:
    levels = (ALPHA, _corrected(design))
    powers = [power(design.difference, parts, raters, clips, alpha) for alpha in levels]
    smallest = [smallest_difference(parts, raters, clips, alpha, WANTED) for alpha in levels]
    return (*(Cell(f"{value:.0%}", value) for value in powers), *(Cell(f"{value:.2f}", value) for value in smallest))


def _corrected(design: Design) -> float:
    """The level of the first of Holm's steps: what the pair with the smallest p has to reach."""
    return ALPHA / math.comb(design.systems, 2)


def _notes(design: Design, spreads: Sequence[Spread]) -> tuple[str, ...]:
    notes = [
        f"power: probability that two systems that differ by {design.difference:g} over all raters and clips are told "
        f"apart at {ALPHA:.0%} (test crossed, what bench mos marks)",
        "corrected: Holm's first step over all pairs, which is the worst case",
    ]
    for spread in spreads:
        alpha, parts = _corrected(design), spread.parts
        raters = needed(design.difference, parts, clips=design.clips, alpha=alpha, wanted=WANTED)
        clips = needed(design.difference, parts, raters=design.raters, alpha=alpha, wanted=WANTED)
        notes.append(spread.source)
        notes.append(
            f"{spread.name}: for {WANTED:.0%} corrected it takes {_or_more(raters, 'rater')} with "
            f"{counted(design.clips, 'clip')}, or {_or_more(clips, 'clip')} with {counted(design.raters, 'rater')}"
        )
    return tuple(notes)


def _or_more(number: int | None, thing: str) -> str:
    return f"more than {MOST:,} {thing}s" if number is None else counted(number, thing)
