"""How networks begin: statistics of the data, and random layers of unit size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from visaudio_bench.models.visaudio.checkpoints import load_mmaudio
from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import CONFIGS, Lengths
from visaudio_bench.models.visaudio.network import MMAudio, build
from visaudio_bench.models.visaudio.training.batches import Batch
from visaudio_bench.models.visaudio.training.draws import Draws
from visaudio_bench.models.visaudio.training.initialisation import NEW, balance

CONFIG = replace(CONFIGS["tiny"], hidden=32, heads=1, depth=2)
LENGTHS = Lengths(24, 5, 8, 16)


def batch(count: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(count, *shape, generator=generator)

    latent = (2, LENGTHS.latent, CONFIG.latent_dim)
    grid = CONFIG.spatial_grid
    features = {
        "mean": noise(*latent),
        "std": torch.zeros(count, *latent),
        "clip": noise(LENGTHS.clip, CONFIG.clip_dim),
        "sync": noise(LENGTHS.sync, CONFIG.sync_dim),
        "text": noise(LENGTHS.text, CONFIG.text_dim),
        "spatial": noise(LENGTHS.clip, grid, grid, CONFIG.spatial_dim),
    }
    never = torch.zeros(count, dtype=torch.bool)
    draws = Draws(noise(*latent), noise(*latent), torch.rand(count, generator=generator), never, never, never)
    return Batch(features, draws, tuple(f"clip{index}" for index in range(count)))


def heard(network: torch.nn.Module, some: Batch) -> float:
    """How much Algorithm 1's result differs from clip to clip."""
    with torch.no_grad():
        found = network.pe_proj(some.conditions(spatial=True).spatial, LENGTHS.latent)
    return float(found.std(0).mean())


def test_random_layers_are_brought_to_unit_size():
    torch.manual_seed(0)
    network, some = build(CONFIG), batch()
    assert heard(network, some) < 1e-3, "what this is for"
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scaled = balance(network, some)
    assert 0.3 < heard(network, some) < 3
    after = network.state_dict()
    changed = {name.rpartition(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert changed == set(scaled)
    assert all(not name.startswith("spacetime.") for name in changed)
    zero = [name for name, value in before.items() if not value.any()]
    assert all(not after[name].any() for name in zero), "what is zero at first stays so"


def test_balancing_new_layers_leaves_what_mmaudio_says():
    torch.manual_seed(1)
    mono = MMAudio(CONFIG.mono)
    for value in mono.parameters():
        torch.nn.init.normal_(value, std=0.05)
    network = load_mmaudio(mono.state_dict(), CONFIG).network
    some = batch()
    conditions: Conditions = some.conditions(spatial=True)
    with torch.no_grad():
        before = network(some.draws.noise, some.draws.time, conditions)
        scaled = balance(network, some, only=NEW)
        after = network(some.draws.noise, some.draws.time, conditions)
    assert scaled
    assert all(name.startswith("pe_proj.") for name in scaled)
    assert torch.equal(before, after)
    assert float(before.std()) == pytest.approx(float(after.std()))
    assert heard(network, some) > 0.3
