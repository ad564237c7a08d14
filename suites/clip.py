"""`Clip` and `Suite`: the unit of evaluation, and an ordered set of clips with what must be known about them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visaudio_bench.files import digest


@dataclass(frozen=True)
class Clip:
    """One window of one video, with the reference sound where there is one.

    `id` is unique within a suite and safe as a file name. `video` and `audio` may be the same file. `start` (seconds
    from the file's own start) and `duration` (seconds) cut the window; a duration of None is the whole file.
    `labels` is the file that says where its sources are (`suites.direction_labels`), None where nobody knows.
    `meta` holds what only some suites know (for simulated scenes the true trajectories).
    """

    id: str
    video: Path | None
    audio: Path | None
    start: float = 0.0
    duration: float | None = 8.0
    caption: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False)
    labels: Path | None = None


class Suite(ABC):
    """An ordered set of clips that systems are evaluated on.

    A suite whose files are made or translated on first use lists what is still to be made in `pending` and makes it
    in `prepare`; `clips` may be called before that and names the files that will exist.

    Attributes:
        name: short name, safe as a folder name.
        title: what a table's heading says.
        split: which part of the data set this is.
        sample_rate: Hz, of the references as they are scored.
        duration: seconds a clip, None where each clip has its own.
        licence: of the data.
        captioned: whether clips carry captions.
        synthetic: scenes are simulated: numbers never compare with published ones.
    """

    name: str
    title: str
    split: str = "test"
    sample_rate: int = 44100
    duration: float | None = 8.0
    licence: str = "unknown"
    captioned: bool = False
    synthetic: bool = False

    @abstractmethod
    def clips(self) -> tuple[Clip, ...]:
        """Every clip, in the suite's own order, which never depends on the machine."""

    def clip_ids(self) -> tuple[str, ...]:
        """The ids of `clips`, in their order; a suite that must open files to tell more knows them before."""
        return tuple(clip.id for clip in self.clips())

    def has_references(self, ids: Collection[str]) -> bool:
        """Whether any of these clips has a reference sound."""
        return any(clip.audio is not None for clip in self.clips() if clip.id in ids)

    def has_labels(self, ids: Collection[str]) -> bool:
        """Whether any of these clips has direction labels."""
        return any(clip.labels is not None for clip in self.clips() if clip.id in ids)

    def pending(self) -> tuple[str, ...]:
        """Ids of the clips whose files must still be made by `prepare`."""
        return ()

    def prepare(self, workers: int = 1) -> Iterator[str]:
        """Make what is pending, yielding the id of each clip as its files are complete; safe to kill and repeat.

        Raises:
            ClipsError: some could not be made; all others are.
        """
        del workers
        yield from ()

    def remedy(self) -> str:
        """What to do where a file of the suite cannot be read, in a sentence; empty where it is its owner's matter."""
        return ""

    def remarks(self) -> tuple[str, ...]:
        """What a reader of the suite's tables must know of its clips, a sentence each."""
        return ()

    def manifest(self) -> list[dict[str, Any]]:
        """What identifies the suite: one JSON-able row a clip. Machine-independent (no absolute paths)."""
        return [
            {"id": clip.id, "start": clip.start, "duration": clip.duration, "caption": clip.caption}
            for clip in self.clips()
        ]

    def manifest_hash(self) -> str:
        """SHA-256 of the manifest: two runs with the same hash were given the same clips."""
        return digest(self.manifest())
