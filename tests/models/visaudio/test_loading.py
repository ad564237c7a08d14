"""MMAudio's public files into both networks, and checkpoints of our own."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import save_file

from visaudio_bench.errors import BenchError
from visaudio_bench.models.backbones.vggish import Vggish
from visaudio_bench.models.visaudio.checkpoint_notes import read_notes
from visaudio_bench.models.visaudio.checkpoints import load_mmaudio, load_network, recognise, save_network
from visaudio_bench.models.visaudio.config import CONFIGS
from visaudio_bench.models.visaudio.network import MMAudio, build
from visaudio_bench.models.weight_loading import looks_like
from visaudio_bench.models.weights import WEIGHTS, known_answer


@pytest.fixture(params=[True, False], ids=["v2", "v1"])
def mono(request, small, filled_network):
    """A small MMAudio; its latent has statistics."""
    network = filled_network(small(v2=request.param).mono)
    network.latent_mean.copy_(torch.arange(6.0).reshape(1, 1, 6))
    return network


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def meta_state(config):
    with torch.device("meta"):
        return build(config).state_dict()


# --- MMAudio into ViSAudio --------------------------------------------------------------------------------------------


def test_every_weight_is_accounted_for(small, mono):
    state = mono.state_dict()
    network, report = load_mmaudio(state, small(v2=mono.config.v2))
    mine = network.state_dict()
    assert sorted([*report.copied, *report.duplicated, *report.initialised]) == sorted(mine)
    assert all(torch.equal(mine[key], state[key]) for key in report.copied)
    for key in report.duplicated:
        source = key.replace("single_blocks_l", "fused_blocks").replace("single_blocks_r", "fused_blocks")
        source = source.replace("final_layer_l", "final_layer").replace("final_layer_r", "final_layer")
        assert torch.equal(mine[key], state[source])
    used = {key for key in state if key.startswith(("fused_blocks.", "final_layer."))}
    assert len(report.duplicated) == 2 * len(used)
    assert set(report.copied) == set(state) - used
    assert {key.partition(".")[0] for key in report.initialised} == {"pe_proj", "spacetime", "empty_pe_feat"}
    assert "tensors copied" in str(report)
    assert "pe_proj" in str(report)


def test_new_parts_are_initialised_as_specified(small, mono):
    torch.manual_seed(0)
    config = small(v2=mono.config.v2, spatial_grid=16, spatial_dim=64)
    network, _ = load_mmaudio(mono.state_dict(), config)
    identity = torch.cat([torch.eye(32), torch.zeros(32, 32)], 1)
    for linear in (network.spacetime.linear_l, network.spacetime.linear_r):
        assert torch.equal(linear.weight, identity)
        assert not linear.bias.any()
    assert not network.empty_pe_feat.any()
    for position in (network.pe_proj.pos_l, network.pe_proj.pos_r):
        assert float(position.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert not torch.equal(network.pe_proj.pos_l, network.pe_proj.pos_r)
    assert network.pe_proj.down1.weight.any()


def test_training_leaves_the_file_and_the_other_ear_alone(small, mono):
    state = mono.state_dict()
    before = {key: tensor.clone() for key, tensor in state.items()}
    network, _ = load_mmaudio(state, small(v2=mono.config.v2))
    assert all(parameter.requires_grad for name, parameter in network.named_parameters() if "single_blocks" in name)
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert frozen == {"latent_mean", "latent_std", "empty_string_feat"}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "_r." not in name:
                parameter.add_(1)
    assert same(state, before)
    assert torch.equal(network.final_layer_r.conv.weight, state["final_layer.conv.weight"])


def test_the_size_is_read_off_the_file(mono):
    network, report = load_mmaudio(mono.state_dict(), source="x.pth")
    config = network.config
    expected = dataclasses.replace(mono.config, name="custom", dual=True, spacetime=True, spatial_dim=1024)
    assert config == dataclasses.replace(expected, spatial_grid=16)
    assert report.initialised
    plain, report = load_mmaudio(mono.state_dict(), config.mono)
    assert same(plain.state_dict(), mono.state_dict())
    assert not report.initialised
    assert not report.duplicated


@pytest.mark.parametrize("name", ["large_44k_v2", "large_44k", "medium_44k", "small_44k"])
def test_public_files_are_recognised_and_named(name):
    state = meta_state(CONFIGS[name].mono)
    assert recognise(state, "file") == CONFIGS[name]
    assert looks_like(state) == f"MMAudio's flow network, {name}"
    assert looks_like(meta_state(CONFIGS[name])) == "ViSAudio's flow network"
    size = 4 * sum(tensor.numel() for tensor in state.values())
    assert WEIGHTS[f"mmaudio-{name.replace('_', '-')}"].size == pytest.approx(size, rel=1e-4)


def test_the_16_khz_file_is_named_as_such():
    state = meta_state(dataclasses.replace(CONFIGS["small_44k"].mono, latent_dim=20))
    assert looks_like(state) == "MMAudio's flow network, small_16k (sound at 16 kHz)"
    with pytest.raises(BenchError, match=r"have another shape.*looks like MMAudio's flow network, small_16k"):
        load_mmaudio(state, CONFIGS["small_44k"])


def test_tables_of_older_files_are_left_out(small, mono):
    older = {"t_embed.freqs": torch.zeros(16), "latent_rot": torch.zeros(3), "clip_rot": torch.zeros(3)}
    network, _ = load_mmaudio({**mono.state_dict(), **older}, small(v2=mono.config.v2))
    assert network.t_embed.freqs.any()


def test_wrong_files_are_named(small, mono):
    vggish = Vggish(channels=(2, 2, 2, 2, 2, 2), hidden=8).state_dict()
    for config in (None, small()):
        with pytest.raises(BenchError, match=r"a\.pth does not hold .*MMAudio's flow network.* looks like VGGish"):
            load_mmaudio(vggish, config, source="a.pth")
    state = dict(mono.state_dict())
    del state["joint_blocks.1.latent_block.attn.qkv.bias"]
    with pytest.raises(BenchError, match=r"1 of \d+ keys are missing \(joint_blocks\.1\.latent_block\.attn\.qkv\.bias"):
        load_mmaudio(state)
    with pytest.raises(BenchError, match="are unexpected"):
        load_mmaudio({**mono.state_dict(), "extra": torch.zeros(1)})
    with pytest.raises(BenchError, match="have another shape"):
        load_mmaudio(mono.state_dict(), small(v2=mono.config.v2, hidden=64, heads=4))


# --- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{}, {"spacetime": False, "first_ear": "right"}, {"dual": False, "spacetime": False}]
)
def test_a_checkpoint_is_all_that_is_needed(tmp_path, small, filled_network, inputs, change):
    network = filled_network(small(**change))
    path = tmp_path / "network.safetensors"
    save_network(network, path, {"step": "7"})
    state = torch.get_rng_state()
    loaded = load_network(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert loaded.config == network.config
    assert same(loaded.state_dict(), network.state_dict())
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert torch.equal(loaded(*inputs(network.config)), network(*inputs(network.config)))
    assert read_notes(path)["step"] == "7"
    assert list(tmp_path.iterdir()) == [path]


def test_bfloat16_leaves_the_table_of_time_exact(tmp_path, small, filled_network):
    network = filled_network(small())
    save_network(network, tmp_path / "network.safetensors")
    loaded = load_network(tmp_path / "network.safetensors", dtype=torch.bfloat16)
    assert loaded.single_blocks_l[0].attn.qkv.weight.dtype == torch.bfloat16
    assert torch.equal(loaded.t_embed.freqs, network.t_embed.freqs)


def test_the_authors_file_makes_mmaudio(tmp_path, mono):
    torch.save(mono.state_dict(), tmp_path / "mmaudio.pth")
    loaded = load_network(tmp_path / "mmaudio.pth")
    assert isinstance(loaded, MMAudio)
    assert same(loaded.state_dict(), mono.state_dict())


def test_what_is_checked_of_the_authors_files(tmp_path, mono):
    path = tmp_path / "mmaudio.pth"
    torch.save(mono.state_dict(), path)
    known_answer(WEIGHTS["mmaudio-small-44k"], path)
    torch.save({**mono.state_dict(), "latent_std": torch.zeros(1, 1, 6)}, path)
    with pytest.raises(BenchError, match="deviation of a channel of the latent is not positive"):
        known_answer(WEIGHTS["mmaudio-large-44k-v2"], path)
    broken = mono.state_dict()["joint_blocks.0.clip_block.linear1.bias"] * float("nan")
    torch.save({**mono.state_dict(), "joint_blocks.0.clip_block.linear1.bias": broken}, path)
    with pytest.raises(BenchError, match=r"is damaged: 0\.clip_block\.linear1\.bias"):
        known_answer(WEIGHTS["mmaudio-large-44k"], path)


def test_what_is_no_checkpoint_is_named(tmp_path, small, filled_network):
    path = tmp_path / "network.safetensors"
    with pytest.raises(BenchError, match="there is no weight file"):
        load_network(path)
    network = filled_network(small())
    save_network(network, path)
    whole = path.read_bytes()
    for share in (0.001, 0.5, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(BenchError, match="not an intact safetensors file"):
            load_network(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(BenchError, match='its format is "not stated"'):
        read_notes(path)
    with pytest.raises(BenchError, match="does not hold MMAudio's flow network"):
        load_network(path)
    good = {"format": "visaudio-bench flow network 1", "config": json.dumps(small().to_dict())}
    for config in ("{}", "no json", json.dumps({**small().to_dict(), "heads": 0})):
        save_file(network.state_dict(), path, {**good, "config": config})
        with pytest.raises(BenchError, match="does not say what network it holds"):
            load_network(path)
    save_file(filled_network(small().mono).state_dict(), path, good)
    with pytest.raises(BenchError, match=r"does not hold the weights of ViSAudio's flow network.*looks like MMAudio"):
        load_network(path)


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({"config": "[]"}, "configuration is \\[\\], an object was expected"),
        ({"config": "{"}, "does not say what network"),
        ({"config": "[" * 100_000}, "nested too deeply"),
        ({"config": '{"name": 5}'}, "configuration.name is 5, a text was expected"),
        ({"depth": 10**9}, "depth must be from 1 to"),
        ({"depth": 10**5}, "depth must be at most"),
        ({"hidden": 0}, "hidden must be from 1 to"),
        ({"heads": 1e400}, "configuration.heads is inf, a whole number was expected"),
        ({"shoe": 43}, "configuration.shoe is not a field"),
        ({"conditioners": "[]"}, "conditioners is \\[\\], an object was expected"),
        ({"codec": "{"}, "does not say what network"),
        ({"guidance": "strong"}, "does not say what network"),
        ({"sampling_steps": "0"}, "sampling_steps is 0, at least 1 was expected"),
        ({"duration": "1e-9"}, "duration is 1e-09, at least 0.1 was expected"),
        ({"duration": "NaN"}, "duration is nan, a finite number was expected"),
    ],
)
def test_notes_of_strangers_are_checked_before_a_network_is_built(tmp_path, small, notes, said):
    config = small().to_dict()
    texts = {"conditioners": "{}", "config": json.dumps(config), "format": "visaudio-bench flow network 1"}
    changed = {name: value for name, value in notes.items() if not isinstance(value, str)}  # of the configuration
    texts |= {name: value for name, value in notes.items() if name not in changed}
    if changed:
        texts["config"] = json.dumps({**config, **changed})
    path = tmp_path / "theirs.safetensors"
    save_file({"a": torch.zeros(1)}, path, texts)
    for read in (read_notes, load_network):
        with pytest.raises(BenchError, match=said):
            read(path)
