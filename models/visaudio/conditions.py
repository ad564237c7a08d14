"""What a clip's sound is conditioned on: features of the frozen encoders, and what the network makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        return self._map(lambda part: part[chosen])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Conditions:
        """The same on another device, in another type."""
        return self._map(lambda part: part.to(device=device, dtype=dtype))

    def expand(self, batch: int) -> Conditions:
        """One clip's conditions for each of `batch` clips, without copies."""
        return self._map(lambda part: part.expand(batch, *part.shape[1:]))

    @staticmethod
    def concatenate(batches: Sequence[Conditions]) -> Conditions:
        """Several batches as one, in order.

        Raises:
            ValueError: their durations differ, or only some have spatial features.
        """
        columns = list(zip(*(batch._parts() for batch in batches), strict=True))
        for column in columns:
            shapes = {None if part is None else tuple(part.shape[1:]) for part in column}
            if len(shapes) != 1:
                raise ValueError(f"only clips of one duration and with the same features share a batch, got {shapes}")
        clip, sync, text, spatial = ([part for part in column if part is not None] for column in columns)
        return Conditions(torch.cat(clip), torch.cat(sync), torch.cat(text), torch.cat(spatial) if spatial else None)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Conditions:
        spatial = None if self.spatial is None else change(self.spatial)
        return Conditions(change(self.clip), change(self.sync), change(self.text), spatial)

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
        clip, text, sync, pooled = (part.expand(batch, *part.shape[1:]) for part in self[:4])
        spatial = None if self.spatial is None else self.spatial.expand(batch, *self.spatial.shape[1:])
        return Projected(clip, text, sync, pooled, spatial, self.latent_angles, self.clip_angles)

    def beside(self, other: Projected) -> Projected:
        """A batch of these clips followed by those of `other`, which have the same lengths."""
        clip, text, sync, pooled = (torch.cat(pair) for pair in zip(self[:4], other[:4], strict=True))
        both = [part for part in (self.spatial, other.spatial) if part is not None]
        spatial = torch.cat(both) if both else None
        return Projected(clip, text, sync, pooled, spatial, self.latent_angles, self.clip_angles)
