"""What `bench systems install` would do: clone, build, link, with sizes and licences where they are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visaudio_bench.baselines.published.card import Card, Weights
from visaudio_bench.baselines.published.install import Wishes, locate
from visaudio_bench.baselines.published.installed import home_of
from visaudio_bench.baselines.published.machine import lacking
from visaudio_bench.models.weights import entry


def planned(card: Card, wishes: Wishes) -> Iterator[tuple[str, str]]:
    """Tell what an installation would do; nothing is done.

    Args:
        card: the system's; a runnable one.
        wishes: what the user brings.

    Returns:
        Label and text of every step, in their order.
    """
    assert card.source is not None  # a runnable system has one
    yield "into", str(home_of(card))
    yield from (("machine", sentence) for sentence in lacking(card))
    here = f"as it is, {wishes.source}" if wishes.source else f"clone {card.source.repository} at {card.source.commit}"
    yield "code", f"{here}; {card.source.licence}"
    for extra in () if wishes.python else card.extras:
        yield "code", f"clone {extra.repository} at {extra.commit}"
    yield "environment", str(wishes.python) if wishes.python else _environment(card)
    for wanted in () if wishes.random_weights else card.weights:
        yield "weights", f"{wanted.file}: {_weights(card, wanted, wishes.weights)}"


def _environment(card: Card) -> str:
    pins = sum("==" in line for line in card.lock.read_text(encoding="utf-8").splitlines())
    built = f", built from source: {', '.join(card.built)}" if card.built else ""
    return f"Python {card.python}, {pins} packages of {card.lock.name}, wheels{built}"


def _weights(card: Card, wanted: Weights, given: Path | None) -> str:
    place = locate(card, wanted, given)
    size = wanted.size or (entry(wanted.registry).size if wanted.registry else 0)
    state = f"link {place}" if place else "not here" + (", and not needed" if wanted.optional else "")
    source = f"bench weights fetch {wanted.registry}" if wanted.registry else f"bench systems fetch {card.name}"
    how = source if wanted.registry or wanted.url or wanted.hub else f"by hand from {wanted.origin}"
    told = f"{size / 1e6:,.0f} MB" if size else "size not published"
    return f"{state}; {told}; {wanted.licence or card.weights_licence}" + ("" if place else f"; {how}")
