import numpy as np
import pytest

from visaudio_bench.metrics.opinion import Votes
from visaudio_bench.metrics.opinion_comparison import crossed_p
from visaudio_bench.metrics.opinion_planning import (
    assumed_components,
    difference_components,
    needed,
    power,
    smallest_difference,
)


def differences(studies: int, true: float, spreads: tuple[float, float, float], raters: int, clips: int) -> np.ndarray:
    """Differences of two systems' votes (studies, raters, clips), rounded as votes are."""
    rng = np.random.default_rng(7)
    shape = (studies, 2, raters, clips)
    own = spreads[0] * rng.standard_normal((*shape[:3], 1)) + spreads[1] * rng.standard_normal((studies, 2, 1, clips))
    bias = 0.45 * rng.standard_normal((studies, 1, raters, 1))
    quality = np.array([3 + true / 2, 3 - true / 2])[:, None, None]
    latent = quality + bias + own + spreads[2] * rng.standard_normal(shape)
    votes = np.clip(np.rint(latent), -3, 9)  # a scale that nobody reaches the end of
    return votes[:, 0] - votes[:, 1]


@pytest.mark.parametrize("true", [0.5, 0.9])
def test_power_is_what_simulated_studies_find(true):
    parts = assumed_components(0.3, 0.45, np.hypot(0.8, 12**-0.5))  # rounding adds a twelfth
    cells = differences(400, true, (0.3, 0.45, 0.8), 12, 10)
    found = np.mean([crossed_p(cell) <= 0.05 for cell in cells])
    assert power(true, parts, 12, 10) == pytest.approx(found, abs=0.06)


def test_variances_of_an_earlier_study_are_found_again():
    cells = differences(60, 0.5, (0.3, 0.45, 0.8), 12, 10)
    found = [
        difference_components(Votes.from_cells({"a": cell, "b": np.zeros_like(cell)}, "SI"), "SI", ["a", "b"])
        for cell in cells
    ]
    expected = assumed_components(0.3, 0.45, np.hypot(0.8, 12**-0.5))
    assert np.mean(found, axis=0) == pytest.approx(expected, rel=0.15)


def test_clips_limit_what_raters_can_do():
    parts = assumed_components(0.3, 0.45, 0.8)
    assert power(0.3, parts, 1000, 10) < 0.5 < power(0.3, parts, 12, 1000)
    assert needed(0.3, parts, clips=10) is None
    assert needed(2.0, assumed_components(0, 0, 0), clips=10) == 2


def test_the_smallest_difference_has_the_power_and_the_numbers_needed_have_it_just():
    parts = assumed_components(0.3, 0.45, 0.8)
    smallest = smallest_difference(parts, 12, 10, 0.005, 0.9)
    assert power(smallest, parts, 12, 10, 0.005) == pytest.approx(0.9, abs=1e-4)
    clips = needed(0.6, parts, raters=12)
    assert power(0.6, parts, 12, clips) >= 0.8 > power(0.6, parts, 12, clips - 1)
    assert smallest_difference(assumed_components(0, 0, 0), 12, 10) == 0.0
    assert power(0.0, parts, 12, 10) == pytest.approx(0.05)
