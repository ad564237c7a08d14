"""PaSST-S at 32 kHz (Koutini et al. 2022, "Efficient Training of Audio Transformers with Patchout").

Input `(B, n)` at 32 kHz, of which 10 s are heard: longer sound is cut and shorter sound filled with silence, as
av-benchmark does. Output 768 features (the mean of both tokens in front of the classifier) and 527 raw logits. The
state dict is that of `passt-s-f128-p16-s10-ap.476-swa.pt`: patches of 16 x 16 every 10 bands and 10 frames of a log-mel
spectrogram, with positions in time and in frequency of their own. Nothing is left out of a frozen network: patchout,
like the moved edges of the mel filters, belongs to training.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.layers import Linear, Mlp, attend, exact_float32
from visaudio_bench.models.backbones.waveform import kaldi_filters

RATE = 32000
SECONDS = 10
_WINDOW, _FFT, _HOP, _BANDS = 800, 1024, 320, 128
# Of the filters: half the rate less half of the 2 kHz by which training moved their upper edge.
_HIGH = 15000.0
_PATCH, _STEP, _ROWS, _COLUMNS = 16, 10, 12, 99


class PasstOutput(NamedTuple):
    """`features` `(B, width)` and `logits` `(B, classes)`, one row a clip."""

    features: Tensor
    logits: Tensor


class Passt(nn.Module):
    """A vision transformer over a log-mel spectrogram, with a class and a distillation token; 86 million parameters."""

    title = "PaSST-S (10 s, AudioSet mAP 0.476)"
    ignored = ("head_dist.",)  # the distillation token's own classes, used in training only
    sample_rate = RATE

    def __init__(self, width: int = 768, depth: int = 12, heads: int = 12, classes: int = 527):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, width))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, width, _ROWS, 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, width, 1, _COLUMNS))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, width, _PATCH, stride=_STEP)})
        self.blocks = nn.Sequential(*(_Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(width), Linear(width, classes))

    def forward(self, x: Tensor) -> PasstOutput:
        """Sound `(B, n)` at 32 kHz to features and logits of its first 10 s."""
        cut = x[:, : SECONDS * RATE]
        cut = functional.pad(cut, (0, SECONDS * RATE - cut.shape[1]))
        with exact_float32(x.device):
            patches = self.patch_embed["proj"](log_mel(cut)[:, None].to(self.cls_token.dtype))
        patches = patches + self.time_new_pos_embed + self.freq_new_pos_embed
        tokens = torch.cat([self.cls_token, self.dist_token], dim=1) + self.new_pos_embed
        sequence = torch.cat([tokens.expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        first = self.norm(self.blocks(sequence)[:, :2])
        features = first.mean(1)
        return PasstOutput(features.float(), self.head(features).float())


def log_mel(x: Tensor) -> Tensor:
    """Log-mel spectrogram `(B, 128, 1 + (n - 1) // 320)` of sound `(B, n)` at 32 kHz, scaled to about [-1, 1].

    Pre-emphasis 0.97, symmetric Hann window of 25 ms every 10 ms around mirrored ends, power spectrum, triangles
    straight in Kaldi's mel up to 15 kHz, natural logarithm; then 4.5 is added and all divided by 5.
    """
    emphasised = x[:, 1:] - 0.97 * x[:, :-1]
    window = torch.hann_window(_WINDOW, periodic=False, dtype=x.dtype, device=x.device)
    spectrum = torch.stft(emphasised, _FFT, _HOP, _WINDOW, window, return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1)
    mel = kaldi_filters(_BANDS, _FFT, 0.0, _HIGH, RATE).T.to(power) @ power
    return ((mel + 1e-5).log() + 4.5) / 5.0


class _Block(nn.Module):
    """Attention and perceptron, each after a norm and added to what came in."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        norm = partial(nn.LayerNorm, width, eps=1e-6)
        self.norm1, self.attn, self.norm2, self.mlp = norm(), _Attention(width, heads), norm(), Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        result: Tensor = self.proj(attend(q, k, v, self.heads))
        return result
