"""PANNs Cnn14 at 16 kHz (Kong et al. 2020, "PANNs"): features of FD-PANN and class logits of KL-PANN.

Input `(B, n)` at 16 kHz, whole clips; output 2048 features (after the ReLU of the last hidden layer) and 527 raw
logits. The state dict is that of `Cnn14_16k_mAP=0.438.pth`, whose short-time Fourier transform and mel filters are
stored as tensors and are used as they come from the file.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.layers import Conv3x3, Linear, exact_float32
from visaudio_bench.models.backbones.waveform import NETWORK_RATE, slaney_filters

_WINDOW, _HOP, _BANDS = 512, 160, 64
_LOW, _HIGH = 50.0, 8000.0
SHORTEST = 31 * _HOP
# bounds memory (about 60 MB a clip of 8 s), whatever the batch
_CLIPS_AT_ONCE = 12


class PannsOutput(NamedTuple):
    """`features` `(B, 2048)` and `logits` `(B, 527)`, one row a clip."""

    features: Tensor
    logits: Tensor


class Cnn14(nn.Module):
    """Six pairs of 3 x 3 convolutions over a log-mel spectrogram; 81 million parameters."""

    title = "PANNs Cnn14 (16 kHz)"
    ignored: tuple[str, ...] = ()
    sample_rate = NETWORK_RATE
    width = 2048
    exact = ("spectrogram_extractor.", "logmel_extractor.", "bn0.")

    def __init__(self, channels: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048), classes: int = 527):
        super().__init__()
        self.spectrogram_extractor = _Spectrogram()
        self.logmel_extractor = _LogMel()
        self.bn0 = nn.BatchNorm2d(_BANDS)
        for index, (before, after) in enumerate(zip((1, *channels[:-1]), channels, strict=True), start=1):
            self.add_module(f"conv_block{index}", _ConvBlock(before, after))
        self.blocks = len(channels)
        self.fc1 = Linear(channels[-1], channels[-1])
        self.fc_audioset = Linear(channels[-1], classes)
        self.eval()  # batch statistics are never wanted of a frozen network

    def forward(self, x: Tensor) -> PannsOutput:
        """Sound `(B, n)` at 16 kHz to features and logits.

        Raises:
            ValueError: the sound is shorter than 0.31 s, so that nothing is left after five poolings.
        """
        if x.shape[-1] < SHORTEST:
            raise ValueError(f"Cnn14 needs at least {SHORTEST} samples at 16 kHz (0.31 s), got {x.shape[-1]}")
        with exact_float32(x.device):
            features = torch.cat([self._features(part) for part in torch.split(x, _CLIPS_AT_ONCE)])
        return PannsOutput(features.float(), self.fc_audioset(features).float())

    def _features(self, x: Tensor) -> Tensor:
        maps = self.bn0(self.log_mel(x)[:, None].transpose(1, 3)).transpose(1, 3).to(self.fc1.weight.dtype)
        for index in range(1, self.blocks + 1):
            maps = self.get_submodule(f"conv_block{index}")(maps)
            if index < self.blocks:
                maps = functional.avg_pool2d(maps, 2)
        over_bands = maps.mean(3)
        pooled = over_bands.amax(2) + over_bands.mean(2)
        result: Tensor = self.fc1(pooled).relu()
        return result

    def log_mel(self, x: Tensor) -> Tensor:
        """Log-mel spectrogram `(B, 1 + n // 160, 64)` in dB of sound `(B, n)`."""
        result: Tensor = self.logmel_extractor(self.spectrogram_extractor(x))
        return result


class _ConvBlock(nn.Module):
    def __init__(self, before: int, after: int):
        super().__init__()
        self.conv1 = Conv3x3(before, after, bias=False)
        self.conv2 = Conv3x3(after, after, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu_(self.bn1(self.conv1(x)))
        return functional.relu_(self.bn2(self.conv2(x)))


class _Spectrogram(nn.Module):
    """Power spectrum `(B, frames, 257)` of centred, mirrored frames; the transform is a convolution."""

    def __init__(self) -> None:
        super().__init__()
        # on the CPU whatever the default device: arithmetic on the meta device costs seconds of imports
        time = torch.arange(_WINDOW, dtype=torch.float64, device="cpu")
        angle = 2 * math.pi / _WINDOW * torch.outer(time[: _WINDOW // 2 + 1], time)
        window = torch.hann_window(_WINDOW, periodic=True, dtype=torch.float64, device="cpu")
        self.stft = nn.ModuleDict(
            {
                "conv_real": _fixed_convolution(torch.cos(angle) * window),
                "conv_imag": _fixed_convolution(-torch.sin(angle) * window),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x[:, None], (_WINDOW // 2, _WINDOW // 2), mode="reflect")
        power: Tensor = self.stft["conv_real"](padded).square() + self.stft["conv_imag"](padded).square()
        return power.transpose(1, 2)


def _fixed_convolution(rows: Tensor) -> nn.Conv1d:
    convolution = nn.Conv1d(1, len(rows), _WINDOW, stride=_HOP, bias=False)
    convolution.weight = nn.Parameter(rows[:, None].float(), requires_grad=False)
    return convolution


class _LogMel(nn.Module):
    """Mel bands on Slaney's scale and norm, `10 log10(max(mel, 1e-10))`."""

    def __init__(self) -> None:
        super().__init__()
        self.melW = nn.Parameter(
            slaney_filters(_BANDS, _WINDOW // 2 + 1, _LOW, _HIGH, NETWORK_RATE), requires_grad=False
        )

    def forward(self, power: Tensor) -> Tensor:
        return 10.0 * torch.log10((power @ self.melW).clamp(min=1e-10))
