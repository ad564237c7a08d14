"""Which files the clips of a run are: `media.json`, so that its videos and references are found again for a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from visaudio_bench.bench.evaluation.plan import SuiteJob
from visaudio_bench.errors import UsageError
from visaudio_bench.files import is_there, read_json, write_json
from visaudio_bench.names import fault
from visaudio_bench.shapes import require
from visaudio_bench.suites import Clip

NAME = "media.json"
_PATH = (str, None)
_CLIP = {"id": str, "video": _PATH, "audio": _PATH, "labels?": _PATH, "start": float, "duration": (float, None),
         "caption": (str, None)}  # fmt: skip


def write_media(run: Path, jobs: Iterable[SuiteJob], *, keep: bool) -> None:
    """Write `media.json`: for each suite its clips, with absolute paths.

    Args:
        run: run folder.
        jobs: its suites.
        keep: leave the suites of earlier runs into that folder there.
    """
    told = _read(run / NAME) if keep and (run / NAME).is_file() else {}
    write_json(run / NAME, {**told, **{job.suite.name: [_entry(clip) for clip in job.clips] for job in jobs}})


def join_media(folders: Sequence[Path], out: Path) -> None:
    """Write the `media.json` of several runs as one: of each suite as the first run has it whose files are here.

    Args:
        folders: of the runs.
        out: run folder.
    """
    write_json(out / NAME, _joint(folder / NAME for folder in folders if (folder / NAME).is_file()))


def _joint(paths: Iterable[Path]) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        for suite, clips in _read(path).items():
            if suite not in told or not _here(told[suite]):
                told[suite] = clips
    return told


def _here(clips: Sequence[Mapping[str, Any]]) -> bool:
    files = [clip[name] for clip in clips for name in ("video", "audio") if clip[name] is not None]
    return all(is_there(file) and Path(file).is_file() for file in files)


def _entry(clip: Clip) -> dict[str, Any]:
    files = {"video": clip.video, "audio": clip.audio, "labels": clip.labels}
    return {
        "id": clip.id,
        **{name: None if path is None else str(Path(path).absolute()) for name, path in files.items()},
        "start": clip.start,
        "duration": clip.duration,
        "caption": clip.caption,
    }


def read_media(*runs: Path) -> dict[str, list[Clip]]:
    """The clips of each suite of a run, or of several as `join_media` says.

    Raises:
        UsageError: there is no `media.json`, or it is not one.
    """
    for path in (run / NAME for run in runs):
        if not path.is_file():
            raise UsageError(
                f"{path} is not there: it says which videos and sounds the clips are, and this run was made by a "
                "version that did not write it. The same bench run command writes it, and makes again what its new "
                "code makes otherwise."
            )
    told = _joint(run / NAME for run in runs)
    return {suite: [_clip(entry) for entry in clips] for suite, clips in told.items()}


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        told: dict[str, list[dict[str, Any]]] = read_json(path)
        require(told, {str: [_CLIP]})
        for suite, clips in told.items():
            _check_names(suite, clips)
    except ValueError as error:
        raise UsageError(f"{path} is not a list of clips: {error}.") from error
    return told


def _check_names(suite: str, clips: Iterable[Mapping[str, Any]]) -> None:
    """Names can be parts of paths, each clip is there once, and its window is one."""
    seen = set()
    for name in (suite, *(clip["id"] for clip in clips)):
        if why := fault(name):
            raise ValueError(f"the name {name!a} cannot name a file: {why}")
    for clip in clips:
        if clip["id"] in seen:
            raise ValueError(f"the clip {clip['id']!a} of suite {suite!a} is there twice")
        seen.add(clip["id"])
        start, duration = clip["start"], clip["duration"]
        if start < 0 or (duration is not None and duration <= 0):
            raise ValueError(f"the clip {clip['id']!a} of suite {suite!a} has the window {start:g} s + {duration} s")


def _clip(entry: Mapping[str, Any]) -> Clip:
    files = (entry.get(name) for name in ("video", "audio", "labels"))
    video, audio, labels = (None if path is None else Path(path) for path in files)
    return Clip(entry["id"], video, audio, entry["start"], entry["duration"], entry["caption"], labels=labels)
