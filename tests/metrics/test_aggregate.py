import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.metrics.aggregate import MOMENTS, centred_correlation, concordance, correlation, mean, median
from visaudio_bench.metrics.quantity import Quantity, select, undefined, vector

from .conftest import side_by_side

seeds = st.integers(0, 10**6)


def moments(clips):
    """Sufficient statistics of a list of (x, y) as `lat_ccc` has them."""
    rows = [(len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y) for x, y in clips]
    return {f"k.{name}": np.array(column, float) for name, column in zip(MOMENTS, zip(*rows, strict=True), strict=True)}


@settings(deadline=None)
@given(seeds)
def test_pooled_sums_give_the_textbook_values(seed):
    generator = np.random.default_rng(seed)
    clips = [generator.uniform(-1, 1, (2, size)) for size in (5, 28, 3)]
    x, y = np.concatenate(clips, axis=1)
    ccc = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert concordance("k")(moments(clips)) == pytest.approx(ccc, abs=1e-12)
    assert correlation("k")(moments(clips)) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)


@settings(deadline=None)
@given(seeds)
def test_concordance_of_a_shifted_and_scaled_copy_has_a_closed_form(seed):
    y = np.random.default_rng(seed).uniform(-1, 1, 50)
    x = 0.5 * y + 0.2
    variance = y.var()
    expected = variance / (1.25 * variance + (0.2 - 0.5 * y.mean()) ** 2)
    assert concordance("k")(moments([(x, y)])) == pytest.approx(expected)
    assert correlation("k")(moments([(x, y)])) == pytest.approx(1)


def test_a_constant_prediction_has_no_correlation_and_a_constant_reference_leaves_it_undefined():
    moving, still = np.array([0.1, 0.5, 0.3]), np.full(3, 0.1)
    assert correlation("k")(moments([(still, moving)])) == 0
    assert concordance("k")(moments([(still, moving)])) == pytest.approx(0, abs=1e-12)
    assert np.isnan(correlation("k")(moments([(moving, still)])))


@settings(deadline=None)
@given(seeds)
def test_clips_may_come_in_any_order_and_undefined_clips_do_not_count(seed):
    generator = np.random.default_rng(seed)
    table = moments([generator.uniform(-1, 1, (2, 9)) for _ in range(6)]) | {"v": generator.normal(size=6)}
    order = generator.permutation(7)
    shuffled = {name: np.append(row, np.nan)[order] for name, row in table.items()}
    for aggregate, key in ((mean, "v"), (median, "v"), (concordance, "k"), (centred_correlation, "k")):
        assert aggregate(key)(shuffled) == pytest.approx(aggregate(key)(table), rel=1e-12)


@pytest.mark.parametrize("aggregate", [mean, median, concordance, correlation, centred_correlation])
def test_leading_axes_are_many_sets_at_once(aggregate):
    generator = np.random.default_rng(3)
    sets = [
        moments([generator.uniform(-1, 1, (2, 9)) for _ in range(6)]) | {"v": generator.normal(size=6)} for _ in "abc"
    ]
    sets[0]["v"][2] = sets[1]["v"][:] = np.nan
    key = "v" if aggregate in (mean, median) else "k"
    stacked = {name: np.stack([one[name] for one in sets]) for name in sets[0]}
    np.testing.assert_allclose(aggregate(key)(stacked), [aggregate(key)(one) for one in sets], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("aggregate", [mean, median])
def test_no_defined_clip_is_undefined(aggregate):
    assert np.isnan(aggregate("v")({"v": np.full(3, np.nan)}))


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=9))
def test_mean_and_median_agree_with_numpy(values):
    row = np.array([*values, np.nan])
    assert mean("v")({"v": row}) == pytest.approx(np.nanmean(row))
    assert median("v")({"v": row}) == pytest.approx(np.nanmedian(row))


def test_gather_aligns_clips_and_pads_vectors():
    clips = [{"a": Quantity(1.0), **vector("v", [1, 2])}, {"a": undefined("silent"), **vector("v", [3])}, {"b": 5.0}]
    table = side_by_side(clips)
    np.testing.assert_array_equal(table["a"], [1, np.nan, np.nan])
    np.testing.assert_array_equal(table["b"], [np.nan, np.nan, 5])
    np.testing.assert_array_equal(table["v[]"], [[1, 3, np.nan], [2, np.nan, np.nan]])


def test_select_fills_what_no_clip_has():
    chosen = select({"a": np.ones(3)}, ("a", "b", "c[]"), 3)
    assert list(chosen) == ["a", "b", "c[]"]
    assert np.isnan(chosen["b"]).all() and np.isnan(chosen["c[]"]).all() and chosen["c[]"].shape == (1, 3)
