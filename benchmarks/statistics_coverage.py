"""How often intervals cover the truth: those of the tables, and those that were considered, nominally 95 %.

Run: PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/statistics_coverage.py      (six minutes)

Each cell is the share of simulated suites whose interval holds the true value: 8000 suites of 10 clips, 2000 of more;
1000 for pooled scores and distances between sets. Every row draws from a generator of its own.
`ours` is what `metrics.uncertainty` gives; `none` is the share of suites to which it gives no interval, because too few
clips differ or a single one decides; the others give one always. docs/statistics.md has the table.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from visaudio_bench.metrics.aggregate import MOMENTS, concordance, mean
from visaudio_bench.metrics.frechet import frechet_replicates
from visaudio_bench.metrics.interaural_sets import cue_frechet, wasserstein
from visaudio_bench.metrics.kernel_distance import kernel_replicates
from visaudio_bench.metrics.uncertainty import POOLED_CLIPS, Replicates, Statistic, intervals, jackknife

FEW_SUITES, SUITES, SET_SUITES, RESAMPLES = 8000, 2000, 1000, 999
TRUE_SETS, TRUE_CLIPS = 24, 1500  # whose mean is the truth of a distance
CLIPS = (10, 40, 200)
Generator = np.random.Generator
ORDINAL = np.array([0.05, 0.1, 0.2, 0.35, 0.3])
RARE = np.array([0.6, 0.2, 0.1, 0.06, 0.04])

# name: draw (suites, clips), true mean, range
Draw = Callable[[Generator, tuple[int, int]], np.ndarray]
SCORES: dict[str, tuple[Draw, float, tuple[float | None, float | None]]] = {
    "normal": (lambda g, s: g.normal(3, 1, s), 3.0, (None, None)),
    "skewed: exponential": (lambda g, s: g.exponential(1, s), 1.0, (0.0, None)),
    "skewed: log-normal, σ 0.5": (lambda g, s: g.lognormal(0, 0.5, s), float(np.exp(0.125)), (0.0, None)),
    "skewed: log-normal, σ 1": (lambda g, s: g.lognormal(0, 1, s), float(np.exp(0.5)), (0.0, None)),
    "50 % zeros": (lambda g, s: g.exponential(1, s) * (g.random(s) < 0.5), 0.5, (0.0, None)),
    "70 % zeros": (lambda g, s: g.exponential(1, s) * (g.random(s) < 0.3), 0.3, (0.0, None)),
    "ordinal 1-5": (lambda g, s: g.choice(5, s, p=ORDINAL) + 1.0, float(ORDINAL @ np.arange(1, 6)), (1.0, 5.0)),
    "ordinal, mostly 1": (lambda g, s: g.choice(5, s, p=RARE) + 1.0, float(RARE @ np.arange(1, 6)), (1.0, 5.0)),
    "share": (lambda g, s: g.beta(0.8, 0.4, s), 2 / 3, (0.0, 1.0)),
    "share, half of them 1": (
        lambda g, s: np.where(g.random(s) < 0.5, 1, g.beta(6, 1.2, s)), 0.5 + 0.5 * 6 / 7.2, (0.0, 1.0),
    ),
}  # fmt: skip


def others(scores: np.ndarray, truth: float, counts: np.ndarray) -> dict[str, float]:
    """Coverage of the intervals that were considered for a mean, of scores (clips, suites)."""
    n = len(scores)
    value, error = scores.mean(0), scores.std(0, ddof=1) / np.sqrt(n)
    centred = scores - value
    step = counts @ centred / n
    spread = np.sqrt(np.maximum(counts @ centred**2 / n - step**2, 0) / (n - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        studentised = np.where(spread > 1e-9 * error, step / spread, np.sign(step) * np.inf)
    ends: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    half = float(stdtrit(n - 1, 0.975)) * error
    ends["t"] = value - half, value + half
    low, high = np.quantile(step, [0.025, 0.975], axis=0)
    ends["percentile"] = value + low, value + high
    ends["BCa"] = bca(step, centred, value)
    ordered = np.sort(studentised, axis=0)
    tail = round(0.025 * (len(counts) + 1)) - 1
    with np.errstate(invalid="ignore"):
        ends["studentised"] = value - ordered[-1 - tail] * error, value - ordered[tail] * error
        reach = np.sort(np.abs(studentised), axis=0)[int(np.ceil(0.95 * (len(counts) + 1))) - 1] * error
    ends["studentised, symmetric"] = value - reach, value + reach
    return {name: float(np.mean((low <= truth) & (truth <= high))) for name, (low, high) in ends.items()}


def bca(step: np.ndarray, centred: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    draws = len(step)
    below = np.clip((step < 0).mean(0) + (step == 0).mean(0) / 2, 1 / (2 * draws), 1 - 1 / (2 * draws))
    bias = ndtri(below)
    acceleration = (centred**3).sum(0) / (6 * np.maximum((centred**2).sum(0), 1e-300) ** 1.5)
    ordered, ends = np.sort(step, axis=0), []
    for level in (0.025, 0.975):
        shifted = bias + ndtri(level)
        place = ndtr(bias + shifted / (1 - acceleration * shifted)) * (draws - 1)
        ends.append(value + ordered[np.rint(np.nan_to_num(place)).astype(int), np.arange(len(value))])
    return ends[0], ends[1]


def own_generator(*row: str | float) -> Generator:
    """The generator of a row, which does not depend on the rows before."""
    return np.random.default_rng(zlib.crc32(repr(row).encode()))


def means() -> None:
    names = ("t", "percentile", "BCa", "studentised", "studentised, symmetric")
    print(f"| scores | clips | ours | none | {' | '.join(names)} |\n|---|{'---:|' * (len(names) + 3)}", flush=True)
    for kind, (draw, truth, (low, high)) in SCORES.items():
        for clips in CLIPS:
            generator = own_generator(kind, clips)
            scores = draw(generator, (FEW_SUITES if clips == 10 else SUITES, clips))
            cells = [Statistic(mean("v"), {"v": row}, low, high) for row in scores]
            ours, none = covered(cells, truth)
            counts = generator.multinomial(clips, np.full(clips, 1 / clips), RESAMPLES).astype(float)
            found = others(scores.T, truth, counts)
            told = [percent(share) for share in (ours, none, *(found[name] for name in names))]
            print(f"| {kind} | {clips} | {' | '.join(told)} |", flush=True)


def covered(cells: list[Statistic], truth: float) -> tuple[float, float]:
    """Share of the intervals that hold the truth, and of cells without one."""
    found = intervals(cells, resamples=RESAMPLES)
    given = [one for one in found if not one.reason]
    return float(np.mean([one.low <= truth <= one.high for one in given])), 1 - len(given) / len(found)


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def lateralisation(
    generator: Generator, clips: int, kind: str, share: float = 0.2, references: Generator | None = None
) -> dict[str, np.ndarray]:
    """Sums of a pooled concordance: sounds on a side with segments about it, some of them silent.

    `mirrored` has a share of its clips on the wrong side. Systems on the same references get a generator of their own.
    """
    true = references or generator
    side = true.normal(0, 0.5, (clips, 1))
    y = np.tanh(side + true.normal(0, 0.15, (clips, 12)))
    active = true.random((clips, 12)) < true.uniform(0.2, 1, (clips, 1))
    if kind == "good":
        x = np.tanh(side + generator.normal(0, 0.15, (clips, 12)))
    elif kind == "middling":
        x = np.tanh(0.6 * side + generator.normal(0, 0.5, (clips, 1)) + generator.normal(0, 0.2, (clips, 12)))
    else:
        x = y * np.where(generator.random((clips, 1)) < share, -1, 1) + generator.normal(0, 0.05, (clips, 12))
    x, y = x * active, y * active
    columns = active.sum(1), x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1)
    return {f"v.{name}": np.asarray(column, float) for name, column in zip(MOMENTS, columns, strict=True)}


def pooled() -> None:
    aggregate = concordance("v")
    print("\n| score | clips | ours | none |\n|---|---:|---:|---:|", flush=True)
    for kind, words in {"good": "good", "middling": "middling", "mirrored": "a fifth mirrored"}.items():
        truth = float(aggregate(lateralisation(own_generator(kind), 200_000, kind)))
        for clips in (*CLIPS[:1], POOLED_CLIPS, *CLIPS[1:]):
            generator = own_generator(kind, clips)
            cells = [Statistic(aggregate, lateralisation(generator, clips, kind), -1.0, 1.0) for _ in range(SET_SUITES)]
            ours, none = covered(cells, truth)
            print(f"| LatCCC, {words} ({truth:.2f}) | {clips} | {percent(ours)} | {percent(none)} |", flush=True)


def features(
    generator: Generator, clips: int, dimensions: int, spread: float, shift: float = 0.5, true: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and reference of the same clips: alike by what the clip is, the prediction shifted and wider."""
    scale = 1 / np.sqrt(np.arange(1, dimensions + 1))
    clip = generator.normal(size=(clips, dimensions)) * scale if true is None else true
    own = 0.5 * generator.normal(size=(clips, dimensions)) * scale
    return spread * (clip + own) + shift * scale, clip


def cue_sets(generator: Generator, clips: int, dimensions: int, spread: float) -> dict[str, np.ndarray]:
    prediction, reference = features(generator, clips, dimensions, spread)
    return {"v[]": prediction.T, "reference:v[]": reference.T}


def left_out(aggregate: Callable[..., np.ndarray], dimensions: int) -> Callable[[Generator, int, float], Replicates]:
    def make(generator: Generator, clips: int, spread: float) -> Replicates:
        found = jackknife(aggregate, cue_sets(generator, clips, dimensions, spread))
        assert found is not None  # there are clips enough
        return found

    return make


DISTANCES: dict[str, tuple[Callable[[Generator, int, float], Replicates], int]] = {
    "FD, d = 16": (lambda g, n, s: frechet_replicates(*features(g, n, 16, s)), 32),
    "FCD": (left_out(partial(cue_frechet, key="v[]"), 9), 18),
    "KAD, d = 16": (lambda g, n, s: kernel_replicates(*features(g, n, 16, s)), 10),
    "W1": (left_out(partial(wasserstein, key="v[]"), 6), 10),
}


def sets() -> None:
    print("\n| distance | spread | clips | truth | plain, mean | less its bias, mean | interval about the plain value "
          "| interval about the corrected value |\n|---|---|---:|---:|---:|---:|---:|---:|", flush=True)  # fmt: skip
    for name, (make, least) in DISTANCES.items():
        for spread in (1.0, 1.5):
            generator = own_generator(name, spread)
            truth = float(np.mean([make(generator, TRUE_CLIPS, spread).corrected for _ in range(TRUE_SETS)]))
            for clips in (clips for clips in CLIPS if clips >= least):
                generator = own_generator(name, spread, clips)
                found = [make(generator, clips, spread) for _ in range(SET_SUITES)]
                inside = []
                for corrected in (False, True):
                    ends = [one.estimate(corrected=corrected) for one in found]
                    inside.append(np.mean([e.low <= truth <= e.high for e in ends if e.low is not None]))
                values = (truth, np.mean([one.full for one in found]), np.mean([one.corrected for one in found]))
                told = " | ".join([*(f"{value:.3f}" for value in values), *(percent(share) for share in inside)])
                print(f"| {name} | {spread} | {clips} | {told} |", flush=True)


def main() -> None:
    means()
    pooled()
    sets()


if __name__ == "__main__":
    main()
