"""Synchformer (Iashin et al. 2024, arXiv 2401.16423): how far sound and picture are apart. The network of DeSync.

Three parts in one state dict (`synchformer_state_dict.pth`): an audio spectrogram transformer, MotionFormer (divided
space-time attention over pictures, also what ViSAudio is conditioned on), and a small transformer that compares 14
segments of both and says which of 21 offsets between -2 and 2 s it sees. Segments are 0.64 s long, every 0.32 s.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.frames import centre_crop, normalise, scale_short_side
from visaudio_bench.models.backbones.layers import Linear, Mlp, SelfAttention, attend, exact_float32, linear, unflatten
from visaudio_bench.models.backbones.waveform import NETWORK_RATE, frame, htk_filters

FRAME_RATE = 25
WINDOW = 14
OFFSETS = 21
_SEGMENT, _SEGMENT_HOP = 10240, 5120
_FRAMES, _FRAME_HOP = 16, 8
_FFT, _WIN, _MEL_HOP, _BANDS, _MEL_FRAMES = 1024, 400, 160, 128, 66
_AUDIO_MEAN, _AUDIO_SPREAD = -4.2677393, 2 * 4.5689974


def segment_log_mel(x: Tensor) -> Tensor:
    """Normalised log-mel segments `(B, S, 128, 66)` of sound `(B, n)` at 16 kHz; 8 s give S = 24.

    Raises:
        ValueError: the sound is shorter than one segment (0.64 s).
    """
    if x.shape[-1] < _SEGMENT:
        raise ValueError(f"Synchformer needs at least {_SEGMENT} samples at 16 kHz (0.64 s), got {x.shape[-1]}")
    segments = frame(x, _SEGMENT, _SEGMENT_HOP)
    window = torch.hann_window(_WIN, device=x.device, dtype=x.dtype)
    spectrum = torch.stft(
        segments.flatten(0, 1), _FFT, _MEL_HOP, _WIN, window, center=True, pad_mode="reflect", return_complex=True
    )
    filters = htk_filters(_BANDS, _FFT // 2 + 1, 0.0, NETWORK_RATE / 2, NETWORK_RATE).to(x)
    mel = (spectrum.abs().square().transpose(1, 2) @ filters).transpose(1, 2)
    # The missing 66th frame is filled with 0 after the logarithm, as the network was trained.
    log_mel = functional.pad(torch.log(mel + 1e-6), (0, _MEL_FRAMES - mel.shape[-1]))
    return unflatten((log_mel - _AUDIO_MEAN) / _AUDIO_SPREAD, 0, segments.shape[:2])


def prepare_frames(frames: NDArray[np.uint8] | Tensor) -> Tensor:
    """Frames `(N, H, W, 3)` uint8 at 25 a second to `(N, 3, 224, 224)` uint8: short side scaled, the middle kept."""
    return centre_crop(scale_short_side(frames))


def normalise_frames(frames: Tensor) -> Tensor:
    """uint8 `(..., 3, 224, 224)` to float32 in [-1, 1]."""
    return normalise(frames, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def segment_frames(frames: Tensor) -> Tensor:
    """`(N, 3, H, W)` to segments `(S, 16, 3, H, W)`, a view; 200 frames give S = 24.

    Raises:
        ValueError: there are fewer than 16 frames.
    """
    if len(frames) < _FRAMES:
        raise ValueError(f"Synchformer needs at least {_FRAMES} frames at 25 a second (0.64 s), got {len(frames)}")
    return frames.unfold(0, _FRAMES, _FRAME_HOP).movedim(-1, 1)


class Synchformer(nn.Module):
    """Audio encoder, video encoder and comparison; 237 million values."""

    title = "Synchformer"
    # buffers of the mel front end that av-benchmark's own module stores along
    ignored: tuple[str, ...] = ("sync_mel_spectrogram.",)
    sample_rate = NETWORK_RATE

    def __init__(self, width: int = 768, heads: int = 12, depth: int = 12):
        super().__init__()
        self.vfeat_extractor = MotionFormer(width, heads, depth)
        self.afeat_extractor = _AudioEncoder(width, heads, depth)
        self.vproj = Linear(width, width)
        self.aproj = Linear(width, width)
        self.transformer = _Comparison(width)

    def encode_audio(self, segments: Tensor, batch: int = 24) -> Tensor:
        """Log-mel segments `(B, S, 128, 66)` to features `(B, S, 6, width)`, `batch` segments at once."""
        with exact_float32(segments.device):
            rows = torch.cat([self.afeat_extractor(part) for part in torch.split(segments.flatten(0, 1), batch)])
        return unflatten(rows, 0, segments.shape[:2]).float()

    def encode_video(self, frames: Tensor, batch: int = 1) -> Tensor:
        """Frames `(B, N, 3, 224, 224)` uint8 at 25 a second to features `(B, S, 8, width)`, segments in batches."""
        return torch.stack([self.vfeat_extractor.encode(video, batch) for video in frames])

    def compare(self, video: Tensor, audio: Tensor) -> Tensor:
        """Features of exactly 14 segments, `(B, 14, 8, width)` and `(B, 14, 6, width)`, to offset logits `(B, 21)`."""
        if video.shape[1] != WINDOW or audio.shape[1] != WINDOW:
            raise ValueError(
                f"Synchformer compares exactly {WINDOW} segments (4.8 s), got {video.shape[1]} of video and "
                f"{audio.shape[1]} of audio"
            )
        dtype = self.vproj.weight.dtype
        v, a = self.vproj(video.flatten(1, 2).to(dtype)), self.aproj(audio.flatten(1, 2).to(dtype))
        result: Tensor = self.transformer(v, a)
        return result.float()

    def offset_logits(self, video: Tensor, audio: Tensor) -> Tensor:
        """Logits `(B, 2, 21)` of the first 14 and the last 14 segments of `(B, S, 8, width)`, `(B, S, 6, width)`."""
        if video.shape[1] != audio.shape[1]:
            raise ValueError(
                f"sound and picture must be of one length, got {audio.shape[1]} segments of audio and {video.shape[1]} "
                "of video"
            )
        first = self.compare(video[:, :WINDOW], audio[:, :WINDOW])
        return torch.stack([first, self.compare(video[:, -WINDOW:], audio[:, -WINDOW:])], dim=1)


class _Aggregator(nn.Module):
    """One pre-norm transformer layer over a class token and the tokens of a step; its class token is the feature."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.self_attn = SelfAttention(width, heads)
        self.linear1 = Linear(width, 4 * width)
        self.linear2 = Linear(4 * width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, N, width)` to `(B, width)`."""
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = x[:, 0] + self.self_attn(self.norm1(x), first_only=True)[:, 0]
        result: Tensor = x + self.linear2(self.linear1(self.norm2(x), "gelu"))
        return result


# --- audio -----------------------------------------------------------------------------------------------------------


class _AudioEncoder(nn.Module):
    """Audio spectrogram transformer (Gong et al. 2021) over 12 x 6 patches, then one feature for each of 6 steps."""

    def __init__(self, width: int, heads: int, depth: int):
        super().__init__()
        self.ast = nn.ModuleDict(
            {
                "embeddings": _AudioPatches(width),
                "encoder": nn.ModuleDict({"layer": nn.ModuleList(_AudioLayer(width, heads) for _ in range(depth))}),
                "layernorm": nn.LayerNorm(width, eps=1e-12),
            }
        )
        self.freq_attn_agg = _Aggregator(width, heads)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 128, 66)` to `(B, 6, width)`."""
        tokens = self.ast["embeddings"](x.to(self.freq_attn_agg.cls_token.dtype))
        for layer in self.ast.get_submodule("encoder.layer").children():
            tokens = layer(tokens)
        patches = self.ast["layernorm"](tokens)[:, 2:]
        # tokens run over time fastest; every step gathers its 12 frequencies
        steps = unflatten(patches, 1, (12, 6)).transpose(1, 2)
        return unflatten(self.freq_attn_agg(steps.flatten(0, 1)), 0, steps.shape[:2])


class _AudioPatches(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 12 * 6 + 2, width))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(1, width, 16, stride=10)})

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embeddings["projection"](x[:, None]).flatten(2).transpose(1, 2)
        special = torch.cat([self.cls_token, self.distillation_token], dim=1).expand(len(x), -1, -1)
        return torch.cat([special, patches], dim=1) + self.position_embeddings


class _AudioLayer(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        inner = nn.ModuleDict({name: Linear(width, width) for name in ("query", "key", "value")})
        self.attention = nn.ModuleDict({"attention": inner, "output": nn.ModuleDict({"dense": Linear(width, width)})})
        self.intermediate = nn.ModuleDict({"dense": Linear(width, 4 * width)})
        self.output = nn.ModuleDict({"dense": Linear(4 * width, width)})
        self.layernorm_before = nn.LayerNorm(width, eps=1e-12)
        self.layernorm_after = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.layernorm_before(x)
        inner, outer = self.attention.get_submodule("attention"), self.attention.get_submodule("output")
        q, k, v = (inner.get_submodule(name)(normed) for name in ("query", "key", "value"))
        x = x + outer.get_submodule("dense")(attend(q, k, v, self.heads))
        result: Tensor = x + self.output["dense"](self.intermediate["dense"](self.layernorm_after(x), "gelu"))
        return result


class SynchformerVisual(nn.Module):
    """The video encoder alone, from the same file: what ViSAudio is conditioned on; 122 million parameters."""

    title = "Synchformer's video encoder"
    ignored: tuple[str, ...] = ("afeat_extractor.", "vproj.", "aproj.", "transformer.", *Synchformer.ignored)

    def __init__(self, width: int = 768, heads: int = 12, depth: int = 12):
        super().__init__()
        self.vfeat_extractor = MotionFormer(width, heads, depth)

    def encode_videos(self, frames: Tensor, batch: int = 1) -> Tensor:
        """Frames `(B, N, 3, 224, 224)` uint8 to features `(B, 8 S, width)` in time order; 200 frames give 192."""
        return torch.stack([self.vfeat_extractor.encode(video, batch).flatten(0, 1) for video in frames])


# --- video -----------------------------------------------------------------------------------------------------------


class MotionFormer(nn.Module):
    """ViT-B over 8 x 14 x 14 patches of 2 x 16 x 16 with attention divided between time and space."""

    def __init__(self, width: int = 768, heads: int = 12, depth: int = 12, steps: int = 8, grid: int = 14):
        super().__init__()
        self.steps, self.grid = steps, grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, grid * grid + 1, width))
        self.temp_embed = nn.Parameter(torch.zeros(1, steps, width))
        # the patches of single pictures are part of the public file and never used
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, 16, stride=16)})
        self.patch_embed_3d = nn.ModuleDict({"proj": nn.Conv3d(3, width, (2, 16, 16), stride=(2, 16, 16))})
        self.blocks = nn.ModuleList(_DividedBlock(width, heads, steps, grid * grid) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.spatial_attn_agg = _Aggregator(width, heads)

    def forward(self, x: Tensor) -> Tensor:
        """Segments `(B, 16, 3, 224, 224)` to features `(B, 8, width)`, one for every two frames."""
        tokens = self._tokens(x)
        for block in self.blocks:
            tokens = block(tokens)
        patches = unflatten(self.norm(tokens[:, 1:]), 1, (self.steps, -1))
        return unflatten(self.spatial_attn_agg(patches.flatten(0, 1)), 0, patches.shape[:2])

    def encode(self, frames: Tensor, batch: int = 1) -> Tensor:
        """Frames `(N, 3, 224, 224)` uint8 of one video to features `(S, 8, width)`, `batch` segments at once.

        Segments overlap by half; they are cut out of the 8-bit frames a few at a time, so that memory does not grow
        with the length of the video. Larger batches gain nothing on a processor.
        """
        parts = torch.split(segment_frames(frames), batch)
        return torch.cat([self(normalise_frames(part).to(self.pos_embed.dtype)) for part in parts]).float()

    def _tokens(self, x: Tensor) -> Tensor:
        grid = x.reshape(len(x), self.steps, 2, 3, self.grid, 16, self.grid, 16)
        patches = grid.permute(0, 1, 4, 6, 3, 2, 5, 7).flatten(4).flatten(1, 3)
        weight, bias = (self.patch_embed_3d.get_parameter(f"proj.{name}") for name in ("weight", "bias"))
        patches = linear(patches, weight.flatten(1), bias)
        places = self.pos_embed[:, 1:].repeat(1, self.steps, 1)
        times = self.temp_embed.repeat_interleave(self.grid * self.grid, dim=1)
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        return torch.cat([first, patches + places + times], dim=1)


class _DividedBlock(nn.Module):
    def __init__(self, width: int, heads: int, steps: int, places: int):
        super().__init__()
        self.timeattn = _DividedAttention(width, heads, steps, places, over_time=True)
        self.attn = _DividedAttention(width, heads, steps, places, over_time=False)
        self.mlp = Mlp(width, 4 * width)
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.norm3 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.timeattn(self.norm3(x))
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class _DividedAttention(nn.Module):
    """The class token attends to everything, a patch to the class token and to its own time line or its own frame."""

    def __init__(self, width: int, heads: int, steps: int, places: int, *, over_time: bool):
        super().__init__()
        self.heads, self.steps, self.places, self.over_time = heads, steps, places, over_time
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 1 + steps * places, width)` to the same shape."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        first = attend(q[:, :1], k, v, self.heads)
        groups = self.places if self.over_time else self.steps
        k, v = (torch.cat([t[:, :1].repeat_interleave(groups, 0), self._group(t[:, 1:])], dim=1) for t in (k, v))
        rest = self._ungroup(attend(self._group(q[:, 1:]), k, v, self.heads), len(x))
        result: Tensor = self.proj(torch.cat([first, rest], dim=1))
        return result

    def _group(self, x: Tensor) -> Tensor:
        """Patches `(B, steps * places, D)` in lines `(B * places, steps, D)` or frames `(B * steps, places, D)`."""
        x = unflatten(x, 1, (self.steps, self.places))
        return (x.transpose(1, 2) if self.over_time else x).flatten(0, 1)

    def _ungroup(self, x: Tensor, batch: int) -> Tensor:
        x = unflatten(x, 0, (batch, -1))
        return (x.transpose(1, 2) if self.over_time else x).flatten(1, 2)


# --- comparison ------------------------------------------------------------------------------------------------------


class _Comparison(nn.Module):
    """Three pre-norm blocks over OFF, video tokens, MOD, audio tokens; the OFF token carries the answer."""

    def __init__(self, width: int, heads: int = 8, depth: int = 3):
        super().__init__()
        self.OFF_tok = nn.Parameter(torch.zeros(1, 1, width))
        self.MOD_tok = nn.Parameter(torch.zeros(1, 1, width))
        self.vis_in_lnorm = nn.LayerNorm(width)
        self.aud_in_lnorm = nn.LayerNorm(width)
        positions = nn.Parameter(torch.zeros(1, WINDOW * (8 + 6) + 2, width))
        self.pos_emb_cfg = nn.ParameterDict({"pos_emb": positions})
        self.blocks = nn.Sequential(*(_ComparisonBlock(width, heads) for _ in range(depth)))
        self.ln_f = nn.LayerNorm(width)
        self.off_head = Linear(width, OFFSETS)

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """Video `(B, 112, width)` and audio `(B, 84, width)` to logits `(B, 21)`."""
        off, mod = (token.expand(len(video), -1, -1) for token in (self.OFF_tok, self.MOD_tok))
        tokens = torch.cat([off, self.vis_in_lnorm(video), mod, self.aud_in_lnorm(audio)], dim=1)
        tokens = self.blocks(tokens + self.pos_emb_cfg["pos_emb"])
        result: Tensor = self.off_head(self.ln_f(tokens[:, 0]))
        return result


class _ComparisonBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = nn.ModuleDict({name: Linear(width, width) for name in ("key", "query", "value", "proj")})
        self.mlp = nn.Sequential(Linear(width, 4 * width), nn.GELU(), Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.ln1(x)
        q, k, v = (self.attn[name](normed) for name in ("query", "key", "value"))
        x = x + self.attn["proj"](attend(q, k, v, self.heads))
        result: Tensor = x + self.mlp(self.ln2(x))
        return result
