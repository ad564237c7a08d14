"""A table of what a study of a given size can tell apart, and of what would help: more raters, or more clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from visaudio_bench.bench.mos.matching import matches, matching_votes
from visaudio_bench.bench.mos.pointing import points
from visaudio_bench.bench.mos.preference import compares
from visaudio_bench.bench.mos.questions import MATCHING
from visaudio_bench.bench.mos.responses import ResponseRules, Responses, rules_for
from visaudio_bench.bench.mos.study import studies
from visaudio_bench.errors import UsageError
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
    system_components,
)

WANTED = 0.8


class StudyPlan(NamedTuple):
    """Raters, clips and systems of a study, and the difference that it should find.

    The difference is in points of the scale; of a study of matching, in shares of right answers.
    """

    raters: int
    clips: int
    systems: int
    difference: float


class Spread(NamedTuple):
    """Variances of what is tested, what they are of, and where they come from.

    Tested are differences of two systems, or systems against guessing where `alone`.
    """

    name: str
    parts: Components
    source: str
    alone: bool = False

    def tests(self, systems: int) -> int:
        """How many tests a study of so many systems makes."""
        return systems if self.alone else math.comb(systems, 2)


def assumed(rater: float, clip: float, noise: float, *, matching: bool = False) -> list[Spread]:
    """Make a plan's spreads of standard deviations that somebody assumes of one system's votes.

    Args:
        rater: over raters, in steps of the scale.
        clip: over clips, likewise.
        noise: what is left, likewise.
        matching: votes are answers of a study of matching, each system of which is also held against guessing.

    Returns:
        One spread, or two for matching, with the sentence that says it is assumed.
    """
    source = f"assumed: a system's votes have SD {rater:g} over raters, {clip:g} over clips, {noise:g} otherwise"
    pair = Spread("assumed", assumed_components(rater, clip, noise), source)
    if not matching:
        return [pair]
    alone = Components(rater**2, clip**2, noise**2)
    return [Spread("against guessing", alone, source, alone=True), pair._replace(name="two systems")]


def estimated(files: Sequence[Responses], rules: ResponseRules) -> list[Spread]:
    """Estimate a plan's spreads from the responses of earlier studies.

    Args:
        files: the responses.
        rules: what of them is allowed.

    Returns:
        A spread of differences between systems for each study and dimension whose responses tell it; none where they do
        not.

    Raises:
        UsageError: a response that `rules` do not allow, or answers of another design.
    """
    spreads = []
    for responses in files:
        if compares(responses) or points(responses) or matches(responses):
            raise UsageError(
                f"{responses.path} has answers of another kind. Ratings and scores of MUSHRA tell their spreads; those "
                "of matching with --design matching; preferences and localisation are not planned."
            )
    own = list(dict.fromkeys(rules_for(responses, rules) for responses in files))
    kinds = [([responses for responses in files if rules_for(responses, rules) == kind], kind) for kind in own]
    for study in (study for alike, kind in kinds for study in studies(alike, kind)):
        votes = study.votes.with_role("test")
        systems = [votes.systems[code] for code in np.unique(votes.system)]
        for dimension in (votes.dimensions[code] for code in np.unique(votes.dimension)):
            parts = difference_components(votes, dimension, systems)
            if not math.isnan(parts.residual):
                source = f"{dimension}: pairs of systems of study {study.study_id} differ with SD {_deviations(parts)}"
                spreads.append(Spread(dimension, parts, source))
    return spreads


def estimated_matching(files: Sequence[Responses], rules: ResponseRules) -> list[Spread]:
    """Estimate variances from the responses of earlier studies of matching.

    Args:
        files: responses.
        rules: which of them count.

    Returns:
        For each study the spread of a system's answers and that of the difference of two systems', as far as they can
        be told.
    """
    spreads = []
    for study in matching_votes(files, rules):
        votes = study.votes
        right = replace(votes, rating=(votes.rating == votes.expected).astype(np.int64))
        systems = [votes.systems[code] for code in np.unique(votes.system)]
        for name, estimate in (("against guessing", system_components), ("two systems", difference_components)):
            parts = estimate(right, MATCHING.key, systems)
            if not math.isnan(parts.residual):
                source = f"{name}: answers of study {study.study_id} vary with SD {_deviations(parts)}"
                spreads.append(Spread(name, parts, source, alone=estimate is system_components))
    return spreads


def _deviations(parts: Components) -> str:
    words = ("over raters", "over clips", "otherwise")
    return ", ".join(f"{math.sqrt(part):.2f} {word}" for part, word in zip(parts, words, strict=True))


def plan_table(plan: StudyPlan, spreads: Sequence[Spread]) -> Table:
    """Tabulate what a study can tell apart as planned, with twice the raters, twice the clips and twice both.

    Args:
        plan: number of systems, raters and clips, and the difference that is asked for.
        spreads: how much votes differ.

    Returns:
        Four rows for each spread: power in [0, 1] at the difference, and the smallest difference that reaches the
        wanted power, each alone and corrected for all pairs of systems.
    """
    columns = (
        Column("power", "power", f"difference {plan.difference:g}"),
        Column(
            "power_corrected",
            "power corrected",
            " or ".join(dict.fromkeys(_tests(plan, spread) for spread in spreads)),
        ),
        Column("smallest", "smallest found", f"power {WANTED:g}"),
        Column("smallest_corrected", "smallest corrected", f"power {WANTED:g}"),
    )
    rows = []
    for spread in spreads:
        for raters, clips in (
            (plan.raters, plan.clips),
            (2 * plan.raters, plan.clips),
            (plan.raters, 2 * plan.clips),
            (2 * plan.raters, 2 * plan.clips),
        ):
            label = f"{spread.name}: {counted(raters, 'rater')}, {counted(clips, 'clip')}"
            rows.append(TableRow(label, _cells(plan, spread, raters, clips), spread.name))
    return Table(f"Plan for {counted(plan.systems, 'system')}", columns, tuple(rows), "study", _notes(plan, spreads))


def _tests(plan: StudyPlan, spread: Spread) -> str:
    return counted(spread.tests(plan.systems), "system" if spread.alone else "pair")


def _cells(plan: StudyPlan, spread: Spread, raters: int, clips: int) -> tuple[Cell, ...]:
    levels = (ALPHA, _corrected(plan, spread))
    powers = [power(plan.difference, spread.parts, raters, clips, alpha) for alpha in levels]
    smallest = [smallest_difference(spread.parts, raters, clips, alpha, WANTED) for alpha in levels]
    return (*(Cell(f"{value:.0%}", value) for value in powers), *(Cell(f"{value:.2f}", value) for value in smallest))


def _corrected(plan: StudyPlan, spread: Spread) -> float:
    """The level of the first of Holm's steps: what the smallest p has to reach."""
    return ALPHA / spread.tests(plan.systems)


def _notes(plan: StudyPlan, spreads: Sequence[Spread]) -> tuple[str, ...]:
    gap = f"{plan.difference:g}"
    alone = f"a share of {0.5 + plan.difference:g} is told from guessing, and that " if spreads[0].alone else ""
    notes = [
        f"power: probability that {alone}two systems that differ by {gap} over all raters and clips are told "
        f"apart at {ALPHA:.0%} (test crossed, what bench mos marks)",
        "corrected: Holm's first step over all pairs, which is the worst case"
        + ("; against guessing over all systems" if alone else ""),
    ]
    for spread in spreads:
        alpha, parts = _corrected(plan, spread), spread.parts
        raters = needed(plan.difference, parts, clips=plan.clips, alpha=alpha, wanted=WANTED)
        clips = needed(plan.difference, parts, raters=plan.raters, alpha=alpha, wanted=WANTED)
        notes.append(spread.source)
        notes.append(
            f"{spread.name}: for {WANTED:.0%} corrected it takes {_or_more(raters, 'rater')} with "
            f"{counted(plan.clips, 'clip')}, or {_or_more(clips, 'clip')} with {counted(plan.raters, 'rater')}"
        )
    return tuple(notes)


def _or_more(number: int | None, thing: str) -> str:
    return f"more than {MOST:,} {thing}s" if number is None else counted(number, thing)
