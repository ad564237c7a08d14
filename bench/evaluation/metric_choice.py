"""Which metrics a command means: keys, column titles, groups, and plug-ins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from visaudio_bench.metrics.catalogue import METRICS, Metric, defaults
from visaudio_bench.metrics.protocol import Protocol
from visaudio_bench.registry import Registry

REGISTRY: Registry[Metric] = Registry("metric", "visaudio_bench.metrics", METRICS)


def under_protocol(metrics: Sequence[Metric], protocol: Protocol) -> tuple[Metric, ...]:
    """The metrics with the views that the protocol chooses for them."""
    views = {"desync": protocol.desync_view, "ib_score": protocol.ib_view}
    return tuple(
        replace(metric, views=(views[metric.key],), shown=(views[metric.key],)) if metric.key in views else metric
        for metric in metrics
    )


def find_metrics(requests: Sequence[str]) -> tuple[Metric, ...] | None:
    """The metrics of `--metric`: keys or titles, or the groups `default` and `all`; None where nothing was asked.

    Raises:
        UsageError: an unknown name.
    """
    if not requests:
        return None
    by_title = {metric.title.lower(): key for key, metric in METRICS.items()}
    found: dict[str, Metric] = {}
    for request in requests:
        if request == "all":
            chosen = tuple(REGISTRY.get(name) for name in REGISTRY.names())
        elif request == "default":
            chosen = defaults()
        else:
            chosen = (REGISTRY.get(by_title.get(request.lower(), request)),)
        found |= {metric.key: metric for metric in chosen}
    return tuple(found.values())
