"""BiAudio and every other data set in the generic layout: two lists, a folder of videos, a folder of sounds.

BiAudio itself is not published (ViSAudio's repository lists data and construction code as to come); this is the
layout that is read when it appears, and that `bench data build biaudio` writes:

    train.csv, test.csv       or .jsonl: clip_id, and caption, or visible and invisible; group_id, start_s if wanted
    captions.csv              or .jsonl: the same columns, where the lists hold ids alone
    video/<clip_id>.mp4       90 degrees field of view, 512 x 512; with or without sound
    audio/<clip_id>.wav       or .flac: binaural; without it the sound of the video
    manifest.jsonl            or .parquet: instead of all lists (columns of `suites.manifest`)

Captions with the labels of training (`Visible sound: A, Invisible sound: B`) are taken apart; systems are given them
without labels. Clips of one source video must lie on one side of the split: a training clip whose video is also in
the test list is left out, whatever the lists say.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

from visaudio_bench.errors import UsageError
from visaudio_bench.suites.datasets import Candidate, Dataset, FoundData, Options, Reject
from visaudio_bench.suites.folder import Contents, look_into, unread_words
from visaudio_bench.suites.manifest import SAFE, Entry, find_manifest, read_lines, read_manifest
from visaudio_bench.suites.visibility_captions import SoundCaption, parse_labelled

SPLITS = ("train", "val", "test")
GENERIC = (
    "train.csv and test.csv (or .jsonl) with clip_id and caption, video/<clip_id>.mp4, audio/<clip_id>.wav or .flac",
    "manifest.jsonl or manifest.parquet",
)
# `<YouTube id>_<second>`; 14 ids of Sphere360 carry a twelfth character that is not part of the video's id.
_PIECE = re.compile(r"(?P<video>[A-Za-z0-9_-]{11})[A-Za-z0-9_-]?_\d+(\.\d+)?")

Row = Mapping[str, Any]


def find_biaudio(folder: Path, options: Options) -> FoundData:
    """BiAudio's clips in the generic layout."""
    return find_generic(BIAUDIO, folder, options)


def find_generic(dataset: Dataset, folder: Path, options: Options) -> FoundData:
    """The clips that a folder's manifest or lists name, with their files.

    Raises:
        UsageError: there is neither manifest nor list, or a list cannot be read.
    """
    manifest = find_manifest(folder)
    if manifest is not None:
        read = read_manifest(manifest)
        return _sorted_out(read.root, [(entry, None) for entry in read.entries])
    lists = {split: path for split in SPLITS if (path := _list(folder, split)) is not None}
    if not lists:
        raise dataset.refuse(folder, "holds neither a manifest nor a list of clips")
    captions = {normalize("NFC", str(row["clip_id"])): row for row in read_rows(_list(folder, "captions"))}
    shown, heard = (_contents(folder / name) for name in ("video", "audio"))
    videos, sounds = _below(folder, shown.videos), _below(folder, heard.sounds)
    found: list[tuple[Entry, Reject | None]] = []
    for split, path in lists.items():
        for row in read_rows(path):
            name = normalize("NFC", str(row["clip_id"]))
            video = videos.get(name)
            texts = {**row, **captions.get(name, {})}
            entry = Entry(
                clip_id=name,
                split=split,
                group_id=str(row.get("group_id") or source_video(name)),
                video=video,
                audio=sounds.get(name, video),
                start_s=float(row.get("start_s") or 0.0),
                duration_s=dataset.duration,
            )
            found.append(_with_caption(entry, texts, options))
    left = (*shown.unread, *shown.sounds.values(), *heard.unread, *heard.videos.values())
    return _sorted_out(folder, found, unread_words(left))


def source_video(clip: str) -> str:
    """The video that a clip was cut from, by the form of its id; an id of another form is a video of its own."""
    match = _PIECE.fullmatch(clip)
    return match["video"] if match else clip


def _with_caption(entry: Entry, texts: Row, options: Options) -> tuple[Entry, Reject | None]:
    """The entry with its texts, labels taken apart, and why it is refused if they make no sense."""
    visible, text = texts.get("visible"), texts.get("caption")
    try:
        caption = SoundCaption(visible, texts.get("invisible") or None) if visible else parse_labelled(text or "")
    except ValueError as error:
        return entry, Reject(entry.clip_id, "bad_caption", f"{error}.")
    if caption is None:
        return replace(entry, caption=text or None), None
    plain = caption.plain(options.caption_join)
    return replace(entry, caption=plain, visible=caption.visible, invisible=caption.invisible), None


def _sorted_out(root: Path, found: list[tuple[Entry, Reject | None]], notes: tuple[str, ...] = ()) -> FoundData:
    """Candidates, and rejects where an id or a text makes no sense, a file is not there or an id comes twice."""
    candidates, rejects = [], []
    seen: set[str] = set()
    for entry, refused in found:
        absent = _absent(root, entry)
        if entry.clip_id in seen:
            rejects.append(Reject(entry.clip_id, "duplicate", "the lists name it twice; the first one counts."))
        elif not SAFE.fullmatch(entry.clip_id):
            rejects.append(Reject(entry.clip_id, "bad_id", "the id cannot name a file."))
        elif refused is not None:
            rejects.append(refused)
        elif absent:
            rejects.append(Reject(entry.clip_id, "not_found", absent))
        else:
            candidates.append(Candidate(entry))
        seen.add(entry.clip_id)
    return FoundData(root, tuple(candidates), tuple(rejects), notes)


def _absent(root: Path, entry: Entry) -> str:
    if entry.video is None or entry.audio is None:
        return f"{root} holds no video/{entry.clip_id}.mp4."
    return next(
        (f"{root / path} does not exist." for path in (entry.video, entry.audio) if not (root / path).is_file()), ""
    )


def _list(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{suffix}" for suffix in (".csv", ".tsv", ".jsonl"))
    return next((path for path in paths if path.is_file()), None)


def read_rows(path: Path | None) -> Iterator[Row]:
    """Rows of a csv, tsv or jsonl file.

    Raises:
        UsageError: it cannot be read, or a row has no clip_id (the column may be called `id`).
    """
    if path is None:
        return
    try:
        if path.suffix == ".jsonl":
            rows: Sequence[Row] = read_lines(path)
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    for number, row in enumerate(rows, 1):
        name = row.get("clip_id") or row.get("id")
        if not name:
            raise UsageError(f"{path}, row {number} has no clip_id. Expected columns: clip_id, caption.")
        yield {**row, "clip_id": name}


def _contents(folder: Path) -> Contents:
    return look_into(folder) if folder.is_dir() else Contents(folder, {}, {}, ())


def _below(root: Path, files: Mapping[str, Path]) -> dict[str, str]:
    """Files by clip id, as paths below the root."""
    return {name: path.relative_to(root).as_posix() for name, path in files.items()}


BIAUDIO = Dataset(
    name="biaudio",
    title="BiAudio",
    find=find_biaudio,
    licence="not stated yet; the videos belong to those who uploaded them",
    home="the ViSAudio project, once it is published",
    layouts=GENERIC,
    published={"train": 94845, "test": 2695},
    captioned=True,
    options=("caption_join",),
    unavailable="BiAudio is not published yet; it can be built from Sphere360 (bench data build biaudio).",
)
