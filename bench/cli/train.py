"""`bench train`: train our models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visaudio_bench.bench.cli.common import Command, find_device, finish, format_option

if TYPE_CHECKING:
    from visaudio_bench.baselines import System
    from visaudio_bench.bench.training.run_folder import Asked

EPILOG = """\b
Examples
  bench train visaudio                                 tiny model on simulated rooms, then its leaderboard
  bench train visaudio --resume                        go on where it was stopped
  bench train visaudio --preset large_44k_v2 --data features --from mmaudio_large_44k_v2.pth --out runs/mine
  torchrun --nproc-per-node 8 -m visaudio_bench train visaudio --preset large_44k_v2 --data features --out runs/mine
"""


GEOMETRY_EPILOG = """\b
Examples
  bench train geometry-aware                           tiny model on simulated rooms, then its leaderboard
  bench train geometry-aware --preset mono2binaural-tiny
  bench features build --parts windows --suite fairplay:split1:train --out windows
  bench train geometry-aware --preset fairplay --data windows --out runs/mine
"""


FOLEY_EPILOG = """\b
Examples
  bench train foleyspace                               tiny model, then its leaderboard
  bench train foleyspace --preset large --device cuda --out runs/mine
  bench run --system mmaudio-dup+foleyspace:runs/mine/best.safetensors
"""


def training_options(folder: str) -> Callable[[Command], Command]:
    """The options of every training; its run folder is called `folder` and its preset."""
    options = (
        click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Feature store to learn from."),
        click.option(
            "--validation", type=click.Path(path_type=Path), metavar="DIR", help="Feature store to watch with."
        ),
        click.option("--from", "start", type=click.Path(path_type=Path), metavar="FILE", help="Weights to begin with."),
        click.option(
            "--out", type=click.Path(path_type=Path), metavar="RUN", help=f"Run folder.  [default: runs/{folder}-...]"
        ),
        click.option("--resume", is_flag=True, help="Go on with the training in the run folder."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting; repeatable."),
        click.option("--device", default="auto", show_default=True, metavar="NAME", help="cpu, cuda, or auto."),
        click.option("--workers", type=click.IntRange(1), help="Processes that prepare data.  [default: every core]"),
        click.option("--tensorboard", is_flag=True, help="Write for TensorBoard too."),
        format_option,
    )

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.group()
def train() -> None:
    """Train our models."""


@train.command("visaudio", epilog=EPILOG)
@click.option("--preset", metavar="NAME", help="Network and recipe: tiny, large_44k_v2, ...  [default: tiny]")
@training_options("visaudio")
def visaudio(device: str, workers: int | None, form: str, **options: Any) -> None:
    """Train ViSAudio's flow network.

    Without --data the tiny model learns from simulated rooms (rendered on first use), and the leaderboard of mono,
    swapped, the trained model and the reference is printed. Told to stop by SIGTERM, it saves its state and ends with
    exit code 75.
    """
    from visaudio_bench.bench.training.training_run import train, trained_system

    asked = _asked(options, device, workers)
    trained = train(asked)
    if trained.to_judge:
        anchors = ("reference", "mono", "swapped")
        _judge(anchors, (trained_system(trained.checkpoint),), ("default", "lat_r"), asked, "visaudio", form)


@train.command("geometry-aware", epilog=GEOMETRY_EPILOG)
@click.option("--preset", metavar="NAME", help="Network and recipe: tiny, paper, fairplay, ...  [default: tiny]")
@training_options("geometry-aware")
def geometry_aware(device: str, workers: int | None, form: str, **options: Any) -> None:
    """Train a binauraliser of Garg et al., or mono2binaural, of which it is made.

    Without --data the tiny model learns from simulated rooms (rendered on first use), and the leaderboard of mono,
    the trained model with its pictures and with mirrored ones, and the reference is printed. Told to stop by SIGTERM,
    it saves its state and ends with exit code 75.
    """
    from visaudio_bench.baselines.geometry_aware import trained_systems
    from visaudio_bench.bench.training.geometry_run import train

    asked = _asked(options, device, workers)
    trained = train(asked)
    if trained.to_judge:
        systems = trained_systems(trained.checkpoint)
        _judge(("reference", "mono"), systems, ("default", "lat_r", "stft", "env"), asked, "geometry-aware", form)


@train.command("foleyspace", epilog=FOLEY_EPILOG)
@click.option("--preset", metavar="NAME", help="Network and recipe: tiny, rooms-tiny or large.  [default: tiny]")
@training_options("foleyspace")
def foleyspace(device: str, workers: int | None, form: str, **options: Any) -> None:
    """Train FoleySpace's diffusion model, from mono sound and a trajectory to binaural sound.

    It learns from sounds along random paths through measured head responses, made on the fly (rooms-tiny: from
    simulated rooms, rendered on first use), and ends with the leaderboard of mono, motion-pan, the trained model and
    the reference. Told to stop by SIGTERM, it saves its state and ends with exit code 75.
    """
    from visaudio_bench.baselines.foleyspace import FoleySpace
    from visaudio_bench.bench.training.foley_run import train

    asked = _asked(options, device, workers)
    trained = train(asked)
    if trained.to_judge:
        anchors = ("reference", "mono", "motion-pan")
        systems = (FoleySpace(trained.checkpoint),)
        _judge(anchors, systems, ("default", "lat_r", "stft", "env"), asked, "foleyspace", form)


def _asked(options: Mapping[str, Any], device: str, workers: int | None) -> Asked:
    from visaudio_bench.bench.training.run_folder import Asked
    from visaudio_bench.pool import available_cores

    return Asked(**options, device=find_device(device), workers=workers or available_cores())


def _judge(
    anchors: Sequence[str], systems: Sequence[System], metrics: Sequence[str], asked: Asked, network: str, form: str
) -> None:
    """Generate the evaluation clips and print the leaderboard."""
    from visaudio_bench.baselines import open_system
    from visaudio_bench.bench.evaluation.metric_choice import find_metrics
    from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
    from visaudio_bench.bench.training import training_run
    from visaudio_bench.suites import open_suite

    job = SuiteJob(open_suite(training_run.EVALUATION_SUITE), (*map(open_system, anchors), *systems))
    out = asked.folder(network) / "evaluation"
    plan = Plan((job,), find_metrics(metrics), out, workers=asked.workers, device=asked.device)
    finish(plan, form, dry_run=False)
