import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from visaudio_bench.metrics.opinion import Votes, crossed
from visaudio_bench.metrics.opinion_comparison import (
    compare,
    crossed_p,
    friedman,
    sign_flip_p,
    tie_groups,
    wilcoxon_p,
)


def study(cube: np.ndarray) -> Votes:
    """Votes of an array (systems, raters, clips) on one dimension."""
    return Votes.from_cells(dict(zip("abcdefgh", cube, strict=False)), "SI")


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=10))
def test_sign_flips_are_counted_as_by_listing_them(totals):
    patterns = itertools.product((1, -1), repeat=len(totals))
    sums = np.array([np.dot(signs, totals) for signs in patterns])
    assert sign_flip_p(totals) == pytest.approx(np.mean(np.abs(sums) >= abs(sum(totals))))


def test_twelve_raters_that_agree_reach_the_smallest_p():
    assert sign_flip_p([3] * 12) == pytest.approx(2 / 2**12)


def test_a_thousand_raters_are_counted_exactly():
    """Against the binomial distribution, which sign flips of equal totals are."""
    totals = np.array([1] * 540 + [-1] * 460)
    assert sign_flip_p(totals) == pytest.approx(stats.binomtest(540, 1000).pvalue)


def test_sign_flips_of_means_are_refused():
    with pytest.raises(ValueError, match="totals of votes"):
        sign_flip_p([0.5, 1.5])


@given(st.lists(st.integers(-400, 400).filter(bool), min_size=3, max_size=12, unique_by=abs))
@settings(max_examples=50)
def test_wilcoxon_without_ties_is_scipys_exact_test(differences):
    values = np.array(differences, dtype=float)
    assert wilcoxon_p(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)


def test_wilcoxon_with_ties_is_scipys_permutation_test():
    values = np.array([1.0, 1, -1, 2, 2, 3, 0])
    exact = stats.wilcoxon(values[values != 0], method=stats.PermutationMethod(n_resamples=np.inf)).pvalue
    assert wilcoxon_p(values) == pytest.approx(exact)
    assert wilcoxon_p(np.zeros(4)) == 1.0


def test_a_comparison_is_paired_by_rater_and_clip():
    """Raters and clips differ by much more than the systems, which differ by one everywhere."""
    rng = np.random.default_rng(0)
    base = rng.integers(1, 4, (8, 1)) + rng.integers(0, 2, (1, 6))
    (found,) = compare(study(np.stack([base + 1, base]).astype(float)), "SI", ["a", "b"])
    assert found.difference.mean == 1.0
    assert found.difference.half == 0.0
    assert found.superiority == 1.0
    assert found.p_sign_flip == pytest.approx(2 / 2**8)
    assert found.p_crossed == found.p_holm == 2 / 2**6, "no difference varies: six clips that agree"
    (fixed,) = compare(study(np.stack([base + 1, base]).astype(float)), "SI", ["a", "b"], test="fixed-clips")
    assert fixed.p_holm == found.p_sign_flip
    assert (found.n_raters, found.n_clips, found.n_pairs) == (8, 6, 48)


def test_the_p_for_other_raters_and_clips_belongs_to_the_crossed_interval():
    """It is below 1 - confidence just where the interval of that confidence leaves zero out."""
    rng = np.random.default_rng(4)
    for _ in range(40):
        cell = np.clip(np.rint(rng.normal(0.5, 1, (6, 5)) + rng.normal(0, 0.5, (1, 5))), -4, 4)
        cell[rng.random(cell.shape) < 0.1] = np.nan
        p = crossed_p(cell)
        for confidence in (0.5, 0.8, 0.95):
            interval = crossed(cell, confidence)
            assert (p < 1 - confidence) == (interval.low > 0 or interval.high < 0)
    assert math.isnan(crossed_p(np.ones((1, 5))))
    assert crossed_p(np.zeros((3, 3))) == 1.0


def equal_systems(studies: int, clip_by_system: float) -> np.ndarray:
    """Votes (studies, systems, raters, clips) of two systems that are equal over all clips."""
    rng = np.random.default_rng(5)
    rater, clip = 0.45 * rng.standard_normal((studies, 1, 12, 1)), 0.3 * rng.standard_normal((studies, 1, 1, 10))
    own = clip_by_system * rng.standard_normal((studies, 2, 1, 10))
    return np.clip(np.rint(3 + rater + clip + own + 0.8 * rng.standard_normal((studies, 2, 12, 10))), 1, 5)


@pytest.mark.parametrize("deviation", [0.0, 0.5])
def test_equal_systems_are_told_apart_in_five_percent_of_the_studies(deviation):
    """Where systems differ from clip to clip, the test that takes the clips as they are does so in a third of them."""
    pairs = [compare(study(cube), "SI", ["a", "b"])[0] for cube in equal_systems(300, deviation)]
    shares = {name: np.mean([getattr(pair, name) <= 0.05 for pair in pairs]) for name in ("p_crossed", "p_sign_flip")}
    assert shares["p_crossed"] <= 0.07
    assert (shares["p_sign_flip"] > 0.2) == (deviation > 0)


def test_an_unknown_test_is_refused():
    with pytest.raises(ValueError, match="known: crossed, fixed-clips"):
        compare(study(np.ones((2, 3, 3))), "SI", ["a", "b"], test="t")


def test_exchanging_two_systems_exchanges_the_sign():
    cube = np.random.default_rng(1).integers(1, 6, (2, 7, 5)).astype(float)
    cube[0, 2, 3] = cube[1, 4, 1] = np.nan
    (one,) = compare(study(cube), "SI", ["a", "b"])
    (other,) = compare(study(cube), "SI", ["b", "a"])
    assert one.difference.mean == pytest.approx(-other.difference.mean)
    assert one.superiority == pytest.approx(1 - other.superiority)
    assert (one.p_sign_flip, one.p_wilcoxon) == pytest.approx((other.p_sign_flip, other.p_wilcoxon))
    assert one.n_pairs == 33


def test_sign_flip_p_is_uniform_when_systems_are_alike():
    rng = np.random.default_rng(2)
    p = [sign_flip_p(rng.integers(-9, 10, 12)) for _ in range(500)]
    assert np.mean(np.array(p) <= 0.05) <= 0.075
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.07)


def test_friedman_is_scipys_over_rater_means():
    cube = np.random.default_rng(3).integers(1, 6, (4, 9, 5)).astype(float)
    expected = stats.friedmanchisquare(*cube.mean(2))
    assert friedman(study(cube), "SI", list("abcd")) == pytest.approx((expected.statistic, expected.pvalue))
    assert math.isnan(friedman(study(cube[:2]), "SI", list("ab")).p)


def test_tie_groups_share_letters_where_no_pair_differs():
    cube = np.full((3, 12, 4), 3.0)
    cube[0] = 5
    cube[1, :3] = 4
    means = {"a": 5.0, "b": 3.25, "c": 3.0}
    found = tie_groups(means, compare(study(cube), "SI", ["a", "b", "c"]))
    assert found == {"a": "a", "b": "b", "c": "b"}
