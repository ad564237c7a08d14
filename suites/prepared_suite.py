"""A prepared data set as a suite: the clips of its manifest, or a named part of them.

`NAME` is the part that the paper evaluates on, `NAME:train` another split, `NAME:split1:test` a part of a splitting
that the data set brings along. A part has a name of its own, so that nothing published for the whole stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from visaudio_bench.errors import UsageError
from visaudio_bench.registry import did_you_mean
from visaudio_bench.suites.clip import Clip, Suite
from visaudio_bench.suites.datasets import DATASETS, Dataset
from visaudio_bench.suites.direction_labels import label_remarks
from visaudio_bench.suites.making import make_each
from visaudio_bench.suites.manifest import Entry, Manifest, identity
from visaudio_bench.suites.mono_pairs import join, joined_folder, joined_path
from visaudio_bench.suites.preparation import prepared_manifest, read_rejects
from visaudio_bench.suites.visibility_captions import SoundCaption


class PreparedSuite(Suite):
    """Clips of a manifest.

    `clip.meta` holds what the manifest knows: `labelled_caption`, `visible`, `invisible` where there are such,
    `group_id`, `split`, and what preparation measured (`difference`, `side_mid`, `flags`).
    """

    def __init__(self, dataset: Dataset, manifest: Manifest, part: str | None):
        self.dataset = dataset
        self.root = manifest.root
        self.split = part or dataset.split
        self.name = f"{dataset.name}-{part.replace(':', '-')}" if part else dataset.name
        self.entries = _select(dataset, manifest.entries, self.split)
        self.title = f"{dataset.title}, {self.split}" if part else dataset.title
        lengths = {entry.duration_s for entry in self.entries}
        self.duration = lengths.pop() if len(lengths) == 1 else None
        self.licence = dataset.licence
        self.captioned = dataset.captioned
        self.synthetic = any(entry.meta.get("synthetic") for entry in self.entries)
        self._manifest = manifest

    def clips(self) -> tuple[Clip, ...]:
        """Every clip of the part, in the order of the manifest."""
        return tuple(self._clip(entry) for entry in self.entries)

    def _clip(self, entry: Entry) -> Clip:
        video, audio = self._manifest.path(entry.video), self._audio(entry)
        meta = {**entry.meta, "split": entry.split, "group_id": entry.group_id}
        if entry.visible is not None:
            caption = SoundCaption(entry.visible, entry.invisible)
            meta |= {"visible": entry.visible, "invisible": entry.invisible, "labelled_caption": caption.labelled()}
        labels = self._manifest.path(entry.labels)
        return Clip(entry.clip_id, video, audio, entry.start_s, entry.duration_s, entry.caption, meta, labels)

    def _audio(self, entry: Entry) -> Path | None:
        audio, right = self._manifest.path(entry.audio), self._manifest.path(entry.meta.get("right"))
        if audio is None or right is None or not (audio.is_file() and right.is_file()):
            return audio
        return joined_path(audio, right, joined_folder())

    def pending(self) -> tuple[str, ...]:
        """Ids of the clips whose two mono files must still be put together."""
        return tuple(
            entry.clip_id
            for entry in self.entries
            if "right" in entry.meta and (path := self._audio(entry)) is not None and not path.is_file()
        )

    def prepare(self, workers: int = 1) -> Iterator[str]:
        """Put together what is pending (as fast as the disk, whatever `workers` is).

        Raises:
            ClipsError: two files cannot be put together; the others are.
            BenchError: files could not be written.
        """
        del workers
        pending = set(self.pending())
        yield from make_each(
            partial(_join, root=self.root, folder=joined_folder()),
            {entry.clip_id: entry for entry in self.entries if entry.clip_id in pending},
            workers=1,
            task=f"clips of {self.name} could not be put together in {joined_folder()}",
        )

    def manifest(self) -> list[dict[str, Any]]:
        """Ids, windows, captions, and what tells the files from others."""
        return identity(self.entries)

    def remarks(self) -> tuple[str, ...]:
        """How many clips there are here and in the paper, what was left out, and what identifies the set."""
        published = self.dataset.published.get(self.split)
        clips = "1 clip" if len(self.entries) == 1 else f"{len(self.entries):,} clips"
        beside = f"; the paper has {published:,}" if published else ""
        left_out = len(read_rejects(self.dataset))
        rejects = f", {left_out:,} left out in preparation (bench data check {self.dataset.name})" if left_out else ""
        known = f"{self.name}: {clips}, manifest {self.manifest_hash()[:16]}{beside}{rejects}"
        return (known, *label_remarks(self.clips()))


def _join(entry: Entry, root: Path, folder: Path) -> None:
    join(root / str(entry.audio), root / str(entry.meta["right"]), folder)


def _select(dataset: Dataset, entries: Iterable[Entry], part: str) -> tuple[Entry, ...]:
    """The rows of a split, or of `splitting:split`.

    Raises:
        UsageError: no row belongs to it.
    """
    parts: dict[str, list[Entry]] = {}
    for entry in entries:
        for name in parts_of(entry):
            parts.setdefault(name, []).append(entry)
    if part not in parts:
        raise UsageError(
            f'{dataset.name} has no part "{part}".{did_you_mean(part, parts)} Known: {", ".join(sorted(parts))}'
        )
    return tuple(parts[part])


def parts_of(entry: Entry) -> list[str]:
    """Every part of its suite that a row belongs to: `test`, `split1:test`."""
    return [entry.split, *(f"{name}:{side}" for name, side in entry.meta.get("splits", {}).items())]


def open_prepared(argument: str | None, *, name: str) -> PreparedSuite:
    """Open a prepared data set, or a part of it.

    Args:
        argument: the part, as `train` or `split1:test`; None for the one that the paper evaluates on.
        name: of the data set.

    Returns:
        The suite of its clips.

    Raises:
        UsageError: its data is not prepared here, or it has no such part.
    """
    dataset = DATASETS.get(name)
    return PreparedSuite(dataset, prepared_manifest(dataset), argument)
