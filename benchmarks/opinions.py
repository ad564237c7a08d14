"""How often equal systems are told apart in listening tests, how often unequal ones, and what was planned.

Run: PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/opinions.py      (about a minute)

Two systems, votes from 1 to 5: quality + rater (SD 0.45) + clip (SD 0.3) + system by rater + system by clip + 0.8.
1,000 studies each; a test tells the two apart at p <= 0.05. `crossed` (raters and clips both random) is what marks
stand for; `fixed-clips` are sign flips of raters. Planned power is that of `metrics.opinion_planning`.

| raters × clips | system by rater, by clip | equal: crossed | fixed-clips | 0.6: crossed | planned |
|---|---|---|---|---|---|
| 12 × 10 | 0, 0 | 2.8% | 4.9% | 99.2% | 98.7% |
| 12 × 10 | 0, 0.5 | 3.5% | 32.3% | 56.5% | 57.1% |
| 12 × 10 | 0.3, 0.5 | 4.1% | 17.6% | 47.6% | 51.1% |
| 12 × 10 | 0.5, 0 | 5.1% | 4.5% | 63.1% | 64.9% |
| 12 × 30 | 0, 0 | 2.4% | 4.7% | 100.0% | 100.0% |
| 12 × 30 | 0, 0.5 | 4.6% | 31.8% | 98.5% | 98.0% |
| 12 × 30 | 0.3, 0.5 | 4.7% | 13.4% | 85.6% | 86.4% |
| 12 × 30 | 0.5, 0 | 4.0% | 3.9% | 71.1% | 72.4% |
| 30 × 10 | 0, 0 | 2.1% | 4.5% | 100.0% | 100.0% |
| 30 × 10 | 0, 0.5 | 5.2% | 53.6% | 61.9% | 62.7% |
| 30 × 10 | 0.3, 0.5 | 4.7% | 37.8% | 58.7% | 60.1% |
| 30 × 10 | 0.5, 0 | 3.8% | 4.1% | 97.5% | 97.6% |
| 8 × 6 | 0, 0 | 0.8% | 2.7% | 66.3% | 59.9% |
| 8 × 6 | 0, 0.5 | 3.7% | 19.6% | 28.4% | 29.8% |
| 8 × 6 | 0.3, 0.5 | 4.3% | 13.8% | 25.5% | 28.1% |
| 8 × 6 | 0.5, 0 | 3.6% | 4.1% | 35.9% | 38.2% |
| 5 × 5 | 0, 0 | 1.5% | 0.0% | 29.7% | 26.8% |
| 5 × 5 | 0, 0.5 | 2.6% | 0.0% | 16.0% | 20.1% |
| 5 × 5 | 0.3, 0.5 | 3.4% | 0.0% | 12.7% | 19.1% |
| 5 × 5 | 0.5, 0 | 3.2% | 0.0% | 15.6% | 20.1% |
"""

import numpy as np

from visaudio_bench.metrics.opinion_comparison import crossed_p, sign_flip_p
from visaudio_bench.metrics.opinion_planning import assumed_components, power

STUDIES = 1000
SIZES = ((12, 10), (12, 30), (30, 10), (8, 6), (5, 5))
SPREADS = ((0.0, 0.0), (0.0, 0.5), (0.3, 0.5), (0.5, 0.0))
DIFFERENCE = 0.6


def differences(rng: np.random.Generator, true: float, by_rater: float, by_clip: float, raters: int, clips: int):
    """Differences of votes (studies, raters, clips)."""
    shape = (STUDIES, 2, raters, clips)
    shared = 0.45 * rng.standard_normal((STUDIES, 1, raters, 1)) + 0.3 * rng.standard_normal((STUDIES, 1, 1, clips))
    own = by_rater * rng.standard_normal((*shape[:3], 1)) + by_clip * rng.standard_normal((STUDIES, 2, 1, clips))
    quality = np.array([3.0 + true / 2, 3.0 - true / 2])[:, None, None]
    votes = np.clip(np.rint(quality + shared + own + 0.8 * rng.standard_normal(shape)), 1, 5)
    return votes[:, 0] - votes[:, 1]


def main() -> None:
    rng = np.random.default_rng(0)
    print("| raters × clips | system by rater, by clip | equal: crossed | fixed-clips | 0.6: crossed | planned |")
    print("|---|---|---|---|---|---|", flush=True)
    for raters, clips in SIZES:
        for by_rater, by_clip in SPREADS:
            equal = differences(rng, 0.0, by_rater, by_clip, raters, clips)
            apart = differences(rng, DIFFERENCE, by_rater, by_clip, raters, clips)
            shares = (
                np.mean([crossed_p(cell) <= 0.05 for cell in equal]),
                np.mean([sign_flip_p(cell.sum(1)) <= 0.05 for cell in equal]),
                np.mean([crossed_p(cell) <= 0.05 for cell in apart]),
                power(DIFFERENCE, assumed_components(by_rater, by_clip, np.hypot(0.8, 12**-0.5)), raters, clips),
            )
            print(
                f"| {raters} × {clips} | {by_rater:g}, {by_clip:g} | " + " | ".join(f"{s:.1%}" for s in shares) + " |"
            )


if __name__ == "__main__":
    main()
