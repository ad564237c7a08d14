"""CPU seconds of `bench report` on a run of 330,000 per-clip rows, beside a plain pandas mean of the same rows.

Run: PYTHONPATH=. python benchmarks/report.py

The run is made up: 8 systems (four of them anchors) on 3,000 clips with the default metrics that need no weights.

One core of a busy machine, pandas 3.1.1: the report takes 2.0 to 2.9 s, a second of it to start, and pandas 1.3 s to
read the rows and take their means. Row by row, with a set of resamples for each value, the report took 29 s.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from visaudio_bench.leaderboards.results import SuiteInfo, SystemInfo
from visaudio_bench.leaderboards.schema import ClipRow, write_clip_rows, write_failures, write_results
from visaudio_bench.metrics.catalogue import defaults
from visaudio_bench.metrics.protocol import OURS

CLIPS = 3000
ANCHORS = ("reference", "mono", "swapped", "repaired")
HEARD = ("heard-a", "heard-b")
OTHERS = ("ours", "theirs")
UNDEFINED = 0.02  # share of the clips whose time difference is undefined
METRICS = [metric for metric in defaults() if not metric.weights]


def rows(system: str, *, heard: bool, seed: int, clips: int) -> Iterator[ClipRow]:
    """The rows of one system; a difficulty that the systems share makes their scores correlate."""
    difficulty = np.random.default_rng(0).uniform(0.5, 2, clips)
    rng = np.random.default_rng(seed)
    names = [name for metric in METRICS if heard or metric.track != "binauralisation" for name in metric.quantities]
    values = difficulty[:, None] * rng.uniform(0.5, 1.5 + 0.01 * seed, (clips, len(names)))
    undefined = rng.uniform(size=clips) < UNDEFINED
    for clip in range(clips):
        for name, value in zip(names, values[clip].tolist(), strict=True):
            gone = bool(undefined[clip]) and name == "delta_itd"
            status, reason = ("missing", "itd_undefined") if gone else ("measured", "")
            yield ClipRow(
                "made-up", system, f"clip-{clip:04d}", name, "binaural", None if gone else value, status, reason
            )


def make_run(folder: Path, clips: int = CLIPS) -> int:
    """A run folder that `bench report` reads; returns its number of rows."""
    systems = [
        SystemInfo(name, name, anchor=name in ANCHORS, binauralises=name not in OTHERS)
        for name in (*ANCHORS, *HEARD, *OTHERS)
    ]
    suite = SuiteInfo("made-up", "made-up numbers", clips, synthetic=True)
    table = [
        row
        for seed, one in enumerate(systems, 1)
        for row in rows(one.name, heard=one.binauralises, seed=seed, clips=clips)
    ]
    write_clip_rows(folder, table)
    told = {
        "info": dataclasses.asdict(suite),
        "manifest": "0" * 64,
        "cards": [],
        "systems": [dataclasses.asdict(one) for one in systems],
        "metrics": [metric.key for metric in METRICS],
    }
    write_failures(folder / "failures.jsonl", [])
    provenance = {"seed": 0, "protocol": OURS.record()}
    write_results(folder, [], provenance, {"suites": [told], "metrics": {}, "unavailable": {}})
    return len(table)


def cpu_seconds(*command: str) -> float:
    """CPU seconds of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        count = make_run(Path(folder))
        report = cpu_seconds("-m", "visaudio_bench", "report", folder)
        means = f"pandas.read_csv({folder + '/clips.csv'!r}).groupby(['system', 'metric']).value.mean()"
        plain = cpu_seconds("-c", f"import pandas; print({means})")
    print(f"{count} rows: report {report:.1f} s of CPU, pandas' means alone {plain:.1f} s: {report / plain:.1f} times")


if __name__ == "__main__":
    main()
