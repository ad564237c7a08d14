"""Layers of MMAudio and ViSAudio over tokens `(B, N, C)`, under the parameter names of MMAudio's public files.

Facts that trained weights depend on and that a glance does not show: q, k and v alternate channel by channel in the
packed projection; neighbouring channels are rotated together; attention has no output projection of its own (the
block's `linear1` does that); layer norms have no parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.layers import Linear, unflatten

_ROPE_BASE = 10_000.0
_TIME_BASE = 10_000.0
# the machine epsilon of float32, also where the numbers are bfloat16
_RMS_EPS = float(torch.finfo(torch.float32).eps)


def gated_width(width: int) -> int:
    """Inner width of a gated perceptron: two thirds of 4 times the width, rounded up to a multiple of 256."""
    return 256 * math.ceil((8 * width // 3) / 256)


class MLP(nn.Module):
    """`w2(SiLU(w1 x) * w3 x)` without biases, token by token."""

    def __init__(self, width: int):
        super().__init__()
        inner = gated_width(width)
        self.w1 = Linear(width, inner, bias=False)
        self.w2 = Linear(inner, width, bias=False)
        self.w3 = Linear(width, inner, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., width)` to the same shape."""
        y: Tensor = self.w2(functional.silu(self.w1(x)) * self.w3(x))
        return y


class ChannelLastConv1d(nn.Conv1d):
    """A convolution over tokens `(B, N, C)` that keeps their number."""

    def __init__(self, before: int, after: int, kernel: int, *, bias: bool = True):
        super().__init__(before, after, kernel, padding=kernel // 2, bias=bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the base class's name)
        """`(B, N, before)` to `(B, N, after)`."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class ConvMLP(nn.Module):
    """The gated perceptron with convolutions over tokens in place of its linear maps."""

    def __init__(self, width: int, kernel: int):
        super().__init__()
        inner = gated_width(width)
        self.w1 = ChannelLastConv1d(width, inner, kernel, bias=False)
        self.w2 = ChannelLastConv1d(inner, width, kernel, bias=False)
        self.w3 = ChannelLastConv1d(width, inner, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, N, width)` to the same shape."""
        y: Tensor = self.w2(functional.silu(self.w1(x)) * self.w3(x))
        return y


class TimestepEmbedder(nn.Module):
    """Time t in [0, 1] to `(B, width)`: cosines and sines at `frequencies / 2` angular rates, then two linear maps.

    The highest rate of the second version is 10^4 rad, where bfloat16 could not tell neighbouring steps apart: rates
    and angles are float32 whatever the network's type is.
    """

    freqs: Tensor

    def __init__(self, width: int, *, frequencies: int, max_period: float):
        super().__init__()
        self._frequencies, self._scale = frequencies, _TIME_BASE / max_period
        self.mlp = nn.Sequential(Linear(frequencies, width), nn.SiLU(), Linear(width, width))
        self.register_buffer("freqs", self._rates(), persistent=False)

    def _rates(self) -> Tensor:
        # on the CPU even when the network is built on "meta": this table is in no file
        steps = torch.arange(0, self._frequencies, 2, dtype=torch.float32, device="cpu")
        return 1.0 / (_TIME_BASE ** (steps / self._frequencies)) * self._scale

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TimestepEmbedder:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        device = "cpu" if self.freqs.is_meta else self.freqs.device
        self.freqs = self._rates().to(device)
        return self

    def sinusoid(self, t: Tensor) -> Tensor:
        """Cosines, then sines: `(B,)` to `(B, frequencies)` float32."""
        angles = t.float()[:, None] * self.freqs.to(t.device)
        return torch.cat([angles.cos(), angles.sin()], dim=-1)

    def forward(self, t: Tensor) -> Tensor:
        """`(B,)` to `(B, width)`."""
        y: Tensor = self.mlp(self.sinusoid(t).to(cast(nn.Linear, self.mlp[0]).weight.dtype))
        return y


def rope_angles(length: int, width: int, scale: float = 1.0, device: torch.device | None = None) -> Tensor:
    """Compute cosine and sine of the angle of each position and pair of channels.

    Args:
        length: number of positions.
        width: channels of one head.
        scale: distance of neighbouring tokens, in positions of the sequence that has scale 1.
        device: where to make it.

    Returns:
        `(length, width / 2, 2)` float32.
    """
    steps = torch.arange(0, width, 2, dtype=torch.float32, device=device)
    rates = 1.0 / (_ROPE_BASE ** (steps / width)) * scale
    angles = torch.arange(length, dtype=torch.float32, device=device)[:, None] * rates
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn each pair of neighbouring channels by its angle.

    Args:
        x: `(B, H, N, d)`.
        angles: `(N, d / 2, 2)`, cosine and sine.

    Returns:
        `(B, H, N, d)`.
    """
    first, second = unflatten(x, -1, (-1, 2)).unbind(-1)
    cosine, sine = angles.unbind(-1)
    turned = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    return turned.flatten(-2)


class HeadNorm(nn.RMSNorm):
    """Root mean square norm of the channels of each head, in float32; all heads share the weights."""

    def __init__(self, width: int):
        super().__init__(width, eps=_RMS_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., d)` of any type to float32 of the same shape."""
        return functional.rms_norm(x.float(), self.normalized_shape, self.weight.float(), self.eps)


class SelfAttention(nn.Module):
    """Queries, keys and values of a sequence; queries and keys normalised for each head, then rotated."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.q_norm = HeadNorm(width // heads)
        self.k_norm = HeadNorm(width // heads)

    def forward(self, x: Tensor, angles: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """`(B, N, width)` to three tensors `(B, H, N, d)`."""
        q, k, v = unflatten(self.qkv(x), -1, (self.heads, -1, 3)).transpose(1, 2).unbind(-1)
        q, k = self.q_norm(q), self.k_norm(k)
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        return q.to(v.dtype), k.to(v.dtype), v.contiguous()


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute softmax attention of heads.

    Args:
        q: queries `(B, H, N, d)`.
        k: keys `(B, H, M, d)`.
        v: values `(B, H, M, d)`.

    Returns:
        The heads side by side, `(B, N, H d)`.
    """
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Apply layer norm without parameters, then `x (1 + scale) + shift`.

    Args:
        x: `(..., C)`.
        shift: of a shape that broadcasts to it.
        scale: likewise.

    Returns:
        `(..., C)`.
    """
    return functional.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


Heads = tuple[Tensor, Tensor, Tensor]
Modulation = tuple[Tensor, ...]
Modulations = tuple[Modulation, Modulation, Modulation]
Streams = tuple[Tensor, Tensor, Tensor]


class TransformerBlock(nn.Module):
    """One stream of tokens: attention, then a perceptron, both modulated and gated by a condition.

    Args:
        width: channels.
        heads: attention heads.
        kernel: of the convolutions after attention and in the perceptron; None maps token by token (text).
        pre_only: the stream only offers queries, keys and values; the last joint block needs no more of clip and text.
    """

    def __init__(self, width: int, heads: int, *, kernel: int | None = 3, pre_only: bool = False):
        super().__init__()
        self.attn = SelfAttention(width, heads)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(width, (2 if pre_only else 6) * width))
        self.pre_only = pre_only
        if not pre_only:
            self.linear1 = Linear(width, width) if kernel is None else ChannelLastConv1d(width, width, kernel)
            self.ffn = MLP(width) if kernel is None else ConvMLP(width, kernel)

    def modulation(self, condition: Tensor) -> Modulation:
        """Shifts, scales and gates, `(B, 1 or N, width)` each, from a condition of that shape."""
        parts: Modulation = self.adaLN_modulation(condition).chunk(2 if self.pre_only else 6, dim=-1)
        return parts

    def offer(self, x: Tensor, modulation: Modulation, angles: Tensor | None) -> Heads:
        """Queries, keys and values of the stream."""
        shift, scale = modulation[:2]
        heads: Heads = self.attn(modulate(x, shift, scale), angles)
        return heads

    def finish(self, x: Tensor, attended: Tensor, modulation: Modulation) -> Tensor:
        """The stream after attention and perceptron."""
        if self.pre_only:
            return x
        _, _, gate, shift, scale, ffn_gate = modulation
        x = x + gate * self.linear1(attended)
        y: Tensor = x + ffn_gate * self.ffn(modulate(x, shift, scale))
        return y

    def forward(self, x: Tensor, condition: Tensor, angles: Tensor | None) -> Tensor:
        """`(B, N, width)` to the same shape; the stream attends to itself."""
        modulation = self.modulation(condition)
        return self.finish(x, attend(*self.offer(x, modulation, angles)), modulation)


class JointBlock(nn.Module):
    """Latent, clip and text, each with its own weights, in one attention over all their tokens."""

    def __init__(self, width: int, heads: int, *, pre_only: bool):
        super().__init__()
        self.latent_block = TransformerBlock(width, heads)
        self.clip_block = TransformerBlock(width, heads, pre_only=pre_only)
        self.text_block = TransformerBlock(width, heads, kernel=None, pre_only=pre_only)

    def modulations(self, local_c: Tensor, global_c: Tensor) -> Modulations:
        """The modulations of latent by each latent frame's condition `(B, n, h)`, of clip and text by the global one.

        Apart from `forward` because both ears of ViSAudio share them.
        """
        return (
            self.latent_block.modulation(local_c),
            self.clip_block.modulation(global_c),
            self.text_block.modulation(global_c),
        )

    def forward(self, streams: Streams, modulations: Modulations, angles: tuple[Tensor, Tensor]) -> Streams:
        """One exchange between the streams.

        Args:
            streams: latent `(B, n, h)`, clip `(B, nc, h)`, text `(B, nt, h)`.
            modulations: of each.
            angles: rotary positions of latent and clip; text has none.
        """
        latent, clip, text = streams
        heads = (
            self.latent_block.offer(latent, modulations[0], angles[0]),
            self.clip_block.offer(clip, modulations[1], angles[1]),
            self.text_block.offer(text, modulations[2], None),
        )
        q, k, v = (torch.cat(parts, dim=2) for parts in zip(*heads, strict=True))
        attended = torch.split(attend(q, k, v), [latent.shape[1], clip.shape[1], text.shape[1]], dim=1)
        return (
            self.latent_block.finish(latent, attended[0], modulations[0]),
            self.clip_block.finish(clip, attended[1], modulations[1]),
            self.text_block.finish(text, attended[2], modulations[2]),
        )


class FinalLayer(nn.Module):
    """Tokens to the latent's channels, modulated by the global condition."""

    def __init__(self, width: int, latent_dim: int):
        super().__init__()
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(width, 2 * width))
        self.conv = ChannelLastConv1d(width, latent_dim, 7)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`(B, n, width)` to `(B, n, latent_dim)`; the condition is `(B, 1, width)`."""
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=-1)
        y: Tensor = self.conv(modulate(x, shift, scale))
        return y


@torch.no_grad()
def xavier(module: nn.Module) -> None:
    """Initialise the linear maps in `module` as MMAudio's are: weights uniform after Xavier, biases zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
