"""KAD against the tool of its authors, closed forms and its unbiasedness."""

import json
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.metrics import kernel_distance as module
from visaudio_bench.metrics.kernel_distance import kernel_distance, kernel_replicates, median_distance

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"


def test_kad_is_that_of_its_authors():
    stored = np.load(GOLDEN / "divergence.npz")
    expected = json.loads((GOLDEN / "divergence.json").read_text())["kad"]
    found = kernel_distance(stored["kid.a"], stored["kid.b"])
    assert found.value == pytest.approx(expected["value_float64"], rel=1e-6)
    assert found.bandwidth == pytest.approx(expected["bandwidth"], rel=1e-6)  # a float32 median there
    assert found[2:] == (40, 50, 16)


def test_against_sums_over_pairs():
    random = np.random.default_rng(0)
    x, y, s = random.normal(size=(5, 3)), random.normal(size=(4, 3)), 1.3

    def k(a, b):
        return np.exp(-((a - b) ** 2).sum() / (2 * s * s))

    expected = np.mean([k(a, b) for a, b in combinations(x, 2)]) + np.mean([k(a, b) for a, b in combinations(y, 2)])
    expected -= 2 * np.mean([k(a, b) for a, b in product(x, y)])
    assert kernel_distance(x, y, bandwidth=s).value == pytest.approx(100 * expected)


def test_equal_distributions_have_zero_expectation_at_any_size():
    random = np.random.default_rng(1)
    for n in (5, 20):
        draws = [kernel_distance(random.normal(size=(n, 8)), random.normal(size=(n, 8)), 4.0).value for _ in range(400)]
        assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))


def test_blocks_do_not_change_the_value(monkeypatch):
    x, y = np.random.default_rng(2).normal(size=(2, 30, 4))
    whole = kernel_distance(x, y).value
    monkeypatch.setattr(module, "_BLOCK", 7)
    assert kernel_distance(x, y).value == pytest.approx(whole, rel=1e-12)


def test_the_bandwidth_is_the_median_distance_of_the_reference():
    assert median_distance(np.array([[0.0], [1.0], [3.0]])) == 2.0


def test_sets_without_a_distance_are_refused():
    with pytest.raises(ValueError, match="bandwidth of the kernel is zero"):
        kernel_distance(np.zeros((3, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"got \(1, 2\) and \(3, 2\)"):
        kernel_distance(np.zeros((1, 2)), np.zeros((3, 2)))


def test_leaving_out_groups_is_what_it_says_and_takes_off_the_bias_of_pairs():
    """Prediction and reference of the same clips: their pairs make the plain value too small."""
    random = np.random.default_rng(3)
    corrected, plain = [], []
    for _ in range(60):
        clip = random.normal(size=(60, 3))
        prediction = clip + 0.1 * random.normal(size=clip.shape)
        found = kernel_replicates(prediction, clip)
        corrected.append(found.corrected)
        plain.append(found.full)
    assert np.mean(plain) < -1 and abs(np.mean(corrected)) < 0.2
    kept = np.arange(60) % 20 != 4
    assert found.left_out[4] == pytest.approx(
        kernel_distance(prediction[kept], clip[kept]).value, abs=0.02 * found.error
    )
    clips = np.repeat(np.arange(60), 2)
    twice = kernel_replicates(prediction[clips], clip[clips], clips, clips)
    kept = clips % 20 != 4
    expected = kernel_distance(prediction[clips][kept], clip[clips][kept])
    assert twice.left_out[4] == pytest.approx(expected.value, abs=0.02 * twice.error)
    with pytest.raises(ValueError, match="three clips"):
        kernel_replicates(prediction[:2], clip[:2])
