import pickle
import subprocess
import sys

import numpy as np
import pytest

from visaudio_bench.bench.evaluation.family_registry import own_metrics
from visaudio_bench.metrics import binaural_error, interaural_scores
from visaudio_bench.metrics.catalogue import METRICS, defaults
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.metrics.interaural_sets import REFERENCE, half_split_floor
from visaudio_bench.metrics.quantity import select
from visaudio_bench.metrics.uncertainty import Statistic, interval, jackknife

from .conftest import side_by_side

CLIPS = 6
OWN = own_metrics()
each_entry = pytest.mark.parametrize("metric", OWN.values(), ids=lambda metric: metric.key)
each_metric = pytest.mark.parametrize(
    "metric", [metric for metric in METRICS.values() if not metric.weights], ids=lambda metric: metric.key
)


def as_reference(table):
    return {REFERENCE + name: row for name, row in table.items()}


@pytest.fixture(scope="module")
def table(point_source, signal):
    """Quantities of the reference itself, of its mono mix and of swapped ears, over the same clips."""
    spots = np.linspace(-25, 25, CLIPS)
    clips = [
        np.concatenate([point_source(9 * i, d, 0.3 * d), point_source(9 * i + 1, -d, -0.3 * d)], axis=1)
        for i, d in enumerate(spots)
    ]
    cues = [interaural_cues(clip) for clip in clips]
    own = as_reference(side_by_side([interaural_scores.clip_quantities(one) for one in cues]))
    makers = {"reference": lambda x: x, "mono": lambda x: np.repeat(x.mean(0, keepdims=True), 2, 0),
              "swap": lambda x: x[::-1].copy(), "silent": np.zeros_like}  # fmt: skip
    return {
        system: own
        | side_by_side(
            [
                interaural_scores.clip_quantities(interaural_cues(make(clip)), one)
                | binaural_error.clip_quantities(make(clip[:, ::3]), clip[:, ::3])
                for clip, one in zip(clips, cues, strict=True)
            ]
        )
        for system, make in makers.items()
    }


def of(metric, quantities):
    return select(quantities, metric.quantities, CLIPS)


@each_metric
def test_every_metric_can_be_computed_from_its_quantities_alone(metric, table):
    if metric.key == "fcd":  # six clips that turn round in the middle: IACC and ITD vary, enough for the reference
        assert metric.aggregate(of(metric, table["reference"])) == pytest.approx(0, abs=1e-6)
        return
    value = float(metric.aggregate(of(metric, table["reference"])))
    if metric.perfect is not None:
        assert value == pytest.approx(metric.perfect, abs=1e-4)
    assert metric.low is None or value >= metric.low
    assert metric.high is None or value <= metric.high


@each_metric
def test_direction_and_range_hold_for_bad_systems(metric, table):
    if metric.better not in ("higher", "lower"):
        return
    sign = 1 if metric.better == "higher" else -1
    best = float(metric.aggregate(of(metric, table["reference"])))
    bad = "swap" if metric.key in ("lr_acc", "flip_pref", "lat_ccc", "lat_r", "motion_r") else "mono"
    worse = float(metric.aggregate(of(metric, table[bad])))
    assert sign * best > sign * worse, (best, worse)
    assert metric.low is None or worse >= metric.low
    assert metric.high is None or worse <= metric.high


@each_metric
def test_intervals_can_be_had_as_declared(metric, table):
    quantities = of(metric, table["mono"])
    if metric.interval == "bootstrap":
        found = interval(Statistic(metric.aggregate, quantities, metric.low, metric.high))
        assert found.n == CLIPS - 2 * (metric.key in ("lr_acc", "motion_r"))  # two clips stay near the centre
        assert found.reason or found.low < found.value < found.high
    else:
        assert metric.minimum_clips >= 10
        assert jackknife(metric.aggregate, quantities).estimate().reason is None
        floor = half_split_floor(metric.aggregate, quantities)
        assert floor.shape == (20,) and (floor >= 0).all()


@each_metric
def test_order_of_clips_changes_nothing(metric, table):
    order = np.random.default_rng(0).permutation(CLIPS)
    quantities = of(metric, table["swap"])
    shuffled = {name: row[..., order] for name, row in quantities.items()}
    assert metric.aggregate(shuffled) == pytest.approx(metric.aggregate(quantities), rel=1e-9, abs=1e-9)


def test_a_silent_system_guesses_the_side_and_has_no_errors(table):
    for key in ("lr_acc", "flip_pref"):
        assert METRICS[key].aggregate(of(METRICS[key], table["silent"])) == 50
    for key in ("lat_err", "lat_ccc", "delta_ild", "side_mid", "motion_r", "w1_ild", "fcd"):
        assert np.isnan(METRICS[key].aggregate(of(METRICS[key], table["silent"])))


@each_entry
def test_every_entry_is_complete(metric):
    assert OWN[metric.key] is metric
    assert metric.description.endswith(".") and "\n" not in metric.description
    assert metric.title and metric.source and metric.version >= 1
    assert (metric.views == ("binaural",)) == (metric.track != "content") == (not metric.weights)
    assert set(metric.shown) <= set(metric.views)
    assert bool(metric.features) == (not metric.quantities)
    assert __import__(metric.family, fromlist=["_"]).__doc__
    if metric.low is not None and metric.high is not None:
        assert metric.low < metric.high
    assert any(name.startswith(REFERENCE) for name in metric.quantities) == (
        metric.family == "visaudio_bench.metrics.interaural_sets"
    )


@each_entry
def test_entries_can_be_sent_to_workers(metric):
    assert pickle.loads(pickle.dumps(metric)).key == metric.key


def test_default_columns_and_their_order():
    assert [metric.key for metric in defaults("generation")] == [
        "lr_acc", "lat_err", "lat_ccc", "delta_ild", "delta_itd", "delta_iacc", "side_mid"
    ]  # fmt: skip
    assert [metric.key for metric in defaults("binauralisation")] == ["stft", "env"]
    assert [metric.title for metric in defaults("content")] == ["FD-VGG", "FD-PANN", "KL-PANN", "DeSync", "IB-Score"]
    assert len(defaults()) == 14


def test_tables_and_statistics_start_without_torch_and_scipy():
    code = (
        "import sys; from visaudio_bench.metrics import catalogue, uncertainty, frechet, screen;"
        "sys.exit(any(name.split('.')[0] in ('torch', 'scipy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
