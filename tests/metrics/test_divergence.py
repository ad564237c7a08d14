"""KL-PANN and the inception score against av-benchmark, and what must hold for any logits."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from visaudio_bench.metrics.divergence import inception_score, kl_divergence

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "divergence.json").read_text())
LOGITS = arrays.arrays(np.float64, (4, 6), elements=st.floats(-50, 50))


@pytest.fixture(scope="module")
def stored():
    return np.load(GOLDEN / "divergence.npz")


@pytest.mark.parametrize("case", [case for case in EXPECTED if "kl_softmax" in EXPECTED[case]])
def test_kl_is_the_references(stored, case):
    expected, found = EXPECTED[case], kl_divergence(stored[f"{case}.gt"], stored[f"{case}.pred"])
    assert found.value == pytest.approx(expected["kl_softmax"], rel=1e-6, abs=2e-6)  # summed in float32 there
    assert found.value == pytest.approx(expected["float64_kl_softmax"], rel=1e-12, abs=1e-15)
    assert found.value == pytest.approx(found.per_clip.mean())


def test_no_epsilon_inside_the_logarithm(stored):
    """The older tool's epsilon gives 13.8 here, and a negative score to identical clips."""
    extreme = kl_divergence(stored["extreme.gt"], stored["extreme.pred"]).value
    assert abs(extreme - EXPECTED["extreme"]["audioldm_eval_kl_softmax"]) > 100
    assert kl_divergence(stored["same.gt"], stored["same.pred"]).value == 0.0


def test_the_reference_comes_first():
    p, q = np.log([[0.9, 0.1]]), np.log([[0.5, 0.5]])
    assert kl_divergence(p, q).value == pytest.approx(0.9 * np.log(1.8) + 0.1 * np.log(0.2))
    assert kl_divergence(q, p).value == pytest.approx(0.5 * np.log(5 / 9) + 0.5 * np.log(5))


@settings(deadline=None)
@given(LOGITS, LOGITS, st.floats(-100, 100), st.permutations(range(4)))
def test_kl_invariants(p, q, shift, order):
    found = kl_divergence(p, q)
    assert (found.per_clip >= -1e-12).all()
    np.testing.assert_allclose(kl_divergence(p + shift, q).per_clip, found.per_clip, atol=1e-9)
    np.testing.assert_allclose(kl_divergence(p[order], q[order]).per_clip, found.per_clip[order], rtol=1e-9)


def test_impossible_classes_contribute_nothing():
    assert kl_divergence([[0.0, -np.inf]], [[0.0, 0.0]]).value == pytest.approx(np.log(2))


def test_kl_refuses_what_is_not_paired():
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3\) and \(1, 3\)"):
        kl_divergence(np.zeros((2, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="at least one clip"):
        kl_divergence(np.zeros((0, 3)), np.zeros((0, 3)))


@pytest.mark.parametrize("case", ["is_n100_c527", "is_n23_c10"])
def test_inception_score_is_the_references(stored, case):
    found = inception_score(stored[f"{case}.logits"])
    assert found.value == pytest.approx(EXPECTED[case]["inception_score_mean"], abs=1e-9)
    assert found.spread == pytest.approx(EXPECTED[case]["inception_score_std"], abs=1e-9)


def test_fewer_clips_than_groups_have_no_inception_score(stored):
    assert np.isnan(inception_score(stored["is_n6_c10.logits"])).all()


def test_inception_score_of_clips_that_say_everything_is_the_number_of_classes():
    assert inception_score(np.eye(4) * 1e3, splits=1).value == pytest.approx(4)
    assert inception_score(np.zeros((10, 4))).value == pytest.approx(1)
