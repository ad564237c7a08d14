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

import ast
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from visaudio_bench.cells import damage, nothing, seconds
from visaudio_bench.errors import UsageError
from visaudio_bench.sheets import read_objects, read_sheet
from visaudio_bench.spelling import difference, pairs_alike, plain, refuse_misspelt
from visaudio_bench.suites.datasets import Candidate, Dataset, FoundData, Options, Reject
from visaudio_bench.suites.folder import Contents, look_into, unread_words
from visaudio_bench.suites.manifest import Entry, fault_of_id, find_manifest, read_manifest
from visaudio_bench.suites.media import SOUND_SUFFIXES, VIDEO_SUFFIXES
from visaudio_bench.suites.visibility_captions import SoundCaption, parse_labelled

SPLITS = ("train", "val", "test")
GENERIC = (
    "train.csv and test.csv (or .jsonl) with clip_id and caption, video/<clip_id>.mp4, audio/<clip_id>.wav or .flac",
    "manifest.jsonl or manifest.parquet",
)
# `<YouTube id>_<second>`; 14 ids of Sphere360 carry a twelfth character that is not part of the video's id.
_PIECE = re.compile(r"(?P<video>[A-Za-z0-9_-]{11})[A-Za-z0-9_-]?_\d+(\.\d+)?")

COLUMNS = ("clip_id", "id", "caption", "visible", "invisible", "group_id", "start_s")
TEXTS = ("caption", "visible", "invisible")
_CUT_LIST = re.compile(r"""[\[(]\s*['"]""")  # begins like a list of texts
_COLUMNS_SHOWN = 8


@dataclass(frozen=True)
class Row:
    """One clip of a list, its cells as they were meant; None where a list says nothing. `where` is file and line."""

    where: str
    clip_id: str
    caption: str | None = None
    visible: str | None = None
    invisible: str | None = None
    group_id: str | None = None
    start_s: float | None = None

    @property
    def said(self) -> tuple[str | float | None, ...]:
        """Everything but the place."""
        return (self.clip_id, self.caption, self.visible, self.invisible, self.group_id, self.start_s)


@dataclass(frozen=True)
class Rows:
    """The rows of a list, and what was understood beyond plain CSV."""

    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()


def find_biaudio(folder: Path, options: Options) -> FoundData:
    """Find BiAudio's clips in the generic layout.

    Args:
        folder: the user's.
        options: what was chosen when preparing.

    Returns:
        What the folder holds; nothing is decoded.
    """
    return find_generic(BIAUDIO, folder, options)


def find_generic(dataset: Dataset, folder: Path, options: Options) -> FoundData:
    """Find the clips that a folder's manifest or lists name, with their files.

    Args:
        dataset: whose layouts and source a refusal tells.
        folder: the user's.
        options: what was chosen when preparing.

    Returns:
        What the folder holds; nothing is decoded.

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
    tables = {split: read_rows(path) for split, path in lists.items()}
    said = read_rows(_list(folder, "captions"))
    video_folder, sound_folder = (_contents(folder / name) for name in ("video", "audio"))
    videos, sounds = _below(folder, video_folder.videos), _below(folder, sound_folder.sounds)
    rows, rejects = _once({split: _with_captions(table.rows, said.rows) for split, table in tables.items()})
    _refuse_unlike(rows, said.rows, videos)
    sorted_rows: list[tuple[Entry, Reject | None]] = []
    for split, row in rows:
        video = videos.get(row.clip_id)
        entry = Entry(
            clip_id=row.clip_id,
            split=split,
            group_id=row.group_id or source_video(row.clip_id),
            video=video,
            audio=sounds.get(row.clip_id) or video,
            start_s=row.start_s or 0.0,
            duration_s=dataset.duration,
        )
        sorted_rows.append(_with_caption(entry, row, options))
    sorted_out = _sorted_out(folder, sorted_rows)
    notes = [note for table in (*tables.values(), said) for note in table.notes]
    notes += _about_captions([row for _, row in rows], said.rows, dataset)
    notes += unread_words(
        (*video_folder.unread, *video_folder.sounds.values(), *sound_folder.unread, *sound_folder.videos.values())
    )
    return replace(sorted_out, rejects=(*rejects, *sorted_out.rejects), notes=tuple(notes))


def _with_captions(rows: Sequence[Row], said: Sequence[Row]) -> list[Row]:
    """The rows of a list with what the file of captions says of their clips.

    Raises:
        UsageError: list and captions, or two rows of the captions, say different things of one clip.
    """
    captions: dict[str, Row] = {}
    for row in said:
        _same(captions.setdefault(row.clip_id, row), row)
    return [_joined(row, captions[row.clip_id]) if row.clip_id in captions else row for row in rows]


def _joined(row: Row, said: Row) -> Row:
    for name in (*TEXTS, "group_id", "start_s"):
        here, elsewhere = getattr(row, name), getattr(said, name)
        if here is not None and elsewhere is not None and here != elsewhere:
            raise UsageError(
                f'{said.where}: the {name} of {row.clip_id} is "{elsewhere}", in {row.where} it is "{here}". Keep one.'
            )
    values = {name: getattr(said, name) for name in (*TEXTS, "group_id", "start_s") if getattr(row, name) is None}
    return replace(row, **values)


def _same(first: Row, again: Row) -> None:
    if first.said != again.said:
        raise UsageError(
            f"{again.where}: {again.clip_id} comes a second time and says something else than in {first.where}. "
            "A clip has one row: one caption, one start."
        )


def _once(lists: Mapping[str, Sequence[Row]]) -> tuple[list[tuple[str, Row]], list[Reject]]:
    """Each clip once, with its split, and the others as duplicates; a clip of several lists is a test clip first.

    Raises:
        UsageError: a list says two things of one clip.
    """
    kept: dict[str, tuple[str, Row]] = {}
    rejects = []
    for split in sorted(lists, key=SPLITS.index, reverse=True):
        for row in lists[split]:
            if row.clip_id not in kept:
                kept[row.clip_id] = (split, row)
                continue
            other, first = kept[row.clip_id]
            if split == other:
                _same(first, row)
            rejects.append(
                Reject(row.clip_id, "duplicate", f"{row.where} names it again; {first.where}, of {other}, counts.")
            )
    return list(kept.values()), rejects


def _refuse_unlike(rows: Sequence[tuple[str, Row]], said: Sequence[Row], videos: Mapping[str, str]) -> None:
    """Refuse ids of a list for which there is a file, and captions for which there is a clip, but for the spelling."""
    listed = [row for _, row in rows]
    absent = {_bare(row.clip_id): row for row in listed if row.clip_id not in videos}
    spare = set(videos) - {row.clip_id for row in listed}
    for bare, row in absent.items():
        if bare != row.clip_id and bare in spare:
            raise UsageError(f'{row.where}: the clip_id "{row.clip_id}" is a file\'s; the clip\'s own is "{bare}".')
    refuse_misspelt({bare: row.where for bare, row in absent.items()}, spare, "there is a video called")
    ids = {row.clip_id for row in listed}
    without = {row.clip_id for row in listed if row.caption is None and row.visible is None}
    refuse_misspelt({row.clip_id: row.where for row in said if row.clip_id not in ids}, without, "the lists have")
    groups: dict[str, Row] = {}
    for row in listed:
        if row.group_id is not None:
            groups.setdefault(row.group_id, row)
    for pair in pairs_alike(groups)[:1]:
        first, second = (groups[name] for name in pair)
        raise UsageError(
            f'{second.where}: the group_id "{pair[1]}" is written "{pair[0]}" in {first.where}: {difference(*pair)}. '
            "Clips of one video have one group_id."
        )


def _bare(name: str) -> str:
    """The id in what may be a path of a media file."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.stem if path.suffix.lower() in VIDEO_SUFFIXES | SOUND_SUFFIXES else path.name or name


def _about_captions(rows: Sequence[Row], said: Sequence[Row], dataset: Dataset) -> list[str]:
    """Clips without a caption, and captions without a clip, counted."""
    notes = []
    without = [row for row in rows if row.caption is None and row.visible is None]
    if without and dataset.captioned:
        notes.append(f"{len(without)} of {len(rows)} clips have no caption, the first in {without[0].where}")
    ids = {row.clip_id for row in rows}
    spare = [row for row in said if row.clip_id not in ids]
    if spare:
        notes.append(f"{len(spare)} captions are of clips that no list names, the first in {spare[0].where}")
    both = [row for row in rows if row.caption is not None and row.visible is not None]
    if both:
        notes.append(f"{len(both)} clips have a caption beside visible, which counts; the first in {both[0].where}")
    return notes


def source_video(clip: str) -> str:
    """The video that a clip was cut from, by the form of its id; an id of another form is a video of its own."""
    match = _PIECE.fullmatch(clip)
    return match["video"] if match else clip


def _with_caption(entry: Entry, row: Row, options: Options) -> tuple[Entry, Reject | None]:
    """The entry with its texts, labels taken apart, and why it is refused if they make no sense."""
    if row.invisible and not row.visible:
        return entry, Reject(entry.clip_id, "bad_caption", f"{row.where}: something is invisible and nothing visible.")
    try:
        caption = SoundCaption(row.visible, row.invisible) if row.visible else parse_labelled(row.caption or "")
    except ValueError as error:
        return entry, Reject(entry.clip_id, "bad_caption", f"{row.where}: {error}.")
    if caption is None:
        return replace(entry, caption=row.caption), None
    plain = caption.plain(options.caption_join)
    return replace(entry, caption=plain, visible=caption.visible, invisible=caption.invisible), None


def _sorted_out(root: Path, rows: list[tuple[Entry, Reject | None]]) -> FoundData:
    """Candidates, and rejects where an id or a text makes no sense, a file is not there or an id comes twice."""
    candidates, rejects = [], []
    seen: set[str] = set()
    for entry, refused in rows:
        absent = _absent(root, entry)
        if entry.clip_id in seen:
            rejects.append(Reject(entry.clip_id, "duplicate", "the lists name it twice; the first one counts."))
        elif why := fault_of_id(entry.clip_id):
            rejects.append(Reject(entry.clip_id, "bad_id", f"the id cannot name a file: {why}."))
        elif refused is not None:
            rejects.append(refused)
        elif absent:
            rejects.append(Reject(entry.clip_id, "not_found", absent))
        else:
            candidates.append(Candidate(entry))
        seen.add(entry.clip_id)
    return FoundData(root, tuple(candidates), tuple(rejects))


def _absent(root: Path, entry: Entry) -> str:
    if entry.video is None or entry.audio is None:
        return f"{root} holds no video/{entry.clip_id}.mp4."
    return next(
        (f"{root / path} does not exist." for path in (entry.video, entry.audio) if not (root / path).is_file()), ""
    )


def _list(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{suffix}" for suffix in (".csv", ".tsv", ".jsonl"))
    lists = [path for path in paths if path.is_file()]
    if len(lists) > 1:
        raise UsageError(f"{' and '.join(map(str, lists))} are both there. Which is the list? Keep one of them.")
    return lists[0] if lists else None


def read_rows(path: Path | None) -> Rows:
    """The rows of a csv, tsv or jsonl file; none where there is no file.

    Raises:
        UsageError: it cannot be read, a row has no clip_id (the column may be called `id`), or a cell is not what its
            column holds.
    """
    if path is None:
        return Rows()
    cells, notes, comma = _cells(path)
    mixed = {mark for _, row in cells for mark in ",." if mark in str(row.get("start_s") or "")}
    if len(mixed) == 2:
        raise UsageError(f"{path}: the column start_s has decimal points and decimal commas. Write points.")
    rows = [_row(f"{path}:{line}", row, comma) for line, row in cells]
    empty = [row for row, (_, given) in zip(rows, cells, strict=True) if _said_nothing(row, given)]
    if empty:
        notes = (*notes, f"{len(empty)} rows say nan, none, - or the like for a text: no text ({empty[0].where})")
    if ":" in "".join(str(row.get("start_s") or "") for _, row in cells):
        notes = (*notes, "start_s holds clock times, read as [hours:]minutes:seconds")
    if "," in mixed:
        notes = (*notes, "start_s has decimal commas")
    return Rows(tuple(rows), tuple(f"{path.name}: {note}" for note in notes))


def _cells(path: Path) -> tuple[list[tuple[int, dict[str, Any]]], tuple[str, ...], bool]:
    """Line and cells of each row by column, notes, and whether a comma can only be a decimal one."""
    if path.suffix == ".jsonl":
        meant = {plain(name): name for name in COLUMNS}
        objects = read_objects(path)
        for line, row in objects:
            _refuse_columns(f"{path}:{line}", tuple(meant.get(plain(name), name) for name in row))
        return [(k, {meant.get(plain(n), n): v for n, v in row.items()}) for k, row in objects], (), False
    sheet = read_sheet(path, known=COLUMNS, texts=TEXTS, gaps=True)
    _refuse_columns(f"{path}:{sheet.lines[0] - 1}", sheet.header)
    unused = [name for name in sheet.header if name and name not in COLUMNS]
    notes = sheet.notes
    if unused:
        more = f" and {len(unused) - _COLUMNS_SHOWN} more" if len(unused) > _COLUMNS_SHOWN else ""
        notes = (*notes, f"columns not used: {', '.join(unused[:_COLUMNS_SHOWN])}{more}")
    cells = []
    for fields, line in zip(sheet.rows, sheet.lines, strict=True):
        first, *others = fields
        if others and first.count(" ") and not any(others):
            raise UsageError(
                f'{path}:{line}: "{first}" and nothing else. Is it the rest of a text of the row above? '
                "Take the line break out of that text, or put it in quotes."
            )
        cells.append((line, dict(zip(sheet.header, fields, strict=True))))
    return cells, notes, sheet.delimiter == ";"


def _refuse_columns(where: str, header: Sequence[str]) -> None:
    """Refuse a list without ids, and one whose texts or times would be passed over for the name of their column."""
    if "clip_id" not in header and "id" not in header:
        raise UsageError(
            f"{where}: there is no clip_id; the columns are {', '.join(header[:_COLUMNS_SHOWN])}. "
            "Expected columns: clip_id, caption."
        )
    for name, beginning in (("caption", "caption"), ("visible", "visible"), ("start_s", "start")):
        other = next(
            (column for column in header if column not in COLUMNS and plain(column).startswith(beginning)), None
        )
        if name not in header and other is not None:
            raise UsageError(
                f'{where}: the column "{other}" would not be read. If it holds what {name} does, call it {name} '
                "(one text a clip; seconds); if not, rename it or take it out."
            )


def _row(where: str, cells: Mapping[str, Any], comma: bool) -> Row:
    """One row as it was meant.

    Raises:
        UsageError: it has no id, or a cell is not what its column holds.
    """
    name = cells.get("clip_id")
    name = cells.get("id") if name in (None, "") else name
    if name in (None, "") or isinstance(name, bool | float | list | dict):
        raise UsageError(f"{where}: the row has no clip_id: {str(name)[:80]!r}. Expected columns: clip_id, caption.")
    cause = damage(str(name))
    if cause:
        raise UsageError(f'{where}: the clip_id "{name}" is {cause}.')
    start = cells.get("start_s")
    try:
        return Row(
            where,
            unicodedata.normalize("NFC", str(name)),
            caption=_text(cells.get("caption"), "caption"),
            visible=_text(cells.get("visible"), "visible"),
            invisible=_text(cells.get("invisible"), "invisible"),
            group_id=_text(_as_text(cells.get("group_id")), "group_id"),
            start_s=None if start in (None, "") else _start(start, comma),
        )
    except ValueError as error:
        raise UsageError(f"{where}: {error}.") from error


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text(value: Any, column: str) -> str | None:
    """A text, or None; one that is a list of one text is that text."""
    value = _listed(value.strip()) if isinstance(value, str) else value
    if isinstance(value, list):
        if len(value) > 1 or not all(isinstance(part, str) for part in value):
            raise ValueError(
                f"the {column} is a list of {len(value)}, {str(value)[:80]}; a clip has one text. Keep one"
            )
        value = value[0].strip() if value else None
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"the {column} is {str(value)[:80]}, not a text")
    cause = damage(value)
    if cause:
        raise ValueError(f'the {column} "{value[:80]}" is {cause}')
    return None if nothing(value) else value


def _listed(text: str) -> Any:
    """The list that a text is written as, in JSON or in Python; else the text."""
    if not _CUT_LIST.match(text):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if text[0] == "[":
            raise ValueError(f"{text[:80]!r} begins like a list and is none. Was it cut at a comma?") from None
        return text
    return list(value) if isinstance(value, list | tuple) else text


def _start(value: Any, comma: bool) -> float:
    try:
        # Where semicolons part the columns, a comma is a decimal one.
        return seconds(str(value).replace(",", ".") if comma and ":" not in str(value) else str(value))
    except ValueError as error:
        raise ValueError(f'start_s is "{value}": {error}') from error


def _said_nothing(row: Row, given: Mapping[str, Any]) -> bool:
    """Whether a text was there and meant none."""
    names = (*TEXTS, "group_id")
    return any(isinstance(given.get(n), str) and given[n].strip() and getattr(row, n) is None for n in names)


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
