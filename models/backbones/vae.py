"""MMAudio's VAE at 44.1 kHz: log-mel spectrograms `(128, 2n)` to latents `(n, 40)` and back.

A one-dimensional network that preserves magnitudes (Karras et al. 2024, "Analyzing and improving the training
dynamics of diffusion models", arXiv 2312.02696): no biases, no group norms; sums, activations and weights are scaled
so that unit variance stays unit variance. Weights are trained under a forced normalisation that is folded into them
once, after loading. The state dict is that of `v1-44.pth`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.errors import BenchError
from visaudio_bench.models.backbones.layers import exact_float32, unflatten

LATENT = 40
_TINY = 1e-4
_SILU_GAIN = 0.596
_RESIDUAL = 0.3
_LIMIT = 256.0
_ENCODER_BLOCKS, _DECODER_BLOCKS = 2, 3
# the level after which time is halved; on the way back it is doubled after the level above it
_HALVED = 0


class Vae(nn.Module):
    """Encoder and decoder; 305 million parameters, 176 million without the encoder."""

    title = "MMAudio's VAE (44.1 kHz)"
    # statistics of the mel bands; rounding them would shift whole bands
    exact = ("data_mean", "data_std")
    data_mean: Tensor
    data_std: Tensor

    def __init__(
        self,
        width: int = 512,
        multipliers: Sequence[int] = (1, 2, 4),
        bands: int = 128,
        latent: int = LATENT,
        *,
        encoder: bool = True,
    ):
        """A network of the published size by default.

        Args:
            width: channels of the first level.
            multipliers: channels of each level as multiples of `width`.
            bands: mel bands.
            latent: channels of the latent.
            encoder: whether there is one; generating needs the decoder only.
        """
        super().__init__()
        widths = [width * factor for factor in multipliers]
        self.ignored: tuple[str, ...] = () if encoder else ("encoder.",)
        self.register_buffer("data_mean", torch.zeros(1, bands, 1))
        self.register_buffer("data_std", torch.ones(1, bands, 1))
        self.encoder = _Encoder(bands, widths, latent) if encoder else None
        self.decoder = _Decoder(bands, widths, latent)
        self.folded = False

    def finish(self) -> None:
        """What loading does last: `fold`."""
        self.fold()

    @torch.no_grad()
    def fold(self) -> None:
        """Replace every weight by what the forced normalisation makes of it, in float32; once.

        Raises:
            RuntimeError: it was done before.
            BenchError: the weights are folded already, as in a file that was saved after folding.
        """
        if self.folded:
            raise RuntimeError("the weights of this VAE are folded already; a second time would change them")
        convolutions = [module for module in self.modules() if isinstance(module, _Conv)]
        extremes = torch.tensor([extreme for conv in convolutions for extreme in conv.weight_norms()])
        if extremes.min() > 0.9 and extremes.max() < 1 + 1e-6:
            raise BenchError(
                "the weights of this VAE are folded already (every row has norm 1); load the file its authors "
                "published. See: bench weights list"
            )
        for conv in convolutions:
            conv.fold()
        self.folded = True

    def encode(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel `(B, 128, L)` to mean and standard deviation of the latent, each `(B, L // 2, 40)` float32.

        Raises:
            RuntimeError: the VAE was made without an encoder, or its weights are not folded.
        """
        self._require_folded()
        if self.encoder is None:
            raise RuntimeError("this VAE was made without its encoder")
        normalised = (mel.float() - self.data_mean) / self.data_std
        with exact_float32(mel.device):
            moments = self.encoder(normalised.to(self.decoder.conv_in.weight.dtype))
        mean, log_variance = moments.float().transpose(1, 2).chunk(2, dim=-1)
        return mean, torch.exp(0.5 * log_variance.clamp(-30.0, 20.0))

    def decode(self, latent: Tensor) -> Tensor:
        """Latent `(B, n, 40)` to log-mel `(B, 128, 2n)` float32.

        Raises:
            RuntimeError: the weights are not folded.
        """
        self._require_folded()
        with exact_float32(latent.device):
            mel = self.decoder(latent.transpose(1, 2).to(self.decoder.conv_in.weight.dtype))
        result: Tensor = mel.float() * self.data_std + self.data_mean
        return result

    def _require_folded(self) -> None:
        if not self.folded:
            raise RuntimeError("the weights of this VAE are as they were trained; call fold() first")


def _activate(x: Tensor) -> Tensor:
    """SiLU, scaled so that unit variance stays unit variance."""
    return functional.silu(x) / _SILU_GAIN


def _mix(x: Tensor, residual: Tensor) -> Tensor:
    """A weighted sum of two independent signals that keeps their variance."""
    return ((1 - _RESIDUAL) * x + _RESIDUAL * residual) / math.sqrt((1 - _RESIDUAL) ** 2 + _RESIDUAL**2)


def _normalise_channels(x: Tensor) -> Tensor:
    """`(B, C, ...)` over the root mean square of its channels, position by position."""
    size = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float32) / math.sqrt(x.shape[1])
    normalised: Tensor = x / (_TINY + size).to(x.dtype)
    return normalised


class _Conv(nn.Conv1d):
    """A convolution without bias that keeps the length, and whose weights are normalised once after training."""

    def __init__(self, before: int, after: int, kernel: int):
        super().__init__(before, after, kernel, padding=kernel // 2, bias=False)

    def weight_norms(self) -> tuple[float, float]:
        """The least and the greatest norm of a row."""
        least, greatest = torch.aminmax(self._norms())
        return float(least), float(greatest)

    def fold(self) -> None:
        """Divide every row by its size, which leaves it with norm 1 but for a trace."""
        fan = self.weight[0].numel()
        scale = (_TINY + self._norms() / math.sqrt(fan)) * math.sqrt(fan)
        self.weight = nn.Parameter(self.weight.float() / scale[:, None, None], requires_grad=False)

    def _norms(self) -> Tensor:
        norms: Tensor = torch.linalg.vector_norm(self.weight.flatten(1), dim=1, dtype=torch.float32)
        return norms


class _Block(nn.Module):
    """Two convolutions beside a straight path, which is normalised first."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.conv1 = _Conv(before, after, 3)
        self.conv2 = _Conv(after, after, 3)
        self.nin_shortcut = _Conv(before, after, 1) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        x = _normalise_channels(x)
        residual = self.conv2(_activate(self.conv1(_activate(x))))
        return _mix(x if self.nin_shortcut is None else self.nin_shortcut(x), residual)


class _Attention(nn.Module):
    """Attention over time with one head; queries, keys and values are normalised over their channels."""

    def __init__(self, width: int):
        super().__init__()
        self.qkv = _Conv(width, 3 * width, 1)
        self.proj_out = _Conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        # row c * 3 + j of the projection is channel c of query, key or value j
        stacked = unflatten(self.qkv(x), 1, (-1, 3))
        q, k, v = (part.transpose(1, 2)[:, None] for part in _normalise_channels(stacked).unbind(2))
        attended = functional.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2)
        return _mix(x, self.proj_out(attended))


class _Middle(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.block_1 = _Block(width, width)
        self.attn_1 = _Attention(width)
        self.block_2 = _Block(width, width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block_2(self.attn_1(self.block_1(x))).clamp(-_LIMIT, _LIMIT)
        return result


class _Halve(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv1 = _Conv(width, width, 1)
        self.conv2 = _Conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv2(functional.avg_pool1d(self.conv1(x), 2))
        return result


class _Double(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = _Conv(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x.repeat_interleave(2, dim=2))
        return result


class _Level(nn.Module):
    """Blocks of one width, then maybe a change of the length."""

    def __init__(self, before: int, after: int, blocks: int):
        super().__init__()
        self.block = nn.ModuleList(_Block(before if index == 0 else after, after) for index in range(blocks))
        self.downsample: _Halve | None = None
        self.upsample: _Double | None = None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x).clamp(-_LIMIT, _LIMIT)
        for change in (self.downsample, self.upsample):
            if change is not None:
                x = change(x)
        return x


class _Ends(nn.Module):
    """What encoder and decoder have in common: a first and a last convolution, the latter with a learned gain."""

    def __init__(self, before: int, first: int, last: int, after: int):
        super().__init__()
        self.conv_in = _Conv(before, first, 3)
        self.conv_out = _Conv(last, after, 3)
        self.learnable_gain = nn.Parameter(torch.zeros(()))

    def _leave(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv_out(_activate(x)) * (1 + self.learnable_gain)
        return result


class _Encoder(_Ends):
    def __init__(self, bands: int, widths: Sequence[int], latent: int):
        super().__init__(bands, widths[0], widths[-1], 2 * latent)
        befores = [widths[0], *widths[:-1]]
        levels = [_Level(a, b, _ENCODER_BLOCKS) for a, b in zip(befores, widths, strict=True)]
        levels[_HALVED].downsample = _Halve(widths[_HALVED])
        self.down = nn.ModuleList(levels)
        self.mid = _Middle(widths[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Normalised mel `(B, bands, L)` to mean and logarithm of the variance `(B, 2 * latent, L // 2)`."""
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self._leave(self.mid(x))


class _Decoder(_Ends):
    def __init__(self, bands: int, widths: Sequence[int], latent: int):
        super().__init__(latent, widths[-1], widths[0], bands)
        befores = [*widths[1:], widths[-1]]
        levels = [_Level(a, b, _DECODER_BLOCKS) for a, b in zip(befores, widths, strict=True)]
        levels[_HALVED + 1].upsample = _Double(widths[_HALVED + 1])
        self.mid = _Middle(widths[-1])
        self.up = nn.ModuleList(levels)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, latent, n)` to normalised mel `(B, bands, 2n)`."""
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            x = level(x)
        return self._leave(x)
