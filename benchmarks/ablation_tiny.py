"""The rows of the paper's ablation with the tiny model: mono duplicated, two branches, two branches and spacetime.

    python benchmarks/ablation_tiny.py --out runs/ablation

Three trainings that differ in nothing else (same clips, order, noise, steps), then one leaderboard. A training that is
there already is not repeated, one that was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from visaudio_bench.baselines import open_system
from visaudio_bench.bench.cli.common import finish
from visaudio_bench.bench.evaluation.metric_choice import find_metrics
from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
from visaudio_bench.bench.training.run_folder import Asked
from visaudio_bench.bench.training.training_run import EVALUATION_SUITE, train, trained_system
from visaudio_bench.pool import available_cores
from visaudio_bench.suites import open_suite

ROWS = {
    "mmaudio-dup": ("network.dual=false", "network.spacetime=false"),
    "visaudio-dual": ("network.spacetime=false",),
    "visaudio": (),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--suite", default=EVALUATION_SUITE)
    parser.add_argument("--workers", type=int, default=available_cores())
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    systems = [open_system("reference"), open_system("swapped")]
    for row, changes in ROWS.items():
        folder = arguments.out / row
        resume = (folder / "state.safetensors").exists()
        settings = () if resume else (*arguments.settings, *changes)
        train(Asked(out=folder, settings=settings, resume=resume, workers=arguments.workers))
        # The last weights and not the best ones: a mono network has no best direction.
        systems.append(trained_system(folder / "last.safetensors"))
    job = SuiteJob(open_suite(arguments.suite), tuple(systems))
    metrics = find_metrics(("default", "lat_r"))
    finish(Plan((job,), metrics, arguments.out / "evaluation", workers=arguments.workers), "text", dry_run=False)


if __name__ == "__main__":
    main()
