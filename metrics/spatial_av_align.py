"""Spatial AV-Align: whether sound events that a detector heard lie where boxes that a detector saw are (SAVGBench).

Both detections are given as files; nothing here listens or looks. An **event** is a frame of 0.1 s in which a
localiser of stereo sound heard something at a place x across the picture, a **box** a rectangle that an object detector
drew, four times a second; x and boxes are in the same units, 256 across the picture as SAVGBench has them.

1. The event of frame f is held against boxes of frame round(0.4 f), halves to the even number, kept below the number of
   frames that the video has at four a second, and of the frames before and behind it.
2. It is a **hit** if any of these boxes overlaps x ± 40, edges included, all numbers cut to integers.
3. Spatial AV-Align = 100 hits / events, pooled over all events of all clips, in percent; higher is better.

As SAVGBench, except that a set without any event has no value (there it divides by zero, or is 0 in a fork), and that
clips may have other lengths than 5 s. ViSAGe's authors compute nothing of the kind: their `evaluate_spatial.py`
compares energy maps of ambisonics with those of the true sound.

Weaknesses: it is the detectors' agreement, and theirs alone to be right about. A box that is wide, or that stands in
the middle, excuses sound without direction: x ± 40 is a third of the picture, so that mono, always at x = 128, hits
whatever overlaps 88 to 168. No event is a miss of what should have sounded: a system that is silent but for one event
can reach 100. A sound whose source is not among the detector's classes, or off the screen, counts against it.

Sources: Shimada et al. 2024, arXiv 2412.13462 (SAVGBench), and its `compute_spatialAValign_metrics.py` as a copy of the
repository has it (HaofeiDing/SAVGBench, commit ad1164f).

Functions: `hits`, `align_quantities`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.quantity import Quantity, undefined

EVENT_RATE, BOX_RATE = 10, 4  # frames a second
NEAR_X, NEAR_FRAMES = 40, 1

Integers = npt.NDArray[np.int64]


class Events(NamedTuple):
    """What was heard, in any order; arrays (n,).

    Attributes:
        frame: number of the frame of 0.1 s.
        x: place across the picture, 0 to 256.
    """

    frame: Integers
    x: Integers


class Boxes(NamedTuple):
    """What was seen, in any order; arrays (m,).

    Attributes:
        frame: number of the frame of 0.25 s.
        left: left edge, in the units of x.
        right: right edge.
    """

    frame: Integers
    left: Integers
    right: Integers


def hits(events: Events, boxes: Boxes, duration: float) -> npt.NDArray[np.bool_]:
    """Tell which events lie near a box.

    Args:
        events: of the sound.
        boxes: of the video.
        duration: of the clip, seconds.

    Returns:
        (n,) whether each event is a hit.

    Example:
        Of three events at the same moment one is 40 units left of a box, one a unit further, and one within it:

        >>> box = Boxes(np.array([2]), np.array([100]), np.array([140]))
        >>> hits(Events(np.array([5, 5, 5]), np.array([60, 59, 120])), box, 5.0).tolist()
        [True, False, True]
    """
    last = max(round(duration * BOX_RATE) - 1, 0)
    frame = np.minimum(np.round(events.frame / EVENT_RATE * BOX_RATE), last)
    at_the_time = np.abs(frame[:, None] - boxes.frame) <= NEAR_FRAMES
    overlap = (boxes.right >= events.x[:, None] - NEAR_X) & (boxes.left <= events.x[:, None] + NEAR_X)
    return np.asarray(np.any(at_the_time & overlap, axis=1), dtype=np.bool_)


def align_quantities(events: Events, boxes: Boxes, duration: float) -> dict[str, Quantity]:
    """Count the events of a clip and those of them that are hits.

    Args:
        events: of the sound.
        boxes: of the video.
        duration: of the clip, seconds.

    Returns:
        `av_align.hits` and `av_align.events`, undefined with `no_event` where nothing was heard.

    Example:
        >>> nothing = Boxes(*np.zeros((3, 0), int))
        >>> align_quantities(Events(np.array([0, 1]), np.array([10, 20])), nothing, 5.0)["av_align.events"].value
        2.0
    """
    if not len(events.frame):
        return {f"av_align.{name}": undefined("no_event") for name in ("hits", "events")}
    hit = hits(events, boxes, duration)
    return {"av_align.hits": Quantity(float(hit.sum())), "av_align.events": Quantity(float(len(hit)))}
