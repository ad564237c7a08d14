"""A card in words."""

from __future__ import annotations

from collections.abc import Iterator

from visaudio_bench.baselines.published.card import Card
from visaudio_bench.baselines.published.installed import why_unavailable


def licences(card: Card) -> Iterator[str]:
    """What a user agrees to by installing a system."""
    code = f"{card.source.licence} ({card.source.repository})" if card.source else "no code"
    yield f"{card.title}: licence of the code: {code}"
    yield f"{card.title}: licence of the weights: {card.weights_licence}"
    if card.terms:
        yield f"{card.title}: {card.terms}"


def facts(card: Card) -> Iterator[tuple[str, str]]:
    """Label and text of everything that a reader may ask of a system."""
    yield "what", card.summary
    yield "paper", card.paper
    yield "state", why_unavailable(card) or "installed"
    if card.source:
        yield "code", f"{card.source.repository} at {card.source.commit}, {card.source.licence}"
    yield "weights", card.weights_licence
    for wanted in card.weights:
        size = f", {wanted.size / 1e6:,.0f} MB" if wanted.size else ""
        yield "", f"{wanted.file}{size}, from {wanted.origin}{' (optional)' if wanted.optional else ''}"
    if card.terms:
        yield "terms", card.terms
    if card.native:
        yield "environment", f"Python {card.python}{_memory(card)}{_programs(card)}"
        for library in card.libraries:
            yield "needs", f"{library.name}. {library.get}"
        if card.built:
            yield "built from source", ", ".join(card.built)
        for deviation in card.deviations:
            yield "not as pinned", deviation
        yield "is given", ", ".join(card.given)
        yield "makes", f"{card.native.layout}, {card.native.sample_rate} Hz, {card.native.seconds:g} s of an 8 s clip"
        yield "then", f"post-processing {card.postprocess}"
    trained_on = "; ".join(part for part in (", ".join(card.optimised), card.optimised_beside) if part)
    if trained_on:
        yield "trained on", f"{trained_on} (its values in such columns are marked)"
    for name, option in card.options.items():
        choices = f" ({', '.join(map(str, option.choices))})" if option.choices else ""
        yield f"option {name}", f"{option.default}{choices}: {option.help}"
    for variant, values in card.variants.items():
        yield f"row {card.name}-{variant}", ", ".join(f"{name}={value}" for name, value in values.items())


def _memory(card: Card) -> str:
    return f", {card.gpu_memory_gb:g} GB of GPU memory" if card.gpu_memory_gb else ", GPU memory not stated"


def _programs(card: Card) -> str:
    return f", {', '.join(card.programs)}" if card.programs else ""
