"""Perception Encoder, spatially aligned, ViT-L/14 at 448 pixels (Bolya et al. 2025, arXiv 2504.13181) through timm.

What ViSAudio hears space from: a map of 16 x 16 vectors a frame. Frames are squashed, not cropped, because what
happens at the left and the right edge is what it is for. The weights are those of timm's `model.safetensors`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.frames import normalise
from visaudio_bench.models.backbones.layers import exact_float32, unflatten
from visaudio_bench.models.extras import import_extra

ARCHITECTURE = "vit_pe_spatial_large_patch14_448"
_HALF = (0.5, 0.5, 0.5)
_POOL = 2


class PerceptionEncoder(nn.Module):
    """The public model without anything after its last block; 304 million parameters."""

    title = "the Perception Encoder PE-Spatial L/14 at 448 pixels (timm)"
    ignored: tuple[str, ...] = ()
    # angles of the rotary embedding of places
    exact = ("public.rope.",)

    def __init__(self, architecture: str = ARCHITECTURE, **options: Any):
        """The published architecture by default.

        Args:
            architecture: name of one of timm's models that have a rotary embedding.
            options: handed on to timm.

        Raises:
            BenchError: timm is not installed.
        """
        super().__init__()
        self._make = (architecture, options)
        self.public: Any = self._made()
        self.side: int = self.public.patch_embed.img_size[0]
        self.grid: int = self.public.patch_embed.grid_size[0] // _POOL

    def _made(self, **options: Any) -> Any:
        timm = import_extra("timm", "video", self.title)
        architecture, given = self._make
        return timm.create_model(architecture, pretrained=False, **{**given, **options})

    def finish(self) -> None:
        """Compute the rotary embedding again, which is not part of the file."""
        with torch.device("cpu"):
            self.public.rope = self._made(depth=1).rope

    def encode_frames(self, frames: Tensor, batch: int = 8) -> Tensor:
        """Squashed frames `(N, 3, 448, 448)` uint8, `batch` at once, to maps `(N, 16, 16, 1024)` float32.

        Rows run from top to bottom, columns from left to right; four neighbouring patches are averaged.
        """
        weight = self.public.patch_embed.proj.weight
        maps = []
        for part in torch.split(frames, batch):
            pictures = normalise(part.to(weight.device), _HALF, _HALF).to(weight.dtype)
            # the class token stands before the patches
            with exact_float32(weight.device):
                patches = self.public.forward_features(pictures)[:, self.public.num_prefix_tokens :]
            grid = unflatten(patches.float().transpose(1, 2), 2, (_POOL * self.grid, _POOL * self.grid))
            maps.append(functional.avg_pool2d(grid, _POOL).permute(0, 2, 3, 1))
        return torch.cat(maps)
