"""Checkpoints of geometry-aware networks: one safetensors file with the configuration in its metadata."""

from __future__ import annotations

from visaudio_bench.models.geometry_aware.config import Config
from visaudio_bench.models.geometry_aware.network import GeometryAware
from visaudio_bench.models.own_checkpoints import Checkpoints

CHECKPOINTS = Checkpoints(
    "visaudio-bench geometry-aware network 1",
    "a geometry-aware network",
    "bench train geometry-aware",
    Config,
    GeometryAware,
)
