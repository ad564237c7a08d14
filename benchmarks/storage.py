"""What keeping the spatial feature in fewer bits costs: relative error against float32, and bytes of the training set.

    python benchmarks/storage.py

For values like a normal variable, for the same with eight channels thirty times as large (vision transformers have
such), and for the built-in conditioners' features of simulated clips, where a store of them is given (--store DIR).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from visaudio_bench.models.visaudio.feature_formats import (
    FORMATS,
    QUANTISED,
    SPATIAL,
    Storage,
    pack,
    relative_error,
    unpack_spatial,
)
from visaudio_bench.models.visaudio.feature_store import FeatureStore

CLIPS, FRAMES, CHANNELS = 112_670, 64, 1024  # the paper's training set
OTHERS = 1_388_160 / 2  # bytes a clip of everything else, in 16 bits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    samples = data(parser.parse_args().store)
    print("| kept as | grid | TB | of 4 TB | " + " | ".join(samples) + " |\n|---|---|---|---|" + "---|" * len(samples))
    for grid in (16, 8):
        for kind in (*FORMATS, *QUANTISED):
            errors = " | ".join(f"{error(sample, kind):.2e}" for sample in samples.values())
            size = terabytes(grid, kind)
            print(f"| {kind} | {grid} | {size:.2f} | {size / 3.94:.0%} | {errors} |")


def data(store: Path | None) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(4, 16, 16, CHANNELS, generator=generator)
    loud = plain.clone()
    loud[..., :8] *= 30
    found = {"normal": plain, "outlying channels": loud}
    if store is not None:
        opened = FeatureStore(store)
        kept = [opened.read(index) for index in range(min(len(opened), 64))]
        found["built-in"] = torch.cat([unpack_spatial(one) for one in kept])
    return found


def error(exact: Tensor, kind: str) -> float:
    kept = pack({SPATIAL: exact}, Storage(spatial=kind))
    return relative_error(unpack_spatial(kept), exact)


def terabytes(grid: int, kind: str) -> float:
    places = FRAMES * grid * grid
    number = FORMATS[kind].itemsize if kind in FORMATS else 1
    scales = {"int8": 4 * places, "int8-tensor": 4}.get(kind, 0)
    return CLIPS * (places * CHANNELS * number + scales + OTHERS) / 1e12


if __name__ == "__main__":
    main()
