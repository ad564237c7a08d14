"""`bench report RUN --html DIR`: the folder of pages.

    DIR/index.html, report.css, *.js   the pages
        data/run.js                    tables, cards, provenance
        data/scores-N.js               scores of every clip of one suite, loaded when they are looked at
        media/KEY/                     one clip: clip.js, video.mp4, thumbnail.png, N.flac, N.png

Nothing in it is fetched from elsewhere. What data hold is text for the pages, never markup.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from visaudio_bench import __version__
from visaudio_bench.bench.console import note, track
from visaudio_bench.bench.evaluation.generation import made_sounds
from visaudio_bench.bench.evaluation.recomputation import metrics_of
from visaudio_bench.bench.evaluation.run_media import read_media
from visaudio_bench.bench.failures import failure_of, tell
from visaudio_bench.bench.report_pages.clip_page import REFERENCE, ClipTask, show_clip
from visaudio_bench.bench.report_pages.page_data import write_data
from visaudio_bench.bench.report_pages.run_content import (
    beside_published,
    cards_of,
    column_help,
    run_name,
    suite_scores,
    tables_data,
)
from visaudio_bench.errors import UsageError
from visaudio_bench.files import write_text
from visaudio_bench.leaderboards.results import info_from
from visaudio_bench.leaderboards.schema import Failure, read_clip_rows, read_failures, read_results
from visaudio_bench.leaderboards.tables import Table
from visaudio_bench.lock import hold
from visaudio_bench.pool import map_unordered
from visaudio_bench.suites import Clip

PAGES = (
    "index.html",
    "report.css",
    "report.js",
    "leaderboard.js",
    "clips.js",
    "metrics.js",
    "charts.js",
    "player.js",
    "about.js",
)
KEY = re.compile(r"[0-9a-f]{20}")


class Report(NamedTuple):
    """What was made: the page to open, how many clips it shows, their bytes, and what went wrong."""

    page: Path
    clips: int
    media_bytes: int
    failures: list[Failure]


def write_report(run: Path, out: Path, tables: Sequence[Table], workers: int) -> Report:
    """Make the folder of a run's pages, or bring it up to date.

    Args:
        run: folder of a finished run.
        out: the folder; new, empty, or one of these.
        tables: of the run, as the terminal shows them.
        workers: processes.

    Returns:
        What was made.

    Raises:
        UsageError: `run` is not a finished run, or `out` holds something else.
    """
    _refuse_foreign(out)
    media = read_media(run)
    with hold(out, "a report of bench", otherwise="--html DIR"):
        return _write(run, out, tables, media, workers)


def _refuse_foreign(out: Path) -> None:
    ours = (out / "report.js").is_file()  # among the first files that are written
    if out.is_file() or (out.is_dir() and not ours and any(not path.name.startswith(".") for path in out.iterdir())):
        raise UsageError(
            f"{out} is there and is not a report; --html expects a new or empty folder, or an older report."
        )


def _write(run: Path, out: Path, tables: Sequence[Table], media: Mapping[str, Sequence[Clip]], workers: int) -> Report:
    content, rows = read_results(run), read_clip_rows(run / "clips.csv")
    suites, systems = info_from(content.body)
    told = read_failures(run / "failures.jsonl")
    for page in PAGES:
        text = (files("visaudio_bench.bench.report_pages") / "site" / page).read_text(encoding="utf-8")
        write_text(out / page, text)
    (out / "media").mkdir(exist_ok=True)
    tasks = [task for s in suites for task in _tasks(run, out, s.name, [i.name for i in systems[s.name]], media)]
    keys, failures = _show_clips(tasks, workers, out)
    metrics = metrics_of(content)
    for number, suite in enumerate(suites):
        clips = [
            {
                "id": task.clip.id,
                "caption": task.clip.caption or "",
                **_place(out, keys.get((suite.name, task.clip.id))),
            }
            for task in tasks
            if task.suite == suite.name
        ]
        seed = content.provenance["seed"]
        scores = suite_scores(rows, suite, systems[suite.name], metrics[suite.name], clips, told, seed)
        write_data(out / "data" / f"scores-{number}.js", f"scores-{number}", scores)
    every = dict.fromkeys(metric for chosen in metrics.values() for metric in chosen)
    data = {
        "title": run_name(run),
        "version": __version__,
        "suites": [{"name": s.name, "title": s.title, "clips": s.clips, "synthetic": s.synthetic} for s in suites],
        "tables": tables_data([*tables, *beside_published(run_name(run), content, suites)]),
        "help": column_help(every),
        "cards": cards_of(content),
        "provenance": content.provenance,
        "unavailable": content.body["unavailable"],
        "failures": [{name: value for name, value in f._asdict().items() if name != "trace"} for f in told],
    }
    write_data(out / "data" / "run.js", "run", data)
    _remove_stale(out / "media", {*keys.values()})
    size = sum(path.stat().st_size for path in (out / "media").rglob("*") if path.is_file())
    return Report(out / "index.html", len(keys), size, failures)


def _tasks(
    run: Path, out: Path, suite: str, systems: Sequence[str], media: Mapping[str, Sequence[Clip]]
) -> list[ClipTask]:
    """The clips of a suite with their sounds, the reference first and then the systems in the order of the run."""
    records = run / "audio" / suite
    ordered = sorted(systems, key=lambda name: name != REFERENCE)
    sounds = {name: made_sounds(records / name) for name in ordered if (records / name).is_dir()}
    return [
        ClipTask(
            suite,
            clip,
            {system: paths[clip.id] for system, paths in sounds.items() if clip.id in paths},
            records,
            out / "media",
        )
        for clip in media.get(suite, ())
    ]


def _show_clips(tasks: Sequence[ClipTask], workers: int, out: Path) -> tuple[dict[tuple[str, str], str], list[Failure]]:
    """The folder of each clip by suite and id, and the clips that have none."""
    keys: dict[tuple[str, str], str] = {}
    failures: list[Failure] = []
    outcomes = map_unordered(show_clip, tasks, workers)
    for outcome in track(outcomes, len(tasks), "pages of clips"):
        task, error = outcome.item, outcome.clip_error()
        if error is None:
            keys[task.suite, task.clip.id], told = outcome.result()
        else:
            told = (failure_of(error, task.suite, task.clip.id, "report"),)
        for failure in told:
            tell(failure, out)
            if not failure.trace:
                note(f"{task.suite}/{task.clip.id}: {failure.message}")
        failures += told
    return keys, failures


def _place(out: Path, key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    picture = (out / "media" / key / "thumbnail.png").is_file()
    return {"key": key, **({"thumbnail": f"media/{key}/thumbnail.png"} if picture else {})}


def _remove_stale(media: Path, used: set[str]) -> None:
    """Remove the folders of clips whose sounds have changed since, which no page shows any more."""
    for folder in media.iterdir():
        if KEY.fullmatch(folder.name) and folder.name not in used:
            shutil.rmtree(folder, ignore_errors=True)
