"""`bench features`: feature stores, which training reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from visaudio_bench.bench.cli.common import Number, cluster_options, find_device, find_machines

if TYPE_CHECKING:
    from visaudio_bench.suites import Suite

EPILOG = """\b
Examples
  bench features build --suite music:videos --split train --out features
  torchrun --nproc-per-node 8 -m visaudio_bench features build --suite music:videos --split train --out features
  bench features merge all music-features biaudio-features
  bench features check features
"""


@click.group(epilog=EPILOG)
def features() -> None:
    """Feature stores: build, merge and check what training reads."""


@features.command()
@click.option("--suite", "request", required=True, metavar="NAME", help="Suite. See: bench list suites")
@click.option("--split", metavar="NAME", help="Refuse a suite that is another part of its data set than this one.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Store to make or add to.")
@click.option(
    "--parts",
    type=click.Choice(["published", "built-in", "windows", "windows-tiny"]),
    default="published",
    show_default=True,
    help="Encoders and codec: those of the paper, or those of the tiny model, which need no download. "
    "Or none: pictures and sounds for geometry-aware networks.",
)
@click.option(
    "--spatial",
    default="float16",
    show_default=True,
    type=click.Choice(["float32", "float16", "bfloat16", "int8", "int8-tensor"]),
    help="How the spatial feature is kept.",
)
@click.option("--grid", type=click.IntRange(1), help="Average the spatial feature to this grid.  [default: as it is]")
@click.option(
    "--duration", type=Number(0, min_open=True), metavar="S", help="Seconds of each clip.  [default: the suite's, or 8]"
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="cpu, cuda, or auto.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes that prepare.  [default: every core, 1 where a CPU runs the paper's networks or under torchrun]",
)
@cluster_options
@click.option(
    "--allow-missing",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Let up to N clips be unusable without failing.",
)
def build(
    request: str, split: str | None, out: Path, parts: str, spatial: str, grid: int | None, duration: float | None,
    device: str, workers: int | None, ray: str | None, slurm: str | None, allow_missing: int,
) -> None:  # fmt: skip
    """Extract the features of a suite's clips into a store; killed at any moment, the same command goes on."""
    from visaudio_bench.bench.cluster.opening import at_work
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.training.feature_extraction import Extraction, StoreFilling, WindowKeeping, extract
    from visaudio_bench.errors import BenchError, UsageError
    from visaudio_bench.models.geometry_aware import clip_windows
    from visaudio_bench.models.training.distributed import join, leave
    from visaudio_bench.models.visaudio.feature_formats import Storage
    from visaudio_bench.models.visaudio.feature_store import FeatureStore
    from visaudio_bench.pool import available_cores
    from visaudio_bench.suites import open_suite

    suite = open_suite(request)
    _require_split(suite, split)
    machines = find_machines(ray, slurm, workers)
    world = join(find_device(device, machines))
    if machines.many and world.size > 1:
        raise UsageError(
            "under torchrun its processes share the work. Start one process, or leave --ray or --slurm out."
        )
    # Where the paper's encoders compute, a CPU has enough to do.
    alone = world.size > 1 or (world.device.type == "cpu" and parts == "published")
    many = machines if machines.many or workers else machines._replace(workers=1 if alone else available_cores())
    with world.alone(out, "bench features build"), at_work(many, [out]) as at_once:
        where = (suite, out, parts, duration or suite.duration or 8.0, str(world.device), at_once)
        work: StoreFilling = (
            WindowKeeping(*where) if parts in clip_windows.PARTS else Extraction(*where, Storage(spatial, grid=grid))
        )
        failures = extract(work, world)
    leave()
    if not world.main:
        return
    note(f"{out}: {len(FeatureStore(out))} clips, {len(failures)} could not be used")
    if len(failures) > allow_missing:
        raise BenchError(
            f"{len(failures)} clips of {suite.name} cannot be learnt from; each is listed in {out / 'failures.jsonl'}. "
            f"Go on without them: --allow-missing {len(failures)}"
        )


def _require_split(suite: Suite, split: str | None) -> None:
    from visaudio_bench.errors import UsageError

    if split is not None and suite.split != split:
        raise UsageError(
            f'suite "{suite.name}" is the split "{suite.split}" of its data, not "{split}". See: bench list suites'
        )


@features.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("stores", type=click.Path(path_type=Path), nargs=-1, required=True)
def merge(out: Path, stores: tuple[Path, ...]) -> None:
    """Put the clips of several STORES of one kind into OUT."""
    from visaudio_bench.bench.console import note
    from visaudio_bench.lock import hold
    from visaudio_bench.models.visaudio.feature_store import merge as merged

    with hold(out, "bench features merge", otherwise="another OUT"):
        note(f"{out}: {merged(out, stores)} clips")


@features.command()
@click.argument("store", type=click.Path(path_type=Path))
def check(store: Path) -> None:
    """Read all of STORE and compare it with the hashes that were written with it."""
    from visaudio_bench.bench.console import note, track
    from visaudio_bench.errors import BenchError
    from visaudio_bench.models.visaudio.feature_store import FeatureStore

    opened = FeatureStore(store)
    wrong = [(clip, said) for clip, said in track(opened.check(), len(opened), "checking") if said]
    for clip, said in wrong[:10]:
        note(f"{clip}: {said}")
    if wrong:
        raise BenchError(f"{len(wrong)} of {len(opened)} clips of {store} are damaged.")
    note(f"{store}: {len(opened)} clips, all as written; {opened.manifest_hash[:16]}")
