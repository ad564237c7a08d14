"""Coverage of the intervals and false separations in simulated studies of every design.

Run: PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/designs.py      (some minutes); `make tables` puts what it prints
into docs/listening-tests.md.

Raters are those of `bench mos simulate --design ...` (module `simulated_designs`), and of ratings. The truth is the
expected vote in closed form, or of a large panel where there is no closed form. Nominal are 95 % and 5 %: of the
intervals of every system, and of tests that tell two equal systems apart, without correction over pairs; in matching at
quality 1 of tests that tell guessing from guessing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
from scipy import stats

from visaudio_bench.bench.mos.simulate import Panel
from visaudio_bench.bench.mos.simulated_designs import (
    POINTS,
    simulated_azimuths,
    simulated_matches,
    simulated_mushra,
    simulated_preferences,
)
from visaudio_bench.metrics.opinion import Floats, crossed
from visaudio_bench.metrics.opinion_agreement import screen
from visaudio_bench.metrics.opinion_comparison import compare_scores
from visaudio_bench.metrics.opinion_localisation import compare_errors, localisation
from visaudio_bench.metrics.opinion_matching import matching, right_answers
from visaudio_bench.metrics.opinion_preference import compare_pairs, strengths

STUDIES = 400
PREFERENCES = 120  # studies of preferences, whose intervals are resampled
SIZES = ((12, 10), (30, 10), (6, 6))
LARGE = 300  # raters and clips of the panel that tells the truth
RATED = Panel(rater_spread=0.32, clip_spread=0.45, noise=0.8)  # with both biases of raters about 0.45
TASTES = Panel(rater_spread=0.5, clip_spread=0.5)
POINTED = Panel(rater_spread=0.32)
MATCHED = Panel(rater_spread=0.35, clip_spread=0.5)
ALIKE = ("a", "b")

Rng = np.random.Generator
Row = tuple[str, float, float]
Outcome = tuple[list[bool], bool]  # whether each interval covers, whether equal systems are told apart


def expected_points(quality: float, panel: Panel, low: float, high: float, step: float, zero: float) -> float:
    """The mean of all votes on a scale whose points are `step` of a quality, counted from `zero`."""
    spread = step * float(np.hypot(np.hypot(panel.rater_spread, panel.rater_spread), np.hypot(*panel[3:5])))
    return low + float(stats.norm.sf(np.arange(low, high) + 0.5, step * (quality - zero), spread).sum())


def sized(panel: Panel, size: tuple[int, int], careless: int = 0) -> Panel:
    return panel._replace(raters=size[0], clips=size[1], careless=careless)


def each(rng: Rng, draw: Callable[[Rng], Outcome], studies: int = STUDIES) -> tuple[float, float]:
    """How often intervals cover, and how often equal systems are told apart."""
    covered, apart = zip(*(draw(rng) for _ in range(studies)), strict=True)
    return float(np.mean([inside for intervals in covered for inside in intervals])), float(np.mean(apart))


def on_a_scale(cells: Mapping[str, Floats], truth: float) -> Outcome:
    """Two systems of equal quality: their crossed intervals, and the test between them."""
    intervals = [crossed(cell) for cell in cells.values()]
    (pair,) = compare_scores(dict(cells))
    return [found.low <= truth <= found.high for found in intervals], pair.p <= 0.05


def rating(rng: Rng, panel: Panel, quality: float, part: int = 0) -> Outcome:
    """Ratings from 1 to 5; where `part` is given, each rater rates so many of the clips, in turn."""
    truth = expected_points(quality, panel, 1, 5, 1.0, 0.0)
    shape = (panel.raters, panel.clips)
    asked = np.ones(shape, dtype=bool)
    if part:
        turns = (np.arange(panel.raters)[:, None] * part + np.arange(part)) % panel.clips
        asked = np.zeros(shape, dtype=bool)
        np.put_along_axis(asked, turns, True, axis=1)
    shared = panel.rater_spread * rng.standard_normal((panel.raters, 1))
    cells = {}
    for system in ALIKE:
        own = panel.rater_spread * rng.standard_normal((panel.raters, 1))
        clip = panel.clip_spread * rng.standard_normal((1, panel.clips))
        votes = np.clip(np.rint(quality + shared + own + clip + panel.noise * rng.standard_normal(shape)), 1, 5)
        cells[system] = np.where(asked, votes, np.nan)
    return on_a_scale(cells, truth)


def mushra(rng: Rng, panel: Panel, quality: float, rules: tuple[str, ...] = ()) -> Outcome:
    """Sliders from 0 to 100; of careless raters, screened by rules, nothing is asked of the truth."""
    truth = expected_points(quality, panel, 0, 100, POINTS, 1.0)
    votes = simulated_mushra(rng, panel, dict.fromkeys(ALIKE, quality))
    out = {votes.raters.index(name) for names in screen(votes, rules).values() for name in names}
    kept = votes.where(~np.isin(votes.rater, sorted(out))).with_role("test")
    return on_a_scale({system: kept.matrix(system, votes.dimensions[0]) for system in ALIKE}, truth)


def preference(rng: Rng, panel: Panel, quality: Mapping[str, float], truth: list[float]) -> Outcome:
    votes = simulated_preferences(rng, panel, quality)
    found = strengths(votes, seed=int(rng.integers(1 << 31)))
    (equal,) = (pair for pair in compare_pairs(votes) if (pair.a, pair.b) == ("B", "C"))
    return [one.low <= true <= one.high for one, true in zip(found, truth, strict=True)], equal.p <= 0.05


def localised(rng: Rng, panel: Panel, quality: float, score: str, truth: float) -> Outcome:
    votes = simulated_azimuths(rng, panel, dict.fromkeys(ALIKE, quality))
    found = [getattr(one, score) for one in localisation(votes, ALIKE)]
    (pair,) = compare_errors(votes, ALIKE)
    return [one.low <= truth <= one.high for one in found], pair.p <= 0.05


def matched(rng: Rng, panel: Panel, quality: float, truth: float) -> Outcome:
    votes = simulated_matches(rng, panel, dict.fromkeys(ALIKE, quality))
    found = matching(votes, ALIKE)
    (pair,) = compare_scores({system: right_answers(votes, system) for system in ALIKE})
    apart = found[0].p if truth == 0.5 else pair.p
    return [one.share.low <= truth <= one.share.high for one in found], apart <= 0.05


def named(design: str, said: str, size: tuple[int, int]) -> str:
    return f"{design}, {said}, {size[0]} × {size[1]}"


def rated_rows(rng: Rng) -> Iterator[Row]:
    for quality in (3.2, 4.5):
        for size in SIZES:
            drawn = partial(rating, panel=sized(RATED, size), quality=quality)
            yield named("rating", f"quality {quality:g}", size), *each(rng, drawn)
    part = partial(rating, panel=sized(RATED, (12, 10)), quality=3.2, part=5)
    yield named("rating", "quality 3.2, 5 of the clips each", (12, 10)), *each(rng, part)


def mushra_rows(rng: Rng) -> Iterator[Row]:
    for quality in (3.0, 4.7):
        for size in SIZES:
            drawn = partial(mushra, panel=sized(RATED, size), quality=quality)
            yield named("MUSHRA", f"{POINTS * (quality - 1):.0f} points", size), *each(rng, drawn)
    size = (14, 10)
    for rules, said in (((), "2 raters guess"), (("reference",), "2 raters guess, screened by `reference`")):
        drawn = partial(mushra, panel=sized(RATED, size, careless=2), quality=4.2, rules=rules)
        yield named("MUSHRA", f"80 points, {said}", size), *each(rng, drawn)


def preference_rows(rng: Rng) -> Iterator[Row]:
    quality = {"A": 3.8, "B": 3.0, "C": 3.0, "D": 2.2}
    for panel, said in ((TASTES._replace(rater_spread=0.0, clip_spread=0.0), "no tastes"), (TASTES, "tastes")):
        large = simulated_preferences(rng, sized(panel, (LARGE // 2, LARGE // 2)), quality)
        truth = [one.strength for one in strengths(large)]
        for size in SIZES:
            drawn = partial(preference, panel=sized(panel, size), quality=quality, truth=truth)
            yield named("preference", said, size), *each(rng, drawn, PREFERENCES)


def localisation_rows(rng: Rng) -> Iterator[Row]:
    (panel,) = localisation(simulated_azimuths(rng, sized(POINTED, (LARGE, LARGE)), {"a": 3.8}), ["a"])
    for score, said in (("error", "angular error"), ("near", "within 15°"), ("confusion", "wrong side")):
        truth = getattr(panel, score).mean
        for size in SIZES:
            drawn = partial(localised, panel=sized(POINTED, size), quality=3.8, score=score, truth=truth)
            covered, apart = each(rng, drawn)
            yield named("localisation", said, size), covered, apart if score == "error" else math.nan


def matching_rows(rng: Rng) -> Iterator[Row]:
    for quality in (1.0, 2.0, 4.0):
        panel = MATCHED._replace(rater_spread=0.0, clip_spread=0.0) if quality == 1 else MATCHED
        large = simulated_matches(rng, sized(panel, (LARGE, LARGE)), {"a": quality})
        truth = 0.5 if quality == 1 else matching(large, ["a"])[0].share.mean
        for size in SIZES:
            drawn = partial(matched, panel=sized(panel, size), quality=quality, truth=truth)
            yield named("matching", f"quality {quality:g}", size), *each(rng, drawn)


def main() -> None:
    """Print the table row by row."""
    print("| study, raters × clips | coverage | equal systems told apart |\n|---|---|---|", flush=True)
    for seed, rows in enumerate((rated_rows, mushra_rows, preference_rows, localisation_rows, matching_rows)):
        for study, coverage, apart in rows(np.random.default_rng(seed)):
            told = "" if math.isnan(apart) else f"{apart:.1%}"
            print(f"| {study} | {coverage:.1%} | {told} |", flush=True)


if __name__ == "__main__":
    main()
