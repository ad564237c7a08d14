"""How fast training reads features: samples a second from the page cache and from disk, at the paper's sizes.

    python benchmarks/loader.py --clips 64 --folder DIR

Writes a store of clips of 8 s with random spatial features (33.6 MB a clip in 16 bits, 16.8 MB in 8), reads batches
from it as training does, with other numbers of threads, and removes it. One H200 that trains at 40 % of its matrix
peak takes 2.75 GB/s. The pages of the store are dropped from memory before each reading from disk; what the disk
itself or its host keeps cannot be.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from visaudio_bench.models.training.loading import Loader
from visaudio_bench.models.training.order import Order
from visaudio_bench.models.visaudio.config import CONFIGS, lengths
from visaudio_bench.models.visaudio.feature_formats import Storage, pack
from visaudio_bench.models.visaudio.feature_store import FeatureRow, FeatureStore, Kind, claim, write_shard
from visaudio_bench.models.visaudio.training.batches import Reader
from visaudio_bench.models.visaudio.training.recipe import PAPER

NEEDED = 2.75e9  # bytes a second
SHARD = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="where the store is written for the time being")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2, 4, 8])
    arguments = parser.parse_args()
    print(f"{'kept as':10s} {'threads':>7s} {'from':>6s} {'samples/s':>10s} {'GB/s':>6s} {'of 2.75 GB/s':>13s}")
    for spatial in ("float16", "int8"):
        folder = Path(tempfile.mkdtemp(prefix="loader-", dir=arguments.folder))
        try:
            size = write(folder, arguments.clips, Storage(spatial=spatial))
            for threads in arguments.threads:
                for source in ("disk", "memory"):
                    if source == "disk":
                        forget(folder)
                    rate = measure(folder, threads, arguments.clips)
                    # In 8 bits a sample has half the bytes and is worth as much: what counts is samples.
                    share = rate * 34.94e6 / NEEDED
                    print(
                        f"{spatial:10s} {threads:7d} {source:>6s} {rate:10.1f} {rate * size / 1e9:6.2f} {share:12.0%}",
                        flush=True,
                    )
        finally:
            shutil.rmtree(folder)


def write(folder: Path, clips: int, storage: Storage) -> float:
    """A store of random features; returns bytes a clip."""
    config, long = CONFIGS["large_44k_v2"], lengths(8.0)
    claim(folder, Kind({"conditioners": "random"}, {"codec": "random"}, storage, 8.0))
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


def forget(folder: Path) -> None:
    """Drop the store's pages from memory."""
    for path in folder.glob("shard-*"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


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


if __name__ == "__main__":
    main()
