"""ImageBind huge (Girdhar et al. 2023), its audio and vision halves: features of IB-Score.

Written from the published description and state dict; the public code and weights are CC-BY-NC-SA 4.0. Of the 1.2 G
values in `imagebind_huge.pth` the 0.72 G of these two halves are loaded. The number of two-second clips, crops and
frame pairs is av-benchmark's; the original repository's own video pipeline gives other numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.frames import normalise, scale_short_side, three_crops
from visaudio_bench.models.backbones.layers import Linear, Mlp, SelfAttention, exact_float32, linear, unflatten
from visaudio_bench.models.backbones.waveform import NETWORK_RATE, kaldi_log_mel, resample

WIDTH = 1024
FRAME_RATE = Fraction(1, 2)
FRAMES = 4
_AUDIO_CLIPS, _CLIP_SECONDS, _BANDS, _MEL_FRAMES = 3, 2, 128, 204
_AUDIO_AT_ONCE = 24
_AUDIO_MEAN, _AUDIO_SPREAD = -4.268, 9.138
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

Spacing = Literal["to_the_end", "pytorchvideo_0.1.5"]


def audio_clips(x: Tensor, sample_rate: int, spacing: Spacing = "to_the_end") -> Tensor:
    """Cut a sound into three log-mel clips of 2 s each.

    Every channel takes part in the mean that is subtracted from a clip, only the first is looked at afterwards: give
    one row `(1, n)` to score a mix, or left, or right; give `(2, n)` to do as the reference does with stereo files
    (left, centred by the mean of both). Overlapping clips of sound shorter than 6 s see the earlier subtraction, as in
    the reference.

    Args:
        x: `(C, n)` samples.
        sample_rate: Hz.
        spacing: clips start at `i (duration - 2) / 2` (`to_the_end`); the public pytorchvideo 0.1.5 has `/ 3` instead.

    Returns:
        `(3, 1, 128, 204)` log-mel energies, less the network's mean, over its spread.

    Raises:
        ValueError: the sound is shorter than one 25 ms frame.
    """
    if sample_rate == NETWORK_RATE:
        # Interleaved, as readers hand files over: the order in which the means are summed moves near-silent bands.
        x = x.T.clone(memory_format=torch.contiguous_format).T
    else:
        x = resample(x, sample_rate, NETWORK_RATE, kernel_dtype=torch.float32)
    if x.shape[-1] < 400:
        raise ValueError(f"ImageBind needs at least 400 samples at 16 kHz (25 ms), got {x.shape[-1]}")
    spare = max(Fraction(0), Fraction(x.shape[-1], NETWORK_RATE) - _CLIP_SECONDS)
    divisor = {"to_the_end": _AUDIO_CLIPS - 1, "pytorchvideo_0.1.5": _AUDIO_CLIPS}[spacing]
    clips = []
    for start in (index * spare / divisor for index in range(_AUDIO_CLIPS)):
        piece = x[:, int(start * NETWORK_RATE) : int((start + _CLIP_SECONDS) * NETWORK_RATE)]
        piece -= piece.mean()
        mel = kaldi_log_mel(piece[0], _BANDS).T
        clips.append(functional.pad(mel, (0, max(0, _MEL_FRAMES - mel.shape[1])))[:, :_MEL_FRAMES])
    return ((torch.stack(clips) - _AUDIO_MEAN) / _AUDIO_SPREAD)[:, None]


def video_crops(frames: NDArray[np.uint8] | Tensor) -> Tensor:
    """Crops `(3, N, 3, 224, 224)` uint8 of frames `(N, H, W, 3)` uint8: start, middle and end of the long side.

    Of square pictures the three are the same and one is returned, `(1, N, ...)`: the mean over crops is unchanged.
    """
    return torch.stack(three_crops(scale_short_side(frames)))


def normalise_crops(crops: Tensor) -> Tensor:
    """uint8 `(..., 3, 224, 224)` to float32, centred and scaled by the statistics of CLIP's training pictures."""
    return normalise(crops, _CLIP_MEAN, _CLIP_STD)


class _Sizes(NamedTuple):
    width: int
    depth: int
    heads: int


class ImageBind(nn.Module):
    """The audio and vision halves of ImageBind huge: 85 and 633 million values."""

    title = "ImageBind huge (audio and vision)"
    ignored = tuple(
        f"modality_{part}.{modality}."
        for part in ("preprocessors", "trunks", "heads", "postprocessors")
        for modality in ("text", "depth", "thermal", "imu")
    )
    sample_rate = NETWORK_RATE
    width = WIDTH

    def __init__(
        self,
        audio: tuple[int, int, int] = (768, 12, 12),
        vision: tuple[int, int, int] = (1280, 32, 16),
    ):
        super().__init__()
        a, v = _Sizes(*audio), _Sizes(*vision)
        self.modality_preprocessors = nn.ModuleDict({"vision": _VisionStem(v.width), "audio": _AudioStem(a.width)})
        self.modality_trunks = nn.ModuleDict(
            {"vision": _Trunk(v, norm_first=True), "audio": _Trunk(a, extra_token=True)}
        )
        self.modality_heads = nn.ModuleDict({"vision": _head(v.width), "audio": _head(a.width)})
        self.modality_postprocessors = nn.ModuleDict({"audio": nn.Sequential(nn.Identity(), _LogitScale(20.0))})

    @property
    def audio_scale(self) -> Tensor:
        """The fixed norm of the audio embedding of one clip, 20."""
        return self.modality_postprocessors["audio"].get_buffer("1.log_logit_scale").exp()

    def embed_audio(self, clips: Tensor) -> Tensor:
        """Log-mel clips `(B, 3, 1, 128, 204)` to embeddings `(B, 1024)`: the mean over clips of vectors of norm 20."""
        with exact_float32(clips.device):
            parts = torch.split(clips.flatten(0, 1), _AUDIO_AT_ONCE)
            unit = functional.normalize(torch.cat([self._run("audio", part) for part in parts]), dim=-1)
        return unflatten(unit * self.audio_scale, 0, clips.shape[:2]).mean(1)

    def embed_video(self, crops: Sequence[Tensor], batch: int = 12) -> Tensor:
        """Crops of videos from `video_crops`, `(1 or 3, N, 3, 224, 224)` uint8 each, to embeddings `(B, 1024)`.

        Neighbouring frames form pairs; the embedding is the mean of the unit vectors of all pairs of all crops and
        is not normalised again. `batch` pairs are computed at once.

        Raises:
            ValueError: a video has fewer than two frames.
        """
        if any(video.shape[1] < 2 for video in crops):
            raise ValueError("ImageBind looks at pairs of frames, a video needs at least two frames at 0.5 a second")
        pairs = [torch.stack([video[:, :-1], video[:, 1:]], dim=2).flatten(0, 1) for video in crops]
        pieces = torch.split(torch.cat(pairs), batch)
        rows = torch.cat([self._run("vision", normalise_crops(piece).transpose(1, 2)) for piece in pieces])
        means = [
            part.mean(0) for part in torch.split(functional.normalize(rows, dim=-1), [len(pair) for pair in pairs])
        ]
        return torch.stack(means)

    def _run(self, modality: str, x: Tensor) -> Tensor:
        tokens = self.modality_preprocessors[modality](x.to(next(self.parameters()).dtype))
        result: Tensor = self.modality_heads[modality](self.modality_trunks[modality](tokens))
        return result.float()


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Identity(), Linear(width, WIDTH, bias=False))


class _LogitScale(nn.Module):
    """The fixed factor of an embedding, stored as its logarithm."""

    log_logit_scale: Tensor

    def __init__(self, scale: float):
        super().__init__()
        self.register_buffer("log_logit_scale", torch.tensor(math.log(scale)))


class _Positions(nn.Module):
    def __init__(self, tokens: int, width: int):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))


class _Stem(nn.Module):
    """Patches to tokens: class token in front, positions added."""

    def __init__(self, width: int, patches: int, stem: dict[str, nn.Module]):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.rgbt_stem = nn.ModuleDict(stem)
        self.pos_embedding_helper = _Positions(patches + 1, width)

    def _with_positions(self, patches: Tensor) -> Tensor:
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return tokens + self.pos_embedding_helper.pos_embed


class _AudioStem(_Stem):
    """Patches of 16 x 16 every 10 over bands and time: 12 x 19 tokens, layer-normalised."""

    def __init__(self, width: int):
        projection = nn.Conv2d(1, width, 16, stride=10, bias=False)
        super().__init__(width, 12 * 19, {"proj": projection, "norm_layer": nn.LayerNorm(width, eps=1e-5)})

    def forward(self, x: Tensor) -> Tensor:
        patches = self.rgbt_stem["proj"](x).flatten(2).transpose(1, 2)
        return self._with_positions(self.rgbt_stem["norm_layer"](patches))


class _VisionStem(_Stem):
    """Patches of 14 x 14 of both frames of a pair together: 16 x 16 tokens."""

    def __init__(self, width: int):
        projection = nn.Conv3d(3, width, (2, 14, 14), stride=(2, 14, 14), bias=False)
        super().__init__(width, 16 * 16, {"proj": nn.Sequential(nn.Identity(), projection)})

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 3, 2, 224, 224)` to `(B, 257, width)`."""
        grid = x.reshape(len(x), 3, 2, 16, 14, 16, 14)
        patches = grid.permute(0, 3, 5, 1, 2, 4, 6).flatten(3).flatten(1, 2)
        return self._with_positions(linear(patches, self.rgbt_stem.get_parameter("proj.1.weight").flatten(1)))


class _Trunk(nn.Module):
    def __init__(self, sizes: _Sizes, *, norm_first: bool = False, extra_token: bool = False):
        super().__init__()
        first = [nn.LayerNorm(sizes.width, eps=1e-6)] if norm_first else []
        self.pre_transformer_layer = nn.Sequential(*first)
        self.blocks = nn.Sequential(*(_Block(sizes, extra_token=extra_token) for _ in range(sizes.depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `(B, N, width)` to the class token `(B, width)`."""
        x = self.blocks[:-1](self.pre_transformer_layer(x))
        result: Tensor = self.blocks[-1](x, first_only=True)[:, 0]
        return result


class _Block(nn.Module):
    def __init__(self, sizes: _Sizes, *, extra_token: bool):
        super().__init__()
        self.attn = SelfAttention(sizes.width, sizes.heads, extra_token=extra_token)
        self.norm_1 = nn.LayerNorm(sizes.width, eps=1e-6)
        self.mlp = Mlp(sizes.width, 4 * sizes.width)
        self.norm_2 = nn.LayerNorm(sizes.width, eps=1e-6)

    def forward(self, x: Tensor, *, first_only: bool = False) -> Tensor:
        x = (x[:, :1] if first_only else x) + self.attn(self.norm_1(x), first_only=first_only)
        result: Tensor = x + self.mlp(self.norm_2(x))
        return result
