"""`folder:DIR`: any folder of videos, sound files, or both, as a suite.

A video and a sound file with the same name (but for the suffix) are one clip: the sound file is its reference. A
video alone brings its own sound track as the reference, a sound file alone is a reference without a picture. Clip ids
are the paths below the folder without their suffix, joined by `__`. Each clip is as long as its file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.guard import one_clip
from visaudio_bench.suites.clip import Clip, Suite
from visaudio_bench.suites.media import SOUND_SUFFIXES, VIDEO_SUFFIXES, MediaInfo, probe

MEDIA_SUFFIXES = SOUND_SUFFIXES | VIDEO_SUFFIXES


def media_files(folder: Path, suffixes: frozenset[str] = MEDIA_SUFFIXES) -> dict[str, Path]:
    """Media files below `folder` by clip id, sorted; hidden files are left out.

    Raises:
        UsageError: two files have the same id.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.suffix.lower() not in suffixes or not path.is_file() or any(p.startswith(".") for p in relative.parts):
            continue
        name = "__".join(relative.with_suffix("").parts)
        if name in found:
            raise UsageError(
                f"{found[name]} and {path} belong to the same clip, {name}. Keep one of them, or move one away."
            )
        found[name] = path
    return found


class FolderSuite(Suite):
    """The media files of a folder as clips.

    `sounds` and `videos` map clip ids to files. A clip's reference is its file in `sounds`, or else, with
    `own_sound`, the sound track of its video. `names` are the clip ids where not just those with a file count.
    `duration` in seconds cuts every clip; without it each is as long as its file.
    """

    split = "all"

    def __init__(
        self,
        name: str,
        sounds: dict[str, Path],
        videos: dict[str, Path],
        *,
        names: tuple[str, ...] | None = None,
        own_sound: bool = True,
        duration: float | None = None,
    ):
        self.name = name
        self.names = sorted({*sounds, *videos} if names is None else names)
        self.title = f"files of {name}"
        self.sounds = sounds
        self.videos = videos
        self.own_sound = own_sound
        self.duration = duration
        self._clips: tuple[Clip, ...] | None = None

    def clips(self) -> tuple[Clip, ...]:
        """One clip a name, in the order of the names."""
        if self._clips is None:
            self._clips = tuple(self._clip(name) for name in self.names)
        return self._clips

    def _clip(self, name: str) -> Clip:
        video, sound = self.videos.get(name), self.sounds.get(name)
        shown, heard = _probe(video), _probe(sound)
        audio = sound if sound or not self.own_sound or not shown.sound else video
        lengths = [heard.sound if sound else shown.sound if audio else None, shown.picture]
        known = [length for length in lengths if length]
        # A file that cannot be probed stays in the suite: reading it says what is wrong, for that clip alone.
        return Clip(name, video, audio, duration=self.duration or (min(known) if known else None))

    def manifest(self) -> list[dict[str, Any]]:
        """Ids, windows, and the size of each file."""
        sizes = {
            clip.id: [path.stat().st_size for path in (clip.video, clip.audio) if path is not None and path.exists()]
            for clip in self.clips()
        }
        return [{**row, "bytes": sizes[row["id"]]} for row in super().manifest()]


def _probe(path: Path | None) -> MediaInfo:
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
        raise UsageError('suite "folder" needs a folder. Write: --suite folder:DIR')
    folder = Path(argument)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; --suite folder:DIR expects one with videos or sound files.")
    sounds, videos = media_files(folder, SOUND_SUFFIXES), media_files(folder, VIDEO_SUFFIXES)
    if not sounds and not videos:
        known = ", ".join(sorted(MEDIA_SUFFIXES))
        raise UsageError(f"{folder} holds no media file. Expected files ending in {known}.")
    return FolderSuite(folder.resolve().name, sounds, videos)
