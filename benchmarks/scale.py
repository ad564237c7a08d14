"""From answers of networks to tables, for suites of many clips: CPU seconds of each step, and memory.

    python benchmarks/scale.py                       5,000 and 50,000 clips, each in a process of its own
    python benchmarks/scale.py --clips 200,2000

Networks and media are left out, everything else is what a run does: the plan knows its clips, answers are kept in the
store and come from there, rows of the per-clip table are made of them and written, results are aggregated and tested,
tables written. Exit code 1 where the larger suite takes more than `--limit` times as long as the smaller one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from visaudio_bench.baselines import open_system
from visaudio_bench.bench.console import quiet
from visaudio_bench.bench.evaluation import execution
from visaudio_bench.bench.evaluation.execution import Scored
from visaudio_bench.bench.evaluation.family import Judged
from visaudio_bench.bench.evaluation.network_scores import FeatureRows, NetworkAnswers
from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
from visaudio_bench.bench.evaluation.score_cache import cached
from visaudio_bench.bench.failures import Ledger
from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET, feature_file
from visaudio_bench.leaderboards.schema import ClipTable
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.metrics.quantity import Quantity
from visaudio_bench.suites import Clip, Suite

CHOSEN = ("fd_vgg", "kl_pann", "desync", "ib_score", "lat_err", "delta_ild")
SYSTEMS = ("reference", "mono", "noise")
STEPS = ("plan", "answers", "rows", "tables")


class Many(Suite):
    """As many clips as are asked for, without files."""

    name, title = "many", "many clips"

    def __init__(self, count: int):
        self.made = tuple(
            Clip(f"clip{n:06d}", None, Path("none") / f"{n}.wav", 0.0, 8.0, f"caption {n}") for n in range(count)
        )

    def clips(self) -> tuple[Clip, ...]:
        """All of them."""
        return self.made


def answer(draw: np.random.Generator) -> dict[str, np.ndarray]:
    """What networks say of one sound."""
    return {"features": draw.standard_normal((1, 3, 128)).astype(np.float32), "numbers": draw.random(32)}


def steps(count: int, out: Path) -> dict[str, float]:
    """CPU seconds of each step, in a run folder and a cache that are not there yet."""
    took: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        took[name] = time.process_time() - began

    draw = np.random.default_rng(count)
    with timed("plan"):
        systems = tuple(open_system(name) for name in SYSTEMS)
        job = SuiteJob(Many(count), systems)
        plan = Plan((job,), tuple(METRICS[key] for key in CHOSEN), out, workers=1)
        vars(plan)["missing_weights"] = ()  # networks are left out, what they say is not
        plan.summary({("many", name): count for name in SYSTEMS})
        job.suite.manifest_hash()
    names = sorted(
        {(name, view) for m in plan.metrics_for(job) for name in m.quantities for view in m.views if "[]" not in name}
    )
    with timed("answers"):
        features: dict[str, FeatureRows] = {}
        judged: dict[tuple[str, str], Judged] = {}
        for clip in job.clips:
            for system in (REFERENCE_SET, *SYSTEMS):
                for _ in range(2):  # kept, and found again
                    kept = cached(partial(answer, draw), [clip.id, system])
                values = np.resize(kept["numbers"], len(names)).tolist()
                numbers = {key: Quantity(value) for key, value in zip(names, values, strict=True)}
                said = NetworkAnswers(clip.id, system, numbers, {"vggish": kept["features"]})
                features.setdefault(system, FeatureRows()).add(said)
                judged[system, clip.id] = said.quantities
        for system, rows_of_system in features.items():
            rows_of_system.save(feature_file(out, "many", system))
    with timed("rows"):
        scored = [Scored(clip.id, name, {}, ()) for clip in job.clips for name in SYSTEMS]
        table = ClipTable.of(execution._rows(plan, job, scored, judged, []))
    with timed("tables"):
        execution._write(plan, table, Ledger(out), {}, None)
    return took


def measured(count: int) -> dict[str, float]:
    """The steps in a process of its own, and its memory in MB."""
    told = subprocess.run([sys.executable, __file__, "--one", str(count)], check=True, capture_output=True, text=True)
    measures: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return measures


def main() -> None:
    """Print a table and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", default="5000,50000", help="the smaller suite, and one ten times as large")
    parser.add_argument("--limit", type=float, default=12.0, help="times that the larger one may take")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        with tempfile.TemporaryDirectory() as folder, quiet():
            os.environ["VISAUDIO_BENCH_CACHE"] = f"{folder}/cache"
            took = steps(given.one, Path(folder) / "run")
        print(json.dumps({**took, "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    small, large = (measured(int(count)) for count in given.clips.split(","))
    print("| step | " + " | ".join(given.clips.split(",")) + " clips, CPU s | times |\n|---|---|---|---|")
    for name in STEPS:
        print(f"| {name} | {small[name]:.2f} | {large[name]:.2f} | {large[name] / small[name]:.1f} |")
    whole = [sum(one[name] for name in STEPS) for one in (small, large)]
    print(f"| all | {whole[0]:.2f} | {whole[1]:.2f} | {whole[1] / whole[0]:.1f} |")
    print(f"| memory, MB | {small['MB']:.0f} | {large['MB']:.0f} | {large['MB'] / small['MB']:.1f} |")
    sys.exit(whole[1] / whole[0] > given.limit)


if __name__ == "__main__":
    main()
