"""Spatial AV-Align against its definition read aloud, and what it excuses."""

from __future__ import annotations

import numpy as np
import pytest

from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.spatial_av_align import Boxes, Events, align_quantities, hits


def one_by_one(events: np.ndarray, boxes: np.ndarray, frames: int) -> int:
    """Hits, event by event and box by box."""
    count = 0
    for frame, x in events:
        at = min(int(np.round(frame / 10 * 4)), frames - 1)
        count += any(
            abs(box_frame - at) <= 1 and right >= x - 40 and left <= x + 40 for box_frame, left, right in boxes
        )
    return count


@pytest.mark.parametrize("seed", range(4))
def test_events_are_held_against_boxes_as_defined(seed: int) -> None:
    rng = np.random.default_rng(seed)
    events = np.stack([rng.integers(0, 50, 60), rng.integers(0, 256, 60)], 1)
    left = rng.integers(0, 230, 12)
    boxes = np.stack([rng.integers(0, 20, 12), left, left + rng.integers(1, 40, 12)], 1)
    counted = align_quantities(Events(*events.T), Boxes(*boxes.T), 5.0)
    assert counted["av_align.hits"].value == one_by_one(events, boxes, 20)
    assert counted["av_align.events"].value == 60


def test_the_last_frames_of_a_clip_have_boxes_too() -> None:
    last = Boxes(np.array([19]), np.array([100]), np.array([110]))
    assert hits(Events(np.array([49]), np.array([100])), last, 5.0).tolist() == [True]
    assert hits(Events(np.array([44]), np.array([100])), last, 5.0).tolist() == [True]  # 17.6: frame 18, and one more
    assert hits(Events(np.array([43]), np.array([100])), last, 5.0).tolist() == [False]


def test_wide_boxes_excuse_mono_and_silence_is_not_asked() -> None:
    wide = Boxes(np.arange(20), np.full(20, 0), np.full(20, 100))
    mono = Events(np.arange(50), np.full(50, 128))
    assert hits(mono, wide, 5.0).all()
    none = align_quantities(Events(np.zeros(0, int), np.zeros(0, int)), wide, 5.0)
    assert {quantity.reason for quantity in none.values()} == {"no_event"}


def test_clips_are_pooled_by_their_events() -> None:
    pooled = aggregate.share("hits", "events")
    assert pooled({"hits": np.array([9.0, 0, np.nan]), "events": np.array([9.0, 1, np.nan])}) == pytest.approx(90)
    assert np.isnan(pooled({"hits": np.array([np.nan]), "events": np.array([np.nan])}))
