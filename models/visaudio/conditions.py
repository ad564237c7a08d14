"""What a clip's sound is conditioned on: features as they come from the frozen encoders, and as the network uses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conditions:
    """Features of a batch of B clips of the same duration (shorter and longer clips go in batches of their own).

    clip: `(B, nc, clip_dim)`, one embedding a picture at 8 a second.
    sync: `(B, ns, sync_dim)`, 8 tokens for each segment of 0.64 s.
    text: `(B, nt, text_dim)`, the caption's tokens.
    spatial: `(B, nc, g, g, spatial_dim)`, a grid of features for each picture; None for networks that use none.
    """

    clip: Tensor
    sync: Tensor
    text: Tensor
    spatial: Tensor | None = None

    def __len__(self) -> int:
        return len(self.clip)

    def __getitem__(self, clips: slice | Tensor | Sequence[int]) -> Conditions:
        """Some of the clips, in the order asked for."""
        chosen = list(clips) if isinstance(clips, Sequence) else clips
        return Conditions(*(None if part is None else part[chosen] for part in self._parts()))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Conditions:
        """The same on another device, in another type."""
        return Conditions(*(None if part is None else part.to(device=device, dtype=dtype) for part in self._parts()))

    def expand(self, batch: int) -> Conditions:
        """One clip's conditions for each of `batch` clips, without copies."""
        return Conditions(*(None if part is None else part.expand(batch, *part.shape[1:]) for part in self._parts()))

    @staticmethod
    def concatenate(batches: Sequence[Conditions]) -> Conditions:
        """Several batches as one, in order.

        Raises:
            ValueError: their durations differ, or only some have spatial features.
        """
        parts = [batch._parts() for batch in batches]
        for column in zip(*parts, strict=True):
            shapes = {None if part is None else part.shape[1:] for part in column}
            if len(shapes) != 1:
                raise ValueError(f"only clips of one duration and with the same features share a batch, got {shapes}")
        return Conditions(*(None if column[0] is None else torch.cat(column) for column in zip(*parts, strict=True)))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        return self.clip, self.sync, self.text, self.spatial


class Projected(NamedTuple):
    """Conditions in the network's width h, for n latent frames: all that does not depend on noise or time.

    clip: `(B, nc, h)` and text: `(B, nt, h)`, tokens of joint attention. sync: `(B, n, h)`, one vector for each latent
    frame. pooled: `(B, h)`, what the means of clip and text add to the global condition. spatial: `(B, 2, n, h)`,
    Algorithm 1's result for the left and the right ear, or None. latent_angles: `(n, d/2, 2)` and clip_angles:
    `(nc, d/2, 2)`, cosines and sines of the rotary position embedding for heads of width d.
    """

    clip: Tensor
    text: Tensor
    sync: Tensor
    pooled: Tensor
    spatial: Tensor | None
    latent_angles: Tensor
    clip_angles: Tensor

    def expand(self, batch: int) -> Projected:
        """One clip's conditions for each of `batch` clips, without copies."""
        clip, text, sync, pooled, spatial = (
            None if part is None else part.expand(batch, *part.shape[1:]) for part in self[:5]
        )
        assert clip is not None and text is not None and sync is not None and pooled is not None
        return Projected(clip, text, sync, pooled, spatial, self.latent_angles, self.clip_angles)

    def beside(self, other: Projected) -> Projected:
        """A batch of these clips followed by those of `other`, which have the same lengths."""
        spatial = None
        if self.spatial is not None and other.spatial is not None:
            spatial = torch.cat([self.spatial, other.spatial])
        return Projected(
            torch.cat([self.clip, other.clip]),
            torch.cat([self.text, other.text]),
            torch.cat([self.sync, other.sync]),
            torch.cat([self.pooled, other.pooled]),
            spatial,
            self.latent_angles,
            self.clip_angles,
        )
