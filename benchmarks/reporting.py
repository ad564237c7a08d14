"""The stage of the report: `bench report` on a run that is made up, beside a plain pandas mean of the same rows."""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measuring import Bench, Figure
from visaudio_bench.leaderboards.results import SuiteInfo, SystemInfo
from visaudio_bench.leaderboards.schema import ClipRow, write_clip_rows, write_failures, write_results
from visaudio_bench.metrics.catalogue import defaults
from visaudio_bench.metrics.protocol import OURS

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


def make_run(folder: Path, clips: int) -> int:
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


def report(bench: Bench) -> Iterator[Figure]:
    """Aggregates, intervals, tests and tables, with the start of the program."""
    folder = bench.folder / "run"
    folder.mkdir()
    count = make_run(folder, 3000 if bench.size.full else 6)
    means = f"pandas.read_csv({str(folder / 'clips.csv')!r}).groupby(['system', 'metric']).value.mean()"
    spent = cpu_seconds("-m", "visaudio_bench", "report", str(folder))
    plain = cpu_seconds("-c", f"import pandas; print({means})")
    yield Figure(
        "report", "tables", f"{count} rows of clips", spent, "pandas: read the rows, take means", plain / spent,
        {"rows": count},
    )  # fmt: skip
