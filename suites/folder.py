"""`folder:DIR`: any folder of videos, sound files, or both, as a suite; and what a folder holds, for all who read one.

A video and a sound file with the same name (but for the suffix) are one clip: the sound file is its reference. A
video alone brings its own sound track as the reference, a sound file alone is a reference without a picture. Clip ids
are the paths below the folder without their suffix, joined by `__`, in Unicode's composed form (NFC): a name that one
machine writes composed and another decomposed is one name. Links are followed. Each clip is as long as its file.

A clip's caption is the text of the `.txt` of its name, or its row in `captions.csv` (columns `clip` and `caption`), as
`bench export` writes it.

A table (`*.csv`) with a column `azimuth_deg` holds direction labels (`suites.direction_labels`): of the clips that its
column `clip` names, else of the clip of its own name.

What is not read is counted: hidden files (`.DS_Store`, `._a.wav`), files of other kinds.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import normalize

from visaudio_bench.errors import ClipError, MissingArgumentError, UsageError
from visaudio_bench.files import digest, read_json
from visaudio_bench.guard import one_clip
from visaudio_bench.names import LONGEST, require_name
from visaudio_bench.sheets import read_sheet, read_text
from visaudio_bench.suites.clip import Clip, Suite
from visaudio_bench.suites.direction_labels import (
    file_labels,
    holds_labels,
    label_remarks,
    labelled_files,
    strangers,
)
from visaudio_bench.suites.media import SOUND_SUFFIXES, VIDEO_SUFFIXES, MediaInfo, probe

MEDIA_SUFFIXES = SOUND_SUFFIXES | VIDEO_SUFFIXES
CAPTIONS = "captions.csv"
LISTS = frozenset({"failures.jsonl", "tracebacks.txt"})  # of `bench generate`, beside its sounds
READ = f"files are read that end in {', '.join(sorted(SOUND_SUFFIXES))} or {', '.join(sorted(VIDEO_SUFFIXES))}"


@dataclass(frozen=True)
class Contents:
    """What a folder holds.

    Attributes:
        folder: the folder.
        sounds: sound files by clip id, sorted by path.
        videos: video files by clip id, sorted by path.
        unread: everything else, but for the records that `bench` leaves beside its sounds.
    """

    folder: Path
    sounds: Mapping[str, Path]
    videos: Mapping[str, Path]
    unread: tuple[Path, ...]

    @cached_property
    def heard(self) -> dict[str, Path]:
        """The file to listen to, by clip id: the sound file where there is one, else the video."""
        return dict(sorted({**self.videos, **self.sounds}.items(), key=lambda item: item[1]))

    def require(self, what: str, files: Mapping[str, Path]) -> None:
        """Refuse a folder without the files that are wanted of it.

        Raises:
            UsageError: there are none of `what`; with what there is.
        """
        if not files:
            unread = "".join(f" ({words})" for words in unread_words(self.unread))
            raise UsageError(f"{self.folder} holds no {what}{unread}; {READ}.")

    def namesakes(self, clip: str) -> list[Path]:
        """The files of a clip's name that are not read, hidden ones (`._a.wav`) included."""
        return self._unread_by_clip.get(clip, [])

    @cached_property
    def _unread_by_clip(self) -> dict[str, list[Path]]:
        by_clip: dict[str, list[Path]] = {}
        for path in self.unread:
            by_clip.setdefault(_plain(clip_id(path, self.folder)), []).append(path)
        return by_clip

    def told(self) -> list[str]:
        """What to say of the folder to somebody who listens to its files, a line each; nothing if all is read."""
        both = len(self.sounds.keys() & self.videos.keys())
        preferred = f"{_count(both, 'clip')} with a sound file and a video: the sound file is taken"
        return [*unread_words(self.unread), *([preferred] if both else [])]

    def told_of(self, clip: str) -> str:
        """` The folder holds a.xyz, which is not read` where there is a file of a clip's name, else nothing."""
        names = " and ".join(str(path.relative_to(self.folder)) for path in self.namesakes(clip))
        return f" The folder holds {names}, which is not read: {READ}." if names else ""


def _plain(name: str) -> str:
    """A name without the mark that hides it, the last part of a path alone."""
    parts = name.split("__")
    return "__".join([*parts[:-1], parts[-1].removeprefix("._").removeprefix(".")])


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def unread_words(paths: Iterable[Path]) -> tuple[str, ...]:
    """`not read: 2 hidden files, 3 .txt`, the most frequent first; nothing where there are none."""
    kinds = Counter(_kind(path) for path in paths).most_common()
    told = [f"{number:,} {kind}" if kind.startswith(".") else _count(number, kind) for kind, number in kinds]
    return (f"not read: {', '.join(told)}",) if told else ()


def _kind(path: Path) -> str:
    what = "folder" if path.is_dir() else "file"
    if path.name.startswith("."):
        return f"hidden {what}"
    if what == "folder":
        return "already read folder"
    return path.suffix.lower() or "file without a suffix"


def clip_id(path: Path, folder: Path) -> str:
    """Name the clip that a file belongs to.

    Args:
        path: the file.
        folder: above it, whose clips are named.

    Returns:
        The id, in NFC.
    """
    return normalize("NFC", "__".join(path.relative_to(folder).with_suffix("").parts))


def walked(folder: Path) -> list[Path]:
    """Every file below a folder and behind links to folders, sorted.

    Among them is what is not looked into: hidden folders, and links to folders that are read already.

    Raises:
        UsageError: a folder cannot be listed.
    """
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    linked: deque[Path] = deque()  # after all that is really here, which is read under its own name
    waiting: deque[Path] = deque([folder])
    while waiting or linked:
        here = waiting.popleft() if waiting else linked.popleft()
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:
            files.append(here)
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            entries = list(os.scandir(here))
        except OSError as error:
            raise UsageError(f"{here} cannot be listed: {error.strerror}.") from error
        for entry in entries:
            path = here / entry.name
            if entry.name.startswith(".") or not _is_folder(entry):
                files.append(path)
            elif entry.is_symlink():
                linked.append(path)
            else:
                waiting.append(path)
    return sorted(files)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: like one that leads nowhere, reading it says so
        return False


def media_paths(folder: Path, suffixes: frozenset[str] = MEDIA_SUFFIXES) -> tuple[list[Path], list[Path]]:
    """Sort the files below a folder by whether they are media.

    A link to a file that is not there counts as the file: reading it says what is wrong.

    Args:
        folder: searched with its subfolders.
        suffixes: of media, in lower case with their dots.

    Returns:
        The files that have one of the suffixes, sorted, and all others.

    Raises:
        UsageError: a folder cannot be listed.
    """
    wanted: list[Path] = []
    others: list[Path] = []
    for path in walked(folder):
        media = path.suffix.lower() in suffixes and not path.name.startswith(".") and not path.is_dir()
        (wanted if media else others).append(path)
    return wanted, others


def look_into(folder: Path) -> Contents:
    """What a folder holds.

    Raises:
        UsageError: two files of a kind have the same id, a name cannot be used, or a folder cannot be listed.
    """
    paths, others = media_paths(folder)
    sounds = _by_id(folder, (path for path in paths if path.suffix.lower() in SOUND_SUFFIXES))
    videos = _by_id(folder, (path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES))
    unread = (path for path in others if not _is_record(path))
    return Contents(folder, sounds, videos, tuple(unread))


def _by_id(folder: Path, paths: Iterable[Path]) -> dict[str, Path]:
    by_id: dict[str, Path] = {}
    for path in paths:
        name = clip_id(path, folder)
        require_id(name, path)
        if name in by_id:
            raise UsageError(_collision(by_id[name], path, name))
        by_id[name] = path
    return by_id


def _collision(first: Path, second: Path, name: str) -> str:
    if first != second and normalize("NFC", str(first)) == normalize("NFC", str(second)):
        return (
            f"two files in {first.parent} have names that differ in their Unicode form only: {first.name!a} and "
            f"{second.name!a}. Both belong to the clip {name}. Keep one of them, or rename one."
        )
    return f"{first} and {second} belong to the same clip, {name}. Keep one of them, or move one away."


def require_id(name: str, path: Path) -> None:
    """Refuse an id that no file can be named by.

    Args:
        name: the id.
        path: what it comes from, for the message.

    Raises:
        UsageError: it is too long, no text, or holds what no name may (see `visaudio_bench.names`).
    """
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the name of {str(path)!a} is not in UTF-8, as names written by an older system may be. Rename it."
        ) from error
    if length > LONGEST:
        raise UsageError(
            f"{path} makes a clip id of {length} bytes; {LONGEST} are the most that can name a file. Shorten it."
        )
    require_name(f"the clip of {str(path)!a}", name, "Rename the file.")


def _is_record(path: Path) -> bool:
    """Whether a file is what `bench` leaves beside sounds that it made: its lists, or a record, by what is in it."""
    if path.name in LISTS:
        return True
    if path.suffix != ".json" or path.name.startswith("."):
        return False
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and {"key", "system", "clip", "file", "fingerprint"} <= record.keys()


class FolderSuite(Suite):
    """The media files of a folder as clips.

    `sounds` and `videos` map clip ids to files. A clip's reference is its file in `sounds`, or else, with
    `own_sound`, the sound track of its video. `names` are the clip ids where not just those with a file count.
    `labels` maps clip ids to files of direction labels. `duration` in seconds cuts every clip; without it each is as
    long as its file. `told` are the lines of the plan that say what of the folders is not read.
    """

    split = "all"

    def __init__(
        self,
        name: str,
        sounds: Mapping[str, Path],
        videos: Mapping[str, Path],
        *,
        names: tuple[str, ...] | None = None,
        own_sound: bool = True,
        duration: float | None = None,
        labels: Mapping[str, Path] | None = None,
        told: tuple[str, ...] = (),
        captions: Mapping[str, str] | None = None,
    ):
        self.name = name
        self.names = sorted({*sounds, *videos} if names is None else names)
        self.title = f"files of {name}"
        self.sounds = sounds
        self.videos = videos
        self.own_sound = own_sound
        self.duration = duration
        self.labels = labels or {}
        self.told = (*told, *strangers(self.labels, self.names))
        self._clips: dict[str, Clip] = {}
        self.captions = captions or {}
        self.captioned = bool(self.captions)

    def clips(self) -> tuple[Clip, ...]:
        """One clip a name, in the order of the names."""
        return tuple(self._clip(name) for name in self.names)

    def clip_ids(self) -> tuple[str, ...]:
        """The names; no file is opened."""
        return tuple(self.names)

    def has_references(self, ids: Collection[str]) -> bool:
        """As `Suite.has_references`; no more files are opened than it takes to find one."""
        if self.sounds.keys() & ids:
            return True
        return self.own_sound and any(self._clip(name).audio is not None for name in self.names if name in ids)

    def has_labels(self, ids: Collection[str]) -> bool:
        """As `Suite.has_labels`; no file is opened."""
        return bool(self.labels.keys() & ids)

    def _clip(self, name: str) -> Clip:
        if name not in self._clips:
            self._clips[name] = self._opened(name)
        return self._clips[name]

    def _opened(self, name: str) -> Clip:
        video, sound = self.videos.get(name), self.sounds.get(name)
        video_info, sound_info = probed(video), probed(sound)
        if self.own_sound and video_info.sound and not video_info.picture:  # a .webm or .mp4 may hold sound alone
            video, sound, video_info, sound_info = None, sound or video, sound_info, sound_info if sound else video_info
        audio = sound if sound or not self.own_sound or not video_info.sound else video
        lengths = [sound_info.sound if sound else video_info.sound if audio else None, video_info.picture]
        known = [length for length in lengths if length]
        # A file that cannot be probed stays in the suite: reading it says what is wrong, for that clip alone.
        return Clip(
            name,
            video,
            audio,
            duration=self.duration or (min(known) if known else None),
            caption=self.captions.get(name),
            labels=self.labels.get(name),
        )

    def remarks(self) -> tuple[str, ...]:
        """What is odd about the direction labels of its clips."""
        return label_remarks(self.clips()) if self.has_labels(self.names) else ()

    def manifest(self) -> list[dict[str, Any]]:
        """Ids, windows, the size of each file, and the direction labels where there are some."""
        sizes = {
            clip.id: [path.stat().st_size for path in (clip.video, clip.audio) if path is not None and path.exists()]
            for clip in self.clips()
        }
        labels = {name: {"labels": digest(file_labels(path, name))} for name, path in self.labels.items()}
        return [{**row, "bytes": sizes[row["id"]], **labels.get(row["id"], {})} for row in super().manifest()]


def probed(path: Path | None) -> MediaInfo:
    """How long sound and picture of a file are; None of both where there is no file, or it cannot be opened."""
    if path is None:
        return MediaInfo(None, None)
    try:
        with one_clip():
            return probe(path)
    except ClipError:
        return MediaInfo(None, None)


def open_folder(argument: str | None) -> FolderSuite:
    """The suite behind `folder:DIR`.

    Raises:
        UsageError: no folder given, or it is not there or holds no media.
    """
    if argument is None:
        raise MissingArgumentError(
            'suite "folder" needs a folder. Write: --suite folder:DIR',
            summary="the videos and sound files of a folder",
            needs="folder:DIR",
        )
    folder = Path(argument)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; --suite folder:DIR expects one with videos or sound files.")
    contents = look_into(folder)
    contents.require("media file", contents.heard)
    captions, read = _captions(contents)
    others = [path for path in contents.unread if path not in read]
    tables = [path for path in others if path.suffix.lower() == ".csv" and holds_labels(path)]
    return FolderSuite(
        folder.resolve().name,
        contents.sounds,
        contents.videos,
        labels=labelled_files({path: clip_id(path, folder) for path in tables}),
        told=unread_words(path for path in others if path not in tables),
        captions=captions,
    )


def _captions(contents: Contents) -> tuple[dict[str, str], set[Path]]:
    """Captions by clip, and the files that they are from.

    Raises:
        UsageError: the table has no column `clip` or `caption`, or one of the files is no text.
    """
    captions: dict[str, str] = {}
    read: set[Path] = set()
    clips = contents.sounds.keys() | contents.videos.keys()
    table = contents.folder / CAPTIONS
    if table in contents.unread:
        sheet = read_sheet(table, known=("clip", "caption"))
        lacking = [name for name in ("clip", "caption") if name not in sheet.header]
        if lacking:
            raise UsageError(f"{table} has no column {lacking[0]}; expected clip,caption.")
        rows = zip(sheet.column("clip"), sheet.column("caption"), strict=True)
        captions |= {normalize("NFC", clip): caption for clip, caption in rows if caption}
        read.add(table)
    for path in contents.unread:
        name = clip_id(path, contents.folder)
        if path.suffix.lower() == ".txt" and name in clips and not path.name.startswith("."):
            text, _ = read_text(path)
            captions[name] = " ".join(text.split())
            read.add(path)
    return {clip: caption for clip, caption in captions.items() if clip in clips and caption}, read
