from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import t as student

from visaudio_bench.metrics.aggregate import MOMENTS, centred_correlation, concordance, mean, median
from visaudio_bench.metrics.uncertainty import (
    bootstrap,
    bootstraps,
    exchange_test,
    exchange_tests,
    holm,
    jackknife,
    jackknife_estimate,
    paired_difference,
    sign_flip_test,
    sign_flip_tests,
    tie_groups,
)

the_mean, the_median = mean("v"), median("v")


def of(values):
    return {"v": np.asarray(values, float)}


@pytest.mark.parametrize(("draw", "truth"), [("normal", 0.0), ("exponential", 1.0)])
def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says(draw, truth):
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(500):
        low, high = bootstrap(the_mean, of(getattr(generator, draw)(size=50)), resamples=600)[1:3]
        inside += low <= truth <= high
    assert 0.91 <= inside / 500 <= 0.98


def test_the_interval_of_a_mean_is_that_of_the_normal_theory():
    values = np.random.default_rng(1).normal(3, 2, size=400)
    interval = bootstrap(the_mean, of(values), resamples=8000)
    half = 1.96 * values.std() / np.sqrt(400)
    assert interval.value == pytest.approx(values.mean()) and interval.n == 400
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_interval_agrees_with_the_bca_of_scipy():
    values = np.random.default_rng(2).exponential(size=60)
    ours = bootstrap(the_mean, of(values), resamples=20000)
    theirs = scipy_bootstrap((values,), np.mean, n_resamples=20000, method="BCa", rng=3).confidence_interval
    half = (theirs.high - theirs.low) / 2
    np.testing.assert_allclose(ours[1:3], theirs, atol=0.05 * half)


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, 2.0], [np.nan, np.nan]])
def test_fewer_than_two_defined_clips_give_no_interval(values):
    interval = bootstrap(the_mean, of(values))
    assert np.isnan(interval.low) and np.isnan(interval.high)
    assert interval.n == np.isfinite(values).sum()


def test_undefined_clips_stay_out_of_the_value_and_count_as_fewer_clips():
    values = np.random.default_rng(3).normal(size=50)
    holed = np.append(values, np.full(50, np.nan))
    plain, sparse = bootstrap(the_mean, of(values)), bootstrap(the_mean, of(holed))
    assert sparse.value == pytest.approx(plain.value) and sparse.n == plain.n == 50
    assert sparse.high - sparse.low == pytest.approx(plain.high - plain.low, rel=0.15)


def test_the_interval_depends_on_the_seed_only():
    values = of(np.random.default_rng(4).normal(size=30))
    assert bootstrap(the_mean, values) == bootstrap(the_mean, values)
    assert bootstrap(the_mean, values) != bootstrap(the_mean, values, seed=1)


def test_chunks_do_not_change_the_interval(monkeypatch):
    values = of(np.random.default_rng(4).normal(size=30))
    whole = bootstrap(the_median, values)
    monkeypatch.setattr("visaudio_bench.metrics.uncertainty.CHUNK", 700)
    assert bootstrap(the_median, values) == whole


@pytest.mark.parametrize("aggregate", [mean("v"), concordance("k")])
def test_sums_are_a_short_cut_and_no_other_statistic(aggregate):
    generator = np.random.default_rng(15)
    first, second = (
        {f"k.{name}": generator.uniform(1, 2, size=25) for name in MOMENTS} | of(generator.normal(size=25))
        for _ in range(2)
    )
    for row in first.values():
        row[3] = np.nan

    def plain(quantities):
        return aggregate(quantities)

    assert bootstrap(aggregate, first, resamples=300) == pytest.approx(bootstrap(plain, first, resamples=300))
    assert paired_difference(aggregate, first, second, resamples=300) == pytest.approx(
        paired_difference(plain, first, second, resamples=300)
    )
    assert exchange_test(aggregate, first, second, draws=300) == exchange_test(plain, first, second, draws=300)


def test_a_pairing_that_cancels_leaves_a_narrow_difference():
    generator = np.random.default_rng(5)
    clip = 10 * generator.normal(size=80)
    first, second = of(clip + 1 + 0.1 * generator.normal(size=80)), of(clip)
    difference = paired_difference(the_mean, first, second)
    assert difference.low < 1 < difference.high
    assert difference.high - difference.low < 0.1
    assert paired_difference(the_mean, second, first).value == pytest.approx(-difference.value)


def test_the_difference_covers_pooled_metrics():
    generator = np.random.default_rng(6)
    xx, yy = generator.uniform(1, 2, (2, 40))
    first = {"k.sum_xx": xx, "k.sum_yy": yy, "k.sum_xy": 0.9 * np.sqrt(xx * yy)}
    second = first | {"k.sum_xy": 0.2 * np.sqrt(xx * yy)}
    difference = paired_difference(centred_correlation("k"), first, second)
    assert 0.6 < difference.low < difference.high < 0.8


def test_quantities_over_different_clips_are_refused():
    with pytest.raises(ValueError, match="same clips"):
        bootstrap(the_mean, {"v": np.zeros(3), "w": np.zeros(4)})


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=7))
def test_sign_flips_are_exact_for_few_clips(differences):
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=len(differences))]
    assert sign_flip_test(differences) == pytest.approx(np.mean(np.array(sums) >= abs(sum(differences))))


@pytest.mark.parametrize("n", [1, 5, 20])
def test_differences_of_one_sign_have_the_least_p(n):
    assert sign_flip_test(np.arange(1, n + 1)) == pytest.approx(2 / 2**n)


def test_sign_flips_of_many_clips_agree_with_the_normal_theory():
    values = np.random.default_rng(7).normal(size=100)
    values += 0.2 - values.mean()
    expected = 2 * student.sf(abs(values.mean()) / (values.std(ddof=1) / 10), 99)
    assert 0.005 < expected < 0.3
    assert sign_flip_test(values) == pytest.approx(expected, rel=0.15)
    assert sign_flip_test(np.full(100, 1.0)) == pytest.approx(1 / 10000)


def test_sign_flips_are_uniform_when_nothing_differs():
    generator = np.random.default_rng(8)
    p = [sign_flip_test(generator.standard_t(3, size=12)) for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_undefined_differences_are_left_out():
    assert sign_flip_test([np.nan, 1, 2]) == sign_flip_test([1, 2]) == 0.5
    assert np.isnan(sign_flip_test([np.nan]))
    assert sign_flip_test([0, 0, 0]) == 1


def test_exchanging_systems_is_the_sign_flip_test_for_a_mean():
    first, second = np.random.default_rng(9).normal(size=(2, 15)) + np.array([[0.4], [0]])
    exact = sign_flip_test(first - second)
    assert exchange_test(the_mean, of(first), of(second)) == pytest.approx(exact, abs=0.015)


def test_exchanging_equal_systems_never_finds_a_difference():
    values = of(np.random.default_rng(10).normal(size=15))
    assert exchange_test(the_median, values, values, draws=99) == 1
    assert np.isnan(exchange_test(the_mean, of([np.nan]), of([np.nan])))


def test_exchange_keeps_the_rows_of_a_clip_together():
    generator = np.random.default_rng(11)
    first, second = generator.normal(size=(2, 3, 12))
    second += 2

    def top(quantities):
        return quantities["v[]"].max(0).mean(-1)

    assert exchange_test(top, {"v[]": first}, {"v[]": second}, draws=999) < 0.01


def test_jackknife_of_a_mean_is_the_t_interval():
    values = np.random.default_rng(12).normal(size=20)
    estimate = jackknife(the_mean, of(values), groups=20)
    half = student.ppf(0.975, 19) * values.std(ddof=1) / np.sqrt(20)
    assert estimate[:3] == pytest.approx((values.mean(), values.mean() - half, values.mean() + half))


def test_jackknife_removes_the_bias_of_the_plug_in_variance_exactly():
    values = np.random.default_rng(13).normal(size=24)
    estimate = jackknife(lambda quantities: quantities["v"].var(), of(values), groups=24)
    assert estimate.value == pytest.approx(values.var(ddof=1))


def test_jackknife_with_unequal_groups_is_exact_for_a_mean():
    values = np.random.default_rng(14).normal(size=23)
    assert jackknife(the_mean, of(values), groups=5).value == pytest.approx(values.mean())


def test_jackknife_of_the_undefined_gives_a_reason():
    assert jackknife(the_mean, of([1.0])).reason
    estimate = jackknife_estimate(np.nan, np.zeros(3), np.ones(3, int))
    assert estimate.value is None and estimate.reason


def test_holm_by_hand():
    adjusted = holm([0.01, 0.04, 0.03, 0.005, np.nan])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02, np.nan])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
    assert holm([]).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_never_lowers_a_p_and_keeps_their_order(p):
    adjusted = holm(p)
    assert np.all(adjusted >= np.array(p)) and np.all(adjusted <= 1)
    order = np.argsort(p, kind="stable")
    assert all(a <= b for a, b in pairwise(adjusted[order]))


def test_systems_that_cannot_be_told_from_the_leader_share_its_rank():
    values = {"a": 9.0, "b": 8.5, "c": 7.0, "d": 6.6, "e": 1.0}
    ranks = tie_groups(list(values), lambda leader, other: values[leader] - values[other] > 1)
    assert ranks == {"a": 1, "b": 1, "c": 3, "d": 3, "e": 5}
    assert tie_groups([], lambda *_: True) == {}


def several_cells(generator, clips=30):
    """Cells of a table: means and a median, one with gaps and one without any value, and a pooled concordance."""
    gaps = generator.normal(size=clips)
    gaps[::7] = np.nan
    x, y = generator.normal(size=(2, clips, 6))
    sums = {"n": np.full(clips, 6.0), "sum_x": x.sum(1), "sum_y": y.sum(1), "sum_xx": (x * x).sum(1),
            "sum_yy": (y * y).sum(1), "sum_xy": (x * y).sum(1)}  # fmt: skip
    return [
        (the_mean, of(generator.normal(size=clips))),
        (the_median, of(gaps)),
        (concordance("c"), {f"c.{name}": values for name, values in sums.items()}),
        (the_mean, of(np.full(clips, np.nan))),
        (the_mean, of(gaps)),
    ]


def test_the_cells_of_a_table_have_together_the_intervals_that_they_have_alone():
    cells = several_cells(np.random.default_rng(4))
    for together, (aggregate, quantities) in zip(bootstraps(cells, seed=3), cells, strict=True):
        alone = bootstrap(aggregate, quantities, seed=3)
        assert together == pytest.approx(alone, rel=1e-12, nan_ok=True)
    assert [one.n for one in bootstraps(cells)] == [30, 25, 30, 0, 25]
    assert bootstraps([]) == []


def test_the_pairs_of_a_table_have_together_the_p_that_they_have_alone():
    first, second = several_cells(np.random.default_rng(5)), several_cells(np.random.default_rng(6))
    pairs = [(aggregate, a, b) for (aggregate, a), (_, b) in zip(first, second, strict=True)]
    assert exchange_tests(pairs, draws=500) == pytest.approx(
        [exchange_test(*pair, draws=500) for pair in pairs], nan_ok=True
    )
    differences = np.array([a["v"] - b["v"] for aggregate, a, b in pairs if "v" in a])
    together = sign_flip_tests(differences, draws=500)
    assert together == pytest.approx([sign_flip_test(row, draws=500) for row in differences], nan_ok=True)
    assert np.isnan(together).tolist() == [False, False, True, False]


def test_a_clip_without_a_difference_says_nothing():
    generator = np.random.default_rng(7)
    values = generator.normal(0.3, 1, size=60)
    gaps = np.concatenate([values, np.full(40, np.nan)])
    generator.shuffle(gaps)
    assert sign_flip_test(gaps) == pytest.approx(sign_flip_test(values), abs=0.01)
