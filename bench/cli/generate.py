"""`bench generate`: make the sound of videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visaudio_bench.bench.cli.common import (
    Number,
    cluster_options,
    device_option,
    find_device,
    find_machines,
    split_names,
)

if TYPE_CHECKING:
    from visaudio_bench.baselines import System
    from visaudio_bench.bench.evaluation.plan import SuiteJob

EPILOG = """\b
Examples
  bench generate --system visaudio --weights visaudio.safetensors --video clip.mp4 --caption "a dog barks" --out out
  bench generate --video clip.mp4 --out out --mux
  bench generate --weights visaudio.safetensors --video clips --out out
  bench generate --system mmaudio-dup --suite simroom-mini --out out
  bench generate --weights visaudio.safetensors --video walk.mp4 --duration 30 --mux --out out
"""


@click.command(epilog=EPILOG)
@click.option(
    "--system",
    "name",
    help="What makes the sound: bench list systems  [default: visaudio-tiny; with --weights, visaudio]",
)
@click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="Its weights: a checkpoint.")
@click.option(
    "--video", "videos", type=click.Path(path_type=Path), multiple=True, metavar="FILE|FOLDER",
    help="A video to make sound for, or a folder of them. May be given several times.",
)  # fmt: skip
@click.option("--caption", help="What is to be heard, for every --video.")
@click.option("--suite", "suites", multiple=True, callback=split_names, metavar="NAME,...", help="Or: whole suites.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N clips of each suite.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where the sounds go.")
@click.option(
    "--duration", type=Number(min=0.7), metavar="SECONDS",
    help="Length of the sound of a --video; the clips of a suite have their own.  [default: the video's, 8 at most]",
)  # fmt: skip
@click.option("--steps", type=click.IntRange(1), help="Euler steps.  [default: the checkpoint's, else 25]")
@click.option(
    "--guidance", type=Number(min=0),
    help="Strength of guidance; 1 is none.  [default: the checkpoint's, else 4.5]",
)  # fmt: skip
@click.option("--negative", metavar="TEXT", help="What is not to be heard.")
@click.option("--batch", type=click.IntRange(1), help="Clips at once.  [default: 8]")
@click.option(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16"]),
    help="Numbers of the flow network.  [default: auto: bfloat16 on CUDA, else float32]",
)  # fmt: skip
@click.option("--compile", "compiled", is_flag=True, default=None, help="Compile the flow network first.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise; each clip has its own.")
@click.option("--mux", is_flag=True, help="Also write each video with its new sound, as mp4.")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes for systems that share clips.  [default: every core]"
)
@cluster_options
@device_option
def generate(
    name: str | None, weights: Path | None, out: Path, seed: int, device: str, mux: bool, **options: Any
) -> None:
    """Make binaural sound for videos or for whole suites.

    Leaves `<clip>.wav` (two channels, 44.1 kHz) and `<clip>.json` (how it was made). Killed at any moment, the same
    command goes on from there.
    """
    from visaudio_bench.bench.cluster.opening import at_work
    from visaudio_bench.bench.evaluation.unscored_generation import produce
    from visaudio_bench.lock import hold

    machines = find_machines(options.pop("ray"), options.pop("slurm"), options.pop("workers"))
    settings = {key: options.pop(key) for key in ("steps", "guidance", "negative", "batch", "dtype", "compiled")}
    name = name or ("visaudio" if weights else "visaudio-tiny")
    system = _system(name, weights, {key: value for key, value in settings.items() if value is not None})
    for job, folder in _jobs(system, out, **options):
        with hold(folder, "bench generate"), at_work(machines, [folder]) as workers:
            produce(job, folder, seed=seed, device=find_device(device, machines), mux=mux, workers=workers)


def _system(name: str, weights: Path | None, settings: dict[str, Any]) -> System:
    from visaudio_bench.baselines import open_system
    from visaudio_bench.baselines.visaudio import FlowSystem
    from visaudio_bench.errors import UsageError

    system = open_system(f"{name}:{weights}" if weights else name)
    if not settings:
        return system
    if not isinstance(system, FlowSystem):
        given = ", ".join(f"--{'compile' if key == 'compiled' else key}" for key in settings)
        raise UsageError(f'system "{name}" has no {given}; leave it out.')
    if "dtype" in settings:
        settings["precision"] = settings.pop("dtype")
    return system.with_settings(**settings)


def _jobs(
    system: System,
    out: Path,
    *,
    videos: tuple[Path, ...],
    caption: str | None,
    duration: float | None,
    suites: tuple[str, ...],
    limit: int | None,
) -> list[tuple[SuiteJob, Path]]:
    """What to make, and the folder of each suite's sounds."""
    from visaudio_bench.bench.evaluation.plan import SuiteJob
    from visaudio_bench.bench.evaluation.unscored_generation import VideoSuite
    from visaudio_bench.errors import UsageError
    from visaudio_bench.suites import open_suite

    if videos and suites:
        raise UsageError("--video and --suite are both given: sound is made for one of them at a time. Leave one out.")
    if not videos and not suites:
        raise UsageError("give either --video FILE or --suite NAME. Suites: bench list suites")
    if videos:
        return [(SuiteJob(VideoSuite(_files(videos), caption, duration), (system,), limit), out)]
    if caption is not None:
        raise UsageError("--caption is for --video; the clips of a suite have captions of their own.")
    jobs = [SuiteJob(open_suite(request), (system,), limit) for request in dict.fromkeys(suites)]
    return [(job, out / job.suite.name) for job in jobs]


def _files(videos: tuple[Path, ...]) -> list[Path]:
    """The videos, those of folders among them.

    Raises:
        UsageError: a folder holds none.
    """
    from visaudio_bench.suites.folder import look_into

    paths: list[Path] = []
    for video in videos:
        if video.is_dir():
            contents = look_into(video)
            contents.require("video", contents.videos)
            paths += contents.videos.values()
        else:
            paths.append(video)
    return paths
