"""The configuration of a network as plain values: how checkpoints and records keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from visaudio_bench.shapes import require

# Beyond any network there is: what somebody's file says must not have one built that fills the memory.
_LARGEST, _DEEPEST = 2**20, 1024


@dataclass(frozen=True)
class StoredConfig:
    """What the configurations of all networks have in common; their fields are what is kept.

    Whole numbers are sizes; those named in `depths` are numbers of layers.
    """

    depths: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and not 1 <= value <= _LARGEST:
                raise ValueError(f"{field.name} must be from 1 to {_LARGEST}, got {value}")
            if field.name in self.depths and value > _DEEPEST:
                raise ValueError(f"{field.name} must be at most {_DEEPEST}, got {value}")

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
