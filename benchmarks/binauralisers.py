"""Binauralisers against their controls on simulated rooms that none has seen, and rows of two stages.

    python benchmarks/binauralisers.py --geometry runs/geometry-aware-tiny/best.safetensors \
        --foleyspace runs/foleyspace-tiny/best.safetensors --ablation runs/ablation --out runs/binauralisers

Any of the files may be left out. `--ablation DIR` adds every `DIR/*/best.safetensors` that `bench train
geometry-aware` made with switches. `oracle` rows put FoleySpace's network, and its exact counterpart, on the true
trajectory of the first source instead of on what moves: compare them on clips with one.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from visaudio_bench.baselines import System, open_system
from visaudio_bench.baselines.binauraliser import Binauraliser
from visaudio_bench.baselines.foleyspace import FoleySpace
from visaudio_bench.baselines.geometry_aware import GeometryAwareSystem, trained_systems
from visaudio_bench.baselines.motion import Array
from visaudio_bench.baselines.two_stage import TwoStage
from visaudio_bench.bench.cli.common import finish
from visaudio_bench.bench.evaluation.metric_choice import find_metrics
from visaudio_bench.bench.evaluation.plan import Job, Plan
from visaudio_bench.models.geometry_aware.checkpoints import CHECKPOINTS
from visaudio_bench.pool import available_cores
from visaudio_bench.suites import Clip, open_suite
from visaudio_bench.suites.media import Samples
from visaudio_bench.suites.simulator.hrtf import pan, unit_vector
from visaudio_bench.suites.simulator.truth import read_truth

METRICS = ("stft", "env", "lat_r", "lr_acc", "lat_err", "delta_ild", "delta_itd")
EXACT = ("motion-pan", "foleyspace-like")


def true_path(clip: Clip) -> Array:
    """Places of a clip's first source around the listener, 100 a second."""
    source = read_truth(clip.meta["truth"]).sources[0]
    return np.asarray(source.distance[:, None] * unit_vector(source.azimuth, source.elevation))


class OracleFoleySpace(FoleySpace):
    """On the true trajectory."""

    def __init__(self, path: Path):
        super().__init__(path)
        self.card = replace(self.card, name="oracle-foleyspace", title=f"{self.card.title}, true trajectory")

    def positions(self, clip: Clip, seconds: float) -> Array:
        """The truth, whatever the pictures show."""
        del seconds
        places = true_path(clip)
        return places * (2 / np.median(np.linalg.norm(places, axis=1)))


class OraclePan(Binauraliser):
    """Measured head responses on the true trajectory."""

    card = replace(open_system("motion-pan").card, name="oracle-pan", title="Pan, true trajectory")

    def binauralise(self, clip: Clip, mono: Samples, rng: np.random.Generator) -> Samples:
        """At the true azimuth and elevation."""
        del rng
        x, y, z = true_path(clip).T
        return pan(mono, np.arctan2(y, x), np.arctan2(z, np.hypot(x, y)))


def named(path: Path, name: str) -> GeometryAwareSystem:
    """A network of the ablation under the name of its folder."""
    system = GeometryAwareSystem(CHECKPOINTS.read_config(path).system, path)
    system.card = replace(system.card, name=name, title=name)
    return system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/binauralisers"))
    parser.add_argument("--suite", default="simroom")
    parser.add_argument("--geometry", type=Path)
    parser.add_argument("--foleyspace", type=Path)
    parser.add_argument("--ablation", type=Path)
    parser.add_argument("--generator", action="append", default=[], help="first stages, e.g. visaudio:FILE")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--workers", type=int, default=available_cores())
    arguments = parser.parse_args()
    learnt: list[System] = []
    if arguments.geometry:
        learnt += trained_systems(arguments.geometry)
    if arguments.foleyspace:
        learnt += [FoleySpace(arguments.foleyspace), OracleFoleySpace(arguments.foleyspace)]
    if arguments.ablation:
        learnt += [named(path, path.parent.name) for path in sorted(arguments.ablation.glob("*/best.safetensors"))]
    systems: list[System] = [*map(open_system, ("reference", "mono", *EXACT)), OraclePan(), *learnt]
    for request in arguments.generator:
        end_to_end = open_system(request)
        systems.append(end_to_end)
        second = [*map(open_system, EXACT), *(one for one in learnt if "flipped" not in one.card.name)]
        systems += [TwoStage(end_to_end, binauraliser) for binauraliser in second]
    job = Job(open_suite(arguments.suite), tuple(systems), arguments.limit)
    finish(Plan((job,), find_metrics(METRICS), arguments.out, workers=arguments.workers), "text", dry_run=False)


if __name__ == "__main__":
    main()
