from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.suites.simulated import simroom_mini
from visaudio_bench.suites.simulator.hrtf import unit_vector
from visaudio_bench.suites.simulator.lenses import PerspectiveLens
from visaudio_bench.suites.simulator.looks import Part, look
from visaudio_bench.suites.simulator.raycast import distances, normals
from visaudio_bench.suites.simulator.render import scene_sounds
from visaudio_bench.suites.simulator.scenes import Scene, at_times, bearing
from visaudio_bench.suites.simulator.sounds import RECIPES
from visaudio_bench.suites.simulator.video import FPS, Camera, Thing, excitation, frames

SCENES = tuple(simroom_mini().scenes.values())
SIZE = 128


def changed(scene: Scene, time: float, excited: float = 0.0):
    """Where the first source changes the picture of the empty room, as a mask."""
    camera = Camera(scene, PerspectiveLens(SIZE))
    eye = at_times(scene.listener, np.array([time]))[0].astype(np.float32)
    yaw = float(at_times(scene.yaw, np.array([time]))[0, 0])
    place = at_times(scene.sources[0].path, np.array([time]))[0]
    facing = float(np.arctan2(eye[1] - place[1], eye[0] - place[0]))
    thing = Thing(scene.sources[0].sound, tuple(place.tolist()), facing, excited)
    empty, full = camera.take(eye, yaw, ()), camera.take(eye, yaw, (thing,))
    return np.abs(full.astype(int) - empty).max(axis=2) > 25


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.id)
def test_the_visible_source_is_drawn_where_it_is_heard(scene):
    for time in np.linspace(0.1, scene.duration - 0.1, 4):
        row, column = np.nonzero(changed(scene, float(time)))
        left, up = (1 - (2 * column + 1) / SIZE), (1 - (2 * row + 1) / SIZE)
        solid_angle = (1 + left**2 + up**2) ** -1.5
        reach = np.sqrt(1 + left**2 + up**2)
        drawn = np.arctan2((solid_angle * left / reach).sum(), (solid_angle / reach).sum())
        heard = bearing(scene, scene.sources[0], np.array([time])).azimuth[0]
        assert np.rad2deg(drawn) == pytest.approx(np.rad2deg(heard), abs=2.0)


@pytest.mark.parametrize("scene", SCENES[:7], ids=lambda scene: scene.sources[0].sound)
def test_things_are_seen_to_sound(scene):
    assert {scene.sources[0].sound for scene in SCENES[:7]} == set(RECIPES)
    resting = np.stack([changed(scene, 0.5), changed(scene, 0.5, 1.0)])
    assert resting[0].sum() > 40
    assert (resting[0] != resting[1]).sum() > 0.03 * resting[0].sum()


def test_a_nearer_thing_is_larger():
    scene = next(scene for scene in SCENES if scene.factor == "distance")
    times = np.arange(0, scene.duration, 0.2)
    distance = bearing(scene, scene.sources[0], times).distance
    area = [changed(scene, float(time)).sum() for time in times]
    assert np.corrcoef(1 / distance**2, area)[0, 1] > 0.95


def test_frames_come_25_a_second_and_a_still_room_stays_still():
    scene = SCENES[0]
    assert scene.factor == "static"
    pictures = list(frames(scene, [np.array([0.5])], PerspectiveLens(64)))
    assert len(pictures) == round(scene.duration * FPS)
    assert all(picture.shape == (64, 64, 3) and picture.dtype == np.uint8 for picture in pictures)
    np.testing.assert_array_equal(pictures[0], pictures[11])
    onset = int(np.ceil(0.5 * FPS))
    assert np.abs(pictures[onset].astype(int) - pictures[onset - 1]).max() > 25
    np.testing.assert_array_equal(pictures[0], pictures[-1])


def test_pictures_are_the_same_every_time():
    scene = SCENES[3]
    onsets = [sound.onsets for sound in scene_sounds(scene)]
    short = replace(scene, duration=0.4)
    for first, again in zip(
        frames(short, onsets, PerspectiveLens(64)), frames(short, onsets, PerspectiveLens(64)), strict=True
    ):
        np.testing.assert_array_equal(first, again)


def test_excitation_starts_at_the_onset_and_dies_away():
    onsets = np.array([1.0, 2.0])
    assert excitation(onsets, 0.999) == 0
    assert excitation(onsets, 1.0) == 1
    assert excitation(onsets, 1.06) == pytest.approx(np.exp(-1))
    assert excitation(onsets, 1.9) == 0
    assert excitation(onsets, 2.0) == 1


def test_the_camera_turns_with_the_head():
    """A pixel column shows the same wall point whatever the yaw that brings it there."""
    scene = SCENES[0]
    camera = Camera(scene, PerspectiveLens(SIZE))
    eye = np.asarray(scene.room.size, dtype=np.float32) / 2
    straight, turned = camera.take(eye, 0.0, ()), camera.take(eye, np.deg2rad(20.0), ())
    middle = SIZE / 2
    # What lies at +20 degrees stands in the middle after turning by +20 degrees, and left of it before.
    before = round(middle - np.tan(np.deg2rad(20.0)) * middle)
    np.testing.assert_allclose(
        turned[SIZE // 2, int(middle)].astype(int), straight[SIZE // 2, before].astype(int), atol=12
    )


BALL = Part((1, 1, 1), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.5)
ROD = Part((1, 1, 1), (0.0, 0.0, -0.5), (0.0, 0.0, 0.5), 0.2)
BRICK = Part((1, 1, 1), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), half=(0.3, 0.4, 0.5))


@pytest.mark.parametrize(("part", "reach"), [(BALL, 2.5), (ROD, 2.8), (BRICK, 2.7)])
def test_a_ray_through_the_middle_meets_the_surface(part, reach):
    origin, ray = np.array([3.0, 0, 0], np.float32), np.array([[-1.0], [0], [0]], np.float32)
    distance = distances(part, origin, ray)
    assert distance == pytest.approx([reach], abs=1e-5)
    assert normals(part, origin[:, None] + distance * ray)[:, 0] == pytest.approx([1, 0, 0], abs=1e-5)
    assert distances(part, origin, -ray)[0] == np.inf


@settings(max_examples=60)
@given(
    st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(-3, 3), st.floats(-1.5, 1.5), st.sampled_from([ROD, BALL, BRICK])
)
def test_where_a_ray_meets_a_part_is_on_its_surface(around, up, aside, tilt, part):
    origin = (2 * unit_vector(around, up)).astype(np.float32)
    target = 0.25 * unit_vector(aside, tilt)
    ray = ((target - origin) / np.linalg.norm(target - origin)).astype(np.float32)[:, None]
    distance = distances(part, origin, ray)
    if not np.isfinite(distance[0]):
        assert part is ROD  # the only one too thin to hold every target
        return
    point = (origin[:, None] + distance * ray)[:, 0]
    if part is BRICK:
        assert np.max(np.abs(point) / part.half) == pytest.approx(1, abs=1e-3)
    else:
        on_axis = np.array([0, 0, np.clip(point[2], -0.5, 0.5)]) if part is ROD else np.zeros(3)
        assert np.linalg.norm(point - on_axis) == pytest.approx(part.radius, abs=1e-3)
    assert float(normals(part, point[:, None])[:, 0] @ ray[:, 0]) < 1e-3


@pytest.mark.parametrize("sound", RECIPES)
def test_things_stand_on_the_floor_and_are_centred_on_their_sound(sound):
    parts = look(sound, 1.0)
    lowest = min(min(p.start[2], p.end[2]) - (p.half[2] if p.half else 0) for p in parts)
    assert lowest == pytest.approx(-1.0, abs=0.15)
    middle = np.mean([p.start[1] + p.end[1] for p in parts])
    assert abs(middle) < 0.03
