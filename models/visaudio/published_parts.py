"""The frozen parts that ViSAudio was published with: CLIP, Synchformer, Perception Encoder; VAE and vocoder.

Pictures are decoded once. At 8 a second they go through CLIP and, for the spacetime module, through the Perception
Encoder; at 25 a second through Synchformer. Every feature is computed in float32.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visaudio_bench.models import weights
from visaudio_bench.models.backbones.dfn_clip import DfnClip
from visaudio_bench.models.backbones.frames import FIRST, first_frames
from visaudio_bench.models.backbones.layers import unflatten
from visaudio_bench.models.backbones.mmaudio_codec import load_codec
from visaudio_bench.models.backbones.perception_encoder import PerceptionEncoder
from visaudio_bench.models.backbones.synchformer import SynchformerVisual, prepare_frames
from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import (
    CLIP_RATE,
    CODEC_WEIGHTS,
    ENCODER_WEIGHTS,
    PUBLISHED,
    SPATIAL_WEIGHTS,
    SYNC_RATE,
    lengths,
)
from visaudio_bench.models.weight_loading import load
from visaudio_bench.suites.media import read_sampled_frames


class PublishedConditioners:
    """Clip `(nc, 1024)`, sync `(ns, 768)`, text `(77, 1024)`, spatial `(nc, 16, 16, 1024)`."""

    name = PUBLISHED

    def __init__(self, device: str = "cpu", *, spatial: bool = True):
        """Load the encoders.

        Args:
            device: where they run.
            spatial: whether to load the Perception Encoder; without it conditions have no spatial features.

        Raises:
            BenchError: a weight file or the packages that hold the architectures are not here.
        """
        names = (*ENCODER_WEIGHTS, *((SPATIAL_WEIGHTS,) if spatial else ()))
        files = {name: weights.require(name) for name in names}
        clip, sync = ENCODER_WEIGHTS
        self._clip = load(DfnClip, files[clip].path, device=device)
        self._sync = load(SynchformerVisual, files[sync].path, device=device)
        self._spatial = load(PerceptionEncoder, files[SPATIAL_WEIGHTS].path, device=device) if spatial else None
        self._device = torch.device(device)
        self.identity: dict[str, Any] = {
            "conditioners": self.name,
            "version": "1",
            "frames": FIRST,
            "weights": {name: file.sha256 for name, file in files.items()},
        }

    @torch.no_grad()
    def encode(self, video: Path, caption: str | None, *, start: float, duration: float) -> Conditions:
        """As `Conditioners.encode`."""
        slow = partial(first_frames, rate=CLIP_RATE, count=lengths(duration).clip)
        fast = partial(first_frames, rate=SYNC_RATE, count=math.floor(SYNC_RATE * duration + 1e-9))
        pictures, motion = read_sampled_frames(video, [slow, fast], start=start, duration=duration, as_played=True)
        spatial = None
        if self._spatial is not None:
            spatial = self._spatial.encode_frames(self._spatial.prepare(pictures[0])).cpu()[None]
        return Conditions(
            self._clip.encode_frames(self._clip.prepare(pictures[0])).cpu()[None],
            self._sync.encode(prepare_frames(motion[0]).to(self._device)).cpu()[None],
            self.encode_text(caption or "")[None],
            spatial,
        )

    @torch.no_grad()
    def encode_text(self, caption: str) -> Tensor:
        """As `Conditioners.encode_text`."""
        return self._clip.encode_text([caption])[0].cpu()


class PublishedCodec:
    """Mel spectrogram, VAE and BigVGAN; each channel by itself."""

    name = "mel-vae-bigvgan-44k"

    def __init__(self, device: str = "cpu", *, encoder: bool = False):
        """Load the networks.

        Args:
            device: where they run.
            encoder: whether `encode` will be called.

        Raises:
            BenchError: a weight file is not here.
        """
        vae, vocoder = (weights.require(name) for name in CODEC_WEIGHTS)
        self._codec = load_codec(vae.path, vocoder.path, encoder=encoder, device=device)
        self.latent_dim = self._codec.latent_dim
        self.identity: dict[str, Any] = {
            "codec": self.name,
            "version": "1",
            "weights": dict(zip(CODEC_WEIGHTS, (vae.sha256, vocoder.sha256), strict=True)),
        }

    @torch.no_grad()
    def encode(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """As `Codec.encode`."""
        mean, deviation = self._codec.encode(sound.flatten(0, 1))
        return unflatten(mean, 0, sound.shape[:2]), unflatten(deviation, 0, sound.shape[:2])

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """As `Codec.decode`."""
        return unflatten(self._codec.decode(latent.flatten(0, 1)), 0, latent.shape[:2])
