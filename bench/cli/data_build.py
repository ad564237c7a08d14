"""`bench data build`: data sets that are made, not collected."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visaudio_bench.bench.cli.common import (
    Number,
    cluster_options,
    find_machines,
    format_option,
    print_tables,
    refuse_unexpected,
)
from visaudio_bench.errors import BenchError, UsageError

if TYPE_CHECKING:
    from visaudio_bench.suites.construction.dataset import Build, BuiltDataset, Shard
    from visaudio_bench.suites.construction.sphere360 import FoundPanoramas
    from visaudio_bench.suites.visibility_captions import SoundCaption

EPILOG = """\b
Examples
  bench data build biaudio --from /data/Sphere360 --out /data/biaudio
  bench data build starss23 --from /data/STARSS23 --out /data/starss23
  bench data build twin --out twin                                       360-degree scenes with known directions
  bench data build biaudio --from twin --captions twin/captions.csv --out built
"""
BIAUDIO_EPILOG = """\b
Killed at any moment, the same command goes on from there. The files do not depend on --workers or --shard.
Then: bench data prepare biaudio --from DIR
"""
STARSS23_EPILOG = BIAUDIO_EPILOG.replace("biaudio", "starss23")
TIMEOUT = 900  # s a clip may take: a hundred times what it usually does


def _shard(context: click.Context, parameter: click.Parameter, value: str) -> Shard:
    """`3/8`: the third of eight parts."""
    from visaudio_bench.suites.construction.dataset import Shard

    del context, parameter
    index, _, count = value.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(f"{value!r} is not I/N with 1 <= I <= N, as in 3/8.")
    return Shard(int(index), int(count))


_OUT = click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where to.")


def _source(layout: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    path = click.Path(path_type=Path)
    return click.option("--from", "source", required=True, type=path, metavar="DIR", help=layout)


_RECIPE = (
    click.option(
        "--decoder",
        type=click.Choice(["omnitone", "kemar"]),
        default="omnitone",
        show_default=True,
        help="What the ears hear of the field: as in the paper, or nearer to a head.",
    ),
    click.option(
        "--segments",
        type=click.IntRange(1),
        metavar="M",
        help="Turn the sound in M steps a clip, as the paper does.  [default: sample by sample]",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the camera's trajectories."),
    click.option(
        "--seconds", "duration", type=Number(0.5), default=8.0, show_default=True, help="Length of the clips."
    ),
    click.option("--size", type=click.IntRange(32), default=512, show_default=True, help="Width and height in pixels."),
    click.option("--workers", type=click.IntRange(1), help="Processes.  [default: every core]"),
    click.option(
        "--shard",
        default="1/1",
        callback=_shard,
        metavar="I/N",
        help="Make only the I-th of N parts, for several machines with one --out. Whoever is last writes the manifest.",
    ),
    format_option,
)


def _recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """How clips are made, and by how many."""
    for option in reversed(_RECIPE):
        command = option(command)
    return cluster_options(command)


@click.group("build", epilog=EPILOG)
def build() -> None:
    """Make data sets from 360-degree video with ambisonics: BiAudio, and STARSS23 with labelled directions."""


@build.command(epilog=BIAUDIO_EPILOG)
@_source("Sphere360: <video id>_<second>.webm with four sound channels, or videos with .flac or .wav beside them.")
@_OUT
@click.option(
    "--lists",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of train.txt and test.txt.  [default: found below --from]",
)
@click.option(
    "--captions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=".csv or .jsonl with clip_id, visible, invisible.  [default: captions.jsonl in --out, if there is one]",
)
@_recipe_options
def biaudio(
    source: Path,
    out: Path,
    lists: Path | None,
    captions: Path | None,
    form: str,
    **recipe: Any,
) -> None:
    """Make perspective videos with binaural sound out of 360-degree ones with ambisonics, as BiAudio was made."""
    from visaudio_bench.suites.construction.captioning import read_captions
    from visaudio_bench.suites.construction.sphere360 import find_panoramas

    _refuse_places(source, out, recipe["size"])
    said = captions or out / "captions.jsonl"
    texts = read_captions(said) if captions or said.is_file() else {}
    _build(find_panoramas(source, lists), out, recipe, texts, form)


@build.command(epilog=STARSS23_EPILOG)
@_source("STARSS23: foa_dev, metadata_dev and video_dev side by side.")
@_OUT
@_recipe_options
def starss23(source: Path, out: Path, form: str, **recipe: Any) -> None:
    """Make perspective videos with binaural sound and direction labels out of STARSS23's real scenes."""
    from visaudio_bench.suites.construction.starss23 import find_starss23

    _refuse_places(source, out, recipe["size"])
    _build(find_starss23(source, recipe["duration"]), out, recipe, {}, form)


def _refuse_places(source: Path, out: Path, size: int) -> None:
    if size % 2:
        raise click.BadParameter("the size must be even.", param_hint="--size")
    if out.resolve().is_relative_to(source.resolve()):
        raise click.BadParameter(f"{out} lies in {source}, where sources are looked for.", param_hint="--out")


def _build(
    panoramas: FoundPanoramas,
    out: Path,
    recipe: dict[str, Any],
    texts: Mapping[str, SoundCaption],
    form: str,
) -> None:
    """Make the clips of what was found, and say what became of them."""
    from visaudio_bench.bench.cluster.opening import at_work
    from visaudio_bench.bench.console import note
    from visaudio_bench.lock import hold
    from visaudio_bench.suites.construction.build import BuildSettings
    from visaudio_bench.suites.construction.dataset import Build
    from visaudio_bench.suites.construction.statistics import write_statistics

    machines = find_machines(recipe.pop("ray"), recipe.pop("slurm"), recipe.pop("workers"))
    shard: Shard = recipe.pop("shard")
    work = Build(panoramas, out, BuildSettings(**recipe), shard)
    work.begin()
    part = f".in-use-{shard.index}-of-{shard.count}"  # the parts of one data set are made side by side
    with hold(out, f"bench data build {panoramas.suite} --shard {shard.index}/{shard.count}", name=part):
        with at_work(machines, [out]) as workers:
            _run(work, workers)
        made = work.finish(texts)
    if made is None:
        note(f"this part is done; the manifest is written by whichever part of {out} is done last")
        return
    seen = str(out / "statistics" / "index.html")
    try:
        write_statistics(out / "statistics", made)
    except UsageError as error:
        seen = f"{out / 'statistics' / 'statistics.json'} alone: {error}"
    _print_summary(made, work, form)
    note(f"saved in {out}, statistics in {seen}")
    if made.records:
        note(f"next: bench data prepare {panoramas.suite} --from {out}")
    refuse_unexpected(made.rejects, out)
    if not made.records:
        raise BenchError(f"no clip could be made; why stands beside the name of each in {out / 'rejects.jsonl'}.")


def _run(work: Build, workers: int) -> None:
    from functools import partial

    from visaudio_bench.bench.console import note, track
    from visaudio_bench.isolation import map_isolated

    pending = len(work.pending())
    mine = sum(work.shard.holds(panorama.id) for panorama in work.found.panoramas)
    if pending < mine:
        note(f"{mine - pending:,} of {mine:,} clips were made before")
    engine = partial(map_isolated, workers=workers, timeout=TIMEOUT)
    for _ in track(work.run(engine), pending, f"building {work.found.suite}"):
        pass


def _print_summary(made: BuiltDataset, work: Build, form: str) -> None:
    """Clips by split, and what was left out, by reason."""
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow

    rows = []
    for split in ("train", "test"):
        records = [record for record in made.records if record["split"] == split]
        hours, videos = sum(r["duration"] for r in records) / 3600, len({r["group"] for r in records})
        cells = Cell(f"{len(records):,}", len(records)), Cell(f"{hours:.2f}", hours), Cell(f"{videos:,}", videos)
        rows.append(TableRow(f"{split} clips", cells, group="clips"))
    for reason, count in sorted(Counter(reject.reason for reject in made.rejects).items()):
        rows.append(TableRow(f"left out: {reason}", (Cell(f"{count:,}", count), Cell(""), Cell("")), group="rejects"))
    absent = work.found.absent
    notes = (
        f"{len(made.captions):,} of {len(made.records):,} clips have a caption",
        *([f"{absent:,} clips of the lists are not below --from"] if absent else []),
        "left out, with the reason of each: rejects.jsonl",
        *work.found.unread,
    )
    columns = Column("clips", "clips"), Column("hours", "hours"), Column("videos", "source videos")
    print_tables([Table(f"{work.found.suite}, built", columns, tuple(rows), corner="", notes=notes)], form)


@build.command()
@_OUT
@click.option("--suite", default="simroom", show_default=True, metavar="NAME", help="Simulated suite of the scenes.")
@click.option(
    "--height", type=click.IntRange(64), default=512, show_default=True, help="Of the pictures, in pixels; even."
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: every core]")
def twin(out: Path, suite: str, height: int, workers: int | None) -> None:
    """Render simulated scenes as 360-degree video with ambisonics, laid out like Sphere360, with known directions."""
    from visaudio_bench.bench.console import note, track
    from visaudio_bench.errors import ClipsError
    from visaudio_bench.files import write_text
    from visaudio_bench.guard import keep_trace
    from visaudio_bench.lock import hold
    from visaudio_bench.pool import available_cores
    from visaudio_bench.suites.construction.twin import Twin
    from visaudio_bench.suites.datasets import Reject

    if height % 2:
        raise click.BadParameter("the height must be even.", param_hint="--height")
    made = Twin(suite, out, height)
    with hold(out, "bench data build twin"):
        try:
            for _ in track(made.make(workers or available_cores()), len(made.pending()), f"rendering {suite}"):
                pass
        except ClipsError as failed:
            rejects = [Reject(name, error.reason, error.message) for name, error in failed.errors.items()]
            for name, error in failed.errors.items():
                if error.trace:
                    keep_trace(out, f'clip "{name}" (render, {suite})', error.trace)
            write_text(out / "rejects.jsonl", "".join(json.dumps(reject._asdict()) + "\n" for reject in rejects))
            refuse_unexpected(rejects, out)
            raise
        (out / "rejects.jsonl").unlink(missing_ok=True)
    note(f"saved in {out}; next: bench data build biaudio --from {out} --captions {out / 'captions.csv'} --out DIR")
