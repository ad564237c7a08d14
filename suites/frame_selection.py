"""Which frames of a video stand for it at a lower or constant rate: five named rules, because tools differ.

Picture k is wanted at k / rate seconds. Offsets of what is chosen from that time, 30 to 8 frames a second:

| name | takes | offset, ms | who does so |
|---|---|---|---|
| `played_at` | what is on the screen at that time | -13 [-25, 0] | torchcodec's `get_frames_played_at` |
| `first_at_or_after` | the first that comes up then or later | +13 [0, 25] | MMAudio at inference |
| `fps_filter` | what FFmpeg's `fps` filter emits | +46 [33, 58] | MMAudio in training, av-benchmark |
| `fps_filter_from_zero` | the same, with the slots where their times are | as above | this benchmark |
| `nearest` | the nearest | -4 | new work |

All go by time stamps, never by indices, so that a variable frame rate, a late first picture and edit lists are placed
as a player places them. MMAudio trains by one rule and infers by another: a cache of features must name the rule.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from visaudio_bench.errors import UsageError
from visaudio_bench.registry import did_you_mean

Times = Sequence[Fraction | float]
# Half a millisecond absorbs the rounding of millisecond time stamps.
ROUNDING = Fraction(1, 2000)


class Selection(NamedTuple):
    """Which source frame fills each slot, and how many of the slots at the end were filled by holding the last frame.

    For `fps_filter`, `held` counts what the reference's frame filter would not have produced: it never emits the last
    frame of a stream, so that a video of exactly 8 s has 199 frames at 25 a second and is dropped there without a
    word. For the other rules it counts the slots that lie beyond the last time stamp.
    """

    indices: tuple[int, ...]
    held: int


def fps_filter(times: Times, rate: Fraction | float, count: int) -> Selection:
    """The frames that FFmpeg's `fps` filter (round to nearest) would emit, counted from the first one.

    Frame j belongs to slot `floor(t_j * rate + 1/2)`; the output starts at the slot of frame 0; a slot is filled by
    the last frame at or before it, so that of several frames in one slot the last wins and gaps repeat the earlier
    frame. The reference implementation counts what comes out, and so takes pictures that begin late for earlier than
    they are; `fps_filter_from_zero` does not. The last frame is held for what is left; how much of that a score may
    stand on is for the caller to say.

    Args:
        times: time stamps of all decoded frames in seconds, ascending; exact fractions where the container has them.
        rate: wanted frames a second (25 for Synchformer, 1/2 for ImageBind).
        count: slots to fill.

    Returns:
        Which frame fills each slot, and how many slots hold the last one beyond its time.

    Raises:
        ValueError: there are no frames.
    """
    return _emitted(_slots(times, rate), count)


def _slots(times: Times, rate: Fraction | float) -> list[int]:
    _refuse_none(times)
    return [math.floor(Fraction(time) * Fraction(rate) + Fraction(1, 2)) for time in times]


def _emitted(slots: Sequence[int], count: int) -> Selection:
    indices: list[int] = []
    for index, (slot, following) in enumerate(pairwise(slots)):
        indices += [index] * (following - slot)
        if len(indices) >= count:
            break
    held = max(0, count - len(indices))
    return Selection((*indices[:count], *[len(slots) - 1] * held), held)


def fps_filter_from_zero(times: Times, rate: Fraction | float, count: int) -> Selection:
    """The frames that FFmpeg's `fps` filter emits with `start_time=0`: slot k is that of the time k / rate.

    Slots before the first picture hold it.

    Args:
        times: time stamps of all decoded frames in seconds, ascending.
        rate: wanted frames a second.
        count: slots to fill.

    Returns:
        As `fps_filter`.
    """
    _, *slots = _slots(times, rate)
    return _emitted([0, *(max(slot, 0) for slot in slots)], count)


def first_at_or_after(times: Times, rate: Fraction | float, count: int) -> Selection:
    """The first frame that comes up at or after each time.

    Args:
        times: time stamps of all decoded frames in seconds, ascending.
        rate: wanted frames a second.
        count: slots to fill.

    Returns:
        As `fps_filter`.
    """
    return _by_time(times, rate, count, lambda at: bisect_left(times, at - ROUNDING))


def played_at(times: Times, rate: Fraction | float, count: int) -> Selection:
    """The frame that is on the screen at each time, the first one before it comes up.

    Args:
        times: time stamps of all decoded frames in seconds, ascending.
        rate: wanted frames a second.
        count: slots to fill.

    Returns:
        As `fps_filter`.
    """
    return _by_time(times, rate, count, lambda at: max(0, bisect_right(times, at + ROUNDING) - 1))


def nearest(times: Times, rate: Fraction | float, count: int) -> Selection:
    """The frame whose time stamp is nearest, the earlier of two.

    Args:
        times: time stamps of all decoded frames in seconds, ascending.
        rate: wanted frames a second.
        count: slots to fill.

    Returns:
        As `fps_filter`.
    """

    def closest(at: Fraction) -> int:
        after = bisect_left(times, at)
        around = [index for index in (after - 1, after) if 0 <= index < len(times)]
        return min(around, key=lambda index: abs(Fraction(times[index]) - at))

    return _by_time(times, rate, count, closest)


def _by_time(times: Times, rate: Fraction | float, count: int, choose: Callable[[Fraction], int]) -> Selection:
    _refuse_none(times)
    wanted = [k / Fraction(rate) for k in range(count)]
    held = sum(at > times[-1] + ROUNDING for at in wanted)
    return Selection(tuple(min(choose(at), len(times) - 1) for at in wanted), held)


def _refuse_none(times: Times) -> None:
    if not times:
        raise ValueError("a video without frames cannot be selected from")


@dataclass(frozen=True)
class Policy:
    """A rule of selection; one that `looks_back` may take a frame that came up before the window's start."""

    name: str
    select: Callable[..., Selection]
    looks_back: bool


POLICIES = {
    policy.name: policy
    for policy in (
        Policy("first_at_or_after", first_at_or_after, looks_back=False),
        Policy("fps_filter", fps_filter, looks_back=False),
        Policy("fps_filter_from_zero", fps_filter_from_zero, looks_back=True),
        Policy("played_at", played_at, looks_back=True),
        Policy("nearest", nearest, looks_back=True),
    )
}


def find_policy(name: str) -> Policy:
    """The rule called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in POLICIES:
        raise UsageError(
            f'no frame policy is called "{name}".{did_you_mean(name, POLICIES)} Known: {", ".join(POLICIES)}'
        )
    return POLICIES[name]
