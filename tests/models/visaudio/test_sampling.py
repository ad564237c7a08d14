"""Flow matching and its sampler."""

import dataclasses
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visaudio_bench.models.visaudio.codec_interface import Sampling
from visaudio_bench.models.visaudio.config import Lengths, lengths
from visaudio_bench.models.visaudio.flow import (
    flow_matching_errors,
    interpolate,
    sample_times,
    squared_errors,
    total_loss,
    velocity_target,
)
from visaudio_bench.models.visaudio.network import FlowNetwork
from visaudio_bench.models.visaudio.sampler import by_channel, clip_noise, sample


def off(got, expected):
    assert got.shape == expected.shape
    return float((got - expected).abs().max() / expected.abs().max())


@pytest.fixture
def network(small, filled_network):
    return filled_network(small())


class Watched(FlowNetwork):
    """A network that remembers what it was asked."""

    def __init__(self, inner):
        super().__init__(inner.config)
        self.inner, self.batches, self.times, self.projections = inner, [], [], []
        self.null = inner.null

    def project(self, conditions, length):
        self.projections.append(len(conditions))
        return self.inner.project(conditions, length)

    def velocity(self, x, t, projected):
        self.batches.append(len(x))
        self.times.append(t.clone())
        return self.inner.velocity(x, t, projected)


# --- sampling ---------------------------------------------------------------------------------------------------------


def test_guidance_of_one_is_the_conditional_flow_at_its_cost(network, inputs):
    x, _, conditions = inputs(network.config, batch=3)
    watched = Watched(network)
    found = sample(watched, conditions, x, steps=4, guidance=1.0)
    assert watched.batches == [3] * 4
    assert watched.projections == [3]
    expected, projected = x, network.project(conditions, x.shape[2])
    times = torch.linspace(0, 1, 5)
    for now, then in itertools.pairwise(times):
        expected = expected + (then - now) * network.velocity(expected, now.expand(3), projected)
    assert torch.equal(found, expected)
    assert torch.equal(sample(network, conditions, x, steps=4, guidance=0.5), found)


def test_guidance_comes_from_one_batch_of_both_halves(network, inputs):
    x, _, conditions = inputs(network.config, batch=3)
    watched = Watched(network)
    found = sample(watched, conditions, x, steps=2, guidance=3.0)
    assert watched.batches == [6, 6]
    assert watched.projections == [3, 1]
    assert all(t.dtype == torch.float32 for t in watched.times)
    expected, nothing = x, network.null(3, Lengths(21, 6, 16, 5))
    for t in (0.0, 0.5):
        wanted, unwanted = (network(expected, torch.full((3,), t), given) for given in (conditions, nothing))
        expected = expected + 0.5 * (unwanted + 3 * (wanted - unwanted))
    assert off(found, expected) < 1e-5


def test_each_channel_may_begin_and_be_guided_in_its_own_way(network, inputs):
    x, _, conditions = inputs(network.config)
    channels = x.shape[-1]
    assert (
        off(
            sample(network, conditions, x, steps=2, guidance=torch.full((channels,), 3.0)),
            sample(network, conditions, x, steps=2, guidance=3.0),
        )
        < 1e-6
    )
    watched = Watched(network)
    plain = sample(watched, conditions, x, steps=2, guidance=torch.ones(channels))
    assert watched.batches == [len(x)] * 2
    assert torch.equal(plain, sample(network, conditions, x, steps=2, guidance=1.0))
    share = torch.zeros(channels)
    share[0] = 0.5
    noise, strength = by_channel(Sampling(torch.arange(channels) / 2, share), x, 5.0)
    assert torch.equal(noise, x * torch.arange(channels) / 2)
    assert torch.equal(strength, torch.tensor([3.0] + [1.0] * (channels - 1)))
    assert by_channel(None, x, 5.0) == (x, 5.0)
    # one step: what is not guided is as it was, what is guided is not
    guided, plain = (sample(network, conditions, x, steps=1, guidance=how) for how in (strength, 1.0))
    assert off(guided[..., 1:], plain[..., 1:]) < 1e-5
    assert off(guided[..., :1], plain[..., :1]) > 1e-3


def test_steering_away_from_what_is_wanted_is_no_guidance(network, inputs):
    x, _, conditions = inputs(network.config)
    plain = sample(network, conditions, x, steps=3, guidance=1.0)
    assert off(sample(network, conditions, x, steps=3, guidance=7.0, negative=conditions), plain) < 1e-4


def test_a_negative_caption_of_one_clip_counts_for_all(network, inputs):
    x, _, conditions = inputs(network.config)
    nothing = network.null(1, Lengths(21, 6, 16, 5))
    negative = dataclasses.replace(nothing, text=torch.randn_like(nothing.text))
    one = sample(network, conditions, x, steps=2, negative=negative)
    assert off(one, sample(network, conditions, x, steps=2, negative=negative.expand(2))) < 1e-5
    assert off(one, sample(network, conditions, x, steps=2)) > 1e-3


def test_a_clip_sounds_the_same_alone_and_in_any_order(network, inputs):
    x, _, conditions = inputs(network.config, batch=3)
    together = sample(network, conditions, x, steps=3)
    assert off(sample(network, conditions[[2, 0, 1]], x[[2, 0, 1]], steps=3), together[[2, 0, 1]]) < 1e-4
    for clip in range(3):
        one = slice(clip, clip + 1)
        assert off(sample(network, conditions[one], x[one], steps=3), together[one]) < 1e-4


def test_a_straight_flow_arrives_in_any_number_of_steps(small, filled_network, inputs):
    """Where the velocity is the same everywhere, Euler steps are exact."""

    class Straight(Watched):
        def velocity(self, x, t, projected):
            return torch.full_like(x, 2.0)

    network = Straight(filled_network(small()))
    x, _, conditions = inputs(network.config)
    for steps in (1, 7, 25):
        told = []
        found = sample(network, conditions, x, steps=steps, progress=lambda done, total, told=told: told.append(done))
        torch.testing.assert_close(found, x + 2)
        assert told == list(range(1, steps + 1))
    with pytest.raises(ValueError, match="at least one step"):
        sample(network, conditions, x, steps=0)


def test_noise_belongs_to_a_clip():
    wanted = lengths(8.0)
    noise = clip_noise(14, "clip 1", wanted, 40)
    assert noise.shape == (2, 345, 40)
    assert noise.dtype == torch.float32
    state = torch.get_rng_state()
    assert torch.equal(clip_noise(14, "clip 1", wanted, 40), noise)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(clip_noise(14, "clip 1", wanted, 40, dual=False), noise[0])
    others = [noise[1], *(clip_noise(seed, clip, wanted, 40)[0] for seed, clip in ((15, "clip 1"), (14, "clip 2")))]
    for other in others:
        correlation = torch.corrcoef(torch.stack([noise[0].flatten(), other.flatten()]))[0, 1]
        assert abs(float(correlation)) < 0.04
    assert float(noise.mean()) == pytest.approx(0, abs=0.03)
    assert float(noise.std()) == pytest.approx(1, abs=0.03)


def test_noise_never_changes_between_versions_of_this_project():
    """Sounds are to be made again years later: these numbers may never be brought up to date."""
    found = clip_noise(42, "a", lengths(8.0), 40)[:, 0, :2].flatten().tolist()
    assert found == pytest.approx([1.764898, -0.532676, -1.227821, 0.092961], abs=1e-5)


# --- training ---------------------------------------------------------------------------------------------------------


def test_paths_are_straight_from_noise_to_data():
    noise, data = torch.randn(2, 3, 2, 5, 4)
    assert torch.equal(interpolate(noise, data, torch.zeros(3)), noise)
    assert torch.equal(interpolate(noise, data, torch.ones(3)), data)
    early, late = (interpolate(noise, data, torch.full((3,), t), 0.1) for t in (0.25, 0.75))
    torch.testing.assert_close((late - early) / 0.5, velocity_target(noise, data, 0.1))
    torch.testing.assert_close(interpolate(noise, data, torch.ones(3), 0.1), data + 0.1 * noise)


def test_each_clip_has_its_own_time():
    noise, data = torch.zeros(3, 2, 5, 4), torch.ones(3, 2, 5, 4)
    t = torch.tensor([0.1, 0.5, 0.9])
    assert torch.equal(interpolate(noise, data, t)[:, 1, 3, 2], t)


def test_the_loss_adds_the_ears_and_averages_the_rest(network, inputs):
    """A clip twice as long or a batch twice as large changes nothing; a second ear with the same error doubles it."""
    data, t, conditions = inputs(network.config)
    noise = torch.randn_like(data)
    errors = flow_matching_errors(network, data, noise, t, conditions)
    assert errors.shape == (2, 2)
    flow = network(interpolate(noise, data, t), t, conditions)
    difference = (flow - (data - noise)).square()
    assert off(total_loss(errors), difference[:, 0].mean() + difference[:, 1].mean()) < 1e-5
    mono = squared_errors(flow[:, 0], (data - noise)[:, 0])
    assert off(mono, errors[:, 0]) < 1e-6
    assert total_loss(torch.stack([mono, mono], 1)) == 2 * total_loss(mono)
    assert squared_errors(flow.bfloat16(), data).dtype == torch.float32


@given(st.integers(0, 2**31))
def test_times_lie_between_noise_and_data(seed):
    generator = torch.Generator().manual_seed(seed)
    for distribution in ("logit_normal", "uniform"):
        times = sample_times(64, generator, distribution=distribution)
        assert times.shape == (64,)
        assert times.min() >= 0
        assert times.max() <= 1


def test_distributions_of_time():
    generator = torch.Generator().manual_seed(0)
    uniform = sample_times(20_000, generator, distribution="uniform")
    normal = sample_times(20_000, generator)
    for times, outer in ((uniform, 0.5), (normal, 2 * 0.1360)):  # P(|t - 1/2| > 1/4) = 2 Phi(-ln 3)
        assert float(times.mean()) == pytest.approx(0.5, abs=0.01)
        assert float(((times - 0.5).abs() > 0.25).float().mean()) == pytest.approx(outer, abs=0.015)
    shifted = sample_times(20_000, generator, mean=1.0, scale=0.5)
    assert float(torch.logit(shifted).mean()) == pytest.approx(1.0, abs=0.02)
    assert float(torch.logit(shifted).std()) == pytest.approx(0.5, abs=0.02)
    with pytest.raises(ValueError, match='"logit_normal" or "uniform", got "normal"'):
        sample_times(1, distribution="normal")
