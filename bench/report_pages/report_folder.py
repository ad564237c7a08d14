"""`bench report RUN --html DIR`: the folder of pages.

    DIR/index.html, report.css, *.js   the pages; plotly.min.js is loaded by those with charts
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
from visaudio_bench.bench.evaluation.accumulation import SuiteRecord
from visaudio_bench.bench.evaluation.generation import made_sounds
from visaudio_bench.bench.evaluation.joint_runs import JointRuns, join_runs
from visaudio_bench.bench.evaluation.run_media import read_media
from visaudio_bench.bench.failures import failure_of, tell
from visaudio_bench.bench.report_pages.clip_page import REFERENCE, ClipTask, clip_key, show_clip
from visaudio_bench.bench.report_pages.data_scripts import write_data
from visaudio_bench.bench.report_pages.run_content import (
    beside_published,
    cards_of,
    changes_of,
    column_meanings,
    manual_pages,
    run_names,
    suite_scores,
    tables_data,
)
from visaudio_bench.errors import UsageError
from visaudio_bench.files import write_text
from visaudio_bench.leaderboards.schema import Failure, read_results
from visaudio_bench.leaderboards.tables import Table
from visaudio_bench.lock import hold
from visaudio_bench.plotly_script import copy_plotly, plotly_script
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


def write_report(runs: Sequence[Path], out: Path, tables: Sequence[Table], workers: int) -> Report:
    """Make the folder of the pages of a run, or of several side by side, or bring it up to date.

    Args:
        runs: folders of finished runs.
        out: the folder; new, empty, or one of these.
        tables: of the runs, as the terminal shows them.
        workers: processes; 0 makes nothing of clips, and shows of them what an earlier report made.

    Returns:
        What was made.

    Raises:
        UsageError: one is not a finished run, they do not compare, `out` holds something else, or plotly is not
            installed; nothing is written.
    """
    plotly_script()
    _refuse_foreign(out)
    names = run_names(runs)
    joint = join_runs([(run, read_results(run)) for run in runs], called=names)
    media = read_media(*runs)
    with hold(out, "a report of bench", otherwise="--html DIR"):
        return _write(joint, names, out, tables, media, workers)


def _refuse_foreign(out: Path) -> None:
    ours = (out / "report.js").is_file()  # among the first files that are written
    if out.is_file() or (out.is_dir() and not ours and any(not path.name.startswith(".") for path in out.iterdir())):
        raise UsageError(
            f"{out} is there and is not a report; --html expects a new or empty folder, or an older report."
        )


def _write(
    joint: JointRuns,
    names: Mapping[Path, str],
    out: Path,
    tables: Sequence[Table],
    media: Mapping[str, Sequence[Clip]],
    workers: int,
) -> Report:
    for page in PAGES:
        text = (files("visaudio_bench.bench.report_pages") / "site" / page).read_text(encoding="utf-8")
        write_text(out / page, text)
    copy_plotly(out)
    (out / "media").mkdir(exist_ok=True)
    tasks = [task for record in joint.records for task in _tasks(joint, out, record, media)]
    keys, failures = _show_clips(tasks, workers, out) if workers else (_shown_before(tasks), [])
    suites = [record.info for record in joint.records]
    for number, record in enumerate(joint.records):
        clips = [
            {
                "id": task.clip.id,
                "caption": task.clip.caption or "",
                **_place(out, keys.get((task.suite, task.clip.id))),
            }
            for task in tasks
            if task.suite == record.info.name
        ]
        scores = suite_scores(joint.rows, record, clips, joint.failures, joint.seed)
        write_data(out / "data" / f"scores-{number}.js", f"scores-{number}", scores)
    every = dict.fromkeys(metric for record in joint.records for metric in record.metrics)
    contents = [(names[folder], run) for folder, run in joint.runs]
    data = {
        "title": " and ".join(names.values()),
        "version": __version__,
        "suites": [{"name": s.name, "title": s.title, "clips": s.clips, "synthetic": s.synthetic} for s in suites],
        "tables": tables_data([*tables, *beside_published(contents, suites)]),
        "columns": column_meanings(every),
        "manual": manual_pages(every),
        "cards": cards_of(joint.records),
        "runs": [{"name": name, "provenance": run.provenance} for name, run in contents],
        "changes": changes_of([folder for folder, _ in joint.runs], names),
        "unavailable": joint.unavailable,
        "failures": [{name: value for name, value in f._asdict().items() if name != "trace"} for f in joint.failures],
    }
    write_data(out / "data" / "run.js", "run", data)
    if workers:
        _remove_stale(out / "media", {*keys.values()})
    size = sum(path.stat().st_size for path in (out / "media").rglob("*") if path.is_file())
    return Report(out / "index.html", len(keys), size, failures)


def _tasks(joint: JointRuns, out: Path, record: SuiteRecord, media: Mapping[str, Sequence[Clip]]) -> list[ClipTask]:
    """The clips of a suite with their sounds, the reference first and then the systems in the order of the run."""
    suite, folders = record.info.name, joint.folders[record.info.name]
    ordered = sorted((system.name for system in record.systems), key=lambda name: name != REFERENCE)
    records = {name: folders[name][0] / "audio" / suite / joint.called.get(name, name) for name in ordered}
    sounds = {name: made_sounds(folder) for name, folder in records.items() if folder.is_dir()}
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


def _shown_before(tasks: Sequence[ClipTask]) -> dict[tuple[str, str], str]:
    """The folders of clips that are there already and up to date."""
    if not any(KEY.fullmatch(path.name) for task in tasks[:1] for path in task.media.iterdir()):
        return {}
    keys = {(task.suite, task.clip.id): clip_key(task) for task in tasks}
    return {clip: key for clip, key in keys.items() if (tasks[0].media / key / "clip.js").is_file()}


def _show_clips(tasks: Sequence[ClipTask], workers: int, out: Path) -> tuple[dict[tuple[str, str], str], list[Failure]]:
    """The folder of each clip by suite and id, and the clips that have none."""
    keys = _shown_before(tasks)
    failures: list[Failure] = []
    left = [task for task in tasks if (task.suite, task.clip.id) not in keys]  # no worker starts where all are there
    outcomes = map_unordered(show_clip, left, workers)
    for outcome in track(outcomes, len(left), "pages of clips"):
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
