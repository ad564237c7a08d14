"""Where the loudest sound comes from."""

from __future__ import annotations

import numpy as np
import pytest

from visaudio_bench.suites.ambisonics import encode, harmonics
from visaudio_bench.suites.construction.localise import energy_map, grid, loudest


def noise(seed: int = 0, length: int = 4000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(length).astype(np.float32)


def test_the_grid_is_two_degrees_wide_and_covers_the_sphere_once() -> None:
    directions = grid()
    assert len(directions.azimuth) == 180 * 89 + 2
    assert directions.area.sum() == pytest.approx(1, abs=1e-12)
    assert np.degrees(directions.azimuth).min() == pytest.approx(-180) and np.degrees(
        directions.azimuth
    ).max() == pytest.approx(178)


def test_the_map_is_the_mean_square_of_the_sum_of_harmonics() -> None:
    field = np.stack([noise(seed) for seed in range(4)])
    directions = grid()
    every = slice(None, None, 997)
    y = harmonics(directions.azimuth[every], directions.elevation[every])
    np.testing.assert_allclose(energy_map(field)[every], np.mean((y.T @ field) ** 2, axis=1), rtol=1e-5)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 0), (-124, 36), (178, -62), (-180, 4), (0, 90)])
def test_a_plane_wave_is_found_where_it_comes_from(azimuth: float, elevation: float) -> None:
    found = loudest(encode(noise(), np.deg2rad(azimuth), np.deg2rad(elevation)))
    assert np.degrees(found[:2]) == pytest.approx((azimuth, elevation), abs=1e-6)
    assert found.contrast == pytest.approx(3, abs=0.01)


def test_the_louder_of_two_sources_is_found_and_stands_out_less() -> None:
    field = encode(noise(1), 0.7) + 0.4 * encode(noise(2), -1.4)
    found = loudest(field)
    assert abs(np.degrees(found.azimuth - 0.7)) < 12
    assert 1.5 < found.contrast < 2.9


def test_a_diffuse_field_has_no_contrast() -> None:
    field = np.stack([noise(seed) for seed in range(4)]) * np.float32([[1], [3**-0.5], [3**-0.5], [3**-0.5]])
    assert loudest(field).contrast == pytest.approx(1, abs=0.1)


def test_silence_looks_ahead_of_the_first_grid_point_without_failing() -> None:
    assert loudest(np.zeros((4, 100), np.float32)).contrast == 1
