"""`bench data`: from folders of media, as users have them, to prepared suites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visaudio_bench.bench.cli.common import Number, format_option, print_tables, refuse_unexpected
from visaudio_bench.bench.cli.data_build import build

if TYPE_CHECKING:
    from visaudio_bench.leaderboards.tables import TableRow
    from visaudio_bench.suites.manifest import Manifest
    from visaudio_bench.suites.preparation import Prepared

EPILOG = """\b
Examples
  bench data list
  bench data prepare fairplay --from /data/FAIR-Play
  bench data check fairplay
  bench data build biaudio --from /data/Sphere360 --out /data/biaudio
  bench run --suite fairplay
"""
EXAMPLES = 3  # rejects that are shown of each reason


@click.group("data", epilog=EPILOG)
def data() -> None:
    """Prepare, check and build the data of real suites. Nothing is downloaded; media that you have stay as they are."""


data.add_command(build)


@data.command("list")
@format_option
def list_data(form: str) -> None:
    """What there is, whether it is prepared here, its licence and where it comes from."""
    from visaudio_bench.leaderboards.tables import Column, Table
    from visaudio_bench.suites.datasets import DATASETS, data_dir

    rows = tuple(_dataset_row(name) for name in DATASETS.names())
    headings = ("data set", "state", "clips here", "clips in the paper", "licence", "from")
    columns = tuple(Column(heading, heading, left=True) for heading in headings)
    notes = (f"folder of manifests: {data_dir()}", "prepare one: bench data prepare NAME --from DIR")
    print_tables([Table("data sets", columns, rows, corner="name", notes=notes)], form)


def _dataset_row(name: str) -> TableRow:
    """What is known of a data set; of one whose plug-in does not import, that."""
    from visaudio_bench.errors import UsageError
    from visaudio_bench.leaderboards.tables import Cell, TableRow
    from visaudio_bench.suites.datasets import DATASETS
    from visaudio_bench.suites.preparation import prepared_manifest

    try:
        dataset = DATASETS.get(name)
    except UsageError as error:
        return TableRow(name, (Cell(str(error)), *[Cell("")] * 5))
    try:
        manifest = prepared_manifest(dataset)
        state, clips = "prepared", Cell(f"{len(manifest.entries):,}", len(manifest.entries))
    except UsageError as error:
        state = "not public" if dataset.unavailable else "not here"
        clips = Cell("", None, reason=str(error))
    published = ", ".join(f"{count:,} {split}" for split, count in dataset.published.items())
    texts = (dataset.title, state, published, dataset.licence, dataset.unavailable or dataset.home)
    title, *others = (Cell(text) for text in texts)
    return TableRow(name, (title, others[0], clips, *others[1:]))


@data.command()
@click.argument("name")
@click.option(
    "--from", "source", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where the data lies."
)
@click.option("--workers", type=click.IntRange(1), help="Processes that read files.  [default: every core]")
@click.option(
    "--start", type=Number(0), default=0.0, show_default=True, metavar="SECONDS",
    help="Where the window of each clip starts, for data sets of one window a file.",
)  # fmt: skip
@click.option(
    "--caption-join", default=", ", show_default=True, metavar="TEXT",
    help="What stands between what is seen and what is not, where captions have both.",
)  # fmt: skip
@click.option(
    "--pair", type=(int, int), default=(1, 6), show_default=True, metavar="LEFT RIGHT",
    help="Tracks of the two ears, for data sets with several microphones.",
)  # fmt: skip
@click.option("--pictures", is_flag=True, help="Decode every picture too: finds all damage, takes hours.")
@format_option
def prepare(name: str, source: Path, workers: int | None, pictures: bool, form: str, **options: Any) -> None:
    """Translate a folder into the manifest of suite NAME, after reading and judging every clip.

    Killed at any moment, the same command goes on from there; a repeated one reads only what has changed.
    """
    from visaudio_bench.bench.console import note, track
    from visaudio_bench.lock import hold
    from visaudio_bench.pool import available_cores
    from visaudio_bench.suites.datasets import DATA_VARIABLE, DATASETS, Options
    from visaudio_bench.suites.preparation import Preparation

    preparation = Preparation(DATASETS.get(name), source, Options(**options), pictures=pictures)
    with hold(preparation.folder, "bench data prepare", otherwise=f"set {DATA_VARIABLE}"):
        pending = preparation.pending
        known = len(preparation.found.candidates) - len(pending)
        if known:
            note(f"{known:,} of {len(preparation.found.candidates):,} files were read before and have not changed")
        for _ in track(preparation.examine(workers or available_cores()), len(pending), f"reading {name}"):
            pass
        prepared = preparation.finish()
    _print_summary(prepared, form)
    for reject in _examples(prepared):
        note(f"left out: {reject}")
    splits = {entry.split for entry in prepared.manifest.entries}
    part = "" if preparation.dataset.split in splits else f":{min(splits, default='')}"
    note(f"saved in {prepared.folder}; next: bench run --suite {name}{part}")
    refuse_unexpected(prepared.rejects, prepared.folder)


def _print_summary(prepared: Prepared, form: str) -> None:
    """Clips by split beside the paper's, and what was left out or flagged."""
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow

    summary = prepared.summary
    splits = dict.fromkeys([*summary["published"], *summary["clips"]])
    rows = []
    for group in ("clips", "rejects", "flags"):
        words = {"clips": "{} clips", "rejects": "left out: {}", "flags": "kept, flagged: {}"}[group]
        for key in splits if group == "clips" else summary[group]:
            count = summary[group].get(key, 0)
            published = summary["published"].get(key) if group == "clips" else None
            beside = Cell("", None) if published is None else Cell(f"{published:,}", published)
            rows.append(TableRow(words.format(key), (Cell(f"{count:,}", count), beside), group=group))
    notes = (*summary["notes"], *_hashes(prepared.manifest), f"from {summary['source']}")
    columns = (Column("here", "here"), Column("published", "in the paper"))
    print_tables([Table(f"{summary['suite']}, prepared", columns, tuple(rows), corner="", notes=notes)], form)


def _hashes(manifest: Manifest) -> list[str]:
    return [f"manifest of {split}: {value[:16]}" for split, value in manifest.hashes().items()]


def _examples(prepared: Prepared) -> list[str]:
    shown = []
    for reason, count in prepared.summary["rejects"].items():
        some = [reject for reject in prepared.rejects if reject.reason == reason]
        shown += [f"{reject.clip_id} ({reason}): {reject.message}" for reject in some[:EXAMPLES]]
        if count > EXAMPLES:
            shown.append(f"... and {count - EXAMPLES:,} more with the reason {reason}: rejects.jsonl")
    return shown


@data.command()
@click.argument("name")
@format_option
def check(name: str, form: str) -> None:
    """Compare the files of suite NAME with its manifest. Exit code 1 if one is missing, changed or wrong."""
    from visaudio_bench.bench.console import note, track
    from visaudio_bench.errors import BenchError
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow
    from visaudio_bench.suites.datasets import DATASETS, data_dir
    from visaudio_bench.suites.manifest_check import check_entry, counts
    from visaudio_bench.suites.preparation import prepared_manifest

    dataset = DATASETS.get(name)
    manifest = prepared_manifest(dataset)
    entries = manifest.entries
    traces = data_dir() / name
    checked = track((check_entry(entry, manifest, traces) for entry in entries), len(entries), f"checking {name}")
    problems = [problem for of_entry in checked for problem in of_entry]
    rows = [TableRow(label, (Cell(f"{count:,}", count),)) for label, count in counts(manifest, dataset, problems)]
    notes = (*_hashes(manifest), f"files below {manifest.root}", f"licence: {dataset.licence}")
    print_tables([Table(f"{name}, checked", (Column("count", "count"),), tuple(rows), corner="", notes=notes)], form)
    for problem in problems[:10]:
        note(f"{problem.clip_id} ({problem.reason}): {problem.message}")
    refuse_unexpected(problems, traces)
    if problems:
        raise BenchError(
            f"{len(problems)} of {len(entries)} clips of {name} are not as they were prepared. "
            f"Get them again, then: bench data prepare {name} --from {manifest.root}"
        )
