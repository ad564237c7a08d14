"""Checkpoints of FoleySpace's diffusion network: one safetensors file with the configuration in its metadata."""

from __future__ import annotations

from visaudio_bench.models.foleyspace.config import Config
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.own_checkpoints import Checkpoints

CHECKPOINTS = Checkpoints(
    "visaudio-bench foleyspace network 2",
    "FoleySpace's diffusion network",
    "bench train foleyspace",
    Config,
    SpatialDiffusion,
)
