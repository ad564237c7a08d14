"""BigVGAN-v2 (Lee et al. 2023, arXiv 2206.04658): log-mel spectrograms at 44.1 kHz into sound.

The published generator `bigvgan_v2_44khz_128band_512x`. Its weights come normalised, as `weight_g` and `weight_v` or
under the names of torch's newer parametrisation, or already multiplied out; all three are read, and multiplied out
once after loading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.layers import exact_float32

_TAPS = 12
# samples to either side on which a sample behind an activation depends: half of both filters, rounded up
_REACH = 6
# values that an activation works on at once on a processor
_CACHED = 1 << 17


class BigVgan(nn.Module):
    """Six transposed convolutions, each followed by the mean of three residual blocks; 122 million parameters."""

    title = "BigVGAN-v2 (44.1 kHz, 128 bands, 512x)"
    ignored: tuple[str, ...] = ()

    def __init__(
        self,
        bands: int = 128,
        width: int = 1536,
        rates: Sequence[int] = (8, 4, 2, 2, 2, 2),
        kernels: Sequence[int] = (16, 8, 4, 4, 4, 4),
        block_kernels: Sequence[int] = (3, 7, 11),
        dilations: Sequence[int] = (1, 3, 5),
    ):
        """A network of the published size by default.

        Args:
            bands: mel bands.
            width: channels before the first transposed convolution; each halves them.
            rates: by how much each stage makes the signal longer; their product is the length of a frame.
            kernels: lengths of the transposed convolutions.
            block_kernels: lengths of the convolutions of the residual blocks of a stage.
            dilations: of the convolutions of a residual block, one after the other.
        """
        super().__init__()
        self.block_count = len(block_kernels)
        self.conv_pre = _Conv(bands, width, 7)
        widths = [width // 2**stage for stage in range(len(rates) + 1)]
        self.ups = nn.ModuleList(
            nn.ModuleList([_Transposed(widths[stage], widths[stage + 1], kernel, rate)])
            for stage, (kernel, rate) in enumerate(zip(kernels, rates, strict=True))
        )
        self.resblocks = nn.ModuleList(
            _Block(after, kernel, dilations) for after in widths[1:] for kernel in block_kernels
        )
        self.activation_post = _Activation(widths[-1])
        self.conv_post = _Conv(widths[-1], 1, 7, bias=False)
        self.folded = False

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state dict under the names that this network has now; folds it where the file is folded already."""
        if "conv_pre.weight" in state and not self.folded:
            self.fold()
        names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        translated = {}
        for key, tensor in state.items():
            head, parametrised, tail = key.partition("parametrizations.")
            translated[head + names[parametrised + tail] if parametrised + tail in names else key] = tensor
        return translated

    def finish(self) -> None:
        """What loading does last: `fold`, unless the file was."""
        if not self.folded:
            self.fold()

    @torch.no_grad()
    def fold(self) -> None:
        """Multiply directions and lengths of all weights out, once; the names become those of plain convolutions.

        Raises:
            RuntimeError: it was done before.
        """
        if self.folded:
            raise RuntimeError("the weights of this BigVGAN are folded already")
        for module in self.modules():
            if isinstance(module, _Conv | _Transposed):
                _fold(module)
        self.folded = True

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel `(B, 128, L)` to sound `(B, 512 L)` in [-1, 1], float32.

        Raises:
            RuntimeError: the weights are not folded.
        """
        if not self.folded:
            raise RuntimeError("the weights of this BigVGAN are as they were trained; call fold() first")
        with exact_float32(mel.device):
            x = self.conv_pre(mel.to(self.conv_pre.weight.dtype))
            for stage, up in enumerate(self.ups):
                x = up.get_submodule("0")(x)
                x = self._blocks(stage, x)
            sound: Tensor = self.conv_post(self.activation_post(x))
        return sound[:, 0].float().clamp(-1.0, 1.0)

    def _blocks(self, stage: int, x: Tensor) -> Tensor:
        total: Tensor | None = None
        for index in range(stage * self.block_count, (stage + 1) * self.block_count):
            y = self.resblocks[index](x)
            total = y if total is None else total.add_(y)
        assert total is not None
        return total / self.block_count


def _normalise_weight(module: nn.Conv1d | nn.ConvTranspose1d) -> None:
    """Replace `weight` by its direction `weight_v` and the lengths `weight_g` over the first axis."""
    weight = module.weight
    del module.weight
    module.weight_g = nn.Parameter(torch.ones(len(weight), 1, 1))
    module.weight_v = nn.Parameter(weight.detach())


def _fold(module: nn.Conv1d | nn.ConvTranspose1d) -> None:
    lengths, directions = module.get_parameter("weight_g").float(), module.get_parameter("weight_v").float()
    del module.weight_g, module.weight_v
    if not directions.is_meta:  # there the names are all that changes
        directions = lengths * (directions / torch.linalg.vector_norm(directions, dim=(1, 2), keepdim=True))
    module.weight = nn.Parameter(directions, requires_grad=False)


class _Conv(nn.Conv1d):
    """A convolution that keeps the length; its weights are normalised until they are folded."""

    def __init__(self, before: int, after: int, kernel: int, dilation: int = 1, *, bias: bool = True):
        super().__init__(before, after, kernel, padding=(kernel - 1) * dilation // 2, dilation=dilation, bias=bias)
        _normalise_weight(self)


class _Transposed(nn.ConvTranspose1d):
    """A convolution that makes the signal `rate` times longer; its weights are normalised until they are folded."""

    def __init__(self, before: int, after: int, kernel: int, rate: int):
        super().__init__(before, after, kernel, stride=rate, padding=(kernel - rate) // 2)
        _normalise_weight(self)


class _Block(nn.Module):
    """For each dilation: activation, dilated convolution, activation, plain convolution, added to the signal."""

    def __init__(self, width: int, kernel: int, dilations: Sequence[int]):
        super().__init__()
        self.convs1 = nn.ModuleList(_Conv(width, width, kernel, dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(_Conv(width, width, kernel) for _ in dilations)
        self.activations = nn.ModuleList(_Activation(width) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        for index, (dilated, plain) in enumerate(zip(self.convs1, self.convs2, strict=True)):
            first, second = self.activations[2 * index], self.activations[2 * index + 1]
            x = plain(second(dilated(first(x)))).add_(x)
        return x


class _Activation(nn.Module):
    """`y + sin(a y)² / b` at twice the rate, so that the new harmonics do not fold back; `a` and `b` as logarithms."""

    def __init__(self, width: int):
        super().__init__()
        self.act = nn.ParameterDict({name: nn.Parameter(torch.zeros(width)) for name in ("alpha", "beta")})
        self.upsample = nn.Module()
        self.upsample.register_buffer("filter", lowpass())
        self.downsample = nn.ModuleDict({"lowpass": nn.Module()})
        self.downsample["lowpass"].register_buffer("filter", lowpass())

    def forward(self, x: Tensor) -> Tensor:
        """`(B, width, T)` to the same shape.

        On a processor a stretch of time after the other, so that what is made at twice the rate stays in its cache
        (8 s of sound on one core: 26 s instead of 64); a sample depends on 6 samples before and after it.
        """
        length = x.shape[-1]
        stretch = length if x.device.type != "cpu" else max(_CACHED // max(1, x[..., 0].numel()), 4 * _REACH)
        if stretch >= length:
            return self._apply_whole(x)
        parts = []
        for start in range(0, length, stretch):
            first, last = max(0, start - _REACH), min(length, start + stretch + _REACH)
            part = self._apply_whole(x[..., first:last])
            parts.append(part[..., start - first : start - first + stretch])
        return torch.cat(parts, dim=-1)

    def _apply_whole(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        up = self.upsample.get_buffer("filter").expand(channels, -1, -1)
        down = self.downsample.get_buffer("lowpass.filter").expand(channels, -1, -1)
        y = functional.pad(x, (5, 5), mode="replicate")
        y = 2 * functional.conv_transpose1d(y, up, stride=2, groups=channels)[..., 15:-15]
        alpha, beta = (self.act[name].exp()[:, None] for name in ("alpha", "beta"))
        y = y + torch.sin(y * alpha).square_() / (beta + 1e-9)
        y = functional.pad(y, (5, 6), mode="replicate")
        return functional.conv1d(y, down, stride=2, groups=channels)


def lowpass() -> Tensor:
    """The filter `(1, 1, 12)` of both changes of rate: a sinc with cut-off 0.25 under a Kaiser window, of sum 1."""
    # Kaiser's formulas for a transition of 0.6 of the band; an attenuation above 50 dB takes this branch for beta
    attenuation = 2.285 * (_TAPS // 2 - 1) * math.pi * 4 * 0.3 + 7.95
    beta = 0.1102 * (attenuation - 8.7)
    window = torch.kaiser_window(_TAPS, periodic=False, beta=beta, device="cpu")
    at = torch.arange(_TAPS, device="cpu") - (_TAPS - 1) / 2
    taps = 0.5 * window * torch.sinc(0.5 * at)
    return (taps / taps.sum())[None, None]
