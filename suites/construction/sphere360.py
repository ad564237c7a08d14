"""Sphere360 as users have it on disk, and its split without the leak.

Clips are called `<video id>_<second at which they start>`, and are webm files with four sound channels, or a video
with a sound file of the same name beside it. The lists `train.txt` and `test.txt` come with Sphere360's tools
(`dataset/split`). 63 videos occur in both of them: 1,697 of the 3,063 test clips have sisters from the same video
among the training clips. As BiAudio is split by video, those 719 training clips are left out here.

Source: OmniAudio (Sphere360), https://github.com/liuhuadai/OmniAudio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from visaudio_bench.errors import UsageError
from visaudio_bench.sheets import read_names
from visaudio_bench.spelling import refuse_misspelt
from visaudio_bench.suites.biaudio import source_video
from visaudio_bench.suites.datasets import Reject
from visaudio_bench.suites.folder import media_paths, require_id, unread_words
from visaudio_bench.suites.media import SOUND_SUFFIXES, VIDEO_SUFFIXES

LICENCE = "videos belong to their uploaders; research use only, not to be redistributed"
SYNTHETIC_LICENCE = "Apache-2.0 (rendered by this project)"
TWIN = "twin.json"  # in a folder that this project has rendered
OURS = {TWIN, "train.txt", "test.txt", "captions.csv"}  # what may lie among the clips and is read


@dataclass(frozen=True)
class Panorama:
    """A 360-degree clip on disk: `video` and `audio` may be the same file; `group` is the source video."""

    id: str
    split: str
    group: str
    video: Path
    audio: Path


class FoundPanoramas(NamedTuple):
    """What a folder holds: clips to build, clips left out, and how many listed clips are not there.

    `synthetic` says that the folder is a twin of a simulated suite; `unread` tells of files of other kinds.
    """

    panoramas: tuple[Panorama, ...]
    rejects: tuple[Reject, ...]
    absent: int
    synthetic: bool
    unread: tuple[str, ...]

    @property
    def licence(self) -> str:
        """The licence of the clips."""
        return SYNTHETIC_LICENCE if self.synthetic else LICENCE


def find_panoramas(folder: Path, lists: Path | None = None) -> FoundPanoramas:
    """Find every clip below a folder that the lists name.

    Args:
        folder: searched with its subfolders.
        lists: the folder of `train.txt` and `test.txt`; by default looked for below `folder`.

    Returns:
        The clips in the order of their ids, and what was left out.

    Raises:
        UsageError: no folder, no clips, no lists, or two files of one name.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; --from expects the one that holds Sphere360's clips.")
    splits = read_splits(lists or _lists_below(folder))
    paths, others = media_paths(folder)
    videos, sounds = _by_stem(paths, VIDEO_SUFFIXES), _by_stem(paths, SOUND_SUFFIXES)
    if not videos:
        known = ", ".join(sorted(VIDEO_SUFFIXES))
        raise UsageError(f"{folder} holds no 360-degree video. Expected files <video id>_<start> ending in {known}.")
    refuse_misspelt(
        dict.fromkeys(splits.keys() - videos.keys(), f"{lists or folder}"),
        videos.keys() - splits.keys(),
        "there is a video called",
    )
    tested = {source_video(clip) for clip, split in splits.items() if split == "test"}
    panoramas, rejects = [], []
    for clip, video in sorted(videos.items()):
        split, group = splits.get(clip), source_video(clip)
        if split is None:
            rejects.append(Reject(clip, "unlisted", f"{clip} is neither in train.txt nor in test.txt."))
        elif split == "train" and group in tested:
            rejects.append(
                Reject(clip, "leak", f"{clip} is a training clip of the video {group}, which test.txt has too.")
            )
        else:
            panoramas.append(Panorama(clip, split, group, video, sounds.get(clip, video)))
    unread = unread_words(path for path in others if path.name not in OURS)
    absent = len(splits.keys() - videos.keys())
    return FoundPanoramas(tuple(panoramas), tuple(rejects), absent, (folder / TWIN).is_file(), unread)


def read_splits(folder: Path) -> dict[str, str]:
    """`train` or `test` for each listed clip; one that both lists name is a test clip.

    Raises:
        UsageError: a list is missing.
    """
    splits: dict[str, str] = {}
    for split in ("train", "test"):
        path = folder / f"{split}.txt"
        if not path.is_file():
            raise UsageError(
                f"{path} does not exist. Sphere360's lists train.txt and test.txt are in dataset/split of its "
                "repository; say where they are: --lists DIR"
            )
        splits |= dict.fromkeys((name for _, name in read_names(path)[0]), split)
    return splits


def _lists_below(folder: Path) -> Path:
    return min((path.parent for path in folder.rglob("test.txt")), default=folder)


def _by_stem(paths: Sequence[Path], suffixes: frozenset[str]) -> dict[str, Path]:
    """Files by name without suffix, in whatever subfolder.

    Raises:
        UsageError: two files have the same name, or a name cannot be used.
    """
    by_stem: dict[str, Path] = {}
    for path in paths:
        if path.suffix.lower() not in suffixes:
            continue
        require_id(path.stem, path)
        if by_stem.setdefault(path.stem, path) != path:
            raise UsageError(
                f"{by_stem[path.stem]} and {path} have the name of the same clip. Keep one of them, or move one away."
            )
    return by_stem
