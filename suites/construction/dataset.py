"""A data set from a folder of panoramas: what is to be made, making it, and the manifest of what was made.

    OUT/
      build.json                the recipe; a folder is only ever made by one
      video/<clip>.mp4          512 x 512, silent
      audio/<clip>.flac         binaural, 44.1 kHz, 16 bits
      labels/<clip>.csv         where its sources are, from where the camera looks; where the panorama says it
      clips/<clip>.json         how the clip was made, or why it was not; marks it as done
      manifest.jsonl            the clips (see suites.manifest)
      rejects.jsonl             the others: clip_id, reason, message
      statistics/               the report (see suites.construction.statistics)

Everything is written atomically, so that a build may be killed at any time and goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from zlib import crc32

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import read_json, write_json, write_text
from visaudio_bench.guard import UNEXPECTED
from visaudio_bench.pool import Outcome
from visaudio_bench.shapes import require
from visaudio_bench.suites.construction.build import BuildSettings, build_clip, clip_files, refuse_clip, source_sizes
from visaudio_bench.suites.construction.sphere360 import FoundPanoramas, Panorama
from visaudio_bench.suites.datasets import Reject
from visaudio_bench.suites.manifest import Entry, Manifest, write_manifest
from visaudio_bench.suites.visibility_captions import SoundCaption

# Raised whenever the same source would become another clip.
BUILDER = "2"
# Reasons that may have been the machine's: such clips are tried again by the next run.
AGAIN = UNEXPECTED | {"crashed", "timeout"}

Item = TypeVar("Item")
Value = TypeVar("Value")


class BuildEngine(Protocol):
    """Applies a function to many items, wherever, and says what became of each as it is done.

    As `visaudio_bench.isolation.map_isolated` and `visaudio_bench.pool.map_unordered` do, with their workers filled in.
    The function and the items can be pickled, and items do not depend on each other.
    """

    def __call__(self, function: Callable[[Item], Value], items: Sequence[Item], /) -> Iterator[Outcome[Item, Value]]:
        """Outcomes in any order."""


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of the work, `index` from 1; the parts do not depend on which clips are there."""

    index: int = 1
    count: int = 1

    def holds(self, clip: str) -> bool:
        """Whether a clip belongs to this part."""
        return crc32(clip.encode()) % self.count == self.index - 1


ALL = Shard()


@dataclass(frozen=True)
class Build:
    """The building of one data set.

    Attributes:
        found: what there is to build from.
        folder: where to.
        recipe: how.
        shard: which part of it this process sees to.
    """

    found: FoundPanoramas
    folder: Path
    recipe: BuildSettings
    shard: Shard = ALL

    def begin(self) -> None:
        """Claim the folder for this recipe.

        Raises:
            UsageError: the folder holds something else, or a data set of another recipe.
        """
        claim(self.folder / "build.json", {"builder": BUILDER, **asdict(self.recipe)})

    def pending(self) -> tuple[Panorama, ...]:
        """What this shard still has to make: no record, files gone, the source changed, or the process died."""
        return tuple(
            panorama for panorama in self.found.panoramas if self.shard.holds(panorama.id) and not self._done(panorama)
        )

    def _done(self, panorama: Panorama) -> bool:
        files = clip_files(self.folder, panorama.id)
        record = _record(files.record)
        if record is None or record.get("source") != source_sizes(panorama) or record.get("reason") in AGAIN:
            return False
        wanted = (files.video, files.audio, *([files.labels] if "labels" in record else []))
        return "reason" in record or all(path.is_file() for path in wanted)

    def run(self, engine: BuildEngine) -> Iterator[str]:
        """Make what is pending, yielding the id of each clip as it is made or refused.

        Raises:
            BenchError: something other than a clip's own fault stopped some clips; the others are made, and stay.
        """
        failed: list[str] = []
        todo = self.pending()
        for outcome in engine(partial(build_clip, folder=self.folder, recipe=self.recipe), todo):
            if isinstance(outcome.error, OSError):
                failed.append(f"{outcome.item.id} ({outcome.error})")
                continue
            error = outcome.clip_error()
            if error is not None:  # its process died or hung
                refuse_clip(outcome.item, self.folder, error)
            yield outcome.item.id
        if failed:
            raise BenchError(
                f"{len(failed)} of {len(todo)} clips could not be built into {self.folder}, first: {failed[0]}. "
                "Check free disk space and run the same command again."
            )

    def finish(self, captions: Mapping[str, SoundCaption]) -> BuiltDataset | None:
        """Write the manifest and the list of rejects; None while other shards are still at work."""
        records = []
        for panorama in self.found.panoramas:
            record = _record(clip_files(self.folder, panorama.id).record)
            if record is None:
                return None
            records.append({**record, "split": panorama.split, "group": panorama.group})
        kept = [record for record in records if "reason" not in record]
        refused = [
            Reject(record["id"], record["reason"], record["message"]) for record in records if "reason" in record
        ]
        rejects = sorted((*refused, *self.found.rejects))
        made = BuiltDataset(
            kept, rejects, {record["id"]: captions[record["id"]] for record in kept if record["id"] in captions}
        )
        entries = tuple(_entry(record, made.captions.get(record["id"]), self.found) for record in kept)
        write_manifest(self.folder / "manifest.jsonl", Manifest(self.found.suite, self.folder, entries))
        lines = [json.dumps(reject._asdict(), ensure_ascii=False) for reject in made.rejects]
        write_text(self.folder / "rejects.jsonl", "".join(f"{line}\n" for line in lines))
        return made


def claim(path: Path, settings: Mapping[str, Any]) -> None:
    """Write down with which settings a folder is made, or make sure that it is the same ones.

    Args:
        path: the file that says how its folder is made.
        settings: with which it is to be made now.

    Raises:
        UsageError: the folder was made with other settings, or holds something else.
    """
    folder = path.parent
    if path.is_file():
        try:
            claimed = read_json(path)
            require(claimed, {str: object})
        except ValueError as error:
            raise UsageError(f"{path} does not say how {folder} was made: {error}. Choose another --out.") from error
        other = sorted(name for name in settings.keys() | claimed.keys() if settings.get(name) != claimed.get(name))
        if other:
            said = ", ".join(f"{name} {claimed.get(name)} (now {settings.get(name)})" for name in other)
            raise UsageError(f"{folder} was made with {said}. Ask for the same, or choose another --out.")
    elif folder.exists() and not (folder.is_dir() and all(entry.name.startswith(".") for entry in folder.iterdir())):
        raise UsageError(f"{folder} holds something else. Choose an empty or a new folder for --out.")
    else:
        write_json(path, settings)


class BuiltDataset(NamedTuple):
    """A finished data set: the records of its clips, what was left out, and the captions there are."""

    records: list[dict[str, Any]]
    rejects: list[Reject]
    captions: dict[str, SoundCaption]


_MEASURED = ("fps", "loudest", "trajectory", "gain", "difference", "width")
_MADE = {"id": str, "duration": float, "source_rate": int, **dict.fromkeys(_MEASURED, object)}
_REFUSED = {"id": str, "reason": str, "message": str}


def _record(path: Path) -> dict[str, Any] | None:
    """What was written down of a clip; None where there is nothing or anything else, and the clip is made again."""
    try:
        record: dict[str, Any] = read_json(path)
        require(record, {str: object})
        require(record, _REFUSED if "reason" in record else _MADE)
    except (FileNotFoundError, ValueError):
        return None
    return record


def _entry(record: Mapping[str, Any], caption: SoundCaption | None, source: FoundPanoramas) -> Entry:
    """The manifest's row of a clip."""
    meta = {name: record[name] for name in _MEASURED}
    return Entry(
        clip_id=record["id"],
        split=record["split"],
        group_id=record["group"],
        video=f"video/{record['id']}.mp4",
        audio=f"audio/{record['id']}.flac",
        duration_s=record["duration"],
        caption=caption.plain() if caption else None,
        visible=caption.visible if caption else None,
        invisible=caption.invisible if caption else None,
        source_rate=SAMPLE_RATE,
        channels=2,
        licence=source.licence,
        labels=f"labels/{record['id']}.csv" if "labels" in record else None,
        meta={**meta, "field_rate": record["source_rate"], "synthetic": source.synthetic},
    )
