"""Scores of pictures whose last frame had to be held to fill their clip, as the protocol wants them."""

from __future__ import annotations

import math

from visaudio_bench.metrics.protocol import Protocol
from visaudio_bench.metrics.quantity import Quantity, undefined


def of_pictures(value: float, held: int, sync_held: int, protocol: Protocol, undefined_reason: str) -> Quantity:
    """A score with what is to be known of its pictures.

    The reference drops a clip whose last frame would have to be held; this benchmark scores it and says so. What drops
    a clip there is Synchformer's frames, 25 a second, whichever network the score is of; what is said here is whether
    the pictures of this score were held (of the four that ImageBind looks at in 8 s, none is the last).

    Args:
        value: the score; NaN where there is none.
        held: how many of the score's own frames hold the last one.
        sync_held: how many of Synchformer's would.
        protocol: what becomes of such clips.
        undefined_reason: why the score may be NaN.

    Returns:
        The score; undefined, or with a remark, where frames were held.
    """
    if sync_held and protocol.short_video == "drop":
        return undefined("short_video")
    if math.isnan(value):
        return undefined(undefined_reason)
    return Quantity(value, "last_frame_held" if held else None)
