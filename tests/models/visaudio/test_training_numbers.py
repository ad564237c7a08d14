"""Schedules, averages, draws and orders: numbers of the reference implementation, closed forms, invariants."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from visaudio_bench.errors import UsageError
from visaudio_bench.models.training.optimisation import Average
from visaudio_bench.models.training.order import Order
from visaudio_bench.models.training.recipe import changed, configured, find_preset
from visaudio_bench.models.training.schedule import ema_decay, ema_exponent, learning_rate
from visaudio_bench.models.visaudio.config import CONFIGS
from visaudio_bench.models.visaudio.training.draws import draw
from visaudio_bench.models.visaudio.training.recipe import PAPER, PRESETS, FlowRecipe

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/architecture/training_numbers.json").read_text())
SCHEDULES = {
    "lr_step_warmup1000_ms_240k_270k": (1000, (240_000, 270_000)),
    "lr_step_scaled_50k_warm1000_ms_40k_45k": (1000, (40_000, 45_000)),
    "lr_constant_warm1000": (1000, ()),
    "lr_tiny_warm5_ms_4_8": (5, (4, 8)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_learning_rates_are_those_of_the_reference(name):
    warmup, milestones = SCHEDULES[name]
    for step, expected in GOLDEN[name].items():
        assert learning_rate(int(step), 1e-4, warmup, milestones) == pytest.approx(expected, rel=1e-12), step


def test_average_has_the_exponents_and_decays_of_the_reference():
    for sigma, expected in GOLDEN["gamma"].items():
        assert ema_exponent(float(sigma)) == pytest.approx(expected, rel=1e-9)
    for sigma, decays in GOLDEN["beta_step_size_correction_after_increment"].items():
        for updates, expected in decays.items():
            assert ema_decay(int(updates), ema_exponent(float(sigma))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("sigma", ["0.05", "0.1"])
def test_average_of_weights_that_count_steps(sigma):
    network = nn.Linear(1, 1, bias=False)
    average = Average(network, float(sigma))
    for step, expected in enumerate(GOLDEN["ema_trace_w_equals_step_index"][sigma]):
        with torch.no_grad():
            network.weight.fill_(float(step))
        average.update()
        assert average.weights["weight"].item() == pytest.approx(expected, rel=1e-5)
    with average.in_place():
        assert network.weight.item() == pytest.approx(GOLDEN["ema_trace_w_equals_step_index"][sigma][-1], rel=1e-5)
    assert network.weight.item() == 11.0


sources = st.dictionaries(
    st.sampled_from(["music", "biaudio", "folder"]), st.integers(1, 12), min_size=1, max_size=3
).map(lambda counts: [name for name, count in counts.items() for _ in range(count)])
weights = st.dictionaries(st.sampled_from(["music", "biaudio"]), st.floats(0.2, 4.0), max_size=2)


@given(sources, weights, st.integers(0, 2**31), st.integers(0, 3))
def test_an_epoch_has_every_clip_as_often_as_its_source_weighs(sources, weights, seed, epoch):
    order = Order(sources, weights, seed)
    drawn = Counter(order[epoch * order.epoch_length + place] for place in range(order.epoch_length))
    for name in set(sources):
        times = [drawn[clip] for clip, source in enumerate(sources) if source == name]
        assert sum(times) == round(weights.get(name, 1.0) * len(times))
        assert max(times) - min(times) <= 1


@given(sources, st.integers(0, 2**31), st.lists(st.integers(0, 500), max_size=8))
def test_the_order_does_not_depend_on_what_was_asked_before(sources, seed, before):
    fresh, used = Order(sources, {}, seed), Order(sources, {}, seed)
    for sample in before:
        used[sample]
    assert [fresh[sample] for sample in range(60)] == [used[sample] for sample in range(60)]


def test_epochs_differ_and_music_comes_three_times():
    order = Order(["biaudio"] * 40 + ["music"] * 10, PAPER.weights, 5)
    assert order.epoch_length == 70
    epochs = [[order[epoch * 70 + place] for place in range(70)] for epoch in range(2)]
    assert epochs[0] != epochs[1]
    assert Counter(epochs[0]) == Counter(epochs[1])
    assert Counter(epochs[0])[45] == 3


def test_draws_belong_to_the_sample_and_have_the_right_distribution():
    some = [draw(3, sample, (2, 5, 4)) for sample in range(3000)]
    again = draw(3, 17, (2, 5, 4))
    assert all(torch.equal(a, b) for a, b in zip(again, some[17], strict=True))
    assert not torch.equal(draw(4, 17, (2, 5, 4)).noise, again.noise)
    noise = torch.stack([one.noise for one in some])
    assert abs(float(noise.mean())) < 0.01
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(noise[:, 0].flatten(), noise[:, 1].flatten())[0, 1]) < 0.01, "the ears' noise is independent"
    assert abs(np.corrcoef(noise.flatten(), torch.stack([one.spread for one in some]).flatten())[0, 1]) < 0.01
    masks = torch.stack([torch.stack([one.drop_clip, one.drop_sync, one.drop_text]) for one in some]).float()
    assert masks.mean(0).tolist() == pytest.approx([0.1] * 3, abs=0.02)
    assert np.abs(np.corrcoef(masks.T) - np.eye(3)).max() < 0.06, "each is dropped for itself"
    logits = torch.logit(torch.stack([one.time for one in some]))
    assert (float(logits.mean()), float(logits.std())) == pytest.approx((0, 1), abs=0.06)
    even = torch.stack([draw(3, sample, (1, 1, 1), times="uniform").time for sample in range(2000)])
    assert float(even.std()) == pytest.approx(12**-0.5, abs=0.01)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("lerning_rate=1", 'did you mean "learning_rate"'),
        ("network.hiden=3", 'did you mean "network.hidden"'),
        ("batch=many", "batch takes a whole number"),
        ("precision=float16", "one of auto, float32, bfloat16"),
        ("compile=maybe", "true or false"),
        ("batch", "has no value"),
        ("batch=0", "at least 1"),
        ("weights.music=0", "above 0"),
        ("weights.music=nan", "above 0"),
        ("weights.music=inf", "at most"),
        ("weights.music=1e300", "at most"),
        ("seed=-1", "seed must lie between 0"),
        ("seed=1000000000000000000000", "seed must lie between 0"),
        ("weight_decay=-1", "weight_decay must lie"),
        ("weight_decay=nan", "weight_decay must lie"),
        ("beta1=1", "beta1 must lie"),
        ("beta2=nan", "beta2 must lie"),
        ("epsilon=-1", "epsilon must lie"),
        ("clip_norm=0", "clip_norm must lie"),
        ("clip_norm=-1", "clip_norm must lie"),
        ("warmup=-3", "warmup must lie"),
        ("decay=inf", "decay must lie"),
        ("decay_at=5,-5", "from 0 on, got -5"),
        ("guidance=nan", "guidance must lie"),
        ("weights=3", "no setting"),
    ],
)
def test_settings_that_cannot_be(setting, said):
    with pytest.raises(UsageError, match=f"(?i){said}"):
        changed(find_preset("tiny", PRESETS), [setting])


def test_settings_are_taken_by_type():
    recipe = changed(
        find_preset("large_44k_v2", PRESETS),
        ["batch=8", "learning_rate=3e-4", "decay_at=40_000,45000", "epsilon=none", "weights.biaudio=2", "compile=yes",
         "network.spacetime=false", "network.joint_update=parallel"],
    )  # fmt: skip
    assert (recipe.batch, recipe.learning_rate, recipe.decay_at) == (8, 3e-4, (40_000, 45_000))
    assert recipe.weights == {"music": 3.0, "biaudio": 2.0}
    assert recipe.compile is True
    config = configured(CONFIGS["large_44k_v2"], recipe)
    assert (config.spacetime, config.joint_update, config.hidden) == (False, "parallel", 896)
    assert FlowRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(UsageError, match="cannot be built"):
        configured(CONFIGS["tiny"], changed(find_preset("tiny", PRESETS), ["network.dual=no"]))
    with pytest.raises(UsageError, match='Did you mean "tiny"'):
        find_preset("tinny", PRESETS)


def test_presets_state_the_papers_recipe():
    for name, recipe in PRESETS.items():
        if name != "tiny":
            assert (recipe.steps, recipe.batch, recipe.learning_rate, recipe.weight_decay) == (50_000, 64, 1e-4, 1e-6)
            assert (recipe.beta1, recipe.beta2, recipe.clip_norm, recipe.warmup) == (0.9, 0.95, 1.0, 1000)
            assert (recipe.ema, recipe.drop, recipe.time, recipe.weights) == (0.05, 0.1, "logit_normal", {"music": 3.0})
