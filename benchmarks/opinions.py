"""How often equal systems are told apart in listening tests, how often unequal ones, and what was planned.

Run: PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/opinions.py      (about a minute)

Two systems, votes from 1 to 5: quality + rater (SD 0.45) + clip (SD 0.3) + system by rater + system by clip + 0.8.
1,000 studies each; a test tells the two apart at p <= 0.05. `crossed` (raters and clips both random) is what marks
stand for; `fixed-clips` are sign flips of raters. Planned power is that of `metrics.opinion_planning`.
docs/statistics.md has the table.
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
    print("| raters × clips | system by rater, by clip | equal: crossed | fixed-clips | 0.6: crossed | fixed-clips "
          "| planned |\n|---|---|---:|---:|---:|---:|---:|", flush=True)  # fmt: skip
    for raters, clips in SIZES:
        for by_rater, by_clip in SPREADS:
            equal = differences(rng, 0.0, by_rater, by_clip, raters, clips)
            apart = differences(rng, DIFFERENCE, by_rater, by_clip, raters, clips)
            shares = (
                np.mean([crossed_p(cell) <= 0.05 for cell in equal]),
                np.mean([sign_flip_p(cell.sum(1)) <= 0.05 for cell in equal]),
                np.mean([crossed_p(cell) <= 0.05 for cell in apart]),
                np.mean([sign_flip_p(cell.sum(1)) <= 0.05 for cell in apart]),
                power(DIFFERENCE, assumed_components(by_rater, by_clip, np.hypot(0.8, 12**-0.5)), raters, clips),
            )
            print(
                f"| {raters} × {clips} | {by_rater:g}, {by_clip:g} | "
                + " | ".join(f"{100 * s:.1f}" for s in shares)
                + " |",
                flush=True,
            )


if __name__ == "__main__":
    main()
