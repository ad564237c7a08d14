"""Frozen networks that are loaded when they are first asked for, and whoever asks them.

What is not loaded yet can be sent to another process, or be set on another device; and who asks a network does not see
whether it lies here or is one that another process runs (`models.serving`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import cached_property
from typing import Any, TypeVar

Asker = TypeVar("Asker", bound="AsksNetworks")


class LazyNetwork:
    """A network that is loaded when it is first needed and not before.

    Attributes:
        device: where inputs of `module` belong.
        by_row: the calls that answer row by row, which other processes may ask for.
    """

    def __init__(self, load: Callable[..., Any], device: str, by_row: tuple[str, ...]):
        self.load = load
        self.device = device
        self.by_row = by_row

    @cached_property
    def module(self) -> Any:
        """The network: what `load(device=...)` gives."""
        return self.load(device=self.device)

    def on(self, device: str) -> LazyNetwork:
        """The same network, not loaded, on another device."""
        return LazyNetwork(self.load, device, self.by_row)


class AsksNetworks:
    """Something that asks networks; they are in `networks`, each under a name that no other one has."""

    networks: Mapping[str, LazyNetwork]

    def with_networks(self: Asker, networks: Mapping[str, LazyNetwork]) -> Asker:
        """The same, asking these networks instead, of which there may be more than it has."""
        other = copy(self)
        other.networks = {name: networks[name] for name in self.networks}
        return other
