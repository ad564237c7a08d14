"""Pictures in front of the networks: how frames are scaled and cropped; which are taken is in `suites.frame_selection`.

Frames are `(N, H, W, 3)` uint8 RGB. Scaling happens on the 8-bit values on the CPU (bicubic, antialiased), because
networks were fed that way and because it is exact: floating-point scaling differs by a grey level in up to a fifth
of all pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from visaudio_bench.errors import ClipError
from visaudio_bench.suites.frame_selection import Selection, first_at_or_after
from visaudio_bench.suites.media import TOLERANCE

SIDE = 224
_CHUNK = 32
# the policy of `first_frames`, for the identity of features
FIRST = "first_at_or_after"
_MAY_BE_MISSING = Fraction(TOLERANCE)


def first_frames(times: Sequence[Fraction | float], rate: Fraction | float, count: int) -> Selection:
    """Take for each slot k the first frame at or after `k / rate`, as MMAudio and ViSAudio are conditioned on.

    Frames repeat where the source is slower than `rate`. Slots after the last frame hold it, as long as the video ends
    (its last frame lasts as long as the one before) at most 0.25 s before `count / rate`. Slots are exact fractions;
    MMAudio's evaluation adds up rounded steps of 1 / 25 s instead, which takes the following frame in 183 of 200 slots
    of a video at 25 frames a second.

    Args:
        times: time stamps of all decoded frames in seconds from the start of the clip, ascending, exact fractions.
        rate: wanted frames a second (8 for CLIP and the Perception Encoder, 25 for Synchformer).
        count: slots to fill.

    Returns:
        The number of the frame for each slot.

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
            f"the video ends at {float(end):.2f} s and {float(wanted):.2f} s are needed (up to {TOLERANCE:g} s are "
            f"filled with the last frame). Give a longer video, or ask for what there is: --duration "
            f"{int(10 * end) / 10:g}",
        )
    return first_at_or_after(exact, rate, count)


def squash(frames: NDArray[np.uint8] | Tensor, side: int) -> Tensor:
    """Scale pictures to squares; their aspect is not kept, and no edge is lost.

    Args:
        frames: `(N, H, W, 3)` uint8.
        side: of the squares, pixels.

    Returns:
        `(N, 3, side, side)` uint8 on the CPU.
    """
    return scale(frames, side, side)


def scale(frames: NDArray[np.uint8] | Tensor, height: int, width: int) -> Tensor:
    """Scale pictures to a size.

    Args:
        frames: `(N, H, W, 3)` uint8.
        height: wanted, pixels.
        width: likewise.

    Returns:
        `(N, 3, height, width)` uint8 on the CPU.
    """
    return _scale(_planar(frames), [height, width])


def scale_short_side(frames: NDArray[np.uint8] | Tensor, side: int = SIDE) -> Tensor:
    """Scale pictures so that their short side has a length; the aspect is kept.

    The long side is cut to whole pixels. A few frames at a time, so that memory is that of the result.

    Args:
        frames: `(N, H, W, 3)` uint8.
        side: length of the short side, pixels.

    Returns:
        `(N, 3, h, w)` uint8 on the CPU.
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
    """Cut the middle out of pictures; half pixels round to the even offset.

    Args:
        frames: `(..., h, w)`.
        side: of what is cut out, pixels.

    Returns:
        `(..., side, side)`.
    """
    top, left = (round((n - side) / 2) for n in frames.shape[-2:])
    return frames[..., top : top + side, left : left + side]


def three_crops(frames: Tensor, side: int = SIDE) -> list[Tensor]:
    """Cut squares out of pictures at the start, middle and end of their long side.

    Args:
        frames: `(..., h, w)`, with the short side `side`.
        side: of the squares, pixels.

    Returns:
        Three crops `(..., side, side)`, one of square pictures.
    """
    height, width = frames.shape[-2:]
    slack = max(height, width) - side
    starts = [0, math.ceil(slack / 2), slack] if slack else [0]
    if height > width:
        return [frames[..., start : start + side, :] for start in starts]
    return [frames[..., start : start + side] for start in starts]


def normalise(frames: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Turn bytes into numbers: scaled to [0, 1], less a mean, over a spread, channel by channel.

    Args:
        frames: `(..., 3, h, w)` uint8.
        mean: of each channel, in [0, 1].
        std: of each channel, likewise.

    Returns:
        The same shape in float32.
    """
    centre, spread = (torch.tensor(values, device=frames.device)[:, None, None] for values in (mean, std))
    return frames.float().mul_(1 / 255).sub_(centre).div_(spread)
