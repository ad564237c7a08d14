"""How often tests separate systems that are equal, and how often they find those that are not, at p < 0.05.

Run: PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/statistics_separation.py      (three minutes)

Equal means with equal spread, equal means with unequal spread, and a real difference (power), in shares of simulated
studies. `ours` is the test of the tables, `sign flips` (of clips' differences; for pooled scores, exchanges of the two
systems) what they had before, also studentised, which is the same test. docs/statistics.md has the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations

import numpy as np
from statistics_coverage import Generator, features, lateralisation, percent

from visaudio_bench.metrics.aggregate import Pooled, concordance, mean
from visaudio_bench.metrics.frechet import frechet_replicates
from visaudio_bench.metrics.interaural_sets import cue_frechet, wasserstein
from visaudio_bench.metrics.kernel_distance import kernel_replicates
from visaudio_bench.metrics.quantity import Quantities
from visaudio_bench.metrics.uncertainty import Replicates, differences, holm, jackknife

STUDIES, FAMILIES, SET_STUDIES, DRAWS = 600, 60, 200, 999
CLIPS = (10, 40, 200)
GAPS = {10: 0.5, 40: 0.2, 200: 0.08}  # what the better system is better by
Pair = tuple[Quantities, Quantities]


def system(generator: Generator, kind: str, clips: np.ndarray, wide: bool) -> np.ndarray:
    """Scores of one system with mean 1, of clips of mean 1 that are hard or easy for all systems."""
    n = len(clips)
    if kind == "normal":
        return clips + generator.normal(0, 0.9 if wide else 0.3, n)
    if kind == "log-normal":
        spread = 0.9 if wide else 0.3
        return clips * generator.lognormal(-spread * spread / 2, spread, n)
    if kind == "many zeros":
        zeros = 0.7 if wide else 0.2
        return clips * (generator.random(n) >= zeros) * generator.exponential(1 / (1 - zeros), n)
    return generator.choice(5, n, p=[0, 0.4, 0.4, 0, 0.2]) - 1.0 if wide else np.rint(generator.normal(1, 1, n))


def study(generator: Generator, kind: str, n: int, systems: int, unequal: bool, gap: float) -> np.ndarray:
    """(systems, clips) scores; every second system has the wide spread if `unequal`, the first is `gap` better."""
    clips = generator.lognormal(-0.08, 0.4, n)
    scores = np.array([system(generator, kind, clips, unequal and number % 2 == 1) for number in range(systems)])
    scores[0] += gap
    return scores


def sign_flips(pairs: np.ndarray, generator: Generator) -> np.ndarray:
    """P-values of each row of differences, by flipping their signs."""
    signs = 1.0 - 2 * generator.integers(2, size=(DRAWS, pairs.shape[1]))
    least = np.abs(pairs.sum(1)) * (1 - 1e-12)
    return (np.sum(np.abs(signs @ pairs.T) >= least, axis=0) + 1) / (DRAWS + 1)


def clip_scores(generator: Generator) -> None:
    print("| scores | systems | clips | equal: ours | sign flips | unequal spread: ours | sign flips | power: ours "
          "| sign flips |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)  # fmt: skip
    for kind in ("normal", "log-normal", "many zeros", "ordinal"):
        for systems, studies in ((2, STUDIES), (8, FAMILIES)):
            for n in CLIPS:
                told = []
                for unequal, gap in ((False, 0.0), (True, 0.0), (False, GAPS[n])):
                    scores = np.array([study(generator, kind, n, systems, unequal, gap) for _ in range(studies)])
                    first, second = np.array(list(combinations(range(systems), 2))).T
                    one, other = (scores[:, side].reshape(-1, n) for side in (first, second))
                    pairs = [(mean("v"), {"v": a}, {"v": b}) for a, b in zip(one, other, strict=True)]
                    ours = np.array([found.p for found in differences(pairs, draws=DRAWS)])
                    for p in (ours, sign_flips(one - other, generator)):
                        told.append(percent(np.mean([holm(row).min() < 0.05 for row in p.reshape(studies, -1)])))
                print(f"| {kind} | {systems} | {n} | {' | '.join(told)} |", flush=True)


def exchanges(aggregate: Pooled, pair: Pair, generator: Generator) -> float:
    """P-value by exchanging the two systems clip by clip."""
    first, second = (aggregate.terms(side) for side in pair)
    kept = generator.random((first.shape[-1], DRAWS)) < 0.5
    moved = (first - second) @ kept
    drawn = aggregate.finish(second.sum(-1, keepdims=True) + moved) - aggregate.finish(
        first.sum(-1, keepdims=True) - moved
    )
    gap = abs(float(aggregate(pair[0])) - float(aggregate(pair[1])))
    return float((np.sum(np.abs(drawn) >= gap * (1 - 1e-12)) + 1) / (DRAWS + 1))


def pooled(generator: Generator) -> None:
    """Concordances of the same clips' lateralisation; the wide spread is a share of mirrored clips."""
    aggregate = concordance("v")
    truth = float(aggregate(lateralisation(generator, 200_000, "middling")))
    mirrored = next(
        share
        for share in np.linspace(0.2, 0.4, 201)
        if float(aggregate(lateralisation(np.random.default_rng(1), 50_000, "mirrored", share))) <= truth
    )
    print("\n| LatCCC | clips | ours | exchanges |\n|---|---:|---:|---:|")
    cases: dict[str, Callable[[int], Pair]] = {
        "equal": lambda n: two(generator, n, "middling", "middling"),
        "equal, unequal spread": lambda n: two(generator, n, "middling", "mirrored", float(mirrored)),
        "power": lambda n: two(generator, n, "good", "middling"),
    }
    for case, make in cases.items():
        for n in CLIPS:
            pairs = [make(n) for _ in range(SET_STUDIES)]
            ours = [one.p for one in differences([(aggregate, *pair) for pair in pairs], draws=DRAWS)]
            before = [exchanges(aggregate, pair, generator) for pair in pairs]
            told = (percent(np.mean(np.array(p) < 0.05)) for p in (ours, before))
            print(f"| {case} | {n} | {' | '.join(told)} |", flush=True)


def two(generator: Generator, clips: int, kind: str, other: str, share: float = 0.2) -> Pair:
    """Two systems on the same references."""
    seed = int(generator.integers(2**32))
    return (
        lateralisation(np.random.default_rng([seed, 1]), clips, kind, share, np.random.default_rng(seed)),
        lateralisation(np.random.default_rng([seed, 2]), clips, other, share, np.random.default_rng(seed)),
    )


def sets(generator: Generator) -> None:
    """Two systems as far from the reference as each other: shifted both, or one shifted and one wider."""
    print("\n| distance | clips | equal | equal, unequal spread | power |\n|---|---:|---:|---:|---:|")

    def frechet(own: np.ndarray, true: np.ndarray) -> Replicates:
        return frechet_replicates(own, true)

    def left_out(aggregate: Callable[[Quantities], np.ndarray], own: np.ndarray, true: np.ndarray) -> Replicates:
        found = jackknife(aggregate, {"v[]": own.T, "reference:v[]": true.T})
        assert found is not None  # there are clips enough
        return found

    distances: dict[str, tuple[Callable[..., Replicates], int, int]] = {
        "FD": (frechet, 16, 40),
        "FCD": (partial(left_out, partial(cue_frechet, key="v[]")), 9, 40),
        "KAD": (kernel_replicates, 16, 10),
        "W1": (partial(left_out, partial(wasserstein, key="v[]")), 6, 10),
    }
    for name, (make, dimensions, least) in distances.items():
        # The shift that is as far from the reference as a spread of 1.5.
        wide = 1.5
        goal = make(*features(np.random.default_rng(2), 2000, dimensions, wide, 0.0)).corrected
        shift = next(
            step
            for step in np.linspace(0.3, 2.5, 221)
            if make(*features(np.random.default_rng(3), 2000, dimensions, 1.0, float(step))).corrected >= goal
        )
        for n in (n for n in CLIPS if n >= least):
            told = []
            for spread, step in ((1.0, shift), (wide, 0.0), (1.0, 1.4 * shift)):
                p = []
                for _ in range(SET_STUDIES):
                    one, true = features(generator, n, dimensions, 1.0, float(shift))
                    other, _ = features(generator, n, dimensions, spread, float(step), true)
                    corrected = name != "W1"
                    p.append(make(one, true).against(make(other, true), corrected=corrected).p)
                told.append(percent(np.mean(np.array(p) < 0.05)))
            print(f"| {name} | {n} | {' | '.join(told)} |", flush=True)


def main() -> None:
    generator = np.random.default_rng(0)
    clip_scores(generator)
    pooled(generator)
    sets(generator)


if __name__ == "__main__":
    main()
