"""The angle of intensity vectors: against the haversine that OmniAudio writes, and whatever the axes are called."""

from __future__ import annotations

import numpy as np
import pytest

from visaudio_bench.metrics.foa_angle import angle_between, intensity
from visaudio_bench.suites.ambisonics import encode


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(4000)


def haversine(p: np.ndarray, g: np.ndarray) -> float:
    """OmniAudio's formula, of azimuth and elevation."""
    (a1, e1), (a2, e2) = ((np.arctan2(v[1], v[0]), np.arctan2(v[2], np.hypot(v[0], v[1]))) for v in (p, g))
    h = np.sin((e2 - e1) / 2) ** 2 + np.cos(e1) * np.cos(e2) * np.sin((a2 - a1) / 2) ** 2
    return float(2 * np.arctan2(np.sqrt(h), np.sqrt(1 - h)))


@pytest.mark.parametrize("seed", range(5))
def test_the_angle_is_the_haversines_and_that_of_the_sources(seed: int) -> None:
    rng = np.random.default_rng(seed)
    azimuths, elevations = rng.uniform(-np.pi, np.pi, 2), rng.uniform(-1.4, 1.4, 2)
    p, g = (intensity(encode(noise(i), azimuths[i], elevations[i])) for i in (0, 1))
    unit = [
        np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
        for a, e in zip(azimuths, elevations, strict=True)
    ]
    expected = np.arccos(np.clip(unit[0] @ unit[1], -1, 1))
    assert angle_between(p, g).value == pytest.approx(expected, abs=1e-6)
    assert haversine(p, g) == pytest.approx(expected, abs=1e-6)


def test_reading_the_channels_in_another_order_changes_the_other_angles_and_not_this_one() -> None:
    fields = [encode(noise(i), azimuth, elevation) for i, (azimuth, elevation) in enumerate([(0.4, 0.2), (1.3, -0.5)])]
    right = [intensity(field) for field in fields]
    # As OmniAudio's code: it takes the channels behind W for X, Y, Z where they are Y, Z, X.
    wrong = [np.array([np.mean(f[0] * f[1]), np.mean(f[0] * f[2]), np.mean(f[0] * f[3])]) for f in fields]
    assert haversine(*wrong) == pytest.approx(angle_between(*right).value, abs=1e-6)
    azimuth_error = [abs(np.arctan2(p[1], p[0]) - np.arctan2(g[1], g[0])) for p, g in (right, wrong)]
    assert abs(azimuth_error[0] - azimuth_error[1]) > 0.05


def test_what_has_no_direction() -> None:
    wave, nothing = noise(), np.zeros(4000)
    front = intensity(encode(wave, 0.0, 0.0))
    for field in ([wave, nothing, nothing, nothing], [nothing] * 4):
        assert angle_between(intensity(np.stack(field)), front).reason == "no_direction"
    back = intensity(encode(wave, np.pi, 0.0))
    assert angle_between(front, back).value == pytest.approx(np.pi)
    assert angle_between(front, 3 * front).value == 0
