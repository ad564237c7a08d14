import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from visaudio_bench.metrics.opinion import (
    INTERVALS,
    Votes,
    bootstrap,
    crossed,
    opinion,
    paper,
    paper_clips,
    variance_components,
)


def cells(raters: int = 5, clips: int = 4) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float64, (raters, clips), elements=st.integers(1, 5).map(float))


def mean_squares(cell: np.ndarray) -> tuple[float, float, float]:
    """Two-way analysis of variance without replication, from its textbook definition."""
    R, C = cell.shape
    grand = cell.mean()
    rows, columns = cell.mean(1), cell.mean(0)
    residual = cell - rows[:, None] - columns[None, :] + grand
    return (
        C * ((rows - grand) ** 2).sum() / (R - 1),
        R * ((columns - grand) ** 2).sum() / (C - 1),
        (residual**2).sum() / ((R - 1) * (C - 1)),
    )


def votes_of(cell: np.ndarray) -> Votes:
    return Votes.from_cells({"a": cell}, "SI")


@given(cells())
def test_components_of_a_complete_cell_are_those_of_analysis_of_variance(cell):
    R, C = cell.shape
    by_rater, by_clip, rest = mean_squares(cell)
    found = variance_components(cell)
    assert found.residual == pytest.approx(rest, abs=1e-9)
    assert found.rater == pytest.approx((by_rater - rest) / C, abs=1e-9)
    assert found.clip == pytest.approx((by_clip - rest) / R, abs=1e-9)


@given(cells())
def test_crossed_follows_its_formula(cell):
    R, C = cell.shape
    by_rater, by_clip, rest = mean_squares(cell)
    squared = max(by_rater + by_clip - rest, by_rater, by_clip) / (R * C)
    if by_rater < rest or by_clip < rest or squared < 1e-9:
        return  # a component below zero is set to zero, which the next test covers
    df = (by_rater + by_clip - rest) ** 2 / (
        by_rater**2 / (R - 1) + by_clip**2 / (C - 1) + rest**2 / ((R - 1) * (C - 1))
    )
    found = crossed(cell)
    assert found.df == pytest.approx(df)
    assert found.half == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(squared))


@given(cells())
def test_crossed_is_at_least_as_wide_as_either_unit_alone_suggests(cell):
    """Its standard error is never below that of rater means or of clip means."""
    found = crossed(cell)
    if found.half > 0:
        error = found.half / stats.t.ppf(0.975, found.df)
        assert error >= np.std(cell.mean(1), ddof=1) / math.sqrt(len(cell)) - 1e-9
        assert error >= np.std(cell.mean(0), ddof=1) / math.sqrt(cell.shape[1]) - 1e-9


@given(cells())
@settings(max_examples=50)
def test_one_unit_intervals_agree_with_scipy(cell):
    votes = cell.ravel()
    for name, units in (("raters-t", cell.mean(1)), ("clips-t", cell.mean(0))):
        found = INTERVALS[name](cell, 0.95, 0)
        if np.ptp(units) > 1e-9:
            low, high = stats.t.interval(0.95, len(units) - 1, units.mean(), stats.sem(units))
            assert (found.low, found.high) == pytest.approx((low, high))
    if np.ptp(votes):
        low, high = stats.norm.interval(0.95, votes.mean(), stats.sem(votes))
        found = INTERVALS["normal"](cell, 0.95, 0)
        assert (found.low, found.high) == pytest.approx((low, high))


@given(cells(), st.integers(-3, 3))
@settings(max_examples=50)
def test_intervals_move_with_the_votes_and_not_with_their_order(cell, shift):
    rng = np.random.default_rng(0)
    shuffled = cell[rng.permutation(len(cell))][:, rng.permutation(cell.shape[1])]
    for name, method in INTERVALS.items():
        plain = method(cell, 0.95, 0)
        moved = method(cell + shift, 0.95, 0)
        assert moved.low - plain.low == pytest.approx(shift)
        if name != "bootstrap":
            assert method(shuffled, 0.95, 0)[:4] == pytest.approx(plain[:4])


def test_votes_that_agree_less_than_chance_keep_a_usable_interval():
    """Both components are below zero here; Satterthwaite alone gives 0.15 degrees of freedom and ±16 million."""
    cell = np.array([[1, 1, 3, 1], [4, 1, 1, 1], [1, 1, 1, 3], [3, 1, 1, 2], [1, 4, 2, 1]], dtype=float)
    found = INTERVALS["crossed"](cell, 0.95, 0)
    assert found.df == 3
    assert 0 < found.half < 1


def test_the_twins_of_the_paper_exchange_raters_and_clips():
    cell = np.random.default_rng(0).integers(1, 6, (12, 10)).astype(float)
    assert paper(cell) == paper_clips(cell.T)
    assert paper(cell).half == pytest.approx(1.959964 * np.std(cell.mean(1)) / math.sqrt(12), abs=1e-6)


@pytest.mark.parametrize("name", INTERVALS)
def test_one_rater_and_one_clip_have_no_interval_but_a_reason(name):
    found = INTERVALS[name](np.array([[4.0]]), 0.95, 0)
    assert found.mean == 4.0
    assert math.isnan(found.half)
    assert "needed" in found.reason


@pytest.mark.parametrize("name", INTERVALS)
def test_equal_votes_have_an_interval_of_zero_width(name):
    found = INTERVALS[name](np.full((3, 4), 5.0), 0.95, 0)
    assert (found.low, found.high, found.half) == (5.0, 5.0, 0.0)


def test_missing_votes_leave_estimates_unbiased():
    """Components of many simulated cells with a third of the votes missing average to the truth."""
    rng = np.random.default_rng(1)
    truth = (0.3, 0.2, 0.5)
    found = []
    for _ in range(400):
        cell = (
            math.sqrt(truth[0]) * rng.standard_normal((14, 1))
            + math.sqrt(truth[1]) * rng.standard_normal((1, 12))
            + math.sqrt(truth[2]) * rng.standard_normal((14, 12))
        )
        cell[rng.random(cell.shape) < 1 / 3] = np.nan
        found.append(variance_components(cell))
    assert np.mean(found, axis=0) == pytest.approx(truth, abs=0.03)


def test_a_pattern_that_cannot_be_separated_says_so():
    cell = np.full((3, 3), np.nan)
    cell[[0, 1, 2], [0, 1, 2]] = (1, 2, 3)  # every rater saw another clip
    assert "missing" in crossed(cell).reason


def coverage(studies: int, method: str, quality: float, missing: float = 0.0) -> float:
    """How often a 95 % interval holds the mean of all possible votes, 12 raters by 10 clips."""
    rng = np.random.default_rng(7)
    spread = math.sqrt(2 * 0.45**2 + 0.8**2)
    truth = 1 + stats.norm.sf(np.arange(1, 5) + 0.5, quality, spread).sum()
    hits = 0
    for _ in range(studies):
        latent = (
            quality
            + 0.45 * rng.standard_normal((12, 1))
            + 0.45 * rng.standard_normal((1, 10))
            + 0.8 * rng.standard_normal((12, 10))
        )
        cell = np.clip(np.rint(latent), 1, 5)
        cell[rng.random(cell.shape) < missing] = np.nan
        found = INTERVALS[method](cell, 0.95, 0)
        hits += found.low <= truth <= found.high
    return hits / studies


@pytest.mark.parametrize("quality", [3.2, 4.1])
def test_crossed_covers_the_truth_in_300_studies(quality):
    assert 0.92 <= coverage(300, "crossed", quality) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("quality", [1.7, 3.2, 4.1])
def test_crossed_covers_the_truth_in_2000_studies(quality, missing):
    assert 0.93 <= coverage(2000, "crossed", quality, missing) <= 0.97


def test_the_usual_intervals_are_too_short():
    assert coverage(300, "normal", 3.2) < 0.75
    assert coverage(300, "paper", 3.2) < 0.88


def test_the_bootstrap_resamples_raters_and_clips():
    """With noise-free votes that depend on the clip alone it is the bootstrap of the clip means."""
    clip_means = np.array([1.0, 2, 2, 3, 5, 5, 4, 1])
    found = bootstrap(np.tile(clip_means, (6, 1)))
    other = stats.bootstrap((clip_means,), np.mean, method="percentile", rng=np.random.default_rng(0), n_resamples=9999)
    assert found.low == pytest.approx(other.confidence_interval.low, abs=0.15)
    assert found.high == pytest.approx(other.confidence_interval.high, abs=0.15)


def test_an_opinion_counts_what_it_rests_on():
    cell = np.array([[1.0, 5, np.nan], [2, 5, 5]])
    found = opinion(votes_of(cell), "a", "SI", ["normal"])
    assert (found.n_raters, found.n_clips, found.n_votes) == (2, 3, 5)
    assert found.histogram == (1, 1, 0, 0, 3)
    assert found.mean == pytest.approx(3.6)
    assert found.sd == pytest.approx(np.std([1, 5, 2, 5, 5], ddof=1))


def test_two_votes_of_a_rater_on_a_sample_are_an_error():
    votes = votes_of(np.array([[1.0, 2.0]]))
    twice = Votes(**{**vars(votes), "clip": np.array([0, 0])})
    with pytest.raises(ValueError, match="more than once"):
        twice.matrix("a", "SI")


def test_cells_that_are_not_votes_are_refused():
    with pytest.raises(ValueError, match="whole number"):
        Votes.from_cells({"a": [[4.5]]}, "SI")
    with pytest.raises(ValueError, match="shape"):
        Votes.from_cells({"a": [[4, 5]], "b": [[4]]}, "SI")
