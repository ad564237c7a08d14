"""The frozen parts that ViSAudio was published with: CLIP, Synchformer, Perception Encoder; VAE and vocoder.

Pictures are decoded once. At 8 a second they go through CLIP and, for the spacetime module, through the Perception
Encoder; at 25 a second through Synchformer. Every feature is computed in float32. Reading and scaling happens where a
part is asked, on the CPU; its networks may be those of another process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visaudio_bench.models import weights
from visaudio_bench.models.backbones.dfn_clip import DfnClip
from visaudio_bench.models.backbones.frames import FIRST, first_frames, squash
from visaudio_bench.models.backbones.layers import unflatten
from visaudio_bench.models.backbones.mmaudio_codec import Codec44k, load_codec
from visaudio_bench.models.backbones.perception_encoder import PerceptionEncoder
from visaudio_bench.models.backbones.synchformer import SynchformerVisual, prepare_frames
from visaudio_bench.models.lazy_networks import AsksNetworks, LazyNetwork
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

_CLIP, _SYNC, _SPATIAL, _CODEC = "clip", "sync", "spatial", "codec"


class PublishedConditioners(AsksNetworks):
    """Clip `(nc, 1024)`, sync `(ns, 768)`, text `(77, 1024)`, spatial `(nc, 16, 16, 1024)`."""

    name = PUBLISHED

    def __init__(self, device: str = "cpu", *, spatial: bool = True):
        """Find the encoders; they are loaded when they are first asked.

        Args:
            device: where they run.
            spatial: whether to have the Perception Encoder; without it conditions have no spatial features.

        Raises:
            BenchError: a weight file is not here.
        """
        names = (*ENCODER_WEIGHTS, *((SPATIAL_WEIGHTS,) if spatial else ()))
        files = {name: weights.require(name) for name in names}
        clip, sync = (files[name].path for name in ENCODER_WEIGHTS)
        networks = {
            _CLIP: LazyNetwork(partial(load, DfnClip, clip), device, ("encode_frames", "encode_text")),
            _SYNC: LazyNetwork(partial(load, SynchformerVisual, sync), device, ("encode_videos",)),
        }
        if spatial:
            encoder = partial(load, PerceptionEncoder, files[SPATIAL_WEIGHTS].path)
            networks[_SPATIAL] = LazyNetwork(encoder, device, ("encode_frames",))
        self.networks = networks
        self.identity: dict[str, Any] = {
            "conditioners": self.name,
            "version": "1",
            "frames": FIRST,
            "weights": {name: file.sha256 for name, file in files.items()},
        }

    def encode(self, video: Path, caption: str | None, *, start: float, duration: float) -> Conditions:
        """As `Conditioners.encode`."""
        return self.look(self.read(video, start=start, duration=duration), caption)

    def read(self, video: Path, *, start: float, duration: float) -> dict[str, Tensor]:
        """As `Conditioners.read`: the pictures of each network `(N, 3, side, side)` uint8, by its name."""
        slow = partial(first_frames, rate=CLIP_RATE, count=lengths(duration).clip)
        fast = partial(first_frames, rate=SYNC_RATE, count=math.floor(SYNC_RATE * duration + 1e-9))
        pictures, motion = read_sampled_frames(video, [slow, fast], start=start, duration=duration, as_played=True)
        sides = {name: network.module.side for name, network in self.networks.items() if name != _SYNC}
        return {
            **{name: squash(pictures[0], side) for name, side in sides.items()},
            _SYNC: prepare_frames(motion[0]),
        }

    @torch.no_grad()
    def look(self, pictures: Mapping[str, Tensor], caption: str | None) -> Conditions:
        """As `Conditioners.look`."""
        seen = {
            name: self.networks[name].module.encode_frames(shown).cpu()[None]
            for name, shown in pictures.items()
            if name != _SYNC
        }
        sync = self.networks[_SYNC]
        moved = sync.module.encode_videos(pictures[_SYNC][None].to(sync.device)).cpu()
        return Conditions(seen[_CLIP], moved, self.encode_text(caption or "")[None], seen.get(_SPATIAL))

    @torch.no_grad()
    def encode_text(self, caption: str) -> Tensor:
        """As `Conditioners.encode_text`."""
        encoded: Tensor = self.networks[_CLIP].module.encode_text([caption])[0].cpu()
        return encoded


class PublishedCodec(AsksNetworks):
    """Mel spectrogram, VAE and BigVGAN; each channel by itself."""

    name = "mel-vae-bigvgan-44k"
    latent_dim = Codec44k.latent_dim
    sampling = None  # as MMAudio draws them

    def __init__(self, device: str = "cpu", *, encoder: bool = False):
        """Find the networks; they are loaded when they are first asked.

        Args:
            device: where they run.
            encoder: whether `encode` will be called.

        Raises:
            BenchError: a weight file is not here.
        """
        vae, vocoder = (weights.require(name) for name in CODEC_WEIGHTS)
        opened = partial(load_codec, vae.path, vocoder.path, encoder=encoder)
        self.networks = {_CODEC: LazyNetwork(opened, device, ("encode",))}
        self.identity: dict[str, Any] = {
            "codec": self.name,
            "version": "1",
            "weights": dict(zip(CODEC_WEIGHTS, (vae.sha256, vocoder.sha256), strict=True)),
        }

    @torch.no_grad()
    def encode(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """As `Codec.encode`."""
        codec = self.networks[_CODEC]
        mean, deviation = codec.module.encode(sound.flatten(0, 1).to(codec.device))
        return unflatten(mean, 0, sound.shape[:2]), unflatten(deviation, 0, sound.shape[:2])

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """As `Codec.decode`."""
        codec = self.networks[_CODEC]
        return unflatten(codec.module.decode(latent.flatten(0, 1).to(codec.device)), 0, latent.shape[:2])
