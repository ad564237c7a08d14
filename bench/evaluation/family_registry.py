"""Which metric families there are: the modules of `bench.evaluation.families`, and plug-ins of others."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain

from visaudio_bench.bench.evaluation import families
from visaudio_bench.bench.evaluation.family import Family
from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.catalogue import METRICS, Metric
from visaudio_bench.metrics.interaural_sets import REFERENCE
from visaudio_bench.models import weights
from visaudio_bench.registry import Registry

GROUP = "visaudio_bench.metrics"
HELP = "See docs/add-a-metric.md"


def registry() -> Registry[Family]:
    """Families by name; nothing is imported before it is asked for."""
    modules = sorted(_modules_in(tuple(families.__path__)))
    return Registry("metric", GROUP, {name: f"{families.__name__}.{name}:FAMILY" for name in modules})


def built_in() -> tuple[Family, ...]:
    """The families of this project."""
    known = registry()
    return tuple(_opened(known, name) for name in _modules_in(tuple(families.__path__)))


def plug_ins() -> Iterator[tuple[str, Family | UsageError]]:
    """The names of all others, each with its family, or with what is wrong with it."""
    known = registry()
    ours = _modules_in(tuple(families.__path__))
    for name in known.names():
        if name not in ours:
            try:
                yield name, plug_in(name)
            except UsageError as error:
                yield name, error


def plug_in(name: str) -> Family:
    """The plug-in's family of that name.

    Raises:
        UsageError: there is none, it does not import, or it is not what a family must be.
    """
    family = _opened(registry(), name)
    _refuse_taken(family, built_in())
    return family


def own_metrics() -> dict[str, Metric]:
    """The metrics of this project by key: in the catalogue's order, then those that a family brings itself."""
    brought = {metric.key: metric for family in built_in() for metric in family.metrics}
    return METRICS | brought


def family_of(metric: Metric) -> Family:
    """The family that computes a metric.

    Raises:
        UsageError: there is none.
    """
    for family in chain(built_in(), (plug_in for _, plug_in in plug_ins() if isinstance(plug_in, Family))):
        if any(other.key == metric.key for other in family.metrics):
            return family
    raise UsageError(f'no metric family computes "{metric.key}". {HELP}')


def refuse_twins(chosen: Iterable[Family]) -> None:
    """Families of one run may not share what their answers are kept by.

    Raises:
        UsageError: two do; says what.
    """
    before: list[Family] = []
    for family in chosen:
        _refuse_taken(family, before)
        before.append(family)


def tell_weights() -> list[UsageError]:
    """Let `models.weights` know every file that a family brings; returns what is wrong with plug-ins."""
    built_in()
    return [error for _, error in plug_ins() if isinstance(error, UsageError)]


def quantity_names(family: Family) -> set[str]:
    """The names of the quantities that a family's metrics read; a vector is `name[]`."""
    return {name.removeprefix(REFERENCE) for metric in family.metrics for name in metric.quantities}


@cache
def _modules_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the modules in some folders, which a run asks for hundreds of times."""
    return tuple(module.name for module in pkgutil.iter_modules(folders))


def _opened(known: Registry[Family], name: str) -> Family:
    family = known.get(name)
    _check(name, known.origin(name), family)
    try:
        for network in family.networks:
            if not isinstance(network.weights, str):
                weights.register(network.weights)
    except UsageError as error:
        raise UsageError(f'the metric family "{name}" ({known.origin(name)}) brings weights: {error}') from error
    return family


def _check(name: str, origin: str, family: object) -> None:
    """Say what is wrong with a family before it is asked for anything.

    Raises:
        UsageError: with what is to be mended.
    """
    who = f'the metric family "{name}" ({origin})'
    if not isinstance(family, Family):
        raise UsageError(f"{who} is a {type(family).__name__}, expected an object of a subclass of Family. {HELP}")
    if getattr(family, "name", None) != name:
        raise UsageError(f'{who} calls itself "{getattr(family, "name", "")}"; give it and its entry point one name.')
    if not getattr(family, "metrics", ()):
        raise UsageError(f"{who} has no metrics. {HELP}")
    needed = {network.name for network in family.networks}
    for metric in family.metrics:
        if set(metric.weights) != needed:
            raise UsageError(
                f"{who} needs the weights {_words(needed)}, and its metric {metric.key} says {_words(metric.weights)}. "
                "A metric names all networks of its family; what can be had separately is a family of its own."
            )
        if bool(metric.features) != bool(metric.distance):
            raise UsageError(f"{who}: its metric {metric.key} must name both its features and its distance, or none.")


def _refuse_taken(family: Family, others: Iterable[Family]) -> None:
    kinds = (
        ("metric", lambda family: {metric.key for metric in family.metrics}),
        ("quantity", quantity_names),
        ("features", lambda family: {metric.features for metric in family.metrics if metric.features}),
    )
    for other in others:
        for kind, names in kinds:
            shared = names(family) & names(other) if other is not family else set()
            if shared:
                raise UsageError(
                    f'the metric family "{family.name}" and "{other.name}" both have the {kind} {_words(shared)}; '
                    "in a table names must differ."
                )


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
