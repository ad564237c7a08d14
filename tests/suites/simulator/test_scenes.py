import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.suites.simulated import PLANS, SEED, manifest_file
from visaudio_bench.suites.simulator.design import FACTORS, REVERBERATION, ROOMS, design
from visaudio_bench.suites.simulator.images import Room
from visaudio_bench.suites.simulator.scenes import Scene, SoundSource, at_times, bearing
from visaudio_bench.suites.simulator.sounds import LOUDNESS, RECIPES, synthesise

PLAN_NAMES = list(PLANS)


def scenes_of(name):
    plan = PLANS[name]
    return design(plan.name, plan.clips, plan.duration, SEED)


def seen_azimuths(scene):
    return [bearing(scene, source, np.linspace(0, scene.duration, 201)) for source in scene.sources if source.visible]


@pytest.mark.parametrize("name", PLAN_NAMES)
def test_the_committed_manifest_is_what_the_design_makes(name):
    rows = [json.loads(line) for line in manifest_file(name).read_text().splitlines()]
    assert [Scene.from_json(row) for row in rows] == list(scenes_of(name))
    assert [json.loads(json.dumps(scene.to_json())) for scene in scenes_of(name)] == rows


@pytest.mark.parametrize("name", PLAN_NAMES)
def test_left_and_right_are_balanced(name):
    scenes = scenes_of(name)
    mean = np.array([np.sin(seen_azimuths(scene)[0].azimuth).mean() for scene in scenes])
    assert (mean > 0).sum() == (mean < 0).sum()
    assert abs(mean.mean()) < 0.05
    everywhere = np.concatenate([b.azimuth for scene in scenes for b in seen_azimuths(scene)])
    assert np.mean(everywhere > 0) == pytest.approx(0.5, abs=0.06)
    for factor in FACTORS:
        sides = [value > 0 for scene, value in zip(scenes, mean, strict=True) if scene.factor == factor]
        assert abs(2 * sum(sides) - len(sides)) <= 1


@pytest.mark.parametrize("name", PLAN_NAMES)
def test_factors_rooms_and_reverberation_come_up_equally_often(name):
    scenes = scenes_of(name)
    for counts, levels in (
        (Counter(scene.factor for scene in scenes), FACTORS),
        (Counter(scene.room.rt60 for scene in scenes), REVERBERATION),
        (Counter(scene.room.size for scene in scenes), ROOMS),
        (Counter(scene.sources[0].sound for scene in scenes), tuple(RECIPES)),
    ):
        assert set(counts) == set(levels)
        assert max(counts.values()) - min(counts.values()) <= 1
    assert len({scene.id for scene in scenes}) == len(scenes)
    assert len({source.seed for scene in scenes for source in scene.sources}) == sum(len(s.sources) for s in scenes)


@pytest.mark.parametrize("name", PLAN_NAMES)
def test_what_is_called_visible_is_in_the_picture_and_what_is_not_is_not(name):
    for scene in scenes_of(name):
        times = np.arange(0, scene.duration, 0.01)
        for source in scene.sources:
            seen = bearing(scene, source, times)
            assert np.all(seen.in_view == source.visible), (scene.id, source.sound)
            assert np.all(seen.distance > 0.7)


@pytest.mark.parametrize("name", PLAN_NAMES)
def test_scenes_move_as_their_factor_says_and_stay_in_their_room(name):
    for scene in scenes_of(name):
        times = np.arange(0, scene.duration, 0.01)
        source, seen = scene.sources[0], bearing(scene, scene.sources[0], times)
        assert (np.ptp(at_times(source.path, times), axis=0).max() > 0.1) == (
            scene.factor in ("moving source", "moving both", "distance")
        )
        assert (np.ptp(at_times(scene.yaw, times)) > 0.1) == (scene.factor in ("moving camera", "moving both"))
        assert (np.ptp(seen.azimuth) > np.deg2rad(20)) == scene.factor.startswith("moving")
        assert (np.ptp(seen.distance) > 0.8) >= (scene.factor == "distance")
        assert sum(not s.visible for s in scene.sources) == (scene.factor == "invisible source")
        for path in (scene.listener, *(s.path for s in scene.sources)):
            places = at_times(path, times)
            assert np.all(places > 0.1)
            assert np.all(places < np.asarray(scene.room.size) - 0.3)
        speed = np.linalg.norm(np.diff(at_times(source.path, times), axis=0), axis=1).max() * 100
        assert speed < 6


def test_invisible_sources_are_left_and_right_as_often():
    hidden = [s for s in scenes_of("simroom-full") if s.factor == "invisible source"]
    sides = [bearing(s, s.sources[1], np.zeros(1)).azimuth[0] > 0 for s in hidden]
    assert abs(2 * sum(sides) - len(sides)) <= 2
    same = [bearing(s, s.sources[0], np.zeros(1)).azimuth[0] > 0 for s in hidden]
    assert 0.3 < np.mean(np.array(sides) == np.array(same)) < 0.7


@pytest.mark.parametrize("name", PLAN_NAMES)
def test_every_scene_has_a_caption_without_labels(name):
    for scene in scenes_of(name):
        assert len(scene.caption) > 5
        assert "sound:" not in scene.caption
        assert scene.labelled_caption.startswith("Visible sound: ")
        assert ("Invisible sound: " in scene.labelled_caption) == (scene.factor == "invisible source")


def test_the_caption_names_every_source_visible_ones_first():
    still = ((0.0, 1.0, 1.0, 1.0),)
    hidden, seen = SoundSource("bird", 1, still, visible=False), SoundSource("drum", 2, still)
    scene = Scene(
        "x", "invisible source", 1.0, 0, Room((3.0, 3.0, 2.5), 0.2, 0.1), still, ((0.0, 0.0),), (hidden, seen)
    )
    assert scene.caption == "a drum beating, a bird chirping"
    assert scene.labelled_caption == "Visible sound: a drum beating, Invisible sound: a bird chirping"


@given(st.lists(st.floats(-5, 5, width=16), min_size=1, max_size=6), st.floats(-1, 10))
def test_a_trajectory_meets_its_knots_and_stays_between_them(values, time):
    knots = tuple((float(index), value) for index, value in enumerate(values))
    at_knots = at_times(knots, np.arange(len(values), dtype=float))[:, 0]
    np.testing.assert_allclose(at_knots, values, atol=1e-9)
    between = at_times(knots, np.array([time]))[0, 0]
    before = int(np.clip(np.floor(time), 0, len(values) - 1))
    after = int(np.clip(np.ceil(time), 0, len(values) - 1))
    assert min(values[before], values[after]) - 1e-9 <= between <= max(values[before], values[after]) + 1e-9


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-0.8, 0.8))
def test_bearings_have_their_closed_form(yaw, azimuth, elevation):
    listener, distance = np.array([4.0, 3.0, 1.5]), 2.0
    level = distance * np.cos(elevation)
    around = yaw + azimuth
    place = listener + np.array([level * np.cos(around), level * np.sin(around), distance * np.sin(elevation)])
    source = SoundSource("bird", 0, ((0.0, *place),))
    scene = Scene("x", "static", 1.0, 0, Room((9.0, 7.0, 4.0), 0.2, 0.1), ((0.0, *listener),), ((0.0, yaw),), (source,))
    seen = bearing(scene, source, np.zeros(1))
    assert [float(value[0]) for value in seen] == pytest.approx([azimuth, elevation, distance], abs=1e-9)
    if abs(azimuth) > np.pi / 4 + 1e-6 or abs(elevation) > np.pi / 4 + 1e-6:
        assert not seen.in_view[0]
    elif abs(azimuth) < 0.5 and abs(elevation) < 0.5:
        assert seen.in_view[0]


@pytest.mark.parametrize("name", RECIPES)
def test_sounds_begin_at_their_onsets_and_are_equally_loud(name):
    sound = synthesise(name, 5, 4.0)
    assert sound.samples.shape == (4 * SAMPLE_RATE,)
    assert sound.samples.dtype == np.float32
    loud = np.abs(sound.samples) > 0.05 * np.abs(sound.samples).max()
    assert np.sqrt(np.mean(sound.samples[loud] ** 2)) == pytest.approx(LOUDNESS, rel=1e-3)
    assert len(sound.onsets) >= 3
    assert not np.any(sound.samples[: int(sound.onsets[0] * SAMPLE_RATE)])
    for onset in sound.onsets:
        at = round(onset * SAMPLE_RATE)
        before, after = sound.samples[max(at - 2200, 0) : at], sound.samples[at : at + 2200]
        assert np.mean(after**2) > 1.5 * np.mean(before**2)


@pytest.mark.parametrize("name", RECIPES)
def test_sounds_follow_from_their_seed(name):
    first, again, other = synthesise(name, 5, 1.0), synthesise(name, 5, 1.0), synthesise(name, 6, 1.0)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, other.samples)


@pytest.mark.parametrize("name", RECIPES)
def test_sounds_have_what_level_differences_need(name):
    spectrum = np.abs(np.fft.rfft(synthesise(name, 5, 4.0).samples)) ** 2
    above = spectrum[len(spectrum) * 1500 * 2 // SAMPLE_RATE :].sum() / spectrum.sum()
    assert above > 0.02
