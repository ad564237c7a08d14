"""Distances between sets of the **side**, half of left less right, which a mix does not hear.

Networks for one channel are asked about the mix (the mid) or about each ear; what lies between the ears reaches none of
them. Mid and side of a pair hold all of it: `fd_vgg mix` and `fd_vgg_side` are those of SoundReactor's evaluation
(`--mono_type mean` and `side`).

Their weakness is that the side is no sound that anybody hears, nor that the networks were trained on: a network for
everyday sounds describes a quiet residue. A mono system's side is digital silence, so that its distance is large and
says the same of every mono system. Swapped ears change the sign of the side and nothing that the networks hear: **no
distance of mid and side can tell left from right**.
"""

from __future__ import annotations

from dataclasses import replace

from visaudio_bench.leaderboards.feature_distances import SIDE
from visaudio_bench.metrics.catalogue import METRICS, Metric


def of_the_side(*keys: str) -> tuple[Metric, ...]:
    """Make metrics of the side of those of the ears.

    Args:
        keys: of distances between sets of features.

    Returns:
        The same distances, `fd_vgg_side` of `fd_vgg`, on request.
    """
    return tuple(
        replace(
            METRICS[key], key=f"{key}_side", title=f"{METRICS[key].title} side", views=SIDE, shown=SIDE, default=False,
            features=f"{METRICS[key].features}_side", family=__name__, source="SoundReactor, arXiv 2510.02110",
            description=f"{METRICS[key].description.rstrip('.')}, of half of left less right.",
        )
        for key in keys
    )  # fmt: skip
