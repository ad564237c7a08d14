from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.metrics.interaural_scores import clip_quantities
from visaudio_bench.metrics.interaural_sets import REFERENCE, cue_frechet, half_split_floor, wasserstein, wasserstein_1

from .conftest import side_by_side

seeds = st.integers(0, 10**6)


def both(prediction, reference, name="v[]"):
    return {name: prediction, REFERENCE + name: reference}


def test_golden_wasserstein(spatial, signal):
    expected = spatial["w1"]
    sides = [
        side_by_side([clip_quantities(interaural_cues(signal(name))) for name in expected[side].split(",")])
        for side in ("gen", "ref")
    ]
    for cue, tolerance in (("ild_db", 1e-4), ("itd_us", 0.05), ("iacc", 1e-5)):
        name = f"segment_{cue.split('_')[0]}[]"
        found = wasserstein(both(sides[0][name], sides[1][name], name), name)
        assert found == pytest.approx(expected[cue], abs=tolerance)


@settings(deadline=None)
@given(seeds, st.integers(1, 30), st.integers(1, 30))
def test_wasserstein_agrees_with_scipy(seed, n, m):
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=n).round(1), generator.normal(size=m).round(1)
    assert wasserstein_1(a, b) == pytest.approx(wasserstein_distance(a, b), abs=1e-12)


@settings(deadline=None)
@given(seeds, st.floats(-5, 5))
def test_wasserstein_of_a_shifted_set_is_the_shift(seed, shift):
    values = np.random.default_rng(seed).normal(size=(4, 7))
    assert wasserstein(both(values + shift, values), "v[]") == pytest.approx(abs(shift), abs=1e-12)


def test_wasserstein_skips_padding_and_is_undefined_without_segments():
    padded = np.array([[1.0, 2.0], [np.nan, 3.0]])
    assert wasserstein(both(padded, np.array([[1.0, 2.0, 3.0]])), "v[]") == pytest.approx(0)
    assert np.isnan(wasserstein(both(np.full((2, 2), np.nan), padded), "v[]"))


def test_cue_frechet_of_a_shift_is_counted_in_deviations_of_the_reference():
    reference = np.random.default_rng(0).normal(size=(9, 200)) * np.logspace(-2, 2, 9)[:, None]
    deviation = reference.std(1, ddof=1)[:, None]
    assert cue_frechet(both(reference + 0.5 * deviation, reference), "v[]") == pytest.approx(9 * 0.25)
    assert cue_frechet(both(reference, reference), "v[]") == pytest.approx(0, abs=1e-9)


def test_cue_frechet_of_a_wider_set_has_a_closed_form():
    reference = np.random.default_rng(1).normal(size=(9, 300))
    centre = reference.mean(1, keepdims=True)
    correlations = np.corrcoef(reference)
    expected = (np.sqrt(4) - 1) ** 2 * np.trace(correlations)  # commuting: |√(4C) - √C|²
    assert cue_frechet(both(centre + 2 * (reference - centre), reference), "v[]") == pytest.approx(expected, rel=1e-5)


def test_cue_frechet_of_a_collapsed_set_has_the_ridge_of_the_definition():
    reference = np.random.default_rng(4).normal(size=(9, 50))
    collapsed = np.repeat(reference.mean(1, keepdims=True), 50, axis=1)
    expected = np.sum((np.sqrt(np.linalg.eigvalsh(np.corrcoef(reference)) + 1e-6) - 1e-3) ** 2)
    assert cue_frechet(both(collapsed, reference), "v[]") == pytest.approx(expected, rel=1e-9)


def test_cue_frechet_leaves_out_incomplete_clips_and_needs_two():
    vectors = np.random.default_rng(2).normal(size=(9, 40))
    holed = np.column_stack([vectors, np.full(9, np.nan)])
    assert cue_frechet(both(holed, vectors), "v[]") == pytest.approx(0, abs=1e-9)
    assert np.isnan(cue_frechet(both(vectors[:, :1], vectors), "v[]"))
    assert np.isnan(cue_frechet(both(vectors, np.ones((9, 40))), "v[]"))


def test_floor_is_small_seeded_and_below_a_real_difference():
    reference = np.random.default_rng(3).normal(size=(28, 60))
    aggregate = partial(wasserstein, key="v[]")
    floor = half_split_floor(aggregate, both(reference + 9, reference))
    assert floor.shape == (20,) and (floor > 0).all() and floor.max() < 0.3
    np.testing.assert_array_equal(floor, half_split_floor(aggregate, both(reference, reference)))
    assert not np.array_equal(floor, half_split_floor(aggregate, both(reference, reference), seed=1))
    assert np.isnan(half_split_floor(aggregate, both(reference[:, :3], reference[:, :3]))).all()
