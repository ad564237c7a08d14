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
    """Give metrics the views that the protocol chooses for them.

    Args:
        metrics: as the catalogue has them.
        protocol: of the run.

    Returns:
        The metrics, in the same order.
    """
    return tuple(
        _chosen(metric, getattr(protocol, metric.view_choice)) if metric.view_choice else metric for metric in metrics
    )


def _chosen(metric: Metric, view: str) -> Metric:
    return replace(metric, views=(view,), shown=(view,))


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
    chosen: dict[str, Metric] = {}
    for request in requests:
        chosen |= {metric.key: metric for metric in _asked(request)}
    return tuple(chosen.values())


def metric_of(key: str) -> Metric:
    """The metric of that key, of this project or of a plug-in.

    Raises:
        UsageError: there is none.
    """
    metrics = _asked(key)
    if len(metrics) != 1:
        raise UsageError(f'"{key}" stands for {len(metrics)} metrics, and one was expected. See: bench list metrics')
    return metrics[0]


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
    by_key, by_title = {metric.key: metric for metric in every}, {metric.title.lower(): metric for metric in every}
    metric = by_key.get(request) or by_title.get(request.lower())
    return (metric,) if metric else ()


def _of_family(request: str) -> tuple[Metric, ...]:
    """The metrics of the family of that name, ours or a plug-in; only the one of that key where it has one."""
    if request not in registry().names():
        return ()
    family = next((family for family in built_in() if family.name == request), None) or plug_in(request)
    return _named(request, family.metrics) or family.metrics


def _of_plug_ins(request: str) -> tuple[Metric, ...]:
    """A metric of whichever plug-in has it.

    Raises:
        UsageError: none of those that can be used.
    """
    families = dict(plug_ins())
    metrics = [metric for family in families.values() if isinstance(family, Family) for metric in family.metrics]
    known = [*own_metrics(), *(metric.key for metric in metrics)]
    broken = [str(error) for error in families.values() if isinstance(error, UsageError)]
    also = f" Some plug-ins cannot be asked: {' '.join(broken)}" if broken else ""
    chosen = _named(request, metrics)
    if not chosen:
        raise UsageError(
            f'unknown metric "{request}".{did_you_mean(request, known)} Known: {", ".join(known)}. '
            f"See: bench list metrics.{also}"
        )
    return chosen
