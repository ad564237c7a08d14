"""VGGish (Hershey et al. 2017, "CNN architectures for large-scale audio classification"): features of FD-VGG.

Input `(B, n)` at 16 kHz; output one row of 128 for every complete 0.96 s. As av-benchmark uses it: the last ReLU is
left out, and neither PCA nor quantisation follow. The state dict is that of `vggish-10086976.pth`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from visaudio_bench.models.backbones.layers import Conv3x3, Linear, exact_float32, unflatten
from visaudio_bench.models.backbones.waveform import NETWORK_RATE, frame

EXAMPLE_FRAMES = 96
BANDS = 64
_WINDOW, _HOP, _FFT = 400, 160, 512
_EXAMPLES_AT_ONCE = 96


def log_mel_examples(x: Tensor) -> Tensor:
    """Log-mel examples `(B, k, 96, 64)` float32 of sound `(B, n)` at 16 kHz; 8 s give k = 8.

    Frames of 400 samples every 160 without padding, periodic Hann, 512-point magnitude, 64 mel bands from 125 to
    7500 Hz, `ln(mel + 0.01)`, all in float64 as the original; an incomplete last example is dropped.

    Raises:
        ValueError: the sound is shorter than one example (0.975 s).
    """
    window = torch.hann_window(_WINDOW, periodic=True, dtype=torch.float64, device=x.device)
    least = _WINDOW + (EXAMPLE_FRAMES - 1) * _HOP
    if x.shape[-1] < least:
        raise ValueError(f"VGGish needs at least {least} samples at 16 kHz (0.975 s), got {x.shape[-1]}")
    magnitude = torch.fft.rfft(frame(x.double(), _WINDOW, _HOP) * window, n=_FFT).abs()
    log_mel = torch.log(magnitude @ _filters().to(x.device) + 0.01)
    count = log_mel.shape[1] // EXAMPLE_FRAMES
    return unflatten(log_mel[:, : count * EXAMPLE_FRAMES], 1, (count, EXAMPLE_FRAMES)).float()


@lru_cache(maxsize=1)
def _filters() -> Tensor:
    """Triangles `(257, 64)` straight in mel; the bin at 0 Hz has weight 0."""
    frequency = torch.linspace(0.0, NETWORK_RATE / 2, _FFT // 2 + 1, dtype=torch.float64)
    at = (1127.0 * torch.log(1.0 + frequency / 700.0))[:, None]
    low, high = (1127.0 * math.log(1.0 + edge / 700.0) for edge in (125.0, 7500.0))
    points = torch.linspace(low, high, BANDS + 2, dtype=torch.float64)
    left, centre, right = points[:-2], points[1:-1], points[2:]
    triangles = torch.minimum((at - left) / (centre - left), (right - at) / (right - centre)).clamp(min=0.0)
    triangles[0] = 0.0
    return triangles


class Vggish(nn.Module):
    """Six convolutions, four poolings, three linear layers; 72.1 million parameters."""

    title = "VGGish"
    ignored: tuple[str, ...] = ()
    sample_rate = NETWORK_RATE
    width = 128

    def __init__(self, channels: tuple[int, ...] = (64, 128, 256, 256, 512, 512), hidden: int = 4096):
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for index, after in enumerate(channels):
            layers += [Conv3x3(before, after), nn.ReLU()]
            # the third and the fifth convolution are followed by another of the same width before they are pooled
            if index not in (2, 4):
                layers.append(nn.MaxPool2d(2))
            before = after
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            Linear(before * 24, hidden), nn.ReLU(), Linear(hidden, hidden), nn.ReLU(), Linear(hidden, self.width)
        )

    def forward(self, examples: Tensor) -> Tensor:
        """Log-mel examples `(..., 96, 64)` to features `(..., 128)`."""
        maps = self.features(examples.flatten(0, -3)[:, None].to(next(self.parameters()).dtype))
        rows: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return unflatten(rows, 0, examples.shape[:-2])

    def embed(self, x: Tensor) -> Tensor:
        """Sound `(B, n)` at 16 kHz to features `(B, k, 128)`, one row for every complete 0.96 s."""
        examples = log_mel_examples(x)
        with exact_float32(x.device):
            rows = torch.cat([self(part) for part in torch.split(examples.flatten(0, 1), _EXAMPLES_AT_ONCE)])
        return unflatten(rows, 0, examples.shape[:2]).float()
