"""ViSAudio's flow network (Eqs. 5-10), and MMAudio's, of which it has the conditioning and the joint blocks.

Parameter names are those of MMAudio's public files. ViSAudio's own parts are `single_blocks_l` and `single_blocks_r`,
`final_layer_l` and `final_layer_r`, `pe_proj` and `spacetime` (`models.visaudio.spacetime`), and `empty_pe_feat`.

What is computed only once for a clip (`project`) is apart from what each step of the sampler needs (`velocity`). The
weights may be float32, with or without autocast, or bfloat16; time enters in float32 in every case.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.layers import Linear, unflatten
from visaudio_bench.models.visaudio.blocks import (
    MLP,
    ChannelLastConv1d,
    ConvMLP,
    FinalLayer,
    JointBlock,
    TimestepEmbedder,
    TransformerBlock,
    rope_angles,
    xavier,
)
from visaudio_bench.models.visaudio.conditions import Conditions, Projected
from visaudio_bench.models.visaudio.config import SYNC_TOKENS, Config, Lengths
from visaudio_bench.models.visaudio.spacetime import Spacetime, SpatialProjection

Pair = tuple[Tensor, Tensor]

_MAX_PERIOD = {True: 1.0, False: 10_000.0}
_V1_FREQUENCIES = 256


class FlowNetwork(nn.Module):
    """What both networks share: conditioning, time, joint blocks, the statistics of the latent.

    A network is made with random weights as MMAudio is trained from scratch with, and ViSAudio's additions so that
    they change nothing at first.
    """

    title = "a flow network"
    # tables that older files of MMAudio carry along
    ignored: tuple[str, ...] = ("t_embed.freqs", "latent_rot", "clip_rot")
    exact: tuple[str, ...] = ("t_embed.freqs", "latent_mean", "latent_std")

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        width = config.hidden
        activation = nn.SiLU if config.v2 else nn.SELU
        between = (nn.SiLU(),) if config.v2 else ()
        self.audio_input_proj = nn.Sequential(
            ChannelLastConv1d(config.latent_dim, width, 7), activation(), ConvMLP(width, 7)
        )
        self.clip_input_proj = nn.Sequential(Linear(config.clip_dim, width), *between, ConvMLP(width, 3))
        self.sync_input_proj = nn.Sequential(
            ChannelLastConv1d(config.sync_dim, width, 7), activation(), ConvMLP(width, 3)
        )
        self.text_input_proj = nn.Sequential(Linear(config.text_dim, width), *between, MLP(width))
        self.clip_cond_proj = Linear(width, width)
        self.text_cond_proj = Linear(width, width)
        self.global_cond_mlp = MLP(width)
        self.t_embed = TimestepEmbedder(
            width, frequencies=width if config.v2 else _V1_FREQUENCIES, max_period=_MAX_PERIOD[config.v2]
        )
        last = config.joint_depth - 1
        self.joint_blocks = nn.ModuleList(
            JointBlock(width, config.heads, pre_only=index == last) for index in range(config.joint_depth)
        )
        self.sync_pos_emb = nn.Parameter(torch.zeros(1, 1, SYNC_TOKENS, config.sync_dim))
        self.empty_clip_feat = nn.Parameter(torch.zeros(1, config.clip_dim))
        self.empty_sync_feat = nn.Parameter(torch.zeros(1, config.sync_dim))
        self.empty_string_feat = nn.Parameter(torch.zeros(config.text_tokens, config.text_dim), requires_grad=False)
        self.latent_mean = nn.Parameter(torch.zeros(1, 1, config.latent_dim), requires_grad=False)
        self.latent_std = nn.Parameter(torch.ones(1, 1, config.latent_dim), requires_grad=False)

    def latent_shape(self, batch: int, lengths: Lengths) -> tuple[int, ...]:
        """Shape of a batch of latents: `(B, 2, n, C)`, or `(B, n, C)` for MMAudio."""
        ears = (2,) if self.config.dual else ()
        return (batch, *ears, lengths.latent, self.config.latent_dim)

    def null(self, batch: int, lengths: Lengths) -> Conditions:
        """Conditions of nothing: no picture, no caption. For a negative prompt, `replace` their text."""
        return Conditions(
            clip=self.empty_clip_feat.expand(batch, lengths.clip, -1),
            sync=self.empty_sync_feat.expand(batch, lengths.sync, -1),
            text=self.empty_string_feat.expand(batch, -1, -1),
        )

    def drop(self, conditions: Conditions, clip_mask: Tensor, sync_mask: Tensor, text_mask: Tensor) -> Conditions:
        """Conditions of nothing for the clips whose mask is true; masks are `(B,)`.

        Spatial features go with sync, where the network has any. The learned empty features take part in the graph
        even when no mask is true, because data-parallel training wants a gradient for every parameter at every step.
        """
        spatial, nowhere = conditions.spatial, self._empty_spatial()
        return Conditions(
            clip=_replaced(conditions.clip, clip_mask, self.empty_clip_feat),
            sync=_replaced(conditions.sync, sync_mask, self.empty_sync_feat),
            text=_replaced(conditions.text, text_mask, self.empty_string_feat),
            spatial=None if spatial is None or nowhere is None else _replaced(spatial, sync_mask, nowhere),
        )

    def _empty_spatial(self) -> Tensor | None:
        return None

    def normalise(self, latent: Tensor) -> Tensor:
        """The codec's latent `(..., n, C)` to the network's: mean 0 and deviation 1 in each channel."""
        return (latent - self.latent_mean[0]) / self.latent_std[0]

    def unnormalise(self, latent: Tensor) -> Tensor:
        """The inverse of `normalise`."""
        return latent * self.latent_std[0] + self.latent_mean[0]

    def project(self, conditions: Conditions, length: int) -> Projected:
        """All that does not depend on noise or time.

        Args:
            conditions: features of B clips.
            length: latent frames n. Lengths need not be those that the network was trained with: positions and
                resampling follow the ratio between them.
        """
        device = conditions.clip.device
        if device.type == "meta" or not torch.is_autocast_enabled(device.type):
            # where it is enabled, spatial features in 16 bits are taken as they are
            conditions = conditions.to(dtype=self.clip_cond_proj.weight.dtype)
        clip = self.clip_input_proj(conditions.clip)
        text = self.text_input_proj(conditions.text)
        segments = unflatten(conditions.sync, 1, (-1, SYNC_TOKENS)) + self.sync_pos_emb
        sync = self.sync_input_proj(segments.flatten(1, 2))
        clip_mean, text_mean = clip.mean(1), text.mean(1)
        pooled = self.global_cond_mlp(self.clip_cond_proj(clip_mean) + self.text_cond_proj(text_mean))
        if self.config.joint_tokens == "pooled":
            clip, text = clip_mean[:, None], text_mean[:, None]
        head = self.config.hidden // self.config.heads
        return Projected(
            clip=clip,
            text=text,
            sync=sync[:, nearest_exact(sync.shape[1], length).to(device)],
            pooled=pooled,
            spatial=None if conditions.spatial is None else self._project_spatial(conditions.spatial, length),
            latent_angles=rope_angles(length, head, device=device),
            clip_angles=rope_angles(clip.shape[1], head, length / clip.shape[1], device=device),
        )

    def _project_spatial(self, spatial: Tensor, length: int) -> Tensor | None:  # noqa: ARG002 (ViSAudio uses them)
        return None

    def conditions_at(self, t: Tensor, projected: Projected) -> Pair:
        """The condition of each latent frame, `(B, n, h)`, and the global one, `(B, 1, h)`, at time t."""
        global_c = (self.t_embed(t) + projected.pooled)[:, None]
        return global_c + projected.sync, global_c

    def velocity(self, x: Tensor, t: Tensor, projected: Projected) -> Tensor:
        """Velocity of the flow.

        Args:
            x: normalised latents, `(B, 2, n, C)` with the left ear first; `(B, n, C)` for MMAudio.
            t: `(B,)` float32 in [0, 1]; 0 is noise, 1 is data.
            projected: what `project` made for n latent frames.

        Returns:
            As x, in its type.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        """`velocity` from conditions that are used once, as in training."""
        return self.velocity(x, t, self.project(conditions, x.shape[-2]))

    def compile_blocks(self, **options: Any) -> None:
        """Let torch compile the blocks, with options of `torch.compile`.

        All blocks of a kind share one compiled function, so that this costs a fraction of the time that compiling
        the whole network takes, in which each is another part of one large graph.
        """
        for module in self.modules():
            if isinstance(module, JointBlock):
                module.compile(fullgraph=True, **options)
        for name in ("fused_blocks", "single_blocks_l", "single_blocks_r"):
            for block in getattr(self, name, ()):
                block.compile(fullgraph=True, **options)

    @torch.no_grad()
    def initialise(self) -> None:
        """Random weights to train from: convolutions as PyTorch makes them, every gate and the output zero.

        Nothing happens where the network has no memory ("meta"), as in `layers.drawn`.
        """
        if self.empty_clip_feat.is_meta:
            return
        xavier(self)
        for layer in (self.t_embed.mlp[0], self.t_embed.mlp[2]):
            nn.init.normal_(cast(nn.Linear, layer).weight, std=0.02)
        for module in self.modules():
            if isinstance(module, TransformerBlock | FinalLayer):
                _zero(cast(nn.Linear, module.adaLN_modulation[1]))
            if isinstance(module, FinalLayer):
                _zero(module.conv)


class MMAudio(FlowNetwork):
    """MMAudio (Cheng et al. 2025): one mono latent; the keys of its public files."""

    title = "MMAudio's flow network"

    def __init__(self, config: Config):
        if config.dual:
            raise ValueError(f"{config.name} has two ears; MMAudio is made from its .mono")
        super().__init__(config)
        self.fused_blocks = _branch(config)
        self.final_layer = FinalLayer(config.hidden, config.latent_dim)
        self.initialise()

    def velocity(self, x: Tensor, t: Tensor, projected: Projected) -> Tensor:
        """See `FlowNetwork.velocity`."""
        local_c, global_c = self.conditions_at(t, projected)
        streams = (self.audio_input_proj(x.to(projected.clip.dtype)), projected.clip, projected.text)
        angles = (projected.latent_angles, projected.clip_angles)
        for block in cast(Iterable[JointBlock], self.joint_blocks):
            streams = block(streams, block.modulations(local_c, global_c), angles)
        latent = streams[0]
        for fused in self.fused_blocks:
            latent = fused(latent, local_c, projected.latent_angles)
        flow: Tensor = self.final_layer(latent, global_c)
        return flow.to(x.dtype)


class ViSAudio(FlowNetwork):
    """ViSAudio: joint blocks for both ears, then a branch for each, conditioned on where things are in the picture."""

    title = "ViSAudio's flow network"

    def __init__(self, config: Config):
        if not config.dual:
            raise ValueError(f"{config.name} is mono; use MMAudio")
        super().__init__(config)
        self.single_blocks_l, self.single_blocks_r = _branch(config), _branch(config)
        self.final_layer_l = FinalLayer(config.hidden, config.latent_dim)
        self.final_layer_r = FinalLayer(config.hidden, config.latent_dim)
        self.initialise()
        if config.spacetime:
            self.add_spacetime()

    def add_spacetime(self) -> None:
        """Make the spacetime module anew; at first it leaves every branch conditioned as MMAudio's blocks are."""
        self.pe_proj = SpatialProjection(self.config)
        self.spacetime = Spacetime(self.config.hidden)
        self.empty_pe_feat = nn.Parameter(torch.zeros(1, self.config.spatial_dim))

    def null(self, batch: int, lengths: Lengths) -> Conditions:
        """See `FlowNetwork.null`."""
        nothing = super().null(batch, lengths)
        if not self.config.spacetime:
            return nothing
        grid = self.config.spatial_grid
        spatial = self.empty_pe_feat.expand(batch, lengths.clip, grid, grid, -1)
        return Conditions(nothing.clip, nothing.sync, nothing.text, spatial)

    def velocity(self, x: Tensor, t: Tensor, projected: Projected) -> Tensor:
        """See `FlowNetwork.velocity`."""
        conditions = self.conditions_at(t, projected)
        ears = self.joint(x, conditions, projected)
        return torch.stack(self.branches(ears, conditions, projected), dim=1).to(x.dtype)

    def joint(self, x: Tensor, conditions: Pair, projected: Projected) -> Pair:
        """Eqs. 5-6: latents `(B, 2, n, C)` to the left and the right ear's `(B, n, h)`, through the joint blocks."""
        ears = unflatten(self.audio_input_proj(x.flatten(0, 1).to(projected.clip.dtype)), 0, x.shape[:2])
        if self.config.joint_update == "parallel":
            return self._joint_in_parallel(ears, conditions, projected)
        order = (0, 1) if self.config.first_ear == "left" else (1, 0)
        first, second = ears[:, order[0]], ears[:, order[1]]
        clip, text = projected.clip, projected.text
        angles = (projected.latent_angles, projected.clip_angles)
        for block in cast(Iterable[JointBlock], self.joint_blocks):
            modulations = block.modulations(*conditions)
            first, clip, text = block((first, clip, text), modulations, angles)
            second, clip, text = block((second, clip, text), modulations, angles)
        return (first, second) if order == (0, 1) else (second, first)

    def _joint_in_parallel(self, ears: Tensor, conditions: Pair, projected: Projected) -> Pair:
        """Both ears meet the same clip and text in every block; what they make of those is averaged."""
        batch = len(ears)
        latent, clip, text = ears.transpose(0, 1).flatten(0, 1), projected.clip, projected.text
        angles = (projected.latent_angles, projected.clip_angles)
        for block in cast(Iterable[JointBlock], self.joint_blocks):
            modulations = [_twice(*stream) for stream in block.modulations(*conditions)]
            latent, clip, text = block((latent, *_twice(clip, text)), modulations, angles)
            clip, text = (unflatten(stream, 0, (2, batch)).mean(0) for stream in (clip, text))
        return latent[:batch], latent[batch:]

    def branches(self, ears: Pair, conditions: Pair, projected: Projected) -> Pair:
        """Eqs. 7-8 and 10: what `joint` made of each ear to its flow, `(B, n, C)`; the ears no longer meet."""
        (left, right), (local_c, global_c) = ears, conditions
        left_c, right_c = self.branch_conditions(local_c, projected)
        for block_l, block_r in zip(self.single_blocks_l, self.single_blocks_r, strict=True):
            left = block_l(left, left_c, projected.latent_angles)
            right = block_r(right, right_c, projected.latent_angles)
        return self.final_layer_l(left, global_c), self.final_layer_r(right, global_c)

    def branch_conditions(self, local_c: Tensor, projected: Projected) -> Pair:
        """Eq. 10: the condition of each latent frame for either branch, `(B, n, h)`."""
        if not self.config.spacetime:
            return local_c, local_c
        if projected.spatial is None:
            raise ValueError(f"{self.config.name} needs spatial features; these conditions have none")
        left, right = self.spacetime(local_c, projected.spatial)
        return left, right

    def _project_spatial(self, spatial: Tensor, length: int) -> Tensor | None:
        if not self.config.spacetime:
            return None
        projected: Tensor = self.pe_proj(spatial, length)
        return projected

    def _empty_spatial(self) -> Tensor | None:
        return self.empty_pe_feat if self.config.spacetime else None


def build(config: Config) -> FlowNetwork:
    """The network that `config` describes, with weights to train from."""
    return ViSAudio(config) if config.dual else MMAudio(config)


def nearest_exact(source: int, target: int) -> Tensor:
    """Choose the nearest token of one sequence for each token of another.

    Where a target lies exactly between two tokens (rows 57 and 172 of 345 from 192), the result depends on the
    arithmetic; trained weights expect that of PyTorch in float32 on the CPU, which this is on every device.

    Args:
        source: how many tokens there are.
        target: how many tokens there shall be.

    Returns:
        `(target,)` indices below `source`, on the CPU.
    """
    tokens = torch.arange(source, dtype=torch.float32, device="cpu")[None, None]
    return functional.interpolate(tokens, size=target, mode="nearest-exact")[0, 0].long()


def _branch(config: Config) -> nn.ModuleList:
    return nn.ModuleList(TransformerBlock(config.hidden, config.heads) for _ in range(config.fused_depth))


def _twice(*batches: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.cat([batch, batch]) for batch in batches)


def _zero(layer: nn.Linear | nn.Conv1d) -> None:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


def _replaced(features: Tensor, mask: Tensor, empty: Tensor) -> Tensor:
    """The features of each clip, or `empty` (which broadcasts over places) where the mask is true."""
    return torch.where(mask.reshape(-1, *(1,) * (features.ndim - 1)), empty.to(features.dtype), features)
