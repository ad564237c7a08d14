"""Pairs of systems on the same clips: the mean difference of each metric with its interval and test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from visaudio_bench.metrics.aggregate import mean
from visaudio_bench.metrics.uncertainty import bootstraps, sign_flip_tests

Scores = Mapping[str, Sequence[Sequence[float | None]]]


def paired_differences(values: Scores, seed: int) -> list[dict[str, Any]]:
    """Compare every two systems in every metric that is a mean over clips.

    Args:
        values: by system, for each metric its scores of all clips, None where there is none.
        seed: of the run.

    Returns:
        For each pair and metric with at least two common clips: names `first` and `second`, number of the `metric`,
        the `mean` difference with its 95 % interval `low` to `high`, the sign-flip test's `p`, and `effect`, the mean
        over the standard deviation of the differences (None where they do not differ).
    """
    scores = {system: np.array(rows, dtype=np.float64) for system, rows in values.items()}
    pairs, differences = [], []
    for first, second in combinations(scores, 2):
        for metric, row in enumerate(scores[first] - scores[second]):
            if np.isfinite(row).sum() > 1:
                pairs.append((first, second, metric))
                differences.append(row)
    if not pairs:
        return []
    p_values = sign_flip_tests(differences, seed=seed)
    intervals = bootstraps([(mean("difference"), {"difference": row}) for row in differences], seed=seed)
    told: list[dict[str, Any]] = []
    for (first, second, metric), row, p, interval in zip(pairs, differences, p_values, intervals, strict=True):
        spread = float(np.nanstd(row, ddof=1))
        told.append(
            {
                "first": first,
                "second": second,
                "metric": metric,
                "mean": _short(interval.value),
                "low": _short(interval.low),
                "high": _short(interval.high),
                "p": _short(float(p)),
                "effect": _short(float(np.nanmean(row)) / spread) if spread > 0 else None,
            }
        )
    return told


def _short(number: float) -> float | None:
    return float(f"{number:.4g}") if math.isfinite(number) else None
