"""Sizes and switches of the flow network, and how long its sequences are for a clip of some duration."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.models.stored_config import StoredConfig

LATENT_HOP = 1024
CLIP_RATE = 8
SYNC_RATE = 25
# Synchformer looks at segments of 16 pictures, one every 8, and answers with 8 tokens for each.
SYNC_SEGMENT, SYNC_STEP, SYNC_TOKENS = 16, 8, 8
TEXT_TOKENS = 77

# The frozen parts around a network (`models.visaudio.parts`): without any file, or those that the paper used.
BUILT_IN, PUBLISHED = "built-in", "published"
# Names of weight files (`models.weights`): CLIP and Synchformer, the Perception Encoder, VAE and vocoder.
ENCODER_WEIGHTS = ("clip-dfn5b", "synchformer")
SPATIAL_WEIGHTS = "pe-spatial-l14"
CODEC_WEIGHTS = ("mmaudio-vae-44k", "bigvgan-v2-44k")

JointTokens = Literal["sequence", "pooled"]
JointUpdate = Literal["sequential", "parallel"]
Ear = Literal["left", "right"]


class Lengths(NamedTuple):
    """Numbers of tokens of one clip: latent frames, pictures (`clip`, also of the spatial features), sync, text."""

    latent: int
    clip: int
    sync: int
    text: int


def lengths(seconds: float, text: int = TEXT_TOKENS) -> Lengths:
    """Compute the lengths of all sequences of a clip.

    Args:
        seconds: that it lasts.
        text: tokens of its caption.

    Returns:
        Lengths; 8 s give 345 latents, 64 and 192 tokens of pictures, and 353,280 samples of sound.

    Raises:
        ValueError: the clip is shorter than one segment of sync features (0.64 s).
    """
    segments = (math.floor(SYNC_RATE * seconds + 1e-9) - SYNC_SEGMENT) // SYNC_STEP + 1
    if segments < 1:
        raise ValueError(f"a clip lasts at least {SYNC_SEGMENT / SYNC_RATE} s, got {seconds}")
    latent = math.ceil(round(seconds * SAMPLE_RATE) / LATENT_HOP)
    return Lengths(latent, math.floor(CLIP_RATE * seconds + 1e-9), segments * SYNC_TOKENS, text)


@dataclass(frozen=True)
class Config(StoredConfig):
    """One flow network.

    name: what it is called in results. latent_dim: channels of the codec's latent. hidden, heads, depth: width,
    attention heads, and joint blocks plus the blocks of one branch, of which `fused_depth` belong to the branch.
    v2: MMAudio's second version (SiLU, an activation before the perceptrons of clip and text, fast time rates).
    clip_dim, sync_dim, text_dim, text_tokens, spatial_dim, spatial_grid: of the features that it is conditioned on.

    The rows of the paper's ablation: `dual` False is MMAudio itself, with one mono latent; `spacetime` False leaves
    the conditional spacetime module out.

    What the paper leaves open (the defaults are what this project takes it to mean):
    joint_tokens: clip and text take part in joint attention token by token, or as their means.
    joint_update: the second ear sees clip and text as the first ear left them (Eqs. 5-6), or both ears see the same
    and the two results are averaged; `first_ear` goes first in the former.
    pe_conv1d_kernel: size of Algorithm 1's first convolution, over the places of a picture in rows.
    """

    depths = ("depth",)

    name: str
    latent_dim: int
    hidden: int
    heads: int
    depth: int
    fused_depth: int
    v2: bool = True
    clip_dim: int = 1024
    sync_dim: int = 768
    text_dim: int = 1024
    text_tokens: int = TEXT_TOKENS
    spatial_dim: int = 1024
    spatial_grid: int = 16
    dual: bool = True
    spacetime: bool = True
    joint_tokens: JointTokens = "sequence"
    joint_update: JointUpdate = "sequential"
    first_ear: Ear = "left"
    pe_conv1d_kernel: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden % (2 * self.heads):
            raise ValueError(
                f"hidden ({self.hidden}) must be an even number of channels for each of {self.heads} heads"
            )
        if self.fused_depth >= self.depth:
            raise ValueError(f"fused_depth ({self.fused_depth}) must leave at least one joint block of {self.depth}")
        if self.pe_conv1d_kernel % 2 == 0:
            raise ValueError(f"pe_conv1d_kernel must be odd to keep the number of places, got {self.pe_conv1d_kernel}")
        if self.spacetime and not self.dual:
            raise ValueError("the spacetime module tells two ears apart: with dual=False it must be off too")
        for key, allowed in _CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ValueError(f'{key} must be one of {", ".join(allowed)}, got "{getattr(self, key)}"')

    @property
    def joint_depth(self) -> int:
        """Blocks in which latent, clip and text attend to each other."""
        return self.depth - self.fused_depth

    @property
    def mono(self) -> Config:
        """MMAudio of the same size."""
        return replace(self, dual=False, spacetime=False)

    @property
    def dual_only(self) -> Config:
        """The same without the spacetime module: the "Dual only" row of the paper's ablation."""
        return replace(self, dual=True, spacetime=False)


_CHOICES = {
    "joint_tokens": ("sequence", "pooled"),
    "joint_update": ("sequential", "parallel"),
    "first_ear": ("left", "right"),
}

CONFIGS: dict[str, Config] = {
    config.name: config
    for config in (
        Config("large_44k_v2", latent_dim=40, hidden=896, heads=14, depth=21, fused_depth=14),
        Config("large_44k", latent_dim=40, hidden=896, heads=14, depth=21, fused_depth=14, v2=False),
        Config("medium_44k", latent_dim=40, hidden=896, heads=14, depth=12, fused_depth=8, v2=False),
        Config("small_44k", latent_dim=40, hidden=448, heads=7, depth=12, fused_depth=8, v2=False),
        # for laptops and tests, with the features that `models.visaudio.tiny` computes
        Config(
            "tiny", latent_dim=57, hidden=64, heads=2, depth=3, fused_depth=1, clip_dim=64, sync_dim=32, text_dim=64,
            text_tokens=16, spatial_dim=32, spatial_grid=8,
        ),
    )
}  # fmt: skip
"""ViSAudio in the sizes of MMAudio's public files, by their names; `large_44k_v2` is the paper's. `mono` is MMAudio."""
