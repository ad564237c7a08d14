"""The losses where they have closed forms, spectra against the definition, and decays of known length."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from visaudio_bench.models.geometry_aware.config import CONFIGS, SAMPLE_RATE, SAMPLES
from visaudio_bench.models.geometry_aware.losses import (
    coherence_loss,
    consistency_loss,
    response_loss,
    squared_distance,
)
from visaudio_bench.models.geometry_aware.network import GeometryAware
from visaudio_bench.models.geometry_aware.spectra import (
    interaural,
    magnitude_time,
    masked,
    response_spectrum,
    sample_rate_time,
    sound_of,
    spectrum,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def decaying(seconds: float, length: float = 1.02, seed: int = 0) -> torch.Tensor:
    """Noise in two ears that falls by 60 dB in `seconds`."""
    time = torch.arange(round(length * SAMPLE_RATE)) / SAMPLE_RATE
    return noise(2, len(time), seed=seed) * 10 ** (-3 * time / seconds)


@pytest.mark.parametrize("seconds", [0.15, 0.3, 0.6, 0.9])
def test_the_reverberation_time_of_a_known_decay_is_right_within_two_percent(seconds: float) -> None:
    time = torch.arange(4 * SAMPLE_RATE, dtype=torch.float64) / SAMPLE_RATE
    exact = 10 ** (-3 * time / seconds)
    assert float(sample_rate_time(exact)) == pytest.approx(seconds, rel=1e-3)
    of_noise = [float(sample_rate_time(decaying(seconds, 4.0, seed)[0])) for seed in range(8)]
    assert np.mean(of_noise) == pytest.approx(seconds, rel=0.02)
    of_magnitudes = [float(magnitude_time(response_spectrum(decaying(seconds, 4.0, seed)))) for seed in range(8)]
    # A response is kept for 1.02 s: what comes later is missing from the end of a slow decay.
    assert np.mean(of_magnitudes) == pytest.approx(seconds, rel=0.02 if seconds < 0.7 else 0.1)


def test_what_does_not_decay_takes_the_longest_time_and_has_a_gradient() -> None:
    magnitudes = torch.ones(1, 2, 64, 64, requires_grad=True)
    time = magnitude_time(magnitudes)
    assert math.isfinite(float(time.detach()))
    time.sum().backward()
    assert bool(torch.isfinite(magnitudes.grad).all())
    assert math.isfinite(float(magnitude_time(torch.zeros(2, 64, 64))))


def test_a_complex_mask_turns_and_scales() -> None:
    parts = noise(1, 2, 3, 4)
    turned = masked(torch.stack([torch.zeros(1, 3, 4), torch.full((1, 3, 4), 0.5)], 1), parts)
    torch.testing.assert_close(turned, torch.stack([-parts[:, 1], parts[:, 0]], 1) / 2)


def test_a_sound_comes_back_from_its_spectrum() -> None:
    time = torch.arange(SAMPLES) / SAMPLE_RATE
    tone = torch.sin(2 * torch.pi * 440 * time)[None]
    assert spectrum(tone).shape == (1, 2, 256, 64)
    torch.testing.assert_close(sound_of(spectrum(tone), SAMPLES), tone, atol=2e-3, rtol=0)


def test_losses_have_the_values_of_their_equations() -> None:
    torch.testing.assert_close(squared_distance(torch.full((2, 3), 3.0), torch.ones(2, 3)), torch.full((2,), 4.0))
    found = coherence_loss(torch.tensor([0.0, 2.0]), torch.tensor([True, False]))
    torch.testing.assert_close(found, torch.tensor([math.log(2), math.log(1 + math.e**2)]))
    one, other = torch.zeros(2, 4), torch.tensor([[0.2] * 4, [1.0] * 4])
    torch.testing.assert_close(consistency_loss(one, other, margin=0.1), torch.tensor([0.0, 0.9]))
    true = response_spectrum(decaying(0.3))[None]
    seconds = magnitude_time(true)
    torch.testing.assert_close(response_loss(true, true, seconds + 0.25), torch.tensor([0.25]), atol=1e-4, rtol=0)
    distance = response_loss(3 * true, true, seconds)
    torch.testing.assert_close(distance, (2 * true).square().mean().sqrt()[None], atol=1e-4, rtol=1e-4)


def test_each_part_is_there_only_where_it_is_asked_for() -> None:
    full, bare = GeometryAware(CONFIGS["tiny"]), GeometryAware(CONFIGS["mono2binaural-tiny"])
    assert {"fusion", "coherence", "generator"} <= dict(full.named_children()).keys()
    assert set(dict(bare.named_children())) == {"trunk", "reduce", "encoder", "decoder"}
    pictures, mix = torch.zeros(2, 3, 64, 224, dtype=torch.uint8), noise(2, 2, 256, 64)
    with torch.no_grad():
        masks = full(mix, full.see(pictures))
        assert (masks.difference.shape, masks.ears.shape) == ((2, 2, 256, 64), (2, 2, 2, 256, 64))
        assert full.generator(full.see(pictures).vector).shape == (2, 2, 64, 64)
        assert bare(mix, bare.see(pictures)).ears is None
        blind = GeometryAware(CONFIGS["audio-only-tiny"])
        other = blind(mix, blind.see(pictures + 200))
        torch.testing.assert_close(blind(mix, blind.see(pictures)).difference, other.difference)


def test_the_sizes_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        network = GeometryAware(CONFIGS["paper"])
    counted = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert counted["trunk"] == pytest.approx(11.18e6, rel=0.01), "ResNet-18 without its classifier"
    assert network.config.places == (7, 14)
    assert network.config.stored == (240, 480)


def test_what_the_classifier_hears_is_the_level_of_each_ear_and_who_leads() -> None:
    right = noise(1, 2, 256, 64) + 3.0
    turned = masked(torch.stack([torch.zeros(1, 256, 64), torch.full((1, 256, 64), 2.0)], 1), right)
    heard = interaural(torch.stack([turned, right], 1))
    assert heard.shape == (1, 4, 256, 64)
    torch.testing.assert_close(heard[:, 0] - heard[:, 1], torch.full((1, 256, 64), math.log(4) / 4), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        heard[:, 2:], torch.tensor([0.0, 1.0])[None, :, None, None].expand(1, 2, 256, 64), atol=1e-3, rtol=0
    )
    exchanged = interaural(torch.stack([right, turned], 1))
    torch.testing.assert_close(exchanged, heard[:, [1, 0, 2, 3]] * torch.tensor([1, 1, 1, -1])[:, None, None])
    assert not interaural(torch.zeros(1, 2, 2, 256, 64))[:, 2:].any(), "silence leads nowhere"
