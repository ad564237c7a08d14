"""The stage of reading features: samples as training reads them, of the paper's sizes, from the page cache.

A sample of 8 s is 33.6 MB in 16 bits and 16.8 MB in 8. One H200 that trains at 40 % of its matrix peak takes 2.75 GB/s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.measuring import Bench, Figure
from visaudio_bench.models.training.loading import Loader
from visaudio_bench.models.training.order import Order
from visaudio_bench.models.visaudio.config import CONFIGS, lengths
from visaudio_bench.models.visaudio.feature_formats import Storage, pack
from visaudio_bench.models.visaudio.feature_store import FeatureRow, FeatureStore, Kind, claim, write_shard
from visaudio_bench.models.visaudio.training.batches import Reader
from visaudio_bench.models.visaudio.training.recipe import PAPER

SHARD = 8


def features(bench: Bench) -> Iterator[Figure]:
    """Samples by one thread and by four, in 16 bits and in 8, beside reading the same files."""
    clips, seconds = (32, 8.0) if bench.size.full else (8, 1.0)
    for spatial in ("float16", "int8"):
        folder = bench.folder / f"features-{spatial}"
        size = write(folder, clips, Storage(spatial=spatial), seconds)
        began = time.perf_counter()
        for path in folder.glob("shard-*"):
            path.read_bytes()
        plain = (time.perf_counter() - began) / clips
        for threads in (1, 4):
            took = 1 / measure(folder, threads, clips)
            what = f"{spatial}, {threads} thread{'s' * (threads > 1)}, wall time"
            per = f"sample of {seconds:g} s, {size / 1e6:.1f} MB"
            yield Figure("features", what, per, took, "read the same files", plain / took)


def write(folder: Path, clips: int, storage: Storage, seconds: float) -> float:
    """A store of random features; returns bytes a clip."""
    config, long = CONFIGS["large_44k_v2"], lengths(seconds)
    claim(folder, Kind({"conditioners": "random"}, {"codec": "random"}, storage, seconds))
    features = {
        "mean": torch.randn(2, long.latent, config.latent_dim),
        "std": torch.rand(2, long.latent, config.latent_dim),
        "clip": torch.randn(long.clip, config.clip_dim),
        "sync": torch.randn(long.sync, config.sync_dim),
        "text": torch.randn(long.text, config.text_dim),
        "spatial": torch.randn(long.clip, config.spatial_grid, config.spatial_grid, config.spatial_dim),
    }
    packed = pack(features, storage)
    for first in range(0, clips, SHARD):
        rows = [FeatureRow(f"clip{first + index:05d}", "random", "", "", 0.0, 0) for index in range(SHARD)]
        write_shard(folder, [(row, packed) for row in rows])
    return sum(path.stat().st_size for path in folder.glob("shard-*")) / clips


def measure(folder: Path, threads: int, clips: int) -> float:
    """Samples a second over one epoch."""
    store = FeatureStore(folder)
    recipe = replace(PAPER, batch=8, threads=threads, ahead=3)
    reader = Reader(store, CONFIGS["large_44k_v2"], recipe)
    loader = Loader(reader, Order(["random"] * clips, {}, 0), torch.device("cpu"), rank=0, size=1, step=0)
    began = time.perf_counter()
    try:
        for number, _ in enumerate(loader, 1):
            if number == clips // recipe.batch:
                break
        return clips / (time.perf_counter() - began)
    finally:
        loader.close()
