"""FoleySpace's network where the answer is known: transfer functions, paths from noise to data, sounds on paths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.models.foleyspace.config import BINS, CONFIGS, FFT, FURTHEST, NEAREST, SAMPLES
from visaudio_bench.models.foleyspace.inference import binauralise, louder_near, spread
from visaudio_bench.models.foleyspace.network import (
    SpatialDiffusion,
    diffuse,
    drawn_share,
    through,
    with_difference,
    with_mean,
)
from visaudio_bench.models.foleyspace.spectra import PASTS, PLACE, falls_of, place_features, sound_of, spectrum, unit_of
from visaudio_bench.models.foleyspace.training import room_scenes
from visaudio_bench.models.foleyspace.training.batches import Heard, RenderedSounds, along_a_path, random_path, window
from visaudio_bench.models.foleyspace.training.room_scenes import RoomScenes
from visaudio_bench.suites import Clip


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_sound_comes_back_from_its_spectrum_in_units_of_itself() -> None:
    sound = noise(2, SAMPLES)
    unit = unit_of(spectrum(sound))
    torch.testing.assert_close(sound_of(unit.parts * unit.size, SAMPLES), sound, atol=1e-4, rtol=0)
    louder = unit_of(spectrum(100 * sound))
    torch.testing.assert_close(louder.parts, unit.parts, atol=1e-4, rtol=1e-3)


def test_a_transfer_function_multiplies_as_complex_numbers_do() -> None:
    mono, transfer = noise(1, 2, 5, 3), noise(1, 4, 5, 3, seed=1)
    made = through(transfer, mono)
    left = torch.complex(transfer[:, 0], transfer[:, 1]) * torch.complex(mono[:, 0], mono[:, 1])
    torch.testing.assert_close(made[:, :2], torch.stack([left.real, left.imag], 1))


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_the_path_from_noise_ends_at_what_the_network_predicts(steps: int) -> None:
    class Knows(SpatialDiffusion):
        def forward(self, noisy: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            return torch.full_like(noisy, 3.0)

    network = Knows(CONFIGS["tiny"])
    mono, falls = noise(1, 2, 5, 6), torch.zeros(1, 2, 5, 6)
    made = diffuse(network, noise(1, 4, 5, 6), mono, torch.zeros(1, 6, PLACE), falls, steps)
    torch.testing.assert_close(made, torch.full_like(made, 3.0))


@pytest.mark.parametrize("deviation", [0.0, 0.2, 1.0])
def test_what_is_made_spreads_as_the_data_do(deviation: float) -> None:
    network = SpatialDiffusion(CONFIGS["tiny"])
    with torch.no_grad():
        network.frequencies.zero_()
        network.spread.fill_(np.log(deviation) if deviation else -20.0)
        seen = network.kept(torch.tensor([0.0, 0.5]), network.spread)[:, 0, 0, 0]
        assert float(seen[0]) == 0, "of pure noise nothing is kept"
        assert float(seen[1]) == pytest.approx(2 * deviation**2 / (deviation**2 + 1), rel=1e-4)
    first, nothing = noise(1, 4, 513, 6), torch.zeros(1, 2, 513, 6)
    made = diffuse(network, first, nothing, torch.zeros(1, 6, PLACE), nothing, 200)
    torch.testing.assert_close(made, deviation * first, rtol=0.03, atol=1e-6)


def test_in_a_room_ears_are_expected_where_time_is_heard_and_drawn_above() -> None:
    frequency = torch.arange(BINS) * (SAMPLE_RATE / FFT)
    share = drawn_share(BINS)[:, 0]
    assert not share[frequency <= 1000].any() and bool((share[frequency >= 2000] == 1).all())
    middle = int((frequency - 1000 * 2**0.5).abs().argmin())
    assert float(share[middle]) == pytest.approx(0.5, abs=0.03)
    network, deviation = SpatialDiffusion(CONFIGS["rooms-tiny"]), 0.5
    with torch.no_grad():
        network.frequencies.zero_()
        network.spread.fill_(np.log(deviation))
    first, nothing = noise(1, 4, BINS, 6), torch.zeros(1, 2, BINS, 6)
    for steps in (1, 200):
        made = diffuse(network, first, nothing, torch.zeros(1, 6, PLACE), nothing, steps)
        drawn = deviation * (first[:, :2] - first[:, 2:]) / 2 if steps > 1 else torch.zeros(1, 2, BINS, 6)
        torch.testing.assert_close(made[:, :2], share[:, None] * drawn, rtol=0.03, atol=1e-6)


def test_ears_spread_more_where_the_sound_has_fallen_silent_and_differ_by_less_of_the_path() -> None:
    """Of a network that has learnt so: the spread of each bin is its own, and so is the share of the path."""
    network = SpatialDiffusion(CONFIGS["rooms-tiny"])
    steady = torch.zeros(1, 2, BINS, 6)
    fallen = steady.clone()
    fallen[..., 3:] = -1.0
    share, spread = network.straight_and_spread(fallen)
    assert torch.equal(share, torch.ones_like(share)) and torch.equal(spread, network.spread.expand_as(spread))
    first, last = network.decay[0], network.decay[2]
    with torch.no_grad():
        first.weight.zero_()
        first.weight[0, :2, 1, 1] = -1.0  # the sum of both falls at the bin itself
        first.bias.zero_()
        last.weight[0, 0], last.weight[1, 0] = -2.0, 0.5
    share, spread = network.straight_and_spread(fallen)
    wider = float(torch.nn.functional.silu(torch.tensor(2.0)))
    assert share[0, 0, 7].tolist() == pytest.approx([1.0] * 3 + [2 / (1 + np.exp(2 * wider))] * 3, rel=1e-5)
    deviation = (spread - network.spread).exp()[0, 0, 7]
    assert deviation.tolist() == pytest.approx([1.0] * 3 + [np.exp(wider / 2)] * 3, rel=1e-5)
    kept = network.kept(torch.tensor([0.5]), spread)[0, 0, 7]
    variance = (2 * spread).exp()[0, 0, 7]
    torch.testing.assert_close(kept, 2 * variance / (variance + 1))


def test_a_fall_is_heard_for_as_long_as_its_peak_is_remembered() -> None:
    size = torch.full((1, 1, 3, 80), 0.1)
    assert not falls_of(size).any(), "what is steady has not fallen"
    size[..., 10] = 1.0
    falls = falls_of(size)
    for past, fall in zip(PASTS, falls[0], strict=True):
        expected = torch.zeros(3, 80)
        expected[:, 11 : 10 + past] = -1.0
        torch.testing.assert_close(fall, expected)
    torch.testing.assert_close(falls_of(100 * size), falls)


def test_ears_may_differ_less_around_the_same_mean() -> None:
    ears, factor = noise(2, 4, 5, 3), noise(2, 1, 5, 3, seed=1)
    made = with_difference(ears, factor)
    torch.testing.assert_close(made[:, :2] + made[:, 2:], ears[:, :2] + ears[:, 2:])
    torch.testing.assert_close(made[:, :2] - made[:, 2:], factor * (ears[:, :2] - ears[:, 2:]))
    torch.testing.assert_close(with_difference(ears, torch.ones_like(factor)), ears)


def test_positions_are_spread_evenly() -> None:
    ends = torch.tensor([[1.0, 0, 0], [3.0, 2, 0]])
    torch.testing.assert_close(spread(ends, 5)[:, 0], torch.tensor([1.0, 1.5, 2, 2.5, 3]))
    torch.testing.assert_close(spread(ends[:1], 4), ends[:1].expand(4, 3))
    far, near = (place_features(torch.tensor([[d, 0.0, 0.0]])) for d in (100.0, 10.0))
    torch.testing.assert_close(far, near)


@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_paths_are_smooth_and_within_their_limits(seed: int) -> None:
    path = random_path(np.random.default_rng(seed))
    distance = np.linalg.norm(path, axis=1)
    assert path.shape == (16, 3)
    assert distance.min() > NEAREST - 1e-6 and distance.max() < FURTHEST + 1e-6
    unit = path / distance[:, None]
    assert np.arccos(np.clip((unit[1:] * unit[:-1]).sum(1), -1, 1)).max() < np.pi / 3


def test_sounds_on_paths_are_louder_near_and_on_their_side() -> None:
    mono = noise(20000).numpy() / 10
    left = along_a_path(mono, np.array([[0.0, 1.0, 0.0]]))
    near, far = (louder_near(mono, np.array([[0.0, distance, 0.0]])) for distance in (1.0, 2.0))
    np.testing.assert_allclose(near, 2 * far, rtol=1e-6)
    assert left[0].std() > 2 * left[1].std()


def test_a_window_is_what_its_sound_and_path_are() -> None:
    made, again = (window(RenderedSounds(4), 3, np.random.default_rng(1)) for _ in range(2))
    assert made["data"].shape == (4, 513, 64) and made["places"].shape == (64, PLACE)
    assert all(torch.equal(made[key], again[key]) for key in made)
    assert float(made["mono"].square().sum(0).max()) < 9.1, "no bin is more than all nine around it"


def test_pieces_of_a_long_sound_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = SpatialDiffusion(CONFIGS["tiny"])
    mono, places = noise(40000) / 10, torch.tensor([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])

    def made() -> torch.Tensor:
        return binauralise(network, mono, places, torch.Generator().manual_seed(1), steps=2)

    whole = made()
    assert whole.shape == (2, 40000)
    monkeypatch.setattr("visaudio_bench.models.foleyspace.inference.PIECE", 50)
    torch.testing.assert_close(made(), whole, atol=1e-5, rtol=1e-4)


def test_the_mean_of_the_ears_is_the_mono_sound_where_it_was_one() -> None:
    ears, mono = noise(1, 4, 5, 3), noise(1, 2, 5, 3, seed=1)
    made = with_mean(ears, mono)
    torch.testing.assert_close((made[:, :2] + made[:, 2:]) / 2, mono)
    torch.testing.assert_close(made[:, :2] - made[:, 2:], ears[:, :2] - ears[:, 2:])
    network = SpatialDiffusion(CONFIGS["rooms-tiny"])
    sound = noise(20000) / 10
    heard = binauralise(network, sound, torch.tensor([[0.0, 2.0, 0.0]]), torch.Generator().manual_seed(1), steps=2)
    assert float((heard[0] - heard[1]).abs().max()) > 1e-3
    torch.testing.assert_close(heard.mean(0), sound, atol=1e-4, rtol=0)


def test_windows_of_scenes_are_on_the_side_of_their_path_and_half_are_mirrored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sound that comes from the left in its first second and from ahead in its second one; and silence."""
    loud = noise(2, 2 * SAMPLE_RATE).numpy() / 10
    loud[1, :SAMPLE_RATE] *= 0.1
    loud[1, SAMPLE_RATE:] = loud[0, SAMPLE_RATE:]
    turning = np.zeros((201, 3)) + np.array([2.0, 0, 0])
    turning[:100] = 0.0, 2.0, 0.0
    told = {"loud": loud, "silent": 0 * loud}
    monkeypatch.setattr(
        room_scenes, "whole_scene", lambda audio, _: Heard(told[audio.name][0], told[audio.name], turning)
    )
    clips = [Clip(name, None, tmp_path / name, meta={"truth": tmp_path}) for name in told]
    source = RoomScenes.of(clips, tmp_path, "")
    assert len(source) == 1
    sides = []
    for start in range(24):
        one = source.cut(0, SAMPLES, np.random.default_rng(start))
        np.testing.assert_allclose(one.mono, one.ears.mean(0), atol=1e-7)
        level = 20 * np.log10(one.ears[0].std() / one.ears[1].std())
        side = float(np.median(one.positions[:, 1]))
        assert abs(level) < 6 if side == 0 else level * side > 2
        sides.append(np.sign(side))
    assert {-1.0, 0.0, 1.0} == set(sides)
    made = window(source, 0, np.random.default_rng(0))
    torch.testing.assert_close(made["data"].unflatten(0, (2, 2)).mean(0), made["mono"], atol=1e-4, rtol=1e-3)
