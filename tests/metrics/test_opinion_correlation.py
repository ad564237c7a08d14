import math

import numpy as np
import pytest
from scipy import stats

from visaudio_bench.metrics.opinion_correlation import over_clips, over_systems


def test_coefficients_are_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 8))
    found = over_systems(x, y)
    assert found.pearson.value == pytest.approx(stats.pearsonr(x, y).statistic)
    assert found.spearman.value == pytest.approx(stats.spearmanr(x, y).statistic)
    interval = stats.pearsonr(x, y).confidence_interval(0.95)
    assert (found.pearson.low, found.pearson.high) == pytest.approx((interval.low, interval.high))
    clips = over_clips(x.reshape(2, 4), y.reshape(2, 4))
    assert clips.spearman.value == pytest.approx(found.spearman.value)


def test_the_interval_over_clips_covers_where_samples_of_a_clip_go_together():
    """Clips shift metric and opinion together; 8 samples of a clip are far from 8 independent points."""
    rng = np.random.default_rng(1)
    covered = []
    for number in range(60):
        clip = rng.standard_normal((2, 1, 30))
        metric = clip[0] + rng.standard_normal((4, 30))
        opinion = 0.8 * clip[0] + 0.6 * clip[1] + rng.standard_normal((4, 30))
        found = over_clips(metric, opinion, seed=number).pearson
        covered.append(found.low <= 0.8 / 2 <= found.high)  # cov 0.8, both variances 2
    assert np.mean(covered) >= 0.87


def test_what_is_undefined_has_a_reason():
    assert over_systems([1, 1, 1, 1], [1, 2, 3, 4]).pearson.reason == "all values of the metric are alike"
    assert over_systems([1, 2], [3, 3]).spearman.reason == "all opinions are alike"
    few = over_systems([1, 2, 4], [1, 2, 3]).pearson
    assert few.value > 0.9
    assert math.isnan(few.low)
    assert few.reason == "fewer than 4 systems"
    assert over_systems([np.nan, 2], [1, 2]).pearson.reason == "1 point(s) in common"
    two = over_clips([[1, 2], [3, 4]], [[1, 2], [3, 5]]).pearson
    assert (math.isnan(two.low), two.reason) == (True, "fewer than 3 clips")
    with pytest.raises(ValueError, match="one shape"):
        over_clips(np.ones((2, 3)), np.ones((3, 2)))
