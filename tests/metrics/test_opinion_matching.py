import numpy as np
import pytest

from visaudio_bench.metrics.opinion import Votes, crossed
from visaudio_bench.metrics.opinion_matching import matching, right_answers, share_interval


def study(rng: np.random.Generator, logits: dict[str, float], raters: int = 12, clips: int = 10) -> Votes:
    """Answers right with a chance that varies with raters and, by system, with clips."""
    skill = 0.5 * rng.standard_normal((raters, 1))
    expected = rng.choice([-1, 1], (raters, clips))
    cells = {}
    for name, logit in logits.items():
        chance = 1 / (1 + np.exp(-(logit + skill * (logit != 0) + 0.5 * rng.standard_normal((1, clips)))))
        cells[name] = np.where(rng.random((raters, clips)) < chance, expected, -expected)
    votes = Votes.from_cells(cells, "FIT")
    return Votes(**{**votes.__dict__, "expected": expected[votes.rater, votes.clip].astype(float)})


def test_an_answer_is_right_whichever_sound_came_first():
    votes = study(np.random.default_rng(0), {"a": 1.0})
    turned = Votes(**{**votes.__dict__, "rating": -votes.rating, "expected": -votes.expected})
    assert np.array_equal(right_answers(votes, "a"), right_answers(turned, "a"))
    assert right_answers(Votes.from_cells({"a": [[1, 1]]}, "FIT", expected=-1.0), "a").tolist() == [[0, 0]]


def test_intervals_cover_and_guessing_is_taken_for_more_in_five_percent():
    rng = np.random.default_rng(1)
    logits = {"guess": 0.0, "some": 0.8, "most": 3.0}
    panel = {one.system: one.share.mean for one in matching(study(rng, logits, 200, 200), list(logits))}
    covered, found = [], []
    for _ in range(80):
        shares = matching(study(rng, logits), list(logits))
        covered.append([one.share.low <= panel[one.system] <= one.share.high for one in shares])
        found.append([one.p <= 0.05 for one in shares])
        assert all(0 <= one.share.low < one.share.high <= 1 for one in shares)
    assert np.all(np.mean(covered, axis=0) >= 0.88)
    assert np.mean(found, axis=0)[0] <= 0.11
    assert np.mean(found, axis=0)[2] == 1.0


def test_a_perfect_share_is_not_certain_and_a_middling_one_has_the_plain_interval():
    few, many = (share_interval(np.ones((size, size))) for size in (3, 30))
    assert few.low < many.low < 1.0
    assert (few.high, many.high) == (1.0, 1.0)
    cell = right_answers(study(np.random.default_rng(2), {"a": 0.0}, 40, 40), "a")
    assert share_interval(cell).half == pytest.approx(crossed(cell).half, rel=0.02)


def test_one_rater_has_a_share_and_no_interval():
    (found,) = matching(Votes.from_cells({"a": [[1, -1, 1]]}, "FIT", expected=1.0), ["a"])
    assert found.share.mean == pytest.approx(2 / 3)
    assert np.isnan([found.share.low, found.p]).all()
    assert "at least 2 of each" in found.share.reason
