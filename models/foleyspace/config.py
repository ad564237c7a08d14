"""Sizes of the diffusion network, and the constants of its spectra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from visaudio_bench.shapes import require

FFT, HOP = 1024, 256
BINS = FFT // 2 + 1
FRAMES = 64  # of a training window
SAMPLES = (FRAMES - 1) * HOP  # 0.366 s
FURTHEST, NEAREST = 10.0, 0.5  # m
USUAL = 2.0  # m: where the level is the mono sound's own


@dataclass(frozen=True)
class Config:
    """One network.

    Attributes:
        name: of the preset.
        rank: transfer functions that those of any place are mixed from.
        hidden: width of what is learnt of places.
        channels: of the convolutions.
        layers: convolutions.
    """

    name: str
    rank: int = 96
    hidden: int = 256
    channels: int = 64
    layers: int = 6

    def __post_init__(self) -> None:
        for name in ("rank", "hidden", "channels", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """The configuration that `to_dict` gave.

        Raises:
            ValueError: a value is missing, unknown or impossible.
        """
        require(values, cls, "the network's configuration")
        return cls(**values)


CONFIGS = {"tiny": Config("tiny", rank=48, hidden=128, channels=8, layers=2), "large": Config("large")}
