from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from visaudio_bench.metrics import uncertainty
from visaudio_bench.metrics.aggregate import MOMENTS, concordance, mean, median
from visaudio_bench.metrics.uncertainty import (
    CONSTANT,
    MINIMUM_CLIPS,
    ONE_CLIP,
    TOO_ALIKE,
    Replicates,
    Statistic,
    difference,
    differences,
    holm,
    interval,
    intervals,
    jackknife,
    tie_groups,
)

the_mean, the_median = mean("v"), median("v")


def of(values):
    return {"v": np.asarray(values, float)}


STUDIES = 300
# (studies, clips) of scores with a known mean, and the range of the metric
SCORES = {
    "normal": (lambda g, n: g.normal(3, 1, (STUDIES, n)), 3.0, (None, None)),
    "skewed": (lambda g, n: g.exponential(1, (STUDIES, n)), 1.0, (0.0, None)),
    "heavily skewed": (lambda g, n: g.lognormal(0, 1, (STUDIES, n)), np.exp(0.5), (0.0, None)),
    "half are zero": (lambda g, n: g.exponential(1, (STUDIES, n)) * (g.random((STUDIES, n)) < 0.5), 0.5, (0.0, None)),
    "ordinal": (lambda g, n: g.choice(5, (STUDIES, n), p=[0.05, 0.1, 0.2, 0.35, 0.3]) + 1.0, 3.75, (1.0, 5.0)),
    "share": (lambda g, n: g.beta(0.8, 0.4, (STUDIES, n)), 2 / 3, (0.0, 1.0)),
}


@pytest.mark.parametrize("clips", [10, 40])
@pytest.mark.parametrize("kind", SCORES)
def test_intervals_cover_the_truth_as_often_as_they_say(kind, clips):
    draw, truth, (low, high) = SCORES[kind]
    scores = draw(np.random.default_rng(1), clips)
    found = intervals([Statistic(the_mean, of(row), low, high) for row in scores], resamples=499)
    given = [one for one in found if not one.reason]
    assert len(given) > 0.9 * STUDIES  # of ten clips of which nine are zero nothing can be said
    inside = np.mean([one.low <= truth <= one.high for one in given])
    assert 0.92 <= inside <= 0.985
    assert all(low is None or one.low >= low for one in given)
    assert all(high is None or one.high <= high for one in given)


def test_intervals_of_a_pooled_concordance_cover_the_truth():
    generator = np.random.default_rng(2)

    def sums(clips):
        side = generator.normal(0, 1, (clips, 1))
        x, y = (side + generator.normal(0, 1, (clips, 8)) for _ in range(2))
        columns = np.full(clips, 8.0), x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1)
        return {f"v.{name}": column for name, column in zip(MOMENTS, columns, strict=True)}

    found = intervals([Statistic(concordance("v"), sums(20), -1.0, 1.0) for _ in range(STUDIES)], resamples=499)
    assert 0.92 <= np.mean([one.low <= 0.5 <= one.high for one in found]) <= 0.985
    assert all(-1 <= one.low < one.value < one.high <= 1 for one in found)


def test_the_interval_of_many_clips_is_that_of_the_normal_theory():
    values = np.random.default_rng(1).normal(3, 2, size=400)
    found = interval(Statistic(the_mean, of(values)))
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean()) and found.n == 400
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, 2.0], np.arange(9.0), [*range(9), *[np.nan] * 30]])
def test_few_clips_give_no_interval_and_no_test(values):
    found = interval(Statistic(the_mean, of(values)))
    assert np.isnan(found.low) and np.isnan(found.high) and found.reason
    assert found.n == np.isfinite(values).sum() < MINIMUM_CLIPS
    gap = difference(the_mean, of(values), of(np.zeros(len(values))))
    assert np.isnan(gap.p) and np.isnan(gap.low) and gap.reason


@pytest.mark.parametrize(
    ("values", "low", "high", "reason"),
    [
        ([7.3] * 20, None, None, CONSTANT),
        ([0.0] * 20, 0.0, None, CONSTANT),
        ([100.0] * 20, 0.0, 100.0, CONSTANT),
        ([0.0] * 11 + [5.0], 0.0, None, ONE_CLIP),
        ([*np.linspace(0.99, 1, 39), -1.0], -1.0, 1.0, ONE_CLIP),
        ([0.0] * 10 + [4.0, 5.0], 0.0, None, TOO_ALIKE),
    ],
)
def test_clips_that_say_the_same_give_no_interval(values, low, high, reason):
    """An interval of zero width would claim that no other clip could say anything else."""
    found = interval(Statistic(the_mean, of(values), low, high))
    assert found.value == pytest.approx(np.mean(values))
    assert (np.isnan(found.low), np.isnan(found.high), found.reason) == (True, True, reason)


@pytest.mark.parametrize("clips", [12, 20, 40])
def test_two_clips_that_differ_give_no_interval_however_numbers_are_rounded(clips):
    """Resamples without either of them have no spread but rounding, by which nothing may be divided."""
    generator = np.random.default_rng(clips)
    for _ in range(20):
        first = generator.uniform(size=clips)
        second = first.copy()
        second[:2] += generator.uniform(0.1, 1, 2)
        gap = difference(the_mean, of(first), of(second))
        assert np.isnan(gap.low) and np.isnan(gap.high) and gap.reason in (TOO_ALIKE, ONE_CLIP)


def test_undefined_clips_stay_out_of_the_value_and_count_as_fewer_clips():
    values = np.random.default_rng(3).normal(size=50)
    holed = np.append(values, np.full(50, np.nan))
    plain, sparse = interval(Statistic(the_mean, of(values))), interval(Statistic(the_mean, of(holed)))
    assert sparse.value == pytest.approx(plain.value) and sparse.n == plain.n == 50
    assert sparse.high - sparse.low == pytest.approx(plain.high - plain.low, rel=0.15)


def test_the_interval_depends_on_the_seed_only():
    cell = Statistic(the_mean, of(np.random.default_rng(4).normal(size=30)))
    assert interval(cell) == interval(cell) != interval(cell, seed=1)


def test_chunks_do_not_change_the_interval(monkeypatch):
    cells = [Statistic(one, of(np.random.default_rng(4).normal(size=30))) for one in (the_mean, the_median)]
    whole = intervals(cells)
    monkeypatch.setattr("visaudio_bench.metrics.uncertainty.CHUNK", 700)
    np.testing.assert_allclose([one[:4] for one in intervals(cells)], [one[:4] for one in whole], rtol=1e-12)


def test_a_median_has_an_interval_and_a_test_too():
    generator = np.random.default_rng(5)
    cells = [Statistic(the_median, of(generator.exponential(size=40)), 0.0, None) for _ in range(100)]
    found = intervals(cells, resamples=499)
    assert 0.92 <= np.mean([one.low <= np.log(2) <= one.high for one in found]) <= 1
    clips = generator.exponential(size=40)
    apart, alike = (
        difference(the_median, of(clips + gap), of(clips + generator.normal(0, 0.01, 40))) for gap in (1, 0)
    )
    assert apart.p < 0.001 < alike.p


@pytest.mark.parametrize("clips", [10, 40])
@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_equal_means_are_seldom_separated_also_where_the_spread_is_not_equal(spread, clips):
    """Log-normal factors of mean 1: with spread 1 the sign-flip test separates 10 % of these at ten clips."""
    generator = np.random.default_rng(6)
    factors = [generator.lognormal(-s * s / 2, s, (STUDIES, clips)) for s in (0.5, spread)]
    found = differences([(the_mean, of(one), of(other)) for one, other in zip(*factors, strict=True)], draws=499)
    assert np.mean([one.p < 0.05 for one in found]) <= 0.085
    assert all((one.p <= 0.05) == (not one.low <= 0 <= one.high) for one in found if not one.reason)


def test_differences_are_found_as_often_as_by_the_t_test():
    generator = np.random.default_rng(7)
    values = generator.normal(0.5, 1, (STUDIES, 40))
    found = differences([(the_mean, of(row), of(np.zeros(40))) for row in values], draws=499)
    ours, theirs = np.mean([one.p < 0.05 for one in found]), np.mean(ttest_1samp(values, 0, axis=1).pvalue < 0.05)
    assert ours == pytest.approx(theirs, abs=0.03)


def test_a_pairing_that_cancels_leaves_a_narrow_difference():
    generator = np.random.default_rng(5)
    clip = 10 * generator.normal(size=80)
    first, second = of(clip + 1 + 0.1 * generator.normal(size=80)), of(clip)
    found = difference(the_mean, first, second)
    assert found.low < 1 < found.high and found.high - found.low < 0.1 and found.p < 0.001
    assert found.error == pytest.approx((first["v"] - second["v"]).std(ddof=1) / np.sqrt(80))
    turned = difference(the_mean, second, first)
    assert (turned.value, turned.p) == (pytest.approx(-found.value), found.p)


def test_a_difference_rests_on_the_clips_that_both_have():
    first, second = np.arange(20.0), np.arange(20.0) + np.arange(20) % 3
    first[:5], second[15:] = np.nan, np.nan
    found = difference(the_mean, of(first), of(second))
    assert (found.n, found.value) == (10, pytest.approx(-np.mean(np.arange(5, 15) % 3)))


def test_one_difference_on_all_clips_has_the_p_of_a_sign_test():
    clips = np.random.default_rng(0).normal(size=12)
    found = difference(the_mean, of(clips + 1), of(clips))
    assert (found.p, found.reason) == (2 / 2**12, CONSTANT)
    same = difference(the_mean, of(clips), of(clips))
    assert (same.value, same.p) == (0, 1)


def test_quantities_over_different_clips_are_refused():
    with pytest.raises(ValueError, match="same clips"):
        interval(Statistic(the_mean, {"v": np.zeros(13), "w": np.zeros(14)}))
    with pytest.raises(ValueError, match="same clips"):
        intervals([Statistic(the_mean, of(np.zeros(13))), Statistic(the_mean, of(np.zeros(14)))])


def several_cells(generator, clips=30):
    """Cells of a table: means and a median, one with gaps and one without any value, and a pooled concordance."""
    gaps = generator.normal(size=clips)
    gaps[::7] = np.nan
    x, y = generator.normal(size=(2, clips, 6))
    sums = {"n": np.full(clips, 6.0), "sum_x": x.sum(1), "sum_y": y.sum(1), "sum_xx": (x * x).sum(1),
            "sum_yy": (y * y).sum(1), "sum_xy": (x * y).sum(1)}  # fmt: skip
    return [
        Statistic(the_mean, of(generator.normal(size=clips))),
        Statistic(the_median, of(gaps)),
        Statistic(concordance("c"), {f"c.{name}": values for name, values in sums.items()}, -1.0, 1.0),
        Statistic(the_mean, of(np.full(clips, np.nan))),
        Statistic(the_mean, of(gaps)),
    ]


def test_the_cells_of_a_table_have_together_what_they_have_alone():
    cells, others = several_cells(np.random.default_rng(4)), several_cells(np.random.default_rng(5))
    together, alone = intervals(cells, seed=3), [interval(cell, seed=3) for cell in cells]
    assert [one[:4] for one in together] == [pytest.approx(one[:4], rel=1e-12, nan_ok=True) for one in alone]
    assert [one.n for one in together] == [30, 25, 30, 0, 25]
    assert intervals([]) == [] and differences([]) == []
    pairs = [(a.aggregate, a.quantities, b.quantities) for a, b in zip(cells, others, strict=True)]
    at_once, single = differences(pairs, draws=500), [difference(*pair, draws=500) for pair in pairs]
    assert [one[:6] for one in at_once] == [pytest.approx(one[:6], rel=1e-12, nan_ok=True) for one in single]
    assert [np.isnan(one.p) for one in at_once] == [False, False, False, True, False]


def test_sums_that_pairs_of_systems_share_are_multiplied_once(monkeypatch):
    """Six systems have 15 pairs and 5 times as many sums as they have; a wide matrix is most of what a report costs."""
    multiplied = []

    class Counted(uncertainty._Stack):
        def __init__(self, terms):
            super().__init__(terms)
            multiplied.append(len(self.terms))

    monkeypatch.setattr(uncertainty, "_Stack", Counted)
    cells = [several_cells(np.random.default_rng(seed))[2] for seed in range(6)]
    pairs = [(a.aggregate, a.quantities, b.quantities) for a, b in combinations(cells, 2)]
    differences(pairs, draws=20)
    whole = sum(len(sample.sums.terms) + len(sample.sums.products) for sample in map(sample_of, pairs))
    assert multiplied[0] < whole / 2


def sample_of(pair):
    aggregate, first, second = pair
    sides = {f"0{name}": row for name, row in first.items()} | {f"1{name}": row for name, row in second.items()}
    return uncertainty._Sample(uncertainty._minus(aggregate), sides, len(first["c.n"]))


def test_jackknife_of_a_mean_is_the_t_interval():
    values = np.random.default_rng(12).normal(size=20)
    estimate = jackknife(the_mean, of(values), groups=20).estimate()
    half = student.ppf(0.975, 19) * values.std(ddof=1) / np.sqrt(20)
    assert estimate[:3] == pytest.approx((values.mean(), values.mean() - half, values.mean() + half))


def test_jackknife_removes_the_bias_of_the_plug_in_variance_exactly():
    values = np.random.default_rng(13).normal(size=24)
    found = jackknife(lambda quantities: quantities["v"].var(), of(values), groups=24)
    assert found.estimate().value == pytest.approx(values.var(ddof=1))
    plain = found.estimate(corrected=False)
    assert plain.value == pytest.approx(values.var()) == pytest.approx((plain.low + plain.high) / 2)


def test_jackknife_with_unequal_groups_is_exact_for_a_mean():
    values = np.random.default_rng(14).normal(size=23)
    assert jackknife(the_mean, of(values), groups=5).corrected == pytest.approx(values.mean())


def test_jackknife_of_the_undefined_gives_a_reason():
    assert jackknife(the_mean, of([1.0])) is None
    estimate = Replicates(np.nan, np.zeros(3), np.ones(3, int)).estimate()
    assert estimate.value is None and estimate.reason


def test_statistics_of_two_systems_are_compared_group_by_group():
    clips, noise = np.random.default_rng(15).normal(size=(2, 40))
    one, other = (jackknife(the_mean, of(values), groups=40) for values in (clips + 1, clips + 0.1 * noise))
    found = one.against(other)
    expected = ttest_1samp(clips + 1 - clips - 0.1 * noise, 0)
    assert found.p == pytest.approx(expected.pvalue) and found.error == pytest.approx(0.1 * noise.std(ddof=1) / 40**0.5)
    same = one.against(one)
    assert (same.value, same.p, same.reason) == (pytest.approx(0), 1, CONSTANT)


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
