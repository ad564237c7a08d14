"""Coverage of the intervals and false separations in studies of preference, of localisation and of matching.

Run: PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/designs.py      (about a minute)

Preference: four systems of log-odds 0.8, 0, 0 and -0.8, every rater on every pair of every clip; tastes of raters and
of clips vary with the SD given. The truth is a panel of 120 raters by 120 clips. Localisation: true azimuths of -60 to
60 degrees, shifts of 5 degrees by rater and by clip, two systems that err alike. 95 % intervals of strengths and of
angular errors; a test tells two equal systems apart at p <= 0.05 without correction. 120 studies each, 240 of
localisation. Matching: log-odds of a right answer as given, with an SD of 0.5 over raters and over clips where it is
not guessing; `told apart` is a system of the same log-odds, or for guessing, guessing. 400 studies each.

| study, raters × clips | coverage | equal systems told apart |
|---|---|---|
| preference, tastes 0, 12 × 10 | 99.8% | 1.7% |
| preference, tastes 0, 30 × 10 | 99.8% | 1.7% |
| preference, tastes 0, 6 × 6 | 99.4% | 5.0% |
| preference, tastes 0.5, 12 × 10 | 96.0% | 7.5% |
| preference, tastes 0.5, 30 × 10 | 92.9% | 2.5% |
| preference, tastes 0.5, 6 × 6 | 95.2% | 1.7% |
| localisation, 12 × 10 | 96.7% | 2.9% |
| localisation, 30 × 10 | 96.2% | 3.3% |
| localisation, 6 × 6 | 97.5% | 1.2% |
| matching, log-odds 0, 12 × 10 | 98.2% | 2.2% |
| matching, log-odds 0, 30 × 10 | 98.8% | 1.5% |
| matching, log-odds 0, 6 × 6 | 99.5% | 1.8% |
| matching, log-odds 1, 12 × 10 | 96.0% | 1.8% |
| matching, log-odds 1, 30 × 10 | 95.5% | 4.5% |
| matching, log-odds 1, 6 × 6 | 98.5% | 3.8% |
| matching, log-odds 3, 12 × 10 | 98.2% | 2.5% |
| matching, log-odds 3, 30 × 10 | 97.5% | 1.5% |
| matching, log-odds 3, 6 × 6 | 98.8% | 1.5% |
"""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from visaudio_bench.metrics.opinion import Votes
from visaudio_bench.metrics.opinion_comparison import compare_scores
from visaudio_bench.metrics.opinion_localisation import compare_errors, localisation
from visaudio_bench.metrics.opinion_matching import matching, right_answers
from visaudio_bench.metrics.opinion_preference import Preferences, compare_pairs, strengths

STUDIES = 120
SIZES = ((12, 10), (30, 10), (6, 6))
TRUTH = np.array([0.8, 0.0, 0.0, -0.8])


def preferences(rng: np.random.Generator, raters: int, clips: int, spread: float) -> Preferences:
    rater, clip, a, b = np.indices((raters, clips, 4, 4)).reshape(4, -1)
    keep = a < b
    rater, clip, a, b = rater[keep], clip[keep], a[keep], b[keep]
    by_rater, by_clip = spread * rng.standard_normal((raters, 4)), spread * rng.standard_normal((clips, 4))
    latent = TRUTH + by_rater[rater] + by_clip[clip]
    rows = np.arange(len(a))
    gap = latent[rows, a] - latent[rows, b] + rng.logistic(size=len(a))
    choice = np.where(np.abs(gap) < 0.5, 0, np.sign(gap)).astype(np.int64)
    names = (tuple(map(str, range(count))) for count in (raters, clips))
    return Preferences(rater, clip, a, b, choice, *names, ("A", "B", "C", "D"))


def azimuths(rng: np.random.Generator, raters: int, clips: int) -> Votes:
    truth = np.linspace(-60, 60, clips)
    shift = 5 * rng.standard_normal((raters, 1)) + 5 * rng.standard_normal((1, clips))
    own = {name: 5 * rng.standard_normal((1, clips)) + 15 * rng.standard_normal((raters, clips)) for name in "ab"}
    cells = {name: np.clip(np.rint(truth + shift + off), -90, 90) for name, off in own.items()}
    votes = Votes.from_cells(cells, "AZ")
    return Votes(**{**votes.__dict__, "expected": truth[votes.clip]})


def matches(rng: np.random.Generator, raters: int, clips: int, logit: float) -> Votes:
    """Two systems with equal chances of a right answer, 1."""
    spread = 0.5 * (logit != 0)
    skill = spread * rng.standard_normal((raters, 1))
    cells = {}
    for name in "ab":
        chance = 1 / (1 + np.exp(-(logit + skill + spread * rng.standard_normal((1, clips)))))
        cells[name] = np.where(rng.random((raters, clips)) < chance, 1, -1)
    return Votes.from_cells(cells, "FIT", expected=1.0)


def matching_rows(rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    for logit in (0.0, 1.0, 3.0):
        truth = matching(matches(rng, 400, 400, logit), ["a"])[0].share.mean if logit else 0.5
        for raters, clips in SIZES:
            studies = [matches(rng, raters, clips, logit) for _ in range(400)]
            found = [matching(votes, ["a"])[0] for votes in studies]
            covered = [one.share.low <= truth <= one.share.high for one in found]
            pairs = [compare_scores({name: right_answers(votes, name) for name in "ab"})[0] for votes in studies]
            apart = [one.p <= 0.05 for one in (pairs if logit else found)]
            yield f"matching, log-odds {logit:g}, {raters} × {clips}", np.mean(covered), np.mean(apart)


def rows(rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    for spread in (0.0, 0.5):
        panel = np.array([one.strength for one in strengths(preferences(rng, 120, 120, spread))])
        for raters, clips in SIZES:
            covered, apart = [], []
            for number in range(STUDIES):
                votes = preferences(rng, raters, clips, spread)
                found = strengths(votes, seed=number)
                covered += [one.low <= true <= one.high for one, true in zip(found, panel, strict=True)]
                apart += [pair.p <= 0.05 for pair in compare_pairs(votes) if (pair.a, pair.b) == ("B", "C")]
            yield f"preference, tastes {spread:g}, {raters} × {clips}", np.mean(covered), np.mean(apart)
    (truth,) = localisation(azimuths(rng, 300, 300), ["a"])
    for raters, clips in SIZES:
        studies = [azimuths(rng, raters, clips) for _ in range(2 * STUDIES)]
        found = [localisation(votes, ["a"])[0].error for votes in studies]
        apart = [compare_errors(votes, ["a", "b"])[0].p <= 0.05 for votes in studies]
        covered = [one.low <= truth.error.mean <= one.high for one in found]
        yield f"localisation, {raters} × {clips}", np.mean(covered), np.mean(apart)


def main() -> None:
    print("| study, raters × clips | coverage | equal systems told apart |\n|---|---|---|", flush=True)
    for name, coverage, apart in chain(rows(np.random.default_rng(0)), matching_rows(np.random.default_rng(1))):
        print(f"| {name} | {coverage:.1%} | {apart:.1%} |", flush=True)


if __name__ == "__main__":
    main()
