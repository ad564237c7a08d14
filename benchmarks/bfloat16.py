"""What bfloat16 does to each metric by networks: a folder of clips scored in both precisions, with the weights at hand.

    PYTHONPATH=. python benchmarks/bfloat16.py --predictions DIR --references DIR [--videos DIR] [--duration 8]

Each precision is computed without the cache of the other, and CPU seconds are those of the whole scoring. Metrics
whose weights are missing are left out.

The predictions' differences on the six clips of 8 s of the reference's end-to-end run, VGGish and Cnn14 only, one
thread of a server CPU. The weights were filled with random numbers, not trained: the sizes of the values mean nothing
and those of the differences are a hint at most. 28 CPU seconds in float32, 17 in bfloat16.

| metric | view | float32 | bfloat16 | difference |
|---|---|---|---|---|
| FD-VGG | mix | 0.1796 | 0.1801 | +0.30 % |
| FD-VGG | avg | 0.1837 | 0.1840 | +0.14 % |
| FD-PANN | mix | 0.4187 | 0.4227 | +0.97 % |
| FD-PANN | avg | 0.4321 | 0.4332 | +0.26 % |
| KL-PANN | mix | 3.034e-4 | 3.031e-4 | -0.08 % |
| KL-PANN | avg | 2.398e-4 | 2.396e-4 | -0.08 % |
| KAD-VGG | mix | 0.4871 | 0.4907 | +0.73 % |
| KAD-VGG | avg | 0.6714 | 0.6738 | +0.36 % |
| KAD-PANN | mix | -5.470 | -5.512 | -0.77 % |
| KAD-PANN | avg | -9.320 | -9.358 | -0.41 % |

With all four networks, filled likewise, on two clips: DeSync mix 1.8 in both, IB-Score mix 0.01158 and 0.01170
(+1.0 %); 162 CPU seconds in float32, 106 in bfloat16.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from pathlib import Path

from visaudio_bench.bench.evaluation.execution import execute
from visaudio_bench.bench.evaluation.frozen_networks import Dtype
from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob, score_job
from visaudio_bench.files import CACHE_VARIABLE
from visaudio_bench.leaderboards.schema import read_results
from visaudio_bench.metrics.catalogue import METRICS

PRECISIONS: tuple[Dtype, ...] = ("float32", "bfloat16")
Values = dict[tuple[str, str, str], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", required=True)
    parser.add_argument("--references", type=Path, required=True)
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--duration", type=float)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    job = score_job([asked.predictions], asked.references, asked.videos, binauralised=False, duration=asked.duration)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE_VARIABLE] = str(Path(folder) / "cache")
        found = {dtype: scored(job, Path(folder) / dtype, dtype, asked.device) for dtype in PRECISIONS}
    print(f"{'system':<14}{'metric':<10}{'view':<7}{'float32':>14}{'bfloat16':>14}{'difference':>14}{'relative':>10}")
    for key, exact in found["float32"].items():
        near = found["bfloat16"][key]
        print(
            f"{key[0]:<14}{key[1]:<10}{key[2]:<7}{exact:>14.6g}{near:>14.6g}{near - exact:>+14.3g}"
            + (f"{(near - exact) / abs(exact):>+10.2%}" if exact else "")
        )


def scored(job: SuiteJob, out: Path, dtype: Dtype, device: str) -> Values:
    """Every value of the metrics by networks, by system, metric and view; the anchors are left out."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    metrics = tuple(metric for metric in METRICS.values() if metric.weights)
    execute(Plan((job,), metrics, out, device=device, workers=1, dtype=dtype))
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{dtype}: {after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.0f} CPU seconds")
    results = read_results(out).results
    own = {system.card.name for system in job.systems if not system.card.anchor}
    return {(r.system, r.metric, r.view): r.value for r in results if r.value is not None and r.system in own}


if __name__ == "__main__":
    main()
