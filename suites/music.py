"""MUSIC-21: videos of solos and duets from YouTube, cut into 8 s windows (Zhao et al., ICCV 2019; ViSAudio, 5.1).

Only lists of video ids are published, many of them dead by now, and no split: the counts of the paper (17,825 and
1,857 clips) cannot be met exactly, so that every table prints its own. The test videos here are the ids of
`assets/music_test.csv`, drawn once from the official lists by class (`scripts/make_music_split.py`): a video is on
the same side on every machine, whatever else is there.

Windows follow one another from the video's start; what is left at its end is dropped, and so is a window whose ears
hear the same (D <= 0.01): half of the videos are mono. Captions are the instruments of the file's or folder's name.
"""

from __future__ import annotations

import csv
import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from visaudio_bench.suites.admission import AdmissionRules
from visaudio_bench.suites.datasets import Candidate, Dataset, FoundData, Options, Reject
from visaudio_bench.suites.folder import media_paths, unread_words
from visaudio_bench.suites.manifest import Entry
from visaudio_bench.suites.media import SOUND_SUFFIXES, VIDEO_SUFFIXES

INSTRUMENTS = (
    "accordion", "acoustic_guitar", "bagpipe", "banjo", "bassoon", "cello", "clarinet", "congas", "drum",
    "electric_bass", "erhu", "flute", "guzheng", "piano", "pipa", "saxophone", "trumpet", "tuba", "ukulele",
    "violin", "xylophone",
)  # fmt: skip
_SIZES = {"solo": 1, "duet": 2, "trio": 3}
_GROUP = re.compile(rf"({'|'.join(_SIZES)})_")
# An id may begin with "-" or "_" and hold both; the offset of a piece may follow it.
_ID = re.compile(r"(?P<id>[A-Za-z0-9_-]{11})(_(?P<offset>\d+(\.\d+)?))?")
_INSTRUMENT = re.compile(f"({'|'.join(sorted(INSTRUMENTS, key=len, reverse=True))})_")


class Name(NamedTuple):
    """What a file's name tells: instruments, the video's id, and the id with the offset of the piece."""

    instruments: tuple[str, ...]
    video: str
    piece: str


def parse_name(name: str) -> Name | None:
    """What `solo_<instrument>_<id>` or `duet_<a>_<b>_<id>` tells, with or without group and offset.

    Instruments are taken from the left by the vocabulary: both they and ids may hold underscores, so that a pattern
    which looks for the id first goes wrong. None where the name is not of this form.
    """
    group = _GROUP.match(name)
    if group is not None:
        return _parse(name[group.end() :], _SIZES[group[1]])
    parsed = _parse(name, None)
    return parsed if parsed is not None and parsed.instruments else None


def _parse(rest: str, count: int | None) -> Name | None:
    """`count` instruments (any number where it is None, as many as can be), then an id."""
    instrument = _INSTRUMENT.match(rest)
    if instrument is not None and count != 0:
        deeper = _parse(rest[instrument.end() :], None if count is None else count - 1)
        if deeper is not None:
            return deeper._replace(instruments=(instrument[1], *deeper.instruments))
    match = _ID.fullmatch(rest)
    return Name((), match["id"], rest) if match is not None and not count else None


def parse_folder(folder: str, stem: str) -> Name | None:
    """Read what `<instrument>/<id>` or `<a> <b>/<id>` tells.

    Args:
        folder: name of the folder.
        stem: name of the file, without its suffix.

    Returns:
        Instruments and id; None where the names are not of this form.
    """
    names, match = tuple(folder.split()), _ID.fullmatch(stem)
    if match is None or not names or not all(name in INSTRUMENTS for name in names):
        return None
    return Name(names, match["id"], stem)


def caption_of(instruments: tuple[str, ...]) -> str:
    """`acoustic guitar, violin`."""
    return ", ".join(name.replace("_", " ") for name in instruments)


@lru_cache
def test_videos() -> frozenset[str]:
    """Ids of the videos that the test clips are cut from."""
    text = (files("visaudio_bench.suites") / "assets" / "music_test.csv").read_text(encoding="utf-8")
    return frozenset(row["id"] for row in csv.DictReader(text.splitlines()))


def find(folder: Path, options: Options) -> FoundData:
    """Find the videos below a folder, each with its sound: its own track, or a sound file of the same name beside it.

    Args:
        folder: the user's.
        options: what was chosen when preparing; nothing of it counts here.

    Returns:
        What the folder holds; nothing is decoded.

    Raises:
        UsageError: there are no videos.
    """
    del options
    paths, others = media_paths(folder)
    videos = [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]
    sounds: dict[Path, list[Path]] = {}
    for path in paths:
        if path.suffix.lower() in SOUND_SUFFIXES:
            sounds.setdefault(path.with_suffix(""), []).append(path)
    if not videos:
        raise MUSIC.refuse(folder, "holds no video")
    candidates: list[Candidate] = []
    rejects: list[Reject] = []
    seen: dict[str, str] = {}
    for video in videos:
        relative = video.relative_to(folder).as_posix()
        parsed = parse_name(video.stem) or parse_folder(video.parent.name, video.stem)
        if parsed is None:
            told = f"the name {relative} tells no instrument and video id. Expected: {' or '.join(MUSIC.layouts)}"
            rejects.append(Reject(video.stem, "unknown_name", told))
            continue
        if parsed.piece in seen:
            told = f"{relative} is the same video as {seen[parsed.piece]}."
            rejects.append(Reject(video.stem, "duplicate", told))
            continue
        beside = sounds.get(video.with_suffix(""), [])
        if len(beside) > 1:
            told = f"{relative} has two sound files beside it, {beside[0].name} and {beside[1].name}. Keep one of them."
            rejects.append(Reject(video.stem, "duplicate", told))
            continue
        seen[parsed.piece] = relative
        candidates.append(Candidate(_entry(folder, video, beside[0] if beside else video, parsed), hops=True))
    here = {candidate.entry.group_id for candidate in candidates} & test_videos()
    notes = (f"{len(here)} of {len(test_videos())} test videos", *unread_words(others))
    return FoundData(folder, tuple(candidates), tuple(rejects), notes)


def _entry(folder: Path, video: Path, sound: Path, name: Name) -> Entry:
    return Entry(
        clip_id=name.piece,
        split="test" if name.video in test_videos() else "train",
        group_id=name.video,
        video=video.relative_to(folder).as_posix(),
        audio=sound.relative_to(folder).as_posix(),
        caption=caption_of(name.instruments),
        meta={"instruments": list(name.instruments)},
    )


MUSIC = Dataset(
    name="music",
    title="MUSIC-21",
    find=find,
    licence="none stated for the lists; the videos belong to those who uploaded them",
    home="the lists of video ids in the MUSIC_dataset repository of roudimit on GitHub (about 80 h of YouTube videos)",
    layouts=(
        "solo_<instrument>_<id>.mp4 and duet_<a>_<b>_<id>.mp4",
        "solo/<instrument>/<id>.mp4 and duet/<a> <b>/<id>.mp4",
        "10 s pieces with a _<offset> after the id, at 32 kHz or more",
    ),
    published={"train": 17825, "test": 1857},
    captioned=True,
    rules=AdmissionRules(drop_equal=True),
)
