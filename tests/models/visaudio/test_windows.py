"""Clips that are longer than a window: covered everywhere, and no seam where windows meet."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import CONFIGS, lengths
from visaudio_bench.models.visaudio.network import build
from visaudio_bench.models.visaudio.sampler import sample
from visaudio_bench.models.visaudio.windows import OVERLAP, WINDOW, first_frames, is_whole, sample_long, shares, starts

MICRO = replace(CONFIGS["tiny"], hidden=16, heads=2, depth=2, fused_depth=1)


@pytest.mark.parametrize("window", [WINDOW, 2.0])
@pytest.mark.parametrize("duration", [10.01, 12.0, 17.3, 30.0, 61.7])
def test_windows_cover_a_clip_and_overlap(duration: float, window: float) -> None:
    begun = starts(duration, window)
    assert begun[0] == 0
    assert begun[-1] == pytest.approx(duration - window)
    assert all(later - earlier <= (1 - OVERLAP) * window for earlier, later in itertools.pairwise(begun))
    length, size = lengths(duration).latent, lengths(window).latent
    firsts = first_frames(duration, length, window)
    assert firsts[-1] + size == pytest.approx(length, abs=1)
    weights = shares(firsts, length, size)
    torch.testing.assert_close(weights[:, : firsts[-1] + size].sum(0), torch.ones(firsts[-1] + size))
    # nobody takes over at once: from frame to frame shares of 2 s and more change by less than 3 %, of 0.5 s four times
    assert float(weights.diff(dim=1).abs().max()) < 0.03 * WINDOW / window


def test_what_is_not_longer_is_made_as_a_whole() -> None:
    assert starts(10.0) == (0.0,) and is_whole(10.0) and not is_whole(10.01)
    assert starts(2.5, 2.0) == (0.0,) and len(starts(8.0, 2.0)) == 5


def conditions(windows: int) -> Conditions:
    generator = torch.Generator().manual_seed(0)
    wanted = lengths(WINDOW, MICRO.text_tokens)
    shapes = ((wanted.clip, 64), (wanted.sync, 32), (wanted.text, 64), (wanted.clip, 8, 8, 32))
    return Conditions(*(torch.randn(windows, *shape, generator=generator) for shape in shapes))


def shaken() -> torch.nn.Module:
    torch.manual_seed(0)
    network = build(MICRO)
    for key, tensor in network.named_parameters():
        if "final_layer" in key or "adaLN" in key:
            torch.nn.init.normal_(tensor.data, std=0.3)
    return network.eval()


def test_the_windows_of_a_long_clip_agree() -> None:
    """Windows with other conditions each: from frame to frame nothing changes more at a seam than inside one window."""
    network, duration = shaken(), 20.0
    noise = torch.randn(2, lengths(duration).latent, 57, generator=torch.Generator().manual_seed(1))
    different = conditions(len(starts(duration)))
    flow = sample_long(network, different, noise, duration, steps=3, guidance=2.0) - noise
    smooth = torch.nn.functional.avg_pool1d(flow.transpose(1, 2), 9, 1)
    step = smooth.diff(dim=2).square().mean((0, 1)).sqrt()
    firsts = first_frames(duration, noise.shape[1])
    seams = [edge for first in firsts for edge in (first, first + lengths(WINDOW).latent) if 20 < edge < len(step) - 20]
    assert len(seams) == 2 * (len(firsts) - 1)
    at_seams = torch.stack([step[edge - 12 : edge + 12].max() for edge in seams])
    inside = torch.stack([step[at : at + 24].max() for at in range(0, len(step) - 24, 24)])
    assert float(at_seams.max()) < 1.3 * float(inside.max())


def test_one_window_is_the_sampler() -> None:
    """Where shares are all one, blending changes nothing."""
    network = shaken()
    wanted = lengths(WINDOW)
    noise = torch.randn(2, wanted.latent, 57, generator=torch.Generator().manual_seed(1))
    whole = sample(network, conditions(1), noise[None], steps=2, guidance=2.0)[0]
    torch.testing.assert_close(sample_long(network, conditions(1), noise, WINDOW, steps=2, guidance=2.0), whole)
