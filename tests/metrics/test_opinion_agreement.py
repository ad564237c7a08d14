import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from visaudio_bench.metrics.opinion import Votes
from visaudio_bench.metrics.opinion_agreement import (
    intraclass,
    krippendorff_alpha,
    rater_reports,
    sample_matrix,
    screen,
)

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", example C: four observers, twelve units, missing
# data; alpha is .743 nominal, .815 ordinal, .849 interval, .797 ratio.
KRIPPENDORFF = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
# Shrout and Fleiss (1979), Table 2: six targets, four judges; Table 4: ICC(2,1) = .29, ICC(2,4) = .62.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def table(text: str) -> np.ndarray:
    rows = [[math.nan if cell == "." else float(cell) for cell in line.split()] for line in text.strip().splitlines()]
    return np.array(rows).T


def votes_of(samples: np.ndarray, role: str = "test", expected: float = math.nan) -> Votes:
    """Votes of (clips, raters) on one system and dimension."""
    return Votes.from_cells({"a": samples.T}, "SI", role=role, expected=expected)


def joined(one: Votes, two: Votes) -> Votes:
    columns = ("rater", "clip", "system", "dimension", "rating", "role", "expected")
    both = {name: np.concatenate([getattr(one, name), getattr(two, name)]) for name in columns}
    return Votes(**{**vars(one), **both})


def test_alpha_of_the_published_example():
    assert krippendorff_alpha(table(KRIPPENDORFF)) == pytest.approx(0.815, abs=5e-4)


def test_intraclass_of_the_published_example():
    found = intraclass(np.array(SHROUT_FLEISS, dtype=float))
    assert found.single == pytest.approx(0.29, abs=5e-3)
    assert found.mean == pytest.approx(0.62, abs=5e-3)


@given(hnp.arrays(np.float64, (6, 4), elements=st.integers(1, 5).map(float)))
def test_alpha_depends_on_order_alone(samples):
    stretched = np.array([0, 1, 10, 100, 1000, 10000])[samples.astype(int)].astype(float)
    one, other = krippendorff_alpha(samples), krippendorff_alpha(stretched)
    assert one == pytest.approx(other, nan_ok=True)
    assert math.isnan(one) or one <= 1


def test_perfect_agreement_is_one_and_constant_votes_are_undefined():
    agreed = np.tile(np.arange(1.0, 6)[:, None], (1, 3))
    assert krippendorff_alpha(agreed) == pytest.approx(1)
    assert intraclass(agreed).mean == pytest.approx(1)
    assert math.isnan(krippendorff_alpha(np.full((4, 3), 2.0)))
    assert math.isnan(intraclass(np.full((4, 3), 2.0)).mean)


def test_known_biases_are_found():
    rng = np.random.default_rng(0)
    samples = rng.integers(3, 6, (40, 1)) + np.array([[0, 0, 2, -2]])
    reports = rater_reports(votes_of(samples.astype(float)))
    assert [report.bias for report in reports] == pytest.approx([0, 0, 2, -2])
    assert [report.inconsistency for report in reports] == pytest.approx([0] * 4, abs=1e-9)
    assert all(report.agreement == pytest.approx(1) for report in reports)


def test_agreement_leaves_the_rater_out():
    """Two raters: each is correlated with the other alone, not with a mean that holds the own votes."""
    samples = np.array([[1.0, 4], [2, 3], [3, 2], [4, 1]])
    assert [report.agreement for report in rater_reports(votes_of(samples))] == pytest.approx([-1, -1])


def test_each_rule_finds_its_raters():
    rng = np.random.default_rng(1)
    good = rng.integers(1, 6, (30, 1)).astype(float)
    samples = np.tile(good, (1, 5))
    samples[:, 1] = 3  # straight line
    samples[:, 2] = 6 - samples[:, 2]  # against everybody
    samples[0, 3] = math.nan  # one vote missing
    votes = votes_of(samples)
    found = screen(votes, ["incomplete", "straightline", "agreement"])
    assert found["incomplete"] == ["r3"]
    assert found["straightline"] == ["r1"]
    assert found["agreement"] == ["r1", "r2"]  # constant votes agree with nobody either
    checks = {"headphones": dict.fromkeys(votes.raters, "pass") | {"r4": "fail"}, "orientation": {"r0": "pass"}}
    found = screen(votes, ["headphones", "orientation"], checks)
    assert found == {"headphones": ["r4"], "orientation": ["r1", "r2", "r3", "r4"]}


def test_traps_and_gold_samples_are_compared_with_what_was_expected():
    test = votes_of(np.random.default_rng(0).integers(1, 6, (5, 3)).astype(float))
    special = np.full((5, 3), math.nan)
    special[0] = (2, 3, 4)
    assert screen(joined(test, votes_of(special, "trap", 2)), ["trap"]) == {"trap": ["r1", "r2"]}
    assert screen(joined(test, votes_of(special, "gold", 2)), ["gold"]) == {"gold": ["r2"]}


def test_a_reference_below_the_anchor_is_caught():
    reference, anchor = np.array([[5.0, 2]]), np.array([[1.0, 4]])
    votes = joined(votes_of(reference, "hidden_reference"), votes_of(anchor, "low_anchor"))
    assert screen(votes, ["anchor"]) == {"anchor": ["r1"]}


@pytest.mark.parametrize("rule", ["trap", "gold", "anchor", "headphones", "orientation", "nonsense"])
def test_a_rule_without_its_data_is_refused(rule):
    with pytest.raises(ValueError, match=rule):
        screen(votes_of(np.ones((3, 2))), [rule])


def test_samples_are_clips_by_systems_by_dimensions():
    votes = votes_of(np.arange(1.0, 7).reshape(3, 2))
    assert np.array_equal(sample_matrix(votes), np.arange(1.0, 7).reshape(3, 2))


def test_who_does_not_know_the_hidden_reference_is_found():
    """Below 90 on more than 15 % of the clips: two of ten, not one."""
    hidden = np.full((3, 10), 100.0)
    hidden[1, 0] = hidden[2, :2] = 89
    votes = Votes.from_cells({"reference": hidden}, "BAQ", role="hidden_reference")
    assert screen(votes, ["reference"]) == {"reference": ["r2"]}
    with pytest.raises(ValueError, match='needs votes with the role "hidden_reference"'):
        screen(Votes.from_cells({"a": hidden}, "BAQ"), ["reference"])
