"""The simulated scenes all around: the same room as in the perspective suites, heard and seen in every direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from visaudio_bench.errors import UsageError
from visaudio_bench.suites.construction.localise import loudest
from visaudio_bench.suites.construction.perspective import Projector
from visaudio_bench.suites.construction.twin import Twin
from visaudio_bench.suites.simulated import PLANS, SimulatedSuite
from visaudio_bench.suites.simulator.field import ambisonic_sound, render_field, room_response
from visaudio_bench.suites.simulator.images import Room
from visaudio_bench.suites.simulator.lenses import PanoramicLens, PerspectiveLens
from visaudio_bench.suites.simulator.render import scene_sounds
from visaudio_bench.suites.simulator.scenes import Scene, bearing
from visaudio_bench.suites.simulator.video import Camera, Thing, frames
from visaudio_bench.suites.yuv_pictures import Planes

# Walls that swallow everything: what remains is the direct sound.
DEAD = 0.005


def scenes() -> list[Scene]:
    return list(SimulatedSuite(PLANS["simroom-mini"]).scenes.values())


def grey(picture: np.ndarray) -> Planes:
    light = picture.mean(axis=2).astype(np.uint8)
    half = np.full((light.shape[0] // 2, light.shape[1] // 2), 128, np.uint8)
    return Planes(light, half, half)


@pytest.mark.parametrize("index", [1, 4])
def test_the_panorama_seen_straight_ahead_is_the_perspective_picture(index: int) -> None:
    scene = scenes()[index]
    onsets = [sound.onsets for sound in scene_sounds(scene)]
    around, ahead = (next(frames(scene, onsets, lens)) for lens in (PanoramicLens(512), PerspectiveLens(128)))
    assert around.shape == (512, 1024, 3)
    view = Projector(128).project(grey(around), 0.0, 0.0, 0.0).y.astype(float)
    difference = np.abs(view - ahead.mean(axis=2))
    assert difference.mean() < 3 and np.quantile(difference, 0.99) < 20  # edges are as sharp as the panorama's


def test_things_are_drawn_whole_wherever_they_stand() -> None:
    """Also behind the camera, where the picture's edges cut them, overhead and underfoot."""
    scene, lens = scenes()[0], PanoramicLens(128)
    eye = np.array([2.0, 2.0, 1.2], np.float32)

    class Everywhere(PanoramicLens):
        def box(self, ends: np.ndarray, radius: float) -> tuple[int, int, int, int]:
            del ends, radius
            return 0, 0, self.height, self.width

    for azimuth, up in [(0, 0), (1.2, -0.6), (np.pi, 0.3), (-3.1, -0.4), (2.0, 1.5), (0.3, -1.55)]:
        x, y, z = eye + 1.3 * np.array([np.cos(azimuth) * np.cos(up), np.sin(azimuth) * np.cos(up), np.sin(up)])
        things = (Thing("string", (float(x), float(y), float(z)), azimuth + np.pi, 0.6),)
        bounded, whole = (Camera(scene, one).take(eye, 0.4, things) for one in (lens, Everywhere(128)))
        np.testing.assert_array_equal(bounded, whole)
        assert (bounded != Camera(scene, lens).take(eye, 0.4, ())).any()


def test_the_field_of_a_dead_room_comes_from_where_the_source_is() -> None:
    for scene in scenes()[:6]:
        dead = replace(scene, room=Room(scene.room.size, DEAD, DEAD), sources=scene.sources[:1])
        field = ambisonic_sound(dead, scene_sounds(dead))
        seen = bearing(dead, dead.sources[0], np.linspace(0, 2, 50))
        if np.ptp(seen.azimuth) < np.deg2rad(1):
            found = loudest(field)
            assert np.degrees(found.azimuth - seen.azimuth[0]) == pytest.approx(0, abs=2)
            assert np.degrees(found.elevation - seen.elevation[0]) == pytest.approx(0, abs=2)
            assert found.contrast > 2.9


def test_a_moving_source_is_followed_sample_by_sample() -> None:
    control = np.linspace(0, 1, 101)
    azimuth = 2.5 - 4 * control
    path = np.stack([3 + np.cos(azimuth), 3 + np.sin(azimuth), np.full(101, 1.5)], axis=-1)
    here = np.tile([3.0, 3.0, 1.5], (101, 1))
    dry = np.random.default_rng(0).standard_normal(44100).astype(np.float32)
    field = render_field(dry, Room((6.0, 6.0, 3.0), DEAD, DEAD), path, here, 0.5 * control)
    for begin in range(2000, 42000, 4000):
        found = loudest(field[:, begin : begin + 400])
        moment = (begin + 200) / 44100
        wanted = 2.5 - 4 * moment - 0.5 * moment
        assert abs(np.degrees((found.azimuth - wanted + np.pi) % (2 * np.pi) - np.pi)) < 2.5


def test_the_first_of_a_room_s_response_is_the_source_at_its_distance() -> None:
    room, places = Room((5.0, 4.0, 2.8), 0.4, 0.4), (np.array([1.5, 1.2, 1.4]), np.array([3.4, 2.9, 1.6]))
    response = room_response(room, *places, 0.0, duration=0.05)
    offset = places[0] - places[1]
    distance = float(np.linalg.norm(offset))
    first = response[:, : round(distance / 343 * 44100) + 3]
    assert first[0].sum() == pytest.approx(1 / distance, rel=0.02)
    np.testing.assert_allclose(first[1:] @ first[0] / (first[0] @ first[0]), offset[[1, 2, 0]] / distance, atol=1e-3)


def test_unknown_suites_and_foreign_folders_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match='Did you mean "simroom"'):
        Twin("simrom", tmp_path)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="holds something else"):
        list(Twin("simroom", tmp_path).make())
