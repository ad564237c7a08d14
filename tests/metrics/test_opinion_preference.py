import numpy as np
import pytest
from scipy import optimize

from visaudio_bench.metrics.opinion_preference import PRIOR, Preferences, bradley_terry, compare_pairs, strengths


def study(rng: np.random.Generator, truth: np.ndarray, raters: int, clips: int, spread: float = 0.4) -> Preferences:
    """Every rater on every pair of every clip; preferences vary with raters and clips, a quarter are no difference."""
    systems = len(truth)
    rater, clip, a, b = (
        index.ravel() for index in np.indices((raters, clips, systems, systems)).reshape(4, -1)
    )  # fmt: skip
    keep = a < b
    rater, clip, a, b = rater[keep], clip[keep], a[keep], b[keep]
    own = spread * rng.standard_normal((raters, systems)), spread * rng.standard_normal((clips, systems))
    latent = truth + own[0][rater[:, None], np.arange(systems)] + own[1][clip[:, None], np.arange(systems)]
    rows = np.arange(len(a))
    gap = latent[rows, a] - latent[rows, b] + rng.logistic(size=len(a))
    choice = np.where(np.abs(gap) < 0.5, 0, np.sign(gap)).astype(np.int64)
    turned = rng.random(len(a)) < 0.5
    return Preferences(
        rater, clip, np.where(turned, b, a), np.where(turned, a, b), np.where(turned, -choice, choice),
        tuple(f"r{k}" for k in range(raters)), tuple(f"c{k}" for k in range(clips)), tuple("ABCDEF"[:systems]),
    )  # fmt: skip


def test_strengths_have_the_largest_likelihood():
    wins = np.array([[0, 8, 9, 4], [2, 0, 6, 7], [1, 4, 0, 5], [3, 3, 5, 0]], dtype=float)

    def loss(free: np.ndarray) -> float:
        strength = np.append(free, -free.sum())
        gaps = strength[:, None] - strength[None, :]
        return float(((wins + PRIOR * (1 - np.eye(4))) * np.log1p(np.exp(-gaps))).sum())

    best = optimize.minimize(loss, np.zeros(3), tol=1e-12).x
    assert bradley_terry(wins) == pytest.approx(np.append(best, -best.sum()), abs=1e-3)


def test_who_never_lost_stays_finite_and_many_tables_are_fitted_at_once():
    wins = np.array([[[0, 9], [0, 0]], [[0, 0], [9, 0]], [[0, 5], [5, 0]]])
    found = bradley_terry(wins)
    assert found[:, 0] == pytest.approx([np.log(19) / 2, -np.log(19) / 2, 0], abs=1e-6)
    assert found == pytest.approx(np.stack([bradley_terry(one) for one in wins]))


def test_which_sound_is_shown_first_changes_nothing():
    votes = study(np.random.default_rng(0), np.array([0.5, 0.0, -0.5]), 8, 6)
    turned = Preferences(
        votes.rater, votes.clip, votes.second, votes.first, -votes.choice, votes.raters, votes.clips, votes.systems
    )
    assert compare_pairs(turned) == compare_pairs(votes)
    assert strengths(turned) == strengths(votes)


def test_intervals_cover_and_even_systems_are_told_apart_in_five_percent():
    """Truth by a panel of 80 raters and clips: with varying tastes the average strength is a little smaller."""
    rng = np.random.default_rng(1)
    truth = np.array([0.8, 0.0, 0.0, -0.8])
    panel = np.array([one.strength for one in strengths(study(rng, truth, 80, 80))])
    covered, apart = [], []
    for number in range(20):
        votes = study(rng, truth, 12, 10)
        found = strengths(votes, seed=number)
        covered += [one.low <= true <= one.high for one, true in zip(found, panel, strict=True)]
        apart += [pair.p <= 0.05 for pair in compare_pairs(votes) if (pair.a, pair.b) == ("B", "C")]
    assert 0.9 <= np.mean(covered) <= 1.0
    assert np.mean(apart) <= 0.1
    assert all(
        pair.p_holm < 0.05 for pair in compare_pairs(study(rng, truth, 12, 10)) if (pair.a, pair.b) == ("A", "D")
    )


def test_one_rater_has_a_strength_and_no_interval():
    votes = study(np.random.default_rng(2), np.array([0.5, -0.5]), 1, 6)
    (first, _) = strengths(votes)
    assert np.isfinite(first.strength)
    assert np.isnan(first.low)
    (pair,) = compare_pairs(votes)
    assert np.isnan(pair.p)
    assert pair.n_votes == 6
