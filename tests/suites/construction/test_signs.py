"""Sound and picture of a camera that turns: what is seen on one side is heard on that side, at every pose."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from visaudio_bench.suites.ambisonics import binaural, encode, rotate
from visaudio_bench.suites.construction.perspective import Projector
from visaudio_bench.suites.construction.trajectory import DRIFT, camera_rotation, draw_trajectory
from visaudio_bench.suites.simulator.hrtf import unit_vector
from visaudio_bench.suites.yuv_pictures import Planes

from .conftest import pixel_rays

SIZE, HEIGHT, WIDTH = 128, 256, 512
CASES = 60


def dot(azimuth: float, elevation: float) -> Planes:
    """An equirectangular picture with a soft bright spot in a direction."""
    across = np.pi * (1 - (np.arange(WIDTH) + 0.5) * 2 / WIDTH)
    up = np.pi / 2 * (1 - (np.arange(HEIGHT)[:, None] + 0.5) * 2 / HEIGHT)
    cosine = np.moveaxis(unit_vector(across, up), -1, 0)
    near = np.tensordot(unit_vector(azimuth, elevation), cosine, 1)
    light = np.exp((near - 1) / (1 - np.cos(np.deg2rad(2.5))))
    grey = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    return Planes(np.rint(255 * light).astype(np.uint8), grey, grey)


@cache
def place(source: tuple[float, float], pose: tuple[float, float, float]) -> np.ndarray | None:
    """Where a source is seen from a pose."""
    return seen(projector().project(dot(*source), *pose))


@cache
def projector() -> Projector:
    torch.set_num_threads(1)
    return Projector(SIZE)


def seen(picture: Planes) -> np.ndarray | None:
    """The direction `(3,)` of the spot in a perspective picture, in camera axes; None where it is not in it."""
    weight = picture.y.astype(np.float64)
    edge = np.concatenate([weight[0], weight[-1], weight[:, 0], weight[:, -1]])
    if weight.max() < 200 or edge.max() > 5:
        return None
    centre = (pixel_rays(SIZE) * weight).sum(axis=(1, 2))
    return np.asarray(centre / np.linalg.norm(centre))


def literal(foa: np.ndarray, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Eq. 34 as it is printed: rows times the transpose of Rx(roll) Ry(-pitch) Rz(yaw)."""
    about_x, about_y, about_z = (
        camera_rotation(0, 0, roll), camera_rotation(0, pitch, 0), camera_rotation(yaw, 0, 0)
    )  # fmt: skip
    x, y, z = (foa[[3, 1, 2]].T @ (about_x @ about_y @ about_z).T).T
    return np.stack([foa[0], y, z, x]).astype(np.float32)


def heard(foa: np.ndarray) -> np.ndarray:
    return np.asarray(foa[[3, 1, 2], 0] / np.linalg.norm(foa[1:, 0]))


def poses(*, pitch: bool = True, roll: bool = True) -> list[tuple[tuple[float, float], tuple[float, float, float]]]:
    """Directions of sources in view, and poses: over the whole of what trajectories can reach."""
    rng = np.random.default_rng(11)
    cases = []
    while len(cases) < CASES:
        pose = (
            rng.uniform(-np.pi, np.pi),
            np.deg2rad(rng.uniform(-46, 46)) * pitch,
            np.deg2rad(rng.uniform(-8, 8)) * roll,
        )
        spot = unit_vector(np.deg2rad(rng.uniform(-40, 40)), np.deg2rad(rng.uniform(-35, 35)))
        x, y, z = camera_rotation(*pose) @ spot
        cases.append(((float(np.arctan2(y, x)), float(np.arcsin(z))), pose))
    return cases


def errors(turn, cases) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Degrees between where the spot is seen and where the sound points to."""
    found = []
    for source, pose in cases:
        picture = place(source, pose)
        if picture is not None:
            sound = heard(turn(encode(np.ones(1, np.float32), *source), *pose))
            found.append(np.degrees(np.arccos(np.clip(picture @ sound, -1, 1))))
    assert len(found) > CASES / 2
    return np.array(found)


@pytest.mark.parametrize(("pitch", "roll"), [(False, False), (True, False), (True, True)])
def test_the_sound_comes_from_where_the_source_is_seen(pitch: bool, roll: bool) -> None:
    assert errors(rotate, poses(pitch=pitch, roll=roll)).max() < 0.5


@pytest.mark.parametrize(("pitch", "roll"), [(False, False), (True, False), (True, True)])
def test_equation_34_as_printed_parts_sound_from_picture(pitch: bool, roll: bool) -> None:
    found = errors(literal, poses(pitch=pitch, roll=roll))
    assert np.median(found) > 45 and np.mean(found > 0.5) > 0.95


def side_heard(foa: np.ndarray) -> float:
    left, right = np.sqrt(np.mean(binaural(foa, 48000) ** 2, axis=1))
    return float(20 * np.log10(left / right))


def sides(turn) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Whether the louder ear is on the pixel's side, for sources seen more than 10 degrees off the middle."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(4800).astype(np.float32)
    right = []
    for (azimuth, elevation), pose in poses():
        x, y, _ = camera_rotation(*pose).T @ unit_vector(azimuth, elevation)
        if abs(np.arctan2(y, x)) > np.deg2rad(10):
            right.append(np.sign(side_heard(turn(encode(noise, azimuth, elevation), *pose))) == np.sign(y))
    assert len(right) > CASES / 2
    return np.array(right)


def test_the_louder_ear_is_on_the_side_where_the_source_is_seen() -> None:
    assert sides(rotate).all()


def test_equation_34_as_printed_leaves_the_side_to_chance() -> None:
    assert 0.2 < sides(literal).mean() < 0.8


def test_a_camera_that_turns_left_moves_the_source_to_the_right() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4800).astype(np.float32)
    picture, field = dot(0.0, 0.0), encode(noise, 0.0)
    columns, levels = [], []
    for yaw in np.deg2rad([-35, -20, -5, 5, 20, 35]):
        columns.append(int(projector().project(picture, yaw, 0.0, 0.0).y.max(axis=0).argmax()))
        levels.append(side_heard(rotate(field, yaw)))
    assert np.all(np.diff(columns) > 0) and columns[0] < SIZE / 2 < columns[-1]
    assert np.all(np.diff(levels) < 0) and levels[0] > 3 and levels[-1] < -3


def test_along_random_trajectories_sound_and_picture_stay_together() -> None:
    cases = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        source = (rng.uniform(-np.pi, np.pi), np.clip(rng.normal(0, 0.35), -1.4, 1.4))
        path = draw_trajectory(*source, 8.0, rng).at(rng.uniform(0, 8, 3))
        cases += [(source, tuple(pose)) for pose in np.transpose(path)]
    found = errors(rotate, cases)
    assert len(found) > 60 and found.max() < 0.5


def test_cameras_stay_about_their_source() -> None:
    """Monte Carlo of Eqs. 24-30: with these signs the source is within 45 degrees of yaw nearly all the time."""
    times = np.linspace(0, 8, 33)
    yaws = np.array([draw_trajectory(0.0, 0.2, 8.0, np.random.default_rng(seed)).at(times).yaw for seed in range(3000)])
    assert np.mean(np.abs(yaws) < np.pi / 4) == pytest.approx(0.978, abs=0.01)
    assert np.mean(np.all(np.abs(yaws) < np.pi / 4, axis=1)) == pytest.approx(0.87, abs=0.03)
    mirrored = 2 * yaws[:, :1] - yaws
    assert np.mean(np.abs(mirrored) < np.pi / 4) == pytest.approx(0.76, abs=0.03)


def test_drifts_are_zero_a_third_of_the_time_and_bounded() -> None:
    paths = [draw_trajectory(1.0, -0.8, 8.0, np.random.default_rng(seed)) for seed in range(2000)]
    rates, starts = (np.array([getattr(path, name) for path in paths]) for name in ("rate", "start"))
    assert np.all(np.abs(rates) <= DRIFT)
    np.testing.assert_allclose(np.mean(rates == 0, axis=0), 1 / 3, atol=0.04)
    assert np.all(starts[:, 2] == 0)
    assert starts[:, 1].min() == -np.pi / 6 and starts[:, 1].max() <= 0  # below: clipped at 30 degrees
    assert np.abs(starts[:, 0] - 1.0).max() <= np.pi / 4
