"""What must hold for the flow networks of every size and with any weights."""

import copy
import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from visaudio_bench.models.visaudio.blocks import TimestepEmbedder, gated_width, rope_angles, rotate
from visaudio_bench.models.visaudio.checkpoints import load_mmaudio
from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import CONFIGS, Config, Lengths, lengths
from visaudio_bench.models.visaudio.network import MMAudio, ViSAudio, build, nearest_exact
from visaudio_bench.models.visaudio.spacetime import SpatialProjection
from visaudio_bench.models.weight_loading import narrow

# Every switch that changes what is computed, once.
VARIANTS = [
    {},
    {"v2": False},
    {"spacetime": False},
    {"dual": False, "spacetime": False},
    {"joint_tokens": "pooled"},
    {"joint_update": "parallel"},
    {"first_ear": "right"},
    {"pe_conv1d_kernel": 3},
    {"depth": 3, "fused_depth": 2},
    {"hidden": 48, "heads": 3, "spatial_grid": 5},
]


def off(got, expected):
    assert got.shape == expected.shape
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


def mirrored(state):
    """The weights of the left ear's parts on the right and the other way round."""

    def other(key):
        swap = {"_l.": "_r.", "_r.": "_l.", "pos_l": "pos_r", "pos_r": "pos_l"}
        found = next((part for part in swap if part in key), None)
        return key.replace(found, swap[found]) if found else key

    return {other(key): tensor for key, tensor in state.items()}


def with_state(config, state):
    network = build(config)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


# --- two ears ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("salt", ["dev", "another"])
def test_branches_swap_with_their_weights(small, filled_network, inputs, salt):
    network = filled_network(small(), salt)
    x, t, conditions = inputs(network.config, salt=salt)
    other = with_state(network.config, mirrored(network.state_dict()))
    projected, swapped = network.project(conditions, x.shape[2]), other.project(conditions, x.shape[2])
    assert off(projected.spatial, swapped.spatial.flip(1)) < 1e-6
    at = network.conditions_at(t, projected)
    left, right = network.joint(x, at, projected)
    expected = network.branches((left, right), at, projected)
    found = other.branches((right, left), at, swapped)
    assert off(found[0], expected[1]) < 1e-5 and off(found[1], expected[0]) < 1e-5
    assert not torch.allclose(expected[0], expected[1], atol=0.01)


@pytest.mark.parametrize("salt", ["dev", "another"])
def test_the_order_of_the_ears_breaks_the_symmetry_of_the_whole(small, filled_network, inputs, salt):
    """Eqs. 5-6 hand clip and text from the left ear to the right one: swapping everything is not swapping the result.

    With random weights the two differ by a fifth to a half of the largest value; with the other ear first they are
    the same, as they are when both ears meet the same clip and text.
    """
    network = filled_network(small(), salt)
    x, t, conditions = inputs(network.config, salt=salt)
    expected, state = network(x, t, conditions).flip(1), mirrored(network.state_dict())
    assert off(with_state(network.config, state)(x.flip(1), t, conditions), expected) > 0.05
    assert off(with_state(small(first_ear="right"), state)(x.flip(1), t, conditions), expected) < 1e-5
    parallel = with_state(small(joint_update="parallel"), network.state_dict())
    swapped = with_state(small(joint_update="parallel"), state)
    assert off(swapped(x.flip(1), t, conditions), parallel(x, t, conditions).flip(1)) < 1e-5


@pytest.mark.parametrize("change", [{}, {"v2": False}, {"hidden": 64, "heads": 4, "fused_depth": 3}])
def test_with_one_joint_block_each_ear_begins_as_mmaudio(small, filled_network, inputs, change):
    config = small(**change, depth=change.get("fused_depth", 2) + 1)
    mono = filled_network(config.mono)
    network, _ = load_mmaudio(mono.state_dict(), config)
    x, t, conditions = inputs(config)
    flow = network(x, t, conditions)
    for ear in (0, 1):
        assert off(flow[:, ear], mono(x[:, ear], t, conditions)) < 2e-6


def test_with_several_joint_blocks_only_the_parallel_update_begins_as_mmaudio(small, filled_network, inputs):
    """For ears with the same noise. One after the other, each block changes clip and text twice."""
    mono = filled_network(small().mono)
    x, t, conditions = inputs(small())
    x = x[:, :1].expand(-1, 2, -1, -1)
    expected = mono(x[:, 0], t, conditions)
    network, _ = load_mmaudio(mono.state_dict(), small(joint_update="parallel"))
    assert off(network(x, t, conditions)[:, 0], expected) < 2e-6
    network, _ = load_mmaudio(mono.state_dict(), small())
    flow = network(x, t, conditions)
    assert off(flow[:, 0], expected) > 0.01
    assert off(flow[:, 0], flow[:, 1]) > 0.01


# --- batches, lengths, types ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", VARIANTS)
def test_a_clip_does_not_see_its_batch_or_its_order(small, filled_network, inputs, change):
    network = filled_network(small(**change))
    x, t, conditions = inputs(network.config, batch=3)
    together = network(x, t, conditions)
    assert together.shape == x.shape
    assert together.isfinite().all()
    order = [2, 0, 1]
    assert off(network(x[order], t[order], conditions[order]), together[order]) < 1e-5
    for clip in range(3):
        one = slice(clip, clip + 1)
        assert off(network(x[one], t[one], conditions[one]), together[one]) < 1e-5


def test_batches_join_clips_of_one_duration_only(small, inputs):
    config = small()
    _, _, conditions = inputs(config, batch=3)
    joined = Conditions.concatenate([conditions[[2]], conditions[:2]])
    assert len(joined) == 3
    assert torch.equal(joined.spatial, conditions.spatial[[2, 0, 1]])
    shorter = inputs(config, lengths=Lengths(21, 5, 16, 5))[2]
    with pytest.raises(ValueError, match="clips of one duration"):
        Conditions.concatenate([conditions, shorter])
    with pytest.raises(ValueError, match="same features"):
        Conditions.concatenate([conditions, dataclasses.replace(conditions, spatial=None)])


@pytest.mark.parametrize("seconds", [0.64, 1.0, 3.7, 8.0, 13.0])
def test_any_duration(small, filled_network, inputs, seconds):
    """And the network keeps nothing of the last one."""
    network = filled_network(small())
    ordinary = inputs(network.config)
    before = network(*ordinary)
    wanted = lengths(seconds, 5)
    x, t, conditions = inputs(network.config, batch=1, lengths=wanted)
    assert network(x, t, conditions).shape == (1, 2, wanted.latent, 6)
    assert torch.equal(network(*ordinary), before)


def test_lengths_are_whole_segments_and_refuse_less_than_one():
    assert lengths(345 * 1024 / 44100).latent == 345  # a multiple of the latent frame, which is not exact in binary
    with pytest.raises(ValueError, match=r"at least 0\.64 s"):
        lengths(0.6)


@given(st.floats(0.64, 100))
def test_lengths_cover_the_clip(seconds):
    found = lengths(seconds)
    assert 0 <= found.latent * 1024 - round(seconds * 44100) < 1024
    assert 0 <= 8 * seconds + 1e-6 - found.clip < 1 + 1e-5
    assert found.sync % 8 == 0
    assert 0 <= seconds - (found.sync / 8 * 8 + 8) / 25 < 0.32 + 1e-6


def test_ties_of_the_sync_rate_are_those_of_float32():
    index = nearest_exact(192, 345)
    exact = (torch.arange(345, dtype=torch.float64) + 0.5) * 192 / 345
    assert exact[57] == 32
    assert exact[172] == 96
    assert (index[57], index[172]) == (31, 95)
    assert (index != exact.floor().long()).nonzero().flatten().tolist() == [57, 172]
    tokens = torch.arange(192.0)[None, None]
    assert torch.equal(index, functional.interpolate(tokens, size=345, mode="nearest-exact")[0, 0].long())
    assert int(nearest_exact(24, 37)[18]) == 11


@pytest.mark.parametrize("change", VARIANTS)
def test_bfloat16_is_near_and_time_stays_exact(small, filled_network, inputs, change):
    network = filled_network(small(**change))
    x, t, conditions = inputs(network.config)
    exact = network(x, t, conditions)
    with torch.autocast("cpu", torch.bfloat16):
        automatic = network(x, t, conditions)
    for half in (copy.deepcopy(network).to(torch.bfloat16), narrow(copy.deepcopy(network), torch.bfloat16)):
        assert half.clip_cond_proj.weight.dtype == torch.bfloat16
        assert torch.equal(half.t_embed.sinusoid(t), network.t_embed.sinusoid(t))
        flow = half(x, t, conditions)
        assert flow.dtype == automatic.dtype == torch.float32
        assert off(flow, exact) < 0.15
    assert off(automatic, exact) < 0.15


def test_the_time_table_survives_every_way_to_a_device():
    real = TimestepEmbedder(32, frequencies=32, max_period=1.0)
    with torch.device("meta"):
        built = TimestepEmbedder(32, frequencies=32, max_period=1.0)
    empty = copy.deepcopy(built).to_empty(device="cpu")
    for moved in (built, empty, copy.deepcopy(real).half(), copy.deepcopy(real).to("meta")):
        assert moved.freqs.dtype == torch.float32
        assert torch.equal(moved.freqs, real.freqs)
    assert real.freqs[0] == 10_000
    assert "freqs" not in real.state_dict()


# --- parts ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**31), st.floats(0.1, 9), st.integers(1, 30))
def test_rotary_attention_sees_distances_only(seed, scale, shift):
    x = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).float()
    angles = rope_angles(64, 16, scale)
    q, k = (rotate(one.expand(1, 1, 64, 16), angles) for one in x)
    scores = (q @ k.transpose(-1, -2))[0, 0]
    assert torch.allclose(scores[shift:, shift:], scores[:-shift, :-shift], atol=2e-3)
    assert torch.allclose(scores.diagonal(), (x[0] * x[1]).sum().expand(64), atol=1e-3)


def test_inner_widths():
    assert [gated_width(width) for width in (896, 448, 128, 64)] == [2560, 1280, 512, 256]


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("grid", [4, 7, 8])
def test_the_ears_may_share_the_first_convolution(small, kernel, grid):
    """Algorithm 1 as it is written: position embeddings added first, everything once for each ear."""
    config = small(pe_conv1d_kernel=kernel, spatial_grid=grid)
    module = SpatialProjection(config)
    spatial = torch.randn(2, 3, grid, grid, config.spatial_dim)
    ears = []
    for position in (module.pos_l, module.pos_r):
        x = functional.silu(module.conv1d((spatial + position).flatten(0, 1).flatten(1, 2)))
        x = functional.silu(module.down1(x.transpose(1, 2).unflatten(2, (grid, grid))))
        x = module.conv_mlp(functional.silu(module.down2(x)).flatten(2).transpose(1, 2))
        x = module.mlp(x.flatten(1)).unflatten(0, (2, 3)).transpose(1, 2)
        ears.append(functional.interpolate(x, size=10, mode="linear", align_corners=False).transpose(1, 2))
    assert off(module(spatial, 10), torch.stack(ears, 1)) < 1e-5


def test_pooled_tokens_are_means(small, filled_network, inputs):
    network = filled_network(small(joint_tokens="pooled"))
    x, t, conditions = inputs(network.config)
    full = filled_network(small()).project(conditions, 21)
    pooled = network.project(conditions, 21)
    assert torch.allclose(pooled.clip, full.clip.mean(1, keepdim=True))
    assert torch.allclose(pooled.text, full.text.mean(1, keepdim=True))
    assert torch.equal(pooled.pooled, full.pooled)
    assert off(network.velocity(x, t, pooled), filled_network(small()).velocity(x, t, full)) > 0.01


def test_dropped_conditions_are_the_empty_ones(small, filled_network, inputs):
    network = filled_network(small())
    x, t, conditions = inputs(network.config, batch=4)
    yes, no = torch.tensor([True, False, True, False]), torch.zeros(4, dtype=torch.bool)
    empty = network.null(4, Lengths(21, 6, 16, 5))
    dropped = network.drop(conditions, yes, no, no)
    assert torch.equal(dropped.clip[0], empty.clip[0])
    assert torch.equal(dropped.clip[1], conditions.clip[1])
    assert torch.equal(dropped.spatial, conditions.spatial)
    dropped = network.drop(conditions, no, yes, no)
    assert torch.equal(dropped.sync[2], empty.sync[2])
    assert torch.equal(dropped.spatial[2], empty.spatial[2])
    assert torch.equal(dropped.spatial[3], conditions.spatial[3])
    assert torch.equal(network.drop(conditions, no, no, yes).text[0], network.empty_string_feat)
    everything = network.drop(conditions, ~no, ~no, ~no)
    assert torch.equal(network(x, t, everything), network(x, t, empty))


def test_a_latent_is_normalised_in_each_channel_and_left_as_it_was(small):
    network = build(small())
    with torch.no_grad():
        network.latent_mean.copy_(torch.arange(6.0).reshape(1, 1, 6))
        network.latent_std.copy_(1 + torch.arange(6.0).reshape(1, 1, 6))
    latent = torch.randn(3, 2, 21, 6)
    before = latent.clone()
    normal = network.normalise(latent)
    assert torch.allclose(normal[..., 2], (latent[..., 2] - 2) / 3)
    assert torch.allclose(network.unnormalise(normal), latent, atol=1e-5)
    assert torch.equal(latent, before)


# --- training ---------------------------------------------------------------------------------------------------------


def without_gradient(network):
    return {
        name for name, p in network.named_parameters() if p.requires_grad and not (p.grad is not None and p.grad.any())
    }


@pytest.mark.parametrize("change", VARIANTS)
def test_gradients_reach_every_trainable_parameter(small, filled_network, inputs, change):
    """Of filled weights, with some conditions dropped.

    Two parts cannot have any: in the last joint block clip and text answer latent's queries and are then thrown away,
    so their own queries are never used, and neither is the weight of the norm of these. (Their gradient is zero and
    not absent, so that data-parallel training does not wait for it.)
    """
    network = filled_network(small(**change))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in ("latent_mean", "latent_std", "empty_string_feat"))
    x, t, conditions = inputs(network.config)
    mask = torch.tensor([True, False])
    network(x, t, network.drop(conditions, mask, mask, mask)).square().mean().backward()
    last = f"joint_blocks.{network.config.joint_depth - 1}"
    unused = {f"{last}.{stream}_block.attn.q_norm.weight" for stream in ("clip", "text")}
    assert without_gradient(network) == unused
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)


def test_no_mask_still_gives_the_empty_features_a_gradient(small, filled_network, inputs):
    network = filled_network(small())
    empty = {name: p.requires_grad_() for name, p in network.named_parameters() if name.startswith("empty_")}
    network.empty_string_feat.requires_grad_(False)
    x, t, conditions = inputs(network.config)
    no = torch.zeros(2, dtype=torch.bool)
    network(x, t, network.drop(conditions, no, no, no)).sum().backward()
    for name in ("empty_clip_feat", "empty_sync_feat", "empty_pe_feat"):
        assert torch.equal(empty[name].grad, torch.zeros_like(empty[name]))


def test_new_parts_learn_although_they_change_nothing_at_first(small, filled_network, inputs):
    """The weights of [I | 0] have a gradient at once; what lies before them has one after the first step."""
    mono = filled_network(small().mono)
    network, report = load_mmaudio(mono.state_dict(), small())
    x, t, conditions = inputs(network.config)
    network(x, t, conditions).square().mean().backward()
    new = {name: p for name, p in network.named_parameters() if name in report.initialised}
    assert new["spacetime.linear_l.weight"].grad[:, 32:].any()
    assert not any(p.grad.any() for name, p in new.items() if name.startswith("pe_proj") and p.grad is not None)


@pytest.mark.parametrize("change", [{}, {"dual": False, "spacetime": False}])
def test_a_network_from_scratch_begins_with_zero_flow(small, inputs, change):
    torch.manual_seed(0)
    network = build(small(**change))
    x, t, conditions = inputs(network.config)
    flow = network(x, t, conditions)
    assert not flow.any()
    (flow - 1).square().mean().backward()
    final = network.final_layer_l if network.config.dual else network.final_layer
    assert final.conv.weight.grad.any()


@pytest.mark.slow
def test_nothing_keeps_torch_from_compiling_a_step_as_one_graph(small, filled_network, inputs):
    network = filled_network(small(depth=3, fused_depth=1))
    x, t, conditions = inputs(network.config)
    projected = network.project(conditions, x.shape[-2])
    compiled = torch.compile(network.velocity, backend="eager", fullgraph=True)
    assert off(compiled(x, t, projected), network.velocity(x, t, projected)) < 1e-5


@pytest.mark.slow
def test_blocks_of_a_kind_share_what_is_compiled(small, filled_network, inputs):
    network = filled_network(small(depth=9, fused_depth=5))
    x, t, conditions = inputs(network.config)
    projected = network.project(conditions, x.shape[-2])
    expected = network.velocity(x, t, projected)
    torch.compiler.reset()
    compiled = []

    def count(graph, _):
        compiled.append(graph)
        return graph.forward

    network.compile_blocks(backend=count)
    assert off(network.velocity(x, t, projected), expected) < 1e-5
    # joint, the last joint, single; and again where memory is laid out in another way
    assert len(compiled) <= 5 < len(network.joint_blocks) + 2 * len(network.single_blocks_l)


@pytest.mark.slow
@pytest.mark.parametrize("change", VARIANTS)
def test_nothing_keeps_torch_from_compiling_training_as_one_graph(small, filled_network, inputs, change):
    network = filled_network(small(**change))
    x, t, conditions = inputs(network.config)
    torch.compiler.reset()  # the number of variants that torch keeps of one function is limited
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    assert off(compiled(x, t, conditions), network(x, t, conditions)) < 1e-5


# --- cost -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "projecting", "each_step"),
    [
        # 13.7 for MMAudio's conditions, 33.4 into the latent, 181.9 + 298.4 in the blocks, 0.2 behind them
        (CONFIGS["large_44k_v2"].mono, 13.7, 513.9),
        # both ears share the first convolution of Algorithm 1 (266 instead of 296) and the modulation of the joint
        # blocks' latents (3.3 in each of 7)
        (CONFIGS["large_44k_v2"], 13.7 + 266, 66.8 + 363.7 - 7 * 3.32 + 596.9 + 0.4 + 2.2),
    ],
)
def test_the_cost_is_that_of_the_specification(config, projecting, each_step):
    """In GFLOP for 8 s, a multiplication and an addition counted as two."""
    with torch.device("meta"):
        network = build(config)
        n = lengths(8.0)
        conditions = network.null(1, n)
        with FlopCounterMode(display=False) as counter:
            projected = network.project(conditions, n.latent)
        assert counter.get_total_flops() / 1e9 == pytest.approx(projecting, rel=0.01)
        with FlopCounterMode(display=False) as counter:
            network.velocity(torch.zeros(network.latent_shape(1, n)), torch.zeros(1), projected)
    assert counter.get_total_flops() / 1e9 == pytest.approx(each_step, rel=0.01)


# --- configurations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 30}, "heads"),
        ({"fused_depth": 4}, "at least one joint block"),
        ({"fused_depth": 0}, "fused_depth must be from 1 to"),
        ({"pe_conv1d_kernel": 2}, "must be odd"),
        ({"dual": False}, "must be off too"),
        ({"joint_tokens": "some"}, "joint_tokens is 'some', one of pooled, sequence"),
        ({"first_ear": "both"}, "one of left, right"),
        ({"width": 3}, "width is not a field"),
    ],
)
def test_impossible_configurations_are_refused(small, change, message):
    with pytest.raises(ValueError, match=message):
        small(**change)


def test_incomplete_configurations_are_refused():
    with pytest.raises(ValueError, match="latent_dim is missing"):
        Config.from_dict({"name": "x"})


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_survive_a_file(name):
    config = CONFIGS[name]
    assert Config.from_dict(config.to_dict()) == config
    assert config.name == name


def test_networks_refuse_what_they_are_not(small, filled_network, inputs):
    with pytest.raises(ValueError, match="two ears"):
        MMAudio(small())
    with pytest.raises(ValueError, match="is mono"):
        ViSAudio(small(dual=False, spacetime=False))
    network = filled_network(small())
    x, t, conditions = inputs(network.config)
    with pytest.raises(ValueError, match="needs spatial features"):
        network(x, t, dataclasses.replace(conditions, spatial=None))


@pytest.mark.parametrize("change", [{"spacetime": False}, {"dual": False, "spacetime": False}])
def test_networks_without_a_place_for_spatial_features_leave_them_out(small, filled_network, inputs, change):
    network = filled_network(small(**change))
    x, t, conditions = inputs(network.config)
    more = dataclasses.replace(conditions, spatial=inputs(small())[2].spatial)
    assert torch.equal(network(x, t, more), network(x, t, conditions))
    yes = torch.ones(2, dtype=torch.bool)
    assert network.drop(more, yes, yes, yes).spatial is None


def test_features_may_lie_in_16_bits(small, filled_network, inputs):
    network = filled_network(small())
    x, t, conditions = inputs(network.config)
    stored = dataclasses.replace(conditions, spatial=conditions.spatial.bfloat16())
    rounded = dataclasses.replace(conditions, spatial=stored.spatial.float())
    assert torch.equal(network(x, t, stored), network(x, t, rounded))
    no = torch.zeros(2, dtype=torch.bool)
    assert network.drop(stored, no, no, no).spatial.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(x, t, stored), network(x, t, rounded))


@settings(max_examples=10)
@given(
    st.sampled_from([(16, 2), (24, 3), (40, 4)]), st.integers(2, 4), st.integers(1, 3), st.booleans(), st.integers(1, 9)
)
def test_networks_of_any_size(sizes, joint, fused, v2, grid):
    config = Config(
        "any", latent_dim=3, hidden=sizes[0], heads=sizes[1], depth=joint + fused, fused_depth=fused, v2=v2, clip_dim=4,
        sync_dim=5, text_dim=6, text_tokens=3, spatial_dim=7, spatial_grid=grid,
    )  # fmt: skip
    torch.manual_seed(0)
    network = build(config)
    wanted = lengths(1.0, 3)
    x = torch.randn(network.latent_shape(1, wanted))
    assert network(x, torch.rand(1), network.null(1, wanted)).shape == x.shape
