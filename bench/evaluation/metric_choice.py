"""Which metrics a command means: keys, column titles, families, groups, and plug-ins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from visaudio_bench.bench.evaluation.family import Family
from visaudio_bench.bench.evaluation.family_registry import built_in, own_metrics, plug_in, plug_ins, registry
from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.protocol import Protocol
from visaudio_bench.registry import did_you_mean


def under_protocol(metrics: Sequence[Metric], protocol: Protocol) -> tuple[Metric, ...]:
    """The metrics with the views that the protocol chooses for them."""
    views = {"desync": protocol.desync_view, "ib_score": protocol.ib_view}
    return tuple(
        replace(metric, views=(views[metric.key],), shown=(views[metric.key],)) if metric.key in views else metric
        for metric in metrics
    )


def default_metrics(*, references: bool) -> tuple[Metric, ...]:
    """The metrics of a run that asks for none: the default ones, or what can be said of sound without a reference."""
    return tuple(
        metric for metric in own_metrics().values() if (metric.default if references else not metric.needs_reference)
    )


def find_metrics(requests: Sequence[str]) -> tuple[Metric, ...] | None:
    """The metrics of `--metric`: keys, titles, families, or the groups `default` and `all`; None for no request.

    Raises:
        UsageError: an unknown name, or a plug-in that cannot be used.
    """
    if not requests:
        return None
    found: dict[str, Metric] = {}
    for request in requests:
        found |= {metric.key: metric for metric in _asked(request)}
    return tuple(found.values())


def metric_of(key: str) -> Metric:
    """The metric of that key, of this project or of a plug-in.

    Raises:
        UsageError: there is none.
    """
    found = _asked(key)
    if len(found) != 1:
        raise UsageError(f'"{key}" stands for {len(found)} metrics, and one was expected. See: bench list metrics')
    return found[0]


def _asked(request: str) -> tuple[Metric, ...]:
    own = own_metrics()
    if request == "default":
        return default_metrics(references=True)
    if request == "all":
        return (*own.values(), *(metric for name, _ in plug_ins() for metric in plug_in(name).metrics))
    return _named(request, own.values()) or _of_family(request) or _of_plug_ins(request)


def _named(request: str, metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """The metric of that key, else of that title; nothing where there is none."""
    every = list(metrics)
    by_key, by_title = {one.key: one for one in every}, {one.title.lower(): one for one in every}
    found = by_key.get(request) or by_title.get(request.lower())
    return (found,) if found else ()


def _of_family(request: str) -> tuple[Metric, ...]:
    """The metrics of the family of that name, ours or a plug-in; only the one of that key where it has one."""
    if request not in registry().names():
        return ()
    family = next((one for one in built_in() if one.name == request), None) or plug_in(request)
    return _named(request, family.metrics) or family.metrics


def _of_plug_ins(request: str) -> tuple[Metric, ...]:
    """A metric of whichever plug-in has it.

    Raises:
        UsageError: none of those that can be used.
    """
    found = dict(plug_ins())
    metrics = [metric for family in found.values() if isinstance(family, Family) for metric in family.metrics]
    known = [*own_metrics(), *(metric.key for metric in metrics)]
    broken = [str(error) for error in found.values() if isinstance(error, UsageError)]
    also = f" Some plug-ins cannot be asked: {' '.join(broken)}" if broken else ""
    chosen = _named(request, metrics)
    if not chosen:
        raise UsageError(
            f'unknown metric "{request}".{did_you_mean(request, known)} Known: {", ".join(known)}. '
            f"See: bench list metrics.{also}"
        )
    return chosen
