"""Directions against labels: which segments count, what known cues are worth, and what has no value for a reason."""

from __future__ import annotations

import numpy as np
import pytest

from visaudio_bench.metrics import interaural
from visaudio_bench.metrics.aggregate import centred_correlation, concordance
from visaudio_bench.metrics.direction import (
    SEGMENT_LEAD,
    SEGMENT_LENGTH,
    SEGMENT_STEP,
    Labels,
    label_quantities,
    segment_labels,
)
from visaudio_bench.metrics.interaural import Cues

SEGMENTS = 28


def labels(lateral=0.5, *, first=0, last=80, source=0, distance=np.nan, visible=np.nan) -> Labels:
    """One source in frames `first` to `last`, its values constant or one a frame."""
    frames = np.arange(first, last)
    place, away, seen = (np.full(len(frames), value, dtype=float) for value in (lateral, distance, visible))
    return Labels((frames + 0.5) / 10, place, away, np.full(len(frames), source), seen)


def together(*several: Labels) -> Labels:
    return Labels(*(np.concatenate(columns) for columns in zip(*several, strict=True)))


def cues(lateralisation, *, active=True, iacc=0.9, energy=1.0) -> Cues:
    rows = [
        np.broadcast_to(np.asarray(value, dtype=float), SEGMENTS).copy() for value in (lateralisation, iacc, energy)
    ]
    flags = np.broadcast_to(np.asarray(active), SEGMENTS).copy()
    angle, coherence, power = rows
    bands = np.zeros((SEGMENTS, 27))
    return Cues(15 * angle, 700 * angle, coherence, angle, power, flags, flags, flags, bands, np.asarray(-6.0))


def pooled(aggregate, quantities) -> float:
    return float(aggregate({name: np.array([quantity.value]) for name, quantity in quantities.items()}))


def test_segments_are_those_of_the_cues():
    assert SEGMENT_STEP == interaural.SEGMENT_HOP * interaural.HOP / 44100
    assert pytest.approx(interaural.SEGMENT_FRAMES * interaural.HOP / 44100) == SEGMENT_LENGTH
    assert pytest.approx(interaural.MINIMUM_SAMPLES / 44100, abs=1e-3) == SEGMENT_LENGTH + 2 * SEGMENT_LEAD
    assert len(interaural.interaural_cues(np.full((2, 8 * 44100), 0.1)).ild) == SEGMENTS


def test_each_segment_has_ten_frames_around_its_middle():
    for frame in range(80):
        touched = np.flatnonzero(segment_labels(labels(first=frame, last=frame + 1), SEGMENTS).sources)
        middles = 0.25 * touched + interaural.MINIMUM_SAMPLES / 44100 / 2
        assert np.all(np.abs(middles - (frame + 0.5) / 10) <= 0.5)
        assert 2 <= len(touched) <= 4 or frame < 10 or frame >= 75
    said = segment_labels(labels(np.arange(80) / 100), SEGMENTS)
    # A frame too early or too late would be wrong by 0.01.
    assert said.lateral == pytest.approx((0.25 * np.arange(SEGMENTS) + 0.518 - 0.05) / 10, abs=0.004)


def test_only_segments_with_one_source_and_sound_count():
    alone, both = labels(0.5, last=40), labels(-0.5, first=20, last=40, source=3)
    later = labels(-0.5, first=50, last=80, source=3)
    said = segment_labels(together(alone, both, later), SEGMENTS)
    assert {0, 1, 2} == set(said.sources.tolist())
    assert said.source[0] == 0 and said.source[-1] == 3 and said.lateral[-1] == -0.5
    assert np.all((said.sources == 1) == np.isfinite(said.lateral)) and np.all(said.source[said.sources != 1] == -1)
    active = np.arange(SEGMENTS) != 0
    scores = label_quantities(cues(0.5, active=active), together(alone, both, later))
    single = int((said.sources == 1).sum())
    assert scores["label_segments"].value == single - 1
    assert scores["label_share"].value == pytest.approx(100 * (single - 1) / (said.sources > 0).sum())


@pytest.mark.parametrize(
    ("heard", "side", "error"),
    [(0.5, 100, 0), (-0.5, 0, 60), (0.0, 50, 30), (0.01, 50, 29.4), (1.0, 100, 60)],
)
def test_side_and_angle_of_known_directions(heard, side, error):
    scores = label_quantities(cues(heard), labels(0.5))
    assert scores["label_side"].value == side
    assert scores["label_err"].value == pytest.approx(error, abs=0.05)


def test_swapped_ears_turn_every_sign():
    generator = np.random.default_rng(1)
    true = np.repeat(generator.uniform(-0.9, 0.9, 8), 10)
    heard = segment_labels(labels(true), SEGMENTS).lateral + generator.normal(0, 0.05, SEGMENTS)
    right, swapped = (label_quantities(cues(sign * heard), labels(true)) for sign in (1, -1))
    assert right["label_side"].value + swapped["label_side"].value == 100
    for aggregate in (concordance("label_ccc"), centred_correlation("label_motion")):
        assert pooled(aggregate, right) > 0.9
        assert pooled(aggregate, swapped) < -0.7
    mono = label_quantities(cues(0.0), labels(true))
    assert mono["label_side"].value == 50
    assert pooled(concordance("label_ccc"), mono) == pooled(centred_correlation("label_motion"), mono) == 0


def test_movement_is_that_of_one_source_not_the_step_to_another():
    left, right = labels(0.8, last=40), labels(-0.8, first=40, source=1)
    heard = np.where(np.arange(SEGMENTS) < 14, 0.8, -0.8)
    assert label_quantities(cues(heard), together(left, right))["label_motion.sum_xy"].reason == "label_static"
    moving = labels(np.linspace(-0.9, 0.9, 80))
    follows = label_quantities(cues(segment_labels(moving, SEGMENTS).lateral), moving)
    assert pooled(centred_correlation("label_motion"), follows) == pytest.approx(1)


def test_seen_and_unseen_sources_are_apart():
    seen, unseen = labels(0.5, last=40, visible=1), labels(-0.5, first=40, source=1, visible=0)
    scores = label_quantities(cues(0.5), together(seen, unseen))
    assert (scores["label_side_seen"].value, scores["label_side_unseen"].value) == (100, 0)
    assert (scores["label_err_seen"].value, scores["label_err_unseen"].value) == pytest.approx((0, 60))
    only = label_quantities(cues(0.5), labels(0.5, visible=1))
    assert {only[name].reason for name in ("label_side_unseen", "label_err_unseen")} == {"none_unseen"}
    unknown = label_quantities(cues(0.5), labels(0.5))
    assert (unknown["label_err_seen"].reason, unknown["label_err_unseen"].reason) == ("none_seen", "none_unseen")


def test_level_and_coherence_follow_the_distance():
    away = labels(0.5, distance=np.linspace(1, 6, 80))
    near = segment_labels(away, SEGMENTS).nearness
    scores = label_quantities(cues(0.5, energy=10 ** (near / 10), iacc=1 / (1 + 10 ** (-near / 10))), away)
    for key in ("level_distance", "reverb_distance"):
        assert pooled(centred_correlation(key), scores) == pytest.approx(1, abs=1e-6)
    level = label_quantities(cues(0.5, energy=10 ** (-near / 10)), away)
    assert pooled(centred_correlation("level_distance"), level) == pytest.approx(-1)
    assert pooled(centred_correlation("reverb_distance"), level) == 0
    for distance, reason in ((np.nan, "distance_unknown"), (2.0, "distance_constant")):
        scores = label_quantities(cues(0.5), labels(0.5, distance=distance))
        assert scores["level_distance.sum_xy"].reason == reason


def test_what_has_no_value_says_why():
    silent = label_quantities(cues(0.0, active=False), labels(0.5))
    assert silent["label_side"] == (50.0, "prediction_silent")
    assert silent["label_err"].reason == silent["label_ccc.n"].reason == "prediction_silent"
    assert (silent["label_segments"].value, silent["label_share"].value) == (0, 0)
    assert label_quantities(cues(0.3), labels(0.1))["label_side"].reason == "label_centred"
    for empty in (labels(first=5, last=5), together(labels(0.5), labels(-0.5, source=1))):
        scores = label_quantities(cues(0.3), empty)
        assert {scores[name].reason for name in ("label_side", "label_err", "label_ccc.n")} == {"no_single_source"}
        assert scores["label_segments"].value == 0
