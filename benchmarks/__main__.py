"""Every stage of the benchmark measured on this machine, beside a named reference in the same run.

    python -m benchmarks                        all stages; writes docs/performance.md and the rates of plans
    python -m benchmarks read metric            some stages, printed, nothing written
    python -m benchmarks --tiny --out DIR       whether everything works; its figures mean nothing

The rates are `bench/evaluation/rates.json`, from which `bench run --dry-run` predicts hours, memory and disk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks import clips, feature_reading, feeding, judging, networks, prepare, reporting
from benchmarks.measuring import TINY, Bench, Figure, Size
from visaudio_bench.bench.evaluation.rates import RATES
from visaudio_bench.pool import available_cores

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
STAGES: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "prepare": prepare.prepare,
    "render": clips.render,
    "read": clips.read,
    "generate": clips.generate,
    "metric": judging.metrics,
    "report": reporting.report,
    "pipeline": feeding.feeding,
    "features": feature_reading.features,
    "network": networks.measured,
}
PACKAGES = ("torch", "numpy", "scipy", "av", "soundfile", "pandas")
HEAD = """# Performance

What each stage costs, measured by `python -m benchmarks`, which writes this page and the rates from which
`bench run --dry-run` predicts. Seconds are those of one core unless a line says otherwise; *times* says how many times
as long the reference beside it took in the same run: below 1 the reference, which mostly does less, is faster.

"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write what was measured where everything was."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__, formatter_class=_Raw)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of: {', '.join(STAGES)}")
    parser.add_argument("--tiny", action="store_true", help="only whether everything works")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write performance.md and rates.json there instead")
    asked = parser.parse_args(arguments)
    unknown = set(asked.stages) - STAGES.keys()
    if unknown:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(TINY if asked.tiny else Size(), Path(folder))
        for name in asked.stages or STAGES:
            for figure in STAGES[name](bench):
                figures.append(figure)
                print(line(figure), flush=True)
        if asked.stages or (asked.tiny and not asked.out):
            return
        memory = clips.worker_memory(bench)
    page, rates = (PAGE, Path(str(RATES))) if asked.out is None else (asked.out / PAGE.name, asked.out / RATES.name)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(HEAD + machine_text() + table(figures), encoding="utf-8")
    rates.write_text(json.dumps(record(figures, memory), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


class _Raw(argparse.RawDescriptionHelpFormatter):
    """The text as it is written."""


def line(figure: Figure) -> str:
    """A row of the table."""
    unit, scale = ("s", 1.0) if figure.seconds >= 1 else ("ms", 1e3)
    times = "" if figure.times is None else f"{figure.times:.2g}"
    rate = f"{1 / figure.seconds:.3g}"
    cells = (
        figure.stage,
        figure.what,
        figure.per,
        f"{figure.seconds * scale:.3g} {unit}",
        rate,
        figure.reference,
        times,
    )
    return f"| {' | '.join(cells)} |"


def table(figures: Sequence[Figure]) -> str:
    """All rows."""
    names = ("stage", "what", "one unit", "time for one", "units a second", "reference", "times")
    rows = [f"| {' | '.join(names)} |", "|" + "---|" * len(names), *map(line, figures)]
    return "\n".join(rows) + "\n"


def machine() -> dict[str, str | int]:
    """What the figures are of."""
    models = [row.partition(":")[2].strip() for row in _rows(Path("/proc/cpuinfo")) if row.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": available_cores(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def machine_text() -> str:
    """The machine in a sentence, and how busy it was."""
    told = machine()
    packages = ", ".join(f"{name} {told[name]}" for name in ("python", *PACKAGES))
    busy = f"; {os.getloadavg()[0]:.1f} processes wanted them at the end" if hasattr(os, "getloadavg") else ""
    return f"{told['date']}, {told['processor']}, {told['cores']} cores{busy}; {packages}.\n\n"


def record(figures: Sequence[Figure], worker_mb: float) -> dict[str, object]:
    """The rates as data: of each stage and what it measured the seconds, and what else a plan needs."""
    rates = {f"{f.stage} {f.what}": {"seconds": float(f"{f.seconds:.4g}"), **f.more} for f in figures}
    return {"machine": machine(), "worker_mb": round(worker_mb), "rates": rates}


def _rows(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
