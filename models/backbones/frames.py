"""Pictures in front of the networks: which frames are taken, and how they are scaled and cropped.

Frames are `(N, H, W, 3)` uint8 RGB. Scaling happens on the 8-bit values on the CPU (bicubic, antialiased), because
networks were fed that way and because it is exact: floating-point scaling differs by a grey level in up to a fifth
of all pixels.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from visaudio_bench.errors import ClipError

SIDE = 224
_CHUNK = 32
# names of the two ways to choose frames, for the keys of caches
NEAREST, FIRST = "fps filter, nearest", "first at or after k/fps, last held for at most 0.25 s"
_MAY_BE_MISSING = Fraction(1, 4)


class Selection(NamedTuple):
    """Which source frame fills each slot, and how many of the slots at the end were filled by holding the last frame.

    `held` counts what the reference's frame filter would not have produced: it never emits the last frame of a
    stream, so that a video of exactly 8 s has 199 frames at 25 a second and is dropped there without a word.
    """

    indices: tuple[int, ...]
    held: int


def select_frames(times: Sequence[Fraction | float], rate: Fraction | float, count: int) -> Selection:
    """The frames that FFmpeg's `fps` filter (round to nearest) would emit, by time stamps (`NEAREST`).

    Frame j belongs to slot `floor(t_j * rate + 1/2)`; the output starts at the slot of frame 0; a slot is filled by
    the last frame at or before it, so that of several frames in one slot the last wins and gaps repeat the earlier
    frame. The last frame is held for what is left; how much of that a score may stand on is for the caller to say.

    Args:
        times: time stamps of all decoded frames in seconds, ascending; exact fractions where the container has them.
        rate: wanted frames a second (25 for Synchformer, 1/2 for ImageBind).
        count: slots to fill.

    Raises:
        ValueError: there are no frames.
    """
    if not times:
        raise ValueError("a video without frames cannot be selected from")
    slots = [math.floor(Fraction(time) * Fraction(rate) + Fraction(1, 2)) for time in times]
    indices: list[int] = []
    for index, (slot, following) in enumerate(pairwise(slots)):
        indices += [index] * (following - slot)
        if len(indices) >= count:
            break
    held = max(0, count - len(indices))
    return Selection((*indices[:count], *[len(slots) - 1] * held), held)


def first_frames(times: Sequence[Fraction | float], rate: Fraction | float, count: int) -> Selection:
    """For each slot k the first frame at or after `k / rate`: what MMAudio and ViSAudio are conditioned on (`FIRST`).

    Frames repeat where the source is slower than `rate`. Slots after the last frame hold it, as long as the video
    ends (its last frame lasts as long as the one before) at most 0.25 s before `count / rate`. Slots are exact
    fractions; MMAudio adds up rounded steps, and so takes a later frame now and then where a frame falls on a slot.

    Args:
        times: time stamps of all decoded frames in seconds from the start of the clip, ascending, exact fractions.
        rate: wanted frames a second (8 for CLIP and the Perception Encoder, 25 for Synchformer).
        count: slots to fill.

    Raises:
        ValueError: there are no frames.
        ClipError: `short`, more than 0.25 s are missing.
    """
    if not times:
        raise ValueError("a video without frames cannot be selected from")
    exact = [Fraction(time) for time in times]
    wanted = count / Fraction(rate)
    end = exact[-1] + (exact[-1] - exact[-2] if len(exact) > 1 else 0)
    if wanted - end > _MAY_BE_MISSING:
        raise ClipError(
            "short",
            f"the video ends at {float(end):.2f} s and {float(wanted):.2f} s are needed (up to 0.25 s are filled with "
            "the last frame). Give a longer video, or ask for a shorter duration.",
        )
    slots = [bisect_left(exact, k / Fraction(rate)) for k in range(count)]
    last = len(exact) - 1
    return Selection(tuple(min(index, last) for index in slots), sum(index > last for index in slots))


def squash(frames: NDArray[np.uint8] | Tensor, side: int) -> Tensor:
    """`(N, H, W, 3)` uint8 to `(N, 3, side, side)` uint8 on the CPU; the aspect is not kept, so that no edge is lost."""
    return _scale(_planar(frames), [side, side])


def scale_short_side(frames: NDArray[np.uint8] | Tensor, side: int = SIDE) -> Tensor:
    """`(N, H, W, 3)` uint8 to `(N, 3, h, w)` uint8 on the CPU with the short side `side`, the aspect kept.

    The long side is cut to whole pixels. A few frames at a time, so that memory is that of the result.
    """
    planar = _planar(frames)
    height, width = planar.shape[2:]
    short, long = min(height, width), max(height, width)
    return _scale(planar, [side if n == short else int(side * long / short) for n in (height, width)])


def _planar(frames: NDArray[np.uint8] | Tensor) -> Tensor:
    """`(N, H, W, 3)` uint8 as a view `(N, 3, H, W)` on the CPU."""
    if isinstance(frames, np.ndarray) and not frames.flags.writeable:
        frames = frames.copy()
    tensor = torch.as_tensor(frames).cpu()
    if tensor.ndim != 4 or tensor.shape[-1] != 3 or tensor.dtype != torch.uint8:
        raise ValueError(f"expected frames (N, H, W, 3) uint8, got {tuple(tensor.shape)} {tensor.dtype}")
    return tensor.permute(0, 3, 1, 2)


def _scale(planar: Tensor, size: list[int]) -> Tensor:
    if size == list(planar.shape[2:]):
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
