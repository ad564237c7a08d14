import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.metrics.aggregate import centred_correlation, concordance, correlation
from visaudio_bench.metrics.interaural import Cues, interaural_cues
from visaudio_bench.metrics.interaural_scores import clip_quantities, descriptors, paired_scores
from visaudio_bench.metrics.quantity import Quantities, Quantity

PAIRS = {"coverage": ("coverage", 100), "ild_coverage": ("ild_coverage", 100), "itd_coverage": ("itd_coverage", 100),
         "delta_ild": ("ild_mae_db", 1), "delta_itd": ("itd_mae_us", 1), "delta_iacc": ("iacc_mae", 1),
         "lat_err": ("lat_angle_mae_deg", 1), "lr_acc": ("lr_acc", 100), "flip_pref": ("flip_pref", 100)}  # fmt: skip
SILENT = "pred=A:zeros gt=A:id"


def cues(lateralisation, active=True, **other) -> Cues:
    """Cues with a given lateralisation and plain values elsewhere."""
    lateralisation = np.asarray(lateralisation, float)
    k = len(lateralisation)
    flags = np.broadcast_to(np.asarray(active), k).copy()
    plain = Cues(
        15 * lateralisation, 700 * lateralisation, np.full(k, 0.9), lateralisation, np.ones(k), flags, flags, flags,
        ild_bands=np.zeros((k, 27)), side_mid=np.asarray(-6.0),
    )  # fmt: skip
    return plain._replace(**other)


random_cues = st.integers(0, 10**6).map(lambda seed: cues(np.random.default_rng(seed).uniform(-0.9, 0.9, 12)))


def value(quantities, name):
    return quantities[name].value


def alone(scores: dict[str, Quantity]) -> Quantities:
    """The quantities of a set of one clip."""
    return {name: np.array([quantity.value]) for name, quantity in scores.items()}


def test_golden_pairs(spatial, signal):
    for pair, expected in spatial["paired"].items():
        if pair == SILENT:
            continue  # another policy on purpose, see the next test
        prediction, reference = (interaural_cues(signal(side.split("=")[1])) for side in pair.split())
        scores = paired_scores(prediction, reference)
        for ours, (theirs, scale) in PAIRS.items():
            tolerance = {"delta_itd": 0.05, "delta_ild": 1e-4, "lat_err": 2e-3}.get(ours, 1e-5 * scale)
            assert value(scores, ours) == pytest.approx(scale * expected[theirs], abs=tolerance, nan_ok=True), (
                pair, ours,
            )  # fmt: skip


def test_a_silent_prediction_is_undefined_but_counts_as_a_guess_for_the_side(signal):
    scores = clip_quantities(interaural_cues(signal("A:zeros")), interaural_cues(signal("A:id")))
    for name in ("lr_acc", "flip_pref"):
        assert scores[name] == (50.0, "prediction_silent")
    assert scores["coverage"] == (0.0, None)
    for name in ("lat_err", "delta_ild", "delta_itd", "delta_iacc", "lat_ccc.n", "motion_r.sum_xy", "ild_coverage"):
        assert math.isnan(value(scores, name)) and scores[name].reason == "prediction_silent", name
    for name in ("side_mid", "mean_abs_ild", "mean_abs_itd", "mean_iacc", "mono_rate", "cue_vector[0]"):
        assert math.isnan(value(scores, name)) and scores[name].reason == "silent", name
    assert not [name for name in scores if name.startswith("segment_")]


def test_a_silent_reference_leaves_everything_undefined(signal):
    scores = paired_scores(interaural_cues(signal("A:id")), interaural_cues(signal("A:zeros")))
    assert all(math.isnan(quantity.value) and quantity.reason == "reference_silent" for quantity in scores.values())


def test_every_undefined_quantity_has_a_reason(signal):
    names = ("A:id", "C:id", "A:mono", "A:zeros", "A:rsilent")
    for prediction in names:
        for reference in names:
            for name, quantity in clip_quantities(
                *(interaural_cues(signal(side)) for side in (prediction, reference))
            ).items():
                assert not math.isnan(quantity.value) or quantity.reason, (prediction, reference, name)


def test_files_that_are_never_active_together():
    scores = paired_scores(cues([0.5, 0.5], [True, False]), cues([0.5, 0.5], [False, True]))
    assert scores["lr_acc"] == scores["flip_pref"] == (50.0, "no_common_activity")
    assert scores["lat_err"].reason == "no_common_activity"


def test_side_accuracy_by_hand():
    reference = cues([0.5, -0.5, 0.2, 0.1, -0.16, 0.9], [True, True, True, True, True, False])
    prediction = cues([0.1, 0.30, 0.019, -0.9, -0.021, 0.9])
    # right, wrong, centred, (reference too central), right, (inactive)
    assert paired_scores(prediction, reference)["lr_acc"].value == pytest.approx(100 * 2.5 / 4)


def test_side_accuracy_of_a_centred_reference_is_undefined():
    quantity = paired_scores(cues([0.5, -0.5]), cues([0.1, -0.1]))["lr_acc"]
    assert math.isnan(quantity.value) and quantity.reason == "reference_centred"


def test_silence_where_the_reference_is_lateral_counts_as_a_guess():
    scores = paired_scores(cues([0.5, 0.5], [True, False]), cues([0.0, 0.5]))
    assert scores["lr_acc"] == (50.0, "no_common_activity")


@settings(deadline=None)
@given(random_cues)
def test_the_reference_itself_is_perfect(reference):
    scores = paired_scores(reference, reference)
    for name in ("lat_err", "delta_ild", "delta_itd", "delta_iacc"):
        assert value(scores, name) == 0
    for name in ("lr_acc", "flip_pref", "coverage", "ild_coverage", "itd_coverage"):
        assert value(scores, name) == 100
    assert concordance("lat_ccc")(alone(scores)) == pytest.approx(1)
    assert centred_correlation("motion_r")(alone(scores)) == pytest.approx(1)


def swapped(clip: Cues) -> Cues:
    return clip._replace(ild=-clip.ild, itd=-clip.itd, lateralisation=-clip.lateralisation, ild_bands=-clip.ild_bands)


@settings(deadline=None)
@given(random_cues, random_cues)
def test_swapping_both_changes_nothing_and_swapping_one_mirrors(prediction, reference):
    plain, both = paired_scores(prediction, reference), paired_scores(swapped(prediction), swapped(reference))
    one = paired_scores(swapped(prediction), reference)
    for name in ("lr_acc", "lat_err", "delta_ild", "delta_itd", "delta_iacc", "flip_pref"):
        assert value(both, name) == pytest.approx(value(plain, name))
    assert value(one, "flip_pref") == 100 - value(plain, "flip_pref")
    assert correlation("lat_ccc")(alone(one)) == pytest.approx(-correlation("lat_ccc")(alone(plain)), abs=1e-12)


@settings(deadline=None)
@given(random_cues, random_cues)
def test_flip_preference_is_the_nearer_of_prediction_and_swapped_prediction(prediction, reference):
    p, g = prediction.lateralisation, reference.lateralisation
    nearer = 100.0 * (np.sum((p - g) ** 2) < np.sum((-p - g) ** 2))
    assert value(paired_scores(prediction, reference), "flip_pref") == nearer


@settings(deadline=None)
@given(random_cues)
def test_mono_and_swapped_predictions_have_their_closed_forms(reference):
    mono = paired_scores(cues(np.zeros(12), iacc=np.ones(12)), reference)
    swap = paired_scores(swapped(reference), reference)
    angle = np.degrees(np.abs(np.arcsin(reference.lateralisation))).mean()
    assert value(mono, "lr_acc") == value(mono, "flip_pref") == 50
    assert value(mono, "lat_err") == pytest.approx(angle) and value(swap, "lat_err") == pytest.approx(2 * angle)
    assert value(mono, "delta_ild") == pytest.approx(np.abs(reference.ild).mean())
    assert value(swap, "delta_itd") == pytest.approx(2 * np.abs(reference.itd).mean())
    assert value(mono, "delta_iacc") == pytest.approx(0.1) and value(swap, "delta_iacc") == 0
    assert value(swap, "lr_acc") == value(swap, "flip_pref") == 0
    assert concordance("lat_ccc")(alone(mono)) == 0 and centred_correlation("motion_r")(alone(mono)) == 0
    assert centred_correlation("motion_r")(alone(swap)) == pytest.approx(-1)


def test_a_longer_prediction_is_cut_to_the_reference():
    reference = cues([0.5, -0.5])
    assert paired_scores(cues([0.5, -0.5, 0.9, 0.9]), reference) == paired_scores(reference, reference)


def test_motion_counts_only_where_the_reference_moves():
    still = paired_scores(cues([0.1, 0.9]), cues([0.2, 0.45]))
    assert still["motion_r.sum_xy"].reason == "reference_static"
    moving = paired_scores(cues([0.1, 0.9]), cues([0.1, 0.5]))
    assert value(moving, "motion_r.sum_xy") == pytest.approx(2 * 0.4 * 0.2)


def test_a_coverage_without_level_cues_names_the_reason():
    scores = paired_scores(cues([0.5], ild_ok=np.array([False])), cues([0.5]))
    assert scores["delta_ild"].reason == "ild_undefined" and value(scores, "ild_coverage") == 0


def test_descriptors_by_hand():
    clip = cues([0.2, -0.4, 0.9], [True, True, False], ild_bands=np.arange(27.0) + np.zeros((3, 1)))
    found = descriptors(clip)
    assert value(found, "mean_abs_ild") == pytest.approx(4.5)
    assert value(found, "mean_abs_itd") == pytest.approx(210)
    assert value(found, "mean_iacc") == pytest.approx(0.9)
    assert value(found, "side_mid") == -6 and value(found, "mono_rate") == 0
    vector = [value(found, f"cue_vector[{index}]") for index in range(9)]
    np.testing.assert_allclose(vector, [-1.5, 4.5, -70, 210, 0.9, 0, 4, 13, 22], atol=1e-9)
    assert [value(found, f"segment_ild[{index}]") for index in range(2)] == pytest.approx([3, -6])
    assert "segment_ild[2]" not in found


def test_mono_rate_sees_a_mono_file(signal):
    assert value(descriptors(interaural_cues(signal("A:mono"))), "mono_rate") == 100
    assert value(descriptors(interaural_cues(signal("A:id"))), "mono_rate") == 0
