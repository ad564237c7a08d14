"""Which files the clips of a run are: `media.json`, so that its videos and references are found again for a report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from visaudio_bench.bench.evaluation.plan import Job
from visaudio_bench.errors import UsageError
from visaudio_bench.files import write_json
from visaudio_bench.suites import Clip


def write_media(run: Path, jobs: Iterable[Job]) -> None:
    """Write `media.json`: for each suite its clips, with absolute paths.

    Args:
        run: run folder.
        jobs: its suites.
    """
    write_json(run / "media.json", {job.suite.name: [_entry(clip) for clip in job.clips] for job in jobs})


def _entry(clip: Clip) -> dict[str, Any]:
    files = {"video": clip.video, "audio": clip.audio, "truth": clip.meta.get("truth")}
    return {
        "id": clip.id,
        **{name: None if path is None else str(Path(path).absolute()) for name, path in files.items()},
        "start": clip.start,
        "duration": clip.duration,
        "caption": clip.caption,
    }


def read_media(run: Path) -> dict[str, list[Clip]]:
    """The clips of each suite of a run; `meta["truth"]` names the true trajectories of a simulated one.

    Raises:
        UsageError: there is no `media.json`, or it is not one.
    """
    path = run / "media.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {suite: [_clip(entry) for entry in clips] for suite, clips in told.items()}
    except FileNotFoundError:
        raise UsageError(
            f"{path} is not there: it says which videos and sounds the clips are, and this run was made by a version "
            "that did not write it. The same bench run command writes it, and makes again what its new code makes "
            "otherwise."
        ) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is not a list of clips: {error!r}.") from error


def _clip(entry: Mapping[str, Any]) -> Clip:
    video, audio, truth = (None if entry[name] is None else Path(entry[name]) for name in ("video", "audio", "truth"))
    meta = {} if truth is None else {"truth": truth}
    return Clip(entry["id"], video, audio, entry["start"], entry["duration"], entry["caption"], meta)
