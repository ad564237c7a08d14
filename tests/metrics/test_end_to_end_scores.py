"""The scores that av-benchmark printed for six clips, from the features that it computed, by our metrics."""

import json
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.metrics.divergence import inception_score, kl_divergence
from visaudio_bench.metrics.semantics import ib_score
from visaudio_bench.metrics.synchrony import desync

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "end_to_end.json").read_text())
PRINTED = {"mix": EXPECTED["stereo_files"], "left": EXPECTED["left"], "right": EXPECTED["right"]}


@pytest.fixture(scope="module")
def features():
    return np.load(GOLDEN / "end_to_end_features.npz")


@pytest.fixture(scope="module")
def kl(features):
    return {
        view: kl_divergence(features[f"gt_{view}.panns_logits"], features[f"pred_{view}.panns_logits"])
        for view in PRINTED
    }


@pytest.mark.parametrize("view", PRINTED)
def test_kl(features, kl, view):
    assert kl[view].value == pytest.approx(PRINTED[view]["KL-PANNS-softmax"], rel=1e-6, abs=2e-6)
    louder = [30 * features[f"{side}_{view}.panns_logits"].astype(np.float64) for side in ("gt", "pred")]
    assert kl_divergence(*louder).value == pytest.approx(EXPECTED["kl_of_30x_logits_float64"][view], rel=1e-9)


def test_kl_avg_is_the_mean_of_the_scores_of_both_ears(kl):
    average = (kl["left"].value + kl["right"].value) / 2
    assert average == pytest.approx(EXPECTED["table2_columns"]["KL_PANN_avg"], rel=1e-6, abs=2e-6)


def test_inception_score_of_six_clips_is_undefined(features):
    assert np.isnan(PRINTED["mix"]["ISC-PANNS-mean"])
    assert np.isnan(inception_score(features["pred_mix.panns_logits"]).value)


@pytest.mark.parametrize("file", ["stereo_file", "mono_file"])
def test_ib_score(features, file):
    found = ib_score(features["ib_video"], features[f"ib_audio_{file}"])
    assert found.value == pytest.approx(EXPECTED[f"{file}s"]["IB-Score"], abs=1e-6)
    np.testing.assert_allclose(found.per_clip, EXPECTED["ib_per_clip"][file], atol=1e-6)


@pytest.mark.parametrize("file", ["stereo_file", "mono_file"])
def test_desync(file):
    stored = np.load(GOLDEN / "synchformer_logits.npz")
    logits = np.stack([stored[f"{file}.first14"], stored[f"{file}.last14"]], axis=1)
    assert desync(logits).value == pytest.approx(EXPECTED[f"{file}s"]["DeSync"], abs=1e-7)
    sharper = EXPECTED["desync_centered"][file]
    found = desync(logits - logits.mean(axis=(0, 1)))
    assert found.value == pytest.approx(sharper["desync"], abs=1e-6)
