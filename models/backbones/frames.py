"""Pictures in front of the networks: how frames are scaled and cropped; which are taken is in `suites.selection`.

Frames are `(N, H, W, 3)` uint8 RGB. Scaling happens on the 8-bit values on the CPU (bicubic, antialiased), because
networks were fed that way and because it is exact: floating-point scaling differs by a grey level in up to a fifth
of all pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

SIDE = 224
_CHUNK = 32


def scale_short_side(frames: NDArray[np.uint8] | Tensor, side: int = SIDE) -> Tensor:
    """`(N, H, W, 3)` uint8 to `(N, 3, h, w)` uint8 on the CPU with the short side `side`, the aspect kept.

    The long side is cut to whole pixels. A few frames at a time, so that memory is that of the result.
    """
    if isinstance(frames, np.ndarray) and not frames.flags.writeable:
        frames = frames.copy()
    tensor = torch.as_tensor(frames).cpu()
    if tensor.ndim != 4 or tensor.shape[-1] != 3 or tensor.dtype != torch.uint8:
        raise ValueError(f"expected frames (N, H, W, 3) uint8, got {tuple(tensor.shape)} {tensor.dtype}")
    height, width = tensor.shape[1:3]
    short, long = min(height, width), max(height, width)
    size = [side if n == short else int(side * long / short) for n in (height, width)]
    planar = tensor.permute(0, 3, 1, 2)
    if size == [height, width]:
        return planar
    pieces = [
        functional.interpolate(piece, size, mode="bicubic", antialias=True) for piece in torch.split(planar, _CHUNK)
    ]
    return torch.cat(pieces)


def centre_crop(frames: Tensor, side: int = SIDE) -> Tensor:
    """The middle `(..., side, side)` of `(..., h, w)`; half pixels round to the even offset."""
    top, left = (round((n - side) / 2) for n in frames.shape[-2:])
    return frames[..., top : top + side, left : left + side]


def three_crops(frames: Tensor, side: int = SIDE) -> list[Tensor]:
    """Crops `(..., side, side)` at the start, middle and end of the long side; one of square pictures."""
    height, width = frames.shape[-2:]
    slack = max(height, width) - side
    starts = [0, math.ceil(slack / 2), slack] if slack else [0]
    if height > width:
        return [frames[..., start : start + side, :] for start in starts]
    return [frames[..., start : start + side] for start in starts]


def normalise(frames: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 `(..., 3, h, w)` to float32, scaled to [0, 1], minus `mean`, over `std`, channel by channel."""
    centre, spread = (torch.tensor(values, device=frames.device)[:, None, None] for values in (mean, std))
    return frames.float().mul_(1 / 255).sub_(centre).div_(spread)
