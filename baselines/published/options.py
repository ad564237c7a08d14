"""Choices of a published system: `--system NAME:option=value:option=value`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from visaudio_bench.baselines.published.card import Card, Option, Value
from visaudio_bench.errors import UsageError
from visaudio_bench.registry import did_you_mean

# How a system is run, which is no part of what it makes.
SHARDS = "shards"


class Chosen(NamedTuple):
    """All options with their values, those that differ from the card's, and the number of processes."""

    options: Mapping[str, Any]
    changed: Mapping[str, Any]
    shards: int


def choose(card: Card, variant: str, argument: str | None) -> Chosen:
    """Combine the options of a variant with those of a `name:argument`.

    Args:
        card: the system's.
        variant: its name, empty for the system itself.
        argument: `option=value:option=value`, None for none.

    Returns:
        All values, those that differ from the variant's, and the number of processes.

    Raises:
        UsageError: an option is unknown or given twice, or a value is not one of its choices or of another type.
    """
    values: dict[str, Any] = {name: option.default for name, option in card.options.items()}
    values |= card.variants.get(variant, {})
    usual, shards = dict(values), 1
    parts = argument.split(":") if argument else []
    for part in parts:
        name, separator, text = part.partition("=")
        if sum(other.partition("=")[0] == name for other in parts) > 1:
            raise UsageError(f'option {name} of system "{card.name}" is given more than once: {argument}. Leave one.')
        if name == SHARDS and text.isdecimal() and int(text) > 0:
            shards = int(text)
            continue
        if name not in card.options or not separator:
            known = ", ".join([*card.options, SHARDS])
            raise UsageError(
                f'system "{card.name}" has no option "{part}".{did_you_mean(name, card.options)} '
                f"Options: {known}. Write: --system {card.name}:option=value. See: bench systems show {card.name}"
            )
        values[name] = _value(card, name, card.options[name], text)
    return Chosen(values, {name: value for name, value in values.items() if value != usual[name]}, shards)


def _value(card: Card, name: str, option: Option, text: str) -> Value:
    kind = type(option.default)
    try:
        value: Value = {"true": True, "false": False}[text] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        raise UsageError(
            f'option {name} of system "{card.name}" takes a {kind.__name__} like {option.default}, got "{text}".'
        ) from error
    if option.choices and value not in option.choices:
        raise UsageError(
            f'option {name} of system "{card.name}" is one of {", ".join(map(str, option.choices))}; got "{text}".'
        )
    return value


def shown(changed: Mapping[str, Any]) -> list[str]:
    """Options for titles, `option=value` in the order of their names; of a path only its last part."""
    return [f"{option}={str(value).rstrip('/').rpartition('/')[2]}" for option, value in sorted(changed.items())]


def row_name(name: str, changed: Mapping[str, Any]) -> str:
    """Name a row whose options differ from the card's: rows of different choices never share a name.

    Args:
        name: the system's.
        changed: the options that differ.

    Returns:
        The name with a mark for each of them behind @.
    """
    return "@".join([name, *(re.sub(r"[^A-Za-z0-9=.+-]", "-", mark) for mark in shown(changed))])
