"""Between sound and what the flow network works on: the interface of codecs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor


class Sampling(NamedTuple):
    """How latents of a codec are drawn, channel by channel.

    Attributes:
        noise: `(C,)` deviation of what the flow starts from. Flows are learnt from 1; with less, a channel comes nearer
            to what is most likely and varies less.
        guidance: `(C,)` share of what guidance adds beyond 1 that reaches a channel.
    """

    noise: Tensor
    guidance: Tensor

    def strength(self, guidance: float) -> Tensor:
        """Guidance `(C,)` of each channel where `guidance` is asked for."""
        return 1 + (guidance - 1) * self.guidance


class Codec(Protocol):
    """Turns sound at 44.1 kHz into latent tokens of 1024 samples and back. E is 2 (left first), or 1 for one channel.

    `identity` is what tells its latents from those of other codecs: name, version, hashes of weights.
    """

    name: str
    latent_dim: int

    @property
    def identity(self) -> Mapping[str, Any]:
        """JSON-able."""

    @property
    def sampling(self) -> Sampling | None:
        """None where all channels are drawn alike, with noise of deviation 1."""

    def encode(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, E, T)` float32, zeros added up to whole tokens, to mean and deviation `(B, E, ceil(T / 1024), C)`."""

    def decode(self, latent: Tensor) -> Tensor:
        """`(B, E, n, C)` to `(B, E, 1024 n)` float32."""
