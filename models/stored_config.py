"""The configuration of a network as plain values: how checkpoints and records keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from visaudio_bench.shapes import require


@dataclass(frozen=True)
class StoredConfig:
    """What the configurations of all networks have in common; their fields are what is kept."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values by name; `from_dict` gives the configuration back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration that `to_dict` gave.

        Raises:
            ValueError: a value is missing, unknown or impossible.
        """
        require(values, cls, "the network's configuration")
        make: Callable[..., Self] = cls
        return make(**values)
