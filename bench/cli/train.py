"""`bench train`: train our models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visaudio_bench.bench.cli.common import find_device, finish, format_option

if TYPE_CHECKING:
    from visaudio_bench.bench.training.run_folder import FinishedTraining

EPILOG = """\b
Examples
  bench train visaudio                                 tiny model on simulated rooms, then its leaderboard
  bench train visaudio --resume                        go on where it was stopped
  bench train visaudio --preset large_44k_v2 --data features --from mmaudio_large_44k_v2.pth --out runs/mine
  torchrun --nproc-per-node 8 -m visaudio_bench train visaudio --preset large_44k_v2 --data features --out runs/mine
"""


@click.group()
def train() -> None:
    """Train our models."""


@train.command("visaudio", epilog=EPILOG)
@click.option("--preset", metavar="NAME", help="Network and recipe: tiny, large_44k_v2, ...  [default: tiny]")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Feature store to learn from.")
@click.option("--validation", type=click.Path(path_type=Path), metavar="DIR", help="Feature store to watch with.")
@click.option("--from", "start", type=click.Path(path_type=Path), metavar="FILE", help="Weights to begin with.")
@click.option("--out", type=click.Path(path_type=Path), metavar="RUN", help="Run folder.  [default: runs/visaudio-...]")
@click.option("--resume", is_flag=True, help="Go on with the training in the run folder.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting; may be repeated.")
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="cpu, cuda, or auto.")
@click.option("--workers", type=click.IntRange(1), help="Processes that prepare data.  [default: every core]")
@click.option("--tensorboard", is_flag=True, help="Write for TensorBoard too.")
@format_option
def visaudio(device: str, workers: int | None, form: str, **options: Any) -> None:
    """Train ViSAudio's flow network.

    Without --data the tiny model learns from simulated rooms (rendered on first use), and the leaderboard of mono,
    swapped, the trained model and the reference is printed. Told to stop by SIGTERM, it saves its state and ends with
    exit code 75.
    """
    from visaudio_bench.bench.training.run_folder import Asked
    from visaudio_bench.bench.training.training_run import train
    from visaudio_bench.pool import available_cores

    asked = Asked(**options, device=find_device(device), workers=workers or available_cores())
    trained = train(asked)
    if trained.to_judge:
        _judge(trained, asked.folder("visaudio"), asked.workers, asked.device, form)


def _judge(trained: FinishedTraining, folder: Path, workers: int, device: str, form: str) -> None:
    """Generate the evaluation clips and print the leaderboard."""
    from visaudio_bench.baselines import open_system
    from visaudio_bench.bench.evaluation.metric_choice import find_metrics
    from visaudio_bench.bench.evaluation.plan import Job, Plan
    from visaudio_bench.bench.training.training_run import EVALUATION_SUITE, trained_system
    from visaudio_bench.suites import open_suite

    anchors = tuple(open_system(name) for name in ("reference", "mono", "swapped"))
    job = Job(open_suite(EVALUATION_SUITE), (*anchors, trained_system(trained.checkpoint)))
    plan = Plan((job,), find_metrics(("default", "lat_r")), folder / "evaluation", workers=workers, device=device)
    finish(plan, form, dry_run=False)
