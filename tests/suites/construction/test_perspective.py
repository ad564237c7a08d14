"""Perspective views, against the closed form of what they show."""

from __future__ import annotations

import numpy as np
import pytest

from visaudio_bench.suites.construction.perspective import Projector
from visaudio_bench.suites.construction.trajectory import camera_rotation
from visaudio_bench.suites.simulator.hrtf import unit_vector
from visaudio_bench.suites.yuv_pictures import Planes

from .conftest import pixel_rays

SIZE = 64
POSES = [(0.0, 0.0, 0.0), (np.pi, 0.0, 0.0), (2.6, 0.5, -0.1), (-1.0, -0.8, 0.14), (0.3, 1.5, 0.0)]


def shade(vectors: np.ndarray) -> np.ndarray:
    """A smooth function of directions `(3, ...)`, 40 to 216."""
    x, y, z = vectors
    return np.asarray(128 + 44 * np.sin(2 * x + y) + 44 * np.cos(3 * z - y))


def equirectangular(height: int, width: int) -> np.ndarray:
    around = np.pi * (1 - (np.arange(width) + 0.5) * 2 / width)
    up = np.pi / 2 * (1 - (np.arange(height)[:, None] + 0.5) * 2 / height)
    return np.rint(shade(np.moveaxis(unit_vector(around, up), -1, 0))).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(256, 512), (270, 480)])  # 2:1, and 16:9 as platforms serve it
@pytest.mark.parametrize("pose", POSES)
def test_every_pixel_shows_what_lies_in_its_direction(
    pose: tuple[float, float, float], height: int, width: int
) -> None:
    light, colour = equirectangular(height, width), equirectangular(height // 2, width // 2)
    view = Projector(SIZE).project(Planes(light, colour, 255 - colour), *pose)
    for plane, size in ((view.y, SIZE), (view.u, SIZE // 2), (255 - view.v, SIZE // 2)):
        wanted = shade(np.tensordot(camera_rotation(*pose), pixel_rays(size), 1))
        assert plane.shape == (size, size) and plane.dtype == np.uint8
        assert np.abs(plane - wanted).max() < 1.7  # two roundings, and the bend of the shade between source pixels


def test_one_projector_takes_pictures_of_several_sizes() -> None:
    projector = Projector(SIZE)
    grey = np.full((8, 16), 128, np.uint8)
    first = projector.project(Planes(equirectangular(64, 128), grey, grey), *POSES[2]).y
    projector.project(Planes(equirectangular(32, 96), grey, grey), *POSES[3])
    again = projector.project(Planes(equirectangular(64, 128), grey, grey), *POSES[2]).y
    np.testing.assert_array_equal(first, again)


def test_a_meridian_45_degrees_to_the_left_is_the_left_edge() -> None:
    light = np.full((256, 512), 20, np.uint8)
    light[:, : 256 - 64] = 220  # azimuth 45 degrees and more
    grey = np.full((128, 256), 128, np.uint8)
    ahead, turned = (Projector(SIZE).project(Planes(light, grey, grey), yaw, 0, 0).y for yaw in (0.0, 0.1))
    assert ahead[:, 1:].max() == 20 and turned[:, :3].min() > 150
