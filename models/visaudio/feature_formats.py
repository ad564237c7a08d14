"""How features are kept on disk: number formats, the grid of the spatial feature, and what each costs in accuracy.

All conditions but one are small. The spatial feature is `(64, 16, 16, 1024)` for 8 s, 33.6 MB in 16 bits a clip, and
is what makes the paper's training set 4 TB. It may be kept

| `spatial` | bytes a number | relative error (rms, of values like a normal variable) |
|---|---|---|
| `float32` | 4 | 0 |
| `float16` | 2 | 2.1e-4 |
| `bfloat16` | 2 | 1.7e-3 |
| `int8` | 1, and scales of channels and of the places of every frame | 7.9e-3 |
| `int8-tensor` | 1, and one scale a clip | 1.1e-2, several times that with loud channels |

and on a grid of 16 or, averaged over 2 x 2 places, 8 (a quarter of the bytes; the network must be made for that grid).
`benchmarks/storage.py` measures these errors, also for values with outlying channels as vision transformers have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from visaudio_bench.errors import BenchError, ClipError, UsageError

SPATIAL = "spatial"
SCALE, CHANNELS = "spatial.scale", "spatial.channels"
FORMATS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
QUANTISED = ("int8", "int8-tensor")
LARGEST = 127


@dataclass(frozen=True)
class Storage:
    """What a store keeps: the format of the spatial feature, of the other conditions, and the grid of the former.

    Latents are always float32: they are what is learnt, and 0.6 % of the bytes. A `grid` of None keeps the one that
    the features come with.
    """

    spatial: str = "float16"
    others: str = "float16"
    grid: int | None = None

    def __post_init__(self) -> None:
        for given, known in ((self.spatial, (*FORMATS, *QUANTISED)), (self.others, tuple(FORMATS))):
            if given not in known:
                raise UsageError(f"features cannot be kept as {given}; expected one of {', '.join(known)}.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def pack(features: dict[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """Turn the tensors of one clip into those that are kept.

    Args:
        features: float tensors by name; `spatial` is `(frames, grid, grid, channels)`, `mean` and `std` are latents.
        storage: how to keep them.

    Returns:
        Tensors by name in the formats of `storage`.

    Raises:
        ClipError: `not_finite`, a value is no number.
        BenchError: a value does not fit into 16 bits, or the grid cannot be had.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in features.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ClipError(
                "not_finite", f"the feature {name} holds NaN or infinite values, as the network that made it gave them"
            )
        if name in ("mean", "std"):
            packed[name] = tensor.float().contiguous()
        elif name == SPATIAL:
            packed |= _pack_spatial(pooled(tensor, storage.grid), storage.spatial)
        else:
            packed[name] = _narrowed(name, tensor, storage.others)
    return packed


def _pack_spatial(spatial: Tensor, kind: str) -> dict[str, Tensor]:
    if kind not in QUANTISED:
        return {SPATIAL: _narrowed(SPATIAL, spatial, kind)}
    values, least = spatial.float(), torch.finfo(torch.float32).tiny
    channels = torch.ones(1, 1, 1, values.shape[-1])
    if kind == "int8":
        # Vision transformers have some channels that are far louder than the others, and some places that are.
        channels = values.square().mean(dim=(0, 1, 2), keepdim=True).sqrt().clamp_min(least)
    even = values / channels
    largest = even.abs().amax().reshape(1, 1, 1, 1) if kind == "int8-tensor" else even.abs().amax(-1, keepdim=True)
    scale = (largest / LARGEST).clamp_min(least)
    numbers = torch.round(even / scale).to(torch.int8)
    return {SPATIAL: numbers.contiguous(), SCALE: scale.contiguous(), CHANNELS: channels.contiguous()}


def _narrowed(name: str, tensor: Tensor, kind: str) -> Tensor:
    narrow = tensor.to(FORMATS[kind]).contiguous()
    if kind == "float16" and not bool(torch.isfinite(narrow).all()):
        raise BenchError(
            f"the feature {name} reaches {float(tensor.abs().max()):.3g}, more than float16 holds (65504). "
            "Keep it as bfloat16 or int8: --spatial bfloat16"
        )
    return narrow


def unpack_spatial(kept: Mapping[str, Tensor]) -> Tensor:
    """The spatial feature `(..., frames, grid, grid, channels)` in float32 from what `pack` kept, on any device."""
    values = kept[SPATIAL].float()
    return values * kept[SCALE] * kept[CHANNELS] if SCALE in kept else values


def pooled(spatial: Tensor, grid: int | None) -> Tensor:
    """Average a spatial feature over squares of places.

    Args:
        spatial: `(frames, g, g, channels)`.
        grid: places each way that are left, None for all.

    Returns:
        `(frames, grid, grid, channels)`.

    Raises:
        BenchError: `grid` does not divide g.
    """
    size = spatial.shape[1]
    if grid is None or grid == size:
        return spatial
    if grid <= 0 or size % grid:
        raise BenchError(f"a spatial feature of {size} x {size} places cannot be averaged to {grid} x {grid}")
    frames, _, _, channels = spatial.shape
    cells = spatial.float().reshape(frames, grid, size // grid, grid, size // grid, channels)
    return cells.mean(dim=(2, 4))


def relative_error(kept: Tensor, exact: Tensor) -> float:
    """Compute the root mean square of a difference, as a share of that of the exact values.

    Args:
        kept: what was read back.
        exact: what was written, of the same shape.

    Returns:
        The share, 0 where they are equal.
    """
    difference = torch.linalg.vector_norm(kept.double() - exact.double())
    return float(difference / torch.linalg.vector_norm(exact.double()))
