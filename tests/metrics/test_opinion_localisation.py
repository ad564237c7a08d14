import math

import numpy as np
import pytest

from visaudio_bench.metrics.opinion import Votes
from visaudio_bench.metrics.opinion_localisation import answer_scores, compare_errors, localisation


def answers(rng: np.random.Generator, spread: dict[str, float], raters: int = 10, clips: int = 8) -> Votes:
    """Answers around true azimuths; raters and clips have shifts of their own."""
    truth = np.linspace(-60, 60, clips)
    shift = 5 * rng.standard_normal((raters, 1)) + 5 * rng.standard_normal((1, clips))
    cells = {
        name: np.clip(np.rint(truth + shift + sd * rng.standard_normal((raters, clips))), -90, 90)
        for name, sd in spread.items()
    }
    votes = Votes.from_cells(cells, "AZ")
    return Votes(**{**votes.__dict__, "expected": truth[votes.clip]})


def test_exchanged_ears_are_confused_and_guesses_are_at_chance():
    truth = np.array([-40.0, -20, 20, 40])
    assert answer_scores(-truth, truth)["confusion"].tolist() == [1, 1, 1, 1]
    assert answer_scores(np.zeros(4), truth)["confusion"].mean() == 0.5
    rng = np.random.default_rng(0)
    guesses = answer_scores(rng.integers(-90, 91, 4000), rng.choice(truth, 4000))
    assert guesses["confusion"].mean() == pytest.approx(0.5, abs=0.03)
    assert guesses["error"].mean() > 45


def test_better_placed_sounds_are_told_apart_and_equal_ones_are_not():
    rng = np.random.default_rng(1)
    apart = []
    for _ in range(60):
        votes = answers(rng, {"a": 8, "b": 8, "c": 30})
        pairs = {(pair.a, pair.b): pair for pair in compare_errors(votes, ["a", "b", "c"])}
        assert pairs["a", "c"].difference.mean < -5
        apart.append((pairs["a", "b"].p <= 0.05, pairs["a", "c"].p_holm <= 0.05))
    assert np.mean(apart, axis=0)[0] <= 0.1
    assert np.mean(apart, axis=0)[1] >= 0.95


def test_the_interval_of_the_error_covers_its_mean_over_many_raters_and_clips():
    rng = np.random.default_rng(2)
    (true,) = localisation(answers(rng, {"a": 15}, 200, 200), ["a"])
    found = [localisation(answers(rng, {"a": 15}), ["a"])[0].error for _ in range(60)]
    assert np.mean([one.low <= true.error.mean <= one.high for one in found]) >= 0.88


def test_the_interval_of_a_rare_confusion_covers_it():
    """Few answers lie on the wrong side, often none: an interval around what was seen alone would be too short."""
    rng, hits = np.random.default_rng(5), []
    for _ in range(120):
        wrong = rng.random((6, 6)) < 0.06
        votes = Votes.from_cells({"a": np.where(wrong, -30, 30)}, "AZ", expected=30.0)
        share = localisation(votes, ["a"])[0].confusion
        assert 0 <= share.low <= share.mean <= share.high <= 1
        hits.append(share.low <= 0.06 <= share.high)
    assert np.mean(hits) >= 0.9


def test_a_source_in_the_middle_has_no_side():
    (found,) = localisation(Votes.from_cells({"a": [[10, -10], [5, 0]]}, "AZ", expected=0.0), ["a"])
    assert math.isnan(found.confusion.mean)
    assert found.confusion.reason == "no source lies to a side"
    assert found.near.mean == 1.0
