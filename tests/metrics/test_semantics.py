"""IB-Score from embeddings."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from visaudio_bench.metrics.semantics import ib_score

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "synchrony_semantics.json").read_text())["ib"]
ROWS = arrays.arrays(np.float64, (3, 5), elements=st.floats(-10, 10))


def test_ib_score_is_the_references():
    stored = np.load(GOLDEN / "semantics.npz")
    found = ib_score(stored["video"], stored["audio"])
    assert found.value == pytest.approx(EXPECTED["mean"], abs=1e-6)
    np.testing.assert_allclose(found.per_clip, EXPECTED["per_clip"], atol=1e-6)
    assert found.per_clip[4] == 0.0  # an embedding of zeros


@given(ROWS, ROWS, st.floats(0.1, 100))
def test_invariants(video, audio, gain):
    found = ib_score(video, audio)
    assert (np.abs(found.per_clip) <= 1 + 1e-12).all()
    np.testing.assert_array_equal(ib_score(audio, video).per_clip, found.per_clip)
    long = (np.linalg.norm(video, axis=1) > 1e-6) & (np.linalg.norm(audio, axis=1) > 1e-6)
    np.testing.assert_allclose(ib_score(gain * video, audio).per_clip[long], found.per_clip[long], atol=1e-9)


def test_it_is_not_times_100_and_an_unnormalised_mean_does_not_matter():
    assert ib_score([[3.0, 0.0]], [[0.5, 0.0]]).value == 1.0


def test_unpaired_embeddings_are_refused():
    with pytest.raises(ValueError, match=r"one shape \(n, d\), got \(2, 3\) and \(3, 3\)"):
        ib_score(np.zeros((2, 3)), np.zeros((3, 3)))
