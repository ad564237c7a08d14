"""DeSync from offset logits."""

import json
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.metrics.synchrony import OFFSETS, desync

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "synchrony_semantics.json").read_text())


@pytest.fixture(scope="module")
def stored():
    return np.load(GOLDEN / "synchrony.npz")


def hot(*choices):
    """Logits (1, windows, 21) that are clear about one offset a window."""
    logits = np.zeros((1, len(choices), 21))
    logits[0, range(len(choices)), choices] = 100.0
    return logits


def test_the_grid_is_the_references():
    assert OFFSETS.tolist() == EXPECTED["grid_float32"]


@pytest.mark.parametrize("case", ["random", "ties"])
def test_desync_is_the_references(stored, case):
    found = desync(stored[case], nan_is_maximum=True)
    assert found.value == pytest.approx(EXPECTED[case][0], abs=1e-7)
    assert found.offsets.size == EXPECTED[case][1]
    assert found.value == pytest.approx(found.per_clip.mean())


def test_the_smallest_offset_wins_a_tie_and_nan_has_no_score(stored):
    chosen = desync(stored["ties"], nan_is_maximum=True).offsets
    np.testing.assert_array_equal(chosen, OFFSETS[np.array(EXPECTED["ties_argmax"])])
    found = desync(stored["ties"])
    lost = np.isnan(stored["ties"]).any(axis=(1, 2))
    assert lost.any()
    np.testing.assert_array_equal(np.isnan(found.per_clip), lost)
    assert found.value == pytest.approx(found.per_clip[~lost].mean())
    assert np.isnan(desync(np.full((2, 2, 21), np.nan)).value)


def test_both_windows_count_and_signs_are_kept():
    found = desync(hot(0, 12))
    np.testing.assert_allclose(found.offsets, [[-2.0, 0.4]], atol=1e-6)
    assert found.value == pytest.approx(1.2)
    assert desync(hot(10, 10)).value == 0.0


def test_entropy_is_between_nothing_and_all_offsets():
    assert desync(hot(3, 4)).entropy == pytest.approx(np.zeros((1, 2)), abs=1e-9)
    assert desync(np.zeros((1, 2, 21))).entropy == pytest.approx(np.full((1, 2), np.log(21)))
    assert desync(np.where(hot(3) > 0, 0.0, -np.inf)).entropy == pytest.approx(0)


def test_another_grid_is_refused():
    with pytest.raises(ValueError, match=r"\(clips, windows, 21\), got \(2, 21\)"):
        desync(np.zeros((2, 21)))
