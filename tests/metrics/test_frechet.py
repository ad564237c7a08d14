import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.metrics.frechet import (
    GaussianStatistics,
    frechet_between,
    frechet_distance,
    frechet_replicates,
    require_same_clips,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "frechet"
CASES = json.loads((GOLDEN / "expected.json").read_text())["cases"]
REFUSED = ("nan", "n1")
seeds = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def features():
    arrays = {}
    for name in ("features.npz", "features_2048.npz"):
        with np.load(GOLDEN / name) as archive:
            arrays |= dict(archive)
    return lambda case: (arrays[f"{case}.pred"], arrays[f"{case}.gt"])


@pytest.mark.parametrize("case", [case for case in CASES if case not in REFUSED])
def test_golden_distances(case, features):
    prediction, reference = features(case)
    found = frechet_distance(prediction, reference)
    assert found.value == pytest.approx(CASES[case]["exact_float64"], rel=1e-10, abs=1e-10 if case == "same" else 0)
    assert found[1:] == (len(prediction), len(reference), prediction.shape[1])


@pytest.mark.parametrize("case", [case for case in CASES if case not in (*REFUSED, "relu_d2048_n64")])
def test_statistics_give_the_same_distance_as_features(case, features):
    prediction, reference = features(case)
    found = frechet_distance(GaussianStatistics.from_features(prediction), GaussianStatistics.from_features(reference))
    assert found.value == pytest.approx(CASES[case]["exact_float64"], rel=1e-6, abs=1e-6 if case == "same" else 0)


@pytest.mark.parametrize(("case", "message"), [("nan", "NaN"), ("n1", "at least 2")])
def test_unusable_features_are_refused(case, message, features):
    with pytest.raises(BenchError, match=message):
        frechet_distance(*features(case))


def test_different_dimensions_and_shapes_are_refused():
    with pytest.raises(BenchError, match="different backbones"):
        frechet_distance(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(BenchError, match="dimensions"):
        frechet_distance(np.zeros(5), np.zeros((5, 4)))


@given(seeds)
def test_commuting_covariances_have_a_closed_form(seed):
    generator = np.random.default_rng(seed)
    rotation = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    a, b = generator.uniform(0, 4, (2, 6))
    mean_a, mean_b = generator.normal(size=(2, 6))
    expected = np.sum((mean_a - mean_b) ** 2) + np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
    found = frechet_between(mean_a, rotation * a @ rotation.T, mean_b, rotation * b @ rotation.T)
    assert found == pytest.approx(expected, rel=1e-9)


@given(seeds)
def test_two_dimensional_gaussians_have_a_closed_form(seed):
    generator = np.random.default_rng(seed)
    a, b = (root @ root.T for root in generator.normal(size=(2, 2, 2)))
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(max(np.linalg.det(a) * np.linalg.det(b), 0)))
    found = frechet_between(np.zeros(2), a, np.zeros(2), b)
    assert found == pytest.approx(np.trace(a) + np.trace(b) - 2 * root, rel=1e-5, abs=1e-8)


@settings(deadline=None)
@given(seeds, st.integers(2, 30), st.integers(2, 30), st.integers(1, 20))
def test_all_routes_agree_and_the_distance_is_symmetric(seed, n, m, d):
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=(n, d)), 1 + generator.normal(size=(m, d))
    expected = frechet_distance(a, b).value
    statistics = [GaussianStatistics.from_features(x) for x in (a, b)]
    assert frechet_distance(*statistics).value == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, statistics[1]).value == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a).value == pytest.approx(expected, rel=1e-9)
    shuffled = frechet_distance(a[generator.permutation(n)], b)
    assert shuffled.value == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(a, a).value == pytest.approx(0, abs=1e-9)


@given(seeds, st.integers(1, 20), st.integers(1, 20))
def test_merging_is_the_same_as_all_at_once_and_can_be_undone(seed, n, m):
    generator = np.random.default_rng(seed)
    a, b = 100 + generator.normal(size=(n, 5)), generator.normal(size=(m, 5))
    first, second = GaussianStatistics.from_features(a), GaussianStatistics.from_features(b)
    merged, every = first.merge(second), GaussianStatistics.from_features(np.concatenate([a, b]))
    for one, other in ((merged, every), (every.without(second), first)):
        assert one.count == other.count
        np.testing.assert_allclose(one.mean, other.mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(one.scatter, other.scatter, rtol=1e-9, atol=1e-7)


def test_covariance_is_unbiased_and_needs_two_rows():
    rows = np.random.default_rng(0).normal(size=(30, 4))
    np.testing.assert_allclose(GaussianStatistics.from_features(rows).covariance, np.cov(rows, rowvar=False))
    with pytest.raises(BenchError):
        _ = GaussianStatistics.from_features(rows[:1]).covariance
    with pytest.raises(BenchError):
        GaussianStatistics.from_features(rows[:2]).without(GaussianStatistics.from_features(rows[:2]))


def test_jackknife_removes_most_of_the_bias():
    """Known Gaussians: true distance 16 · 0.3² + 16 · (1.2 - 1)² = 2.08."""
    generator = np.random.default_rng(5)
    truth, plain, corrected, inside = 2.08, [], [], 0
    for _ in range(60):
        reference = generator.normal(size=(150, 16))
        prediction = 0.3 + 1.2 * generator.normal(size=(150, 16))
        estimate = frechet_replicates(prediction, reference).estimate()
        plain.append(frechet_distance(prediction, reference).value)
        corrected.append(estimate.value)
        inside += estimate.low <= truth <= estimate.high
    assert np.mean(plain) - truth > 0.4
    assert abs(np.mean(corrected) - truth) < 0.1 * (np.mean(plain) - truth)
    assert inside >= 50


def test_jackknife_of_few_clips_gives_a_reason_instead_of_a_number():
    rows = np.random.default_rng(0).normal(size=(40, 21))
    with pytest.raises(BenchError, match="42 are needed"):
        frechet_replicates(rows, rows + 1)


def test_jackknife_leaves_out_clips_and_not_rows():
    """Eight identical rows a clip carry the information of one: the interval must not shrink."""
    generator = np.random.default_rng(1)
    prediction, reference = 0.5 + generator.normal(size=(100, 3)), generator.normal(size=(100, 3))
    clips = np.repeat(np.arange(100), 8)
    one = frechet_replicates(prediction, reference).estimate()
    eight = frechet_replicates(prediction[clips], reference[clips], clips=clips).estimate()
    assert eight.high - eight.low == pytest.approx(one.high - one.low, rel=0.1)
    assert eight.value == pytest.approx(one.value, abs=0.02)
    with pytest.raises(BenchError, match="5 clips are too few"):
        frechet_replicates(prediction[clips[:40]], reference, clips=clips[:40], reference_clips=np.arange(100))
    with pytest.raises(BenchError, match="reference_clips"):
        frechet_replicates(prediction[clips], reference, clips=clips)


def test_the_fast_route_is_taken_only_where_it_is_exact():
    """Spectra that fall by up to ten orders: whichever route is taken, the sum of singular values agrees."""
    for seed in range(12):
        generator = np.random.default_rng(seed)
        spectrum = np.exp(-0.04 * seed * np.arange(40))
        a, b = generator.normal(size=(2, 200, 40)) * spectrum
        b = 0.01 + b @ np.linalg.qr(generator.normal(size=(40, 40)))[0]
        p, g = ((x - x.mean(0)) / np.sqrt(199) for x in (a, b))
        root = np.linalg.svd(p @ g.T, compute_uv=False).sum()
        expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.vdot(p, p) + np.vdot(g, g) - 2 * root
        assert frechet_distance(a, b).value == pytest.approx(expected, rel=1e-9)


def test_difference_of_two_systems_is_sharper_than_their_intervals():
    generator = np.random.default_rng(2)
    reference = generator.normal(size=(200, 4))
    clip = generator.normal(size=(200, 4))
    first, second = clip + 0.6, clip + 0.1 * generator.normal(size=(200, 4)) + 0.5
    one, other = (frechet_replicates(side, reference) for side in (first, second))
    estimate, alone = one.against(other), one.estimate()
    truth = 4 * (0.6**2 - 0.5**2) + 4 * (0 - (np.sqrt(1.01) - 1) ** 2)
    assert estimate.low < truth < estimate.high
    assert estimate.high - estimate.low < 0.5 * (alone.high - alone.low)
    assert estimate.p < 0.001


def test_ranking_on_different_clips_is_refused():
    require_same_clips({"a": ["1", "2"], "b": ["2", "1"]})
    with pytest.raises(UsageError, match=r'"a" .2 clips. and "b" .1 clips.*"2"'):
        require_same_clips({"a": ["1", "2"], "b": ["1"]})
