"""Pairs of systems on the same clips: the mean difference of each metric with its interval and test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.metrics.aggregate import mean
from visaudio_bench.metrics.uncertainty import differences


def paired_differences(values: Mapping[str, NDArray[np.float64]], seed: int) -> list[dict[str, Any]]:
    """Compare every two systems in every metric that is a mean over clips.

    Args:
        values: by system, (metrics, clips) scores, NaN where there is none.
        seed: of the run.

    Returns:
        For each pair and metric with at least two common clips: names `first` and `second`, number of the `metric`,
        the `mean` difference with its 95 % interval `low` to `high` and its `p`, which are None where
        `metrics.uncertainty.differences` has none, and `effect`, the mean over the standard deviation of the
        differences (None where they do not differ).
    """
    pairs, rows = [], []
    for first, second in combinations(values, 2):
        for metric, row in enumerate(values[first] - values[second]):
            if np.isfinite(row).sum() > 1:
                pairs.append((first, second, metric))
                rows.append(row)
    if not pairs:
        return []
    sides = [(mean("score"), {"score": row}, {"score": np.zeros_like(row)}) for row in rows]
    told: list[dict[str, Any]] = []
    for (first, second, metric), row, gap in zip(pairs, rows, differences(sides, seed=seed), strict=True):
        spread = float(np.nanstd(row, ddof=1))
        told.append(
            {
                "first": first,
                "second": second,
                "metric": metric,
                "mean": _short(gap.value),
                "low": _short(gap.low),
                "high": _short(gap.high),
                "p": _short(gap.p),
                "effect": _short(float(np.nanmean(row)) / spread) if spread > 0 else None,
            }
        )
    return told


def _short(number: float) -> float | None:
    return float(f"{number:.4g}") if math.isfinite(number) else None
