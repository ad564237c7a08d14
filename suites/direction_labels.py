"""Direction labels: where the sources of a clip are and when they sound, as a table that people can write.

| column | what |
|---|---|
| `clip` | id of the clip; without this column the file labels the clip of its own name |
| `t` | seconds from the start of the media file: the frame from t to t + 0.1; 10 frames a second, multiples of 0.1 |
| `azimuth_deg` | from the camera's axis at that time, -180 to 180, positive to the LEFT |
| `elevation_deg` | -90 to 90, positive upwards; 0 where the column is missing or the cell empty |
| `distance_m` | metres, above 0; empty where it is not known |
| `source` | name or number of the source within its clip; `0` where it is missing |
| `class` | what it is, in any words |
| `visible` | 1 or 0: whether the source is in the picture; empty where it is not known |

A row says that its source sounds in its frame; a frame without a row has no labelled source. Several sources may sound
in one frame, each in a row of its own; a row that repeats another is counted, and the two are one. Other columns are
refused, so that none is misspelt in silence; only `t` and `azimuth_deg` must be there. The table is CSV as spreadsheets
save it (`visaudio_bench.sheets`), decimal commas too. A table of DCASE 2025's stereo sound events, with its own columns
(`suites.seld_rows`), is read as it is, and labels the clip of its name.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from visaudio_bench.cells import number
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.files import read_once, write_text
from visaudio_bench.registry import did_you_mean
from visaudio_bench.sheets import Sheet, read_sheet, read_text
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.manifest import LONGEST_WINDOW

RATE = 10  # frames a second
COLUMNS = ("clip", "t", "azimuth_deg", "elevation_deg", "distance_m", "source", "class", "visible")
NEEDED = ("t", "azimuth_deg")
GRID = 1e-3  # s, of rounding in what people write
GAP = 5  # frames: a source that is away for fewer is more likely to lack rows than to be silent
YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")  # a column with gaps is written as 1.0 and 0.0
TRUTH = {**dict.fromkeys(YES, True), **dict.fromkeys(NO, False), "": None}
Labels = tuple["LabelledFrame", ...]


class LabelledFrame(NamedTuple):
    """One row: a source that sounds in the frame of 0.1 s with this number, and where it is.

    `azimuth` and `elevation` are radians, positive to the left and upwards; `distance` is in metres; `distance` and
    `visible` are None where they are not known; `kind` is the column `class`.
    """

    frame: int
    azimuth: float
    elevation: float = 0.0
    distance: float | None = None
    source: str = "0"
    kind: str = ""
    visible: bool | None = None


def holds_labels(path: Path) -> bool:
    """Whether a table is meant to hold direction labels: its header speaks of an azimuth."""
    try:
        text, _ = read_text(path)
    except UsageError:
        return False
    return "azimuth" in " ".join(text.split("\n", 2)[:2]).lower()


@read_once  # a file may label a thousand clips, each of which asks for it
def read_labels(path: Path) -> dict[str, Labels]:
    """Read a file of direction labels.

    Returns:
        The rows of each clip that it names, by frame and source; none of the clip of its own name, where it is a header
        alone.

    Raises:
        UsageError: it cannot be read, or a row is not what the module's table says; with the line.
    """
    from visaudio_bench.suites.seld_rows import STEREO, stereo_frame  # it makes frames of this module

    sheet = read_sheet(path, known=COLUMNS, empty=True)
    written_elsewhere = sheet.header == STEREO
    if not written_elsewhere:
        _refuse_columns(sheet)
    if not sheet.rows and "clip" in sheet.header:
        raise UsageError(f"{path} names no clip; a header and at least one row were expected.")
    clips: dict[str, list[tuple[str, LabelledFrame]]] = {} if sheet.rows else {normalize("NFC", path.stem): []}
    for line, fields in zip(sheet.lines, sheet.rows, strict=True):
        row, place = dict(zip(sheet.header, fields, strict=True)), f"{path}:{line}"
        clip = normalize("NFC", row.get("clip", path.stem))
        if not clip:
            raise UsageError(f"{place}: the column clip is empty; every row names its clip.")
        frame = (stereo_frame if written_elsewhere else _frame)(row, place)
        clips.setdefault(clip, []).append((place, frame))
    return {clip: in_order(clip, rows) for clip, rows in clips.items()}


def in_order(clip: str, rows: Iterable[tuple[str, LabelledFrame]]) -> Labels:
    """Sort the rows of a clip.

    Args:
        clip: whose they are.
        rows: file and line of each row, and the row.

    Returns:
        The rows by frame and source. Rows that are the same in everything are all among them, as real data have them;
        they are counted by `label_remarks` and dropped by `in_window`.

    Raises:
        UsageError: one source is at two places in one frame.
    """
    places: dict[tuple[int, str], LabelledFrame] = {}
    kept = []
    for place, row in rows:
        if places.setdefault((row.frame, row.source), row) != row:
            raise UsageError(
                f"{place}: source {row.source} of clip {clip} has a row at {row.frame / RATE:g} s already, and not the "
                "same one. Sources that sound together need different numbers in the column source."
            )
        kept.append(row)
    return tuple(sorted(kept, key=lambda row: (row.frame, row.source)))


def _refuse_columns(sheet: Sheet) -> None:
    for name in sheet.header:
        if name not in COLUMNS:
            raise UsageError(
                f'{sheet.path}: direction labels have no column "{name}".{did_you_mean(name, COLUMNS)} '
                f"Known: {', '.join(COLUMNS)}."
            )
    for name in NEEDED:
        if name not in sheet.header:
            raise UsageError(f"{sheet.path}: the column {name} is missing; direction labels need {', '.join(NEEDED)}.")


def _frame(row: Mapping[str, str], place: str) -> LabelledFrame:
    time = _number(row, "t", place, 0, LONGEST_WINDOW)
    azimuth = _number(row, "azimuth_deg", place, -180, 180)
    assert time is not None and azimuth is not None  # needed columns are never empty
    frame = round(time * RATE)
    if abs(frame / RATE - time) > GRID:
        raise UsageError(f"{place}: t is {row['t']}; labels are {RATE} a second, at multiples of {1 / RATE:g} s.")
    distance = _number(row, "distance_m", place, 0, math.inf)
    if distance == 0:
        raise UsageError(f"{place}: distance_m is {row['distance_m']}; a distance lies above 0, or its cell is empty.")
    visible = row.get("visible", "").lower()
    if visible not in TRUTH:
        raise UsageError(f"{place}: visible is {row['visible']}; expected 1, 0 or nothing.")
    return LabelledFrame(
        frame,
        math.radians(azimuth),
        math.radians(_number(row, "elevation_deg", place, -90, 90) or 0.0),
        distance,
        row.get("source") or "0",
        row.get("class", ""),
        TRUTH[visible],
    )


def _number(row: Mapping[str, str], name: str, place: str, low: float, high: float) -> float | None:
    text = row.get(name, "")
    if not text and name not in NEEDED:
        return None
    try:
        value = number(text)
    except ValueError:
        value = math.nan
    if not (low <= value <= high and math.isfinite(value)):
        wanted = f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a number from {low:g} on"
        counted = ", positive to the left of the camera's axis" if name == "azimuth_deg" else ""
        raise UsageError(f"{place}: {name} is {text or 'empty'}; expected {wanted}{counted}.")
    return value


def write_labels(path: Path, clips: Mapping[str, Iterable[LabelledFrame]]) -> None:
    """Write a file of direction labels, atomically; angles to 0.01 degrees, distances to 1 mm.

    Args:
        path: `.csv`.
        clips: the rows of each clip.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(COLUMNS)
    for clip, frames in clips.items():
        rows.writerows(_cells(clip, frame) for frame in frames)
    write_text(path, table.getvalue())


def _cells(clip: str, frame: LabelledFrame) -> tuple[str, ...]:
    return (
        clip,
        f"{frame.frame / RATE:.1f}",
        f"{math.degrees(frame.azimuth):.2f}",
        f"{math.degrees(frame.elevation):.2f}",
        "" if frame.distance is None else f"{frame.distance:.3f}",
        frame.source,
        frame.kind,
        "" if frame.visible is None else str(int(frame.visible)),
    )


def clip_labels(clip: Clip) -> Labels:
    """The labels inside a clip's window; frame 0 is the one that begins with the window, to the nearest frame.

    Raises:
        ClipError: `no_labels` where the clip has none, `bad_labels` where their file cannot be used.
    """
    if clip.labels is None:
        raise ClipError("no_labels", f"clip {clip.id} has no direction labels.")
    return in_window(file_labels(clip.labels, clip.id), clip.start, clip.duration)


def labelled_files(paths: Mapping[Path, str]) -> dict[str, Path]:
    """Find the file of each clip's labels.

    Args:
        paths: the files, each with the id of the clip that has its name: of `b.csv` in a folder `a` that is `a__b`.

    Returns:
        The file of every clip that one of the files labels.

    Raises:
        UsageError: a file cannot be used, or two label the same clip.
    """
    files: dict[str, Path] = {}
    for path, own in paths.items():
        labelled = list(read_labels(path))
        for clip in [own] if labelled == [normalize("NFC", path.stem)] else labelled:
            if clip in files:
                raise UsageError(f"{files[clip]} and {path} both label the clip {clip}. Keep one of them.")
            files[clip] = path
    return files


def file_labels(path: Path, clip: str) -> Labels:
    """Read the labels of one clip.

    Args:
        path: of the file of labels; one that labels a single clip may call it by another name, as that of the whole
            recording which the clip is a window of.
        clip: its id.

    Returns:
        All rows of the clip, whatever its window is.

    Raises:
        ClipError: `bad_labels`, the file cannot be used, or has no row of the clip.
    """
    try:
        labels = read_labels(path)
    except UsageError as error:
        raise ClipError("bad_labels", str(error)) from error
    if clip in labels:
        return labels[clip]
    if len(labels) > 1:
        raise ClipError("bad_labels", f"{path} labels {len(labels):,} clips, and {clip} is none of them.")
    return next(iter(labels.values()))


def in_window(labels: Labels, start: float, duration: float | None = None) -> Labels:
    """Cut labels to a window.

    Args:
        labels: with times from the file's own start.
        start: of the window, seconds.
        duration: seconds; None is to the end.

    Returns:
        The rows inside, each once, with times from the window's start.
    """
    first = round(start * RATE)
    once = dict.fromkeys(_rows_inside(labels, start, duration))
    return tuple(row._replace(frame=row.frame - first) for row in once)


def _rows_inside(labels: Labels, start: float, duration: float | None) -> list[LabelledFrame]:
    """The rows of a window as they are, those that repeat another one too."""
    first = round(start * RATE)
    last = math.inf if duration is None else round((start + duration) * RATE)
    return [row for row in labels if first <= row.frame < last]


def repeated(labels: Collection[LabelledFrame]) -> int:
    """Count the rows that say again what another one says."""
    return len(labels) - len(set(labels))


def strangers(labelled: Iterable[str], clips: Collection[str]) -> tuple[str, ...]:
    """Tell which labels belong to no clip.

    Args:
        labelled: ids that labels are of.
        clips: ids that there are.

    Returns:
        A sentence, or nothing where every label has its clip.
    """
    lost = [clip for clip in labelled if clip not in clips]
    shown = ", ".join(lost[:5]) + (", ..." if len(lost) > 5 else "")
    return (f"direction labels of {len(lost):,} clip(s) that are not there: {shown}",) if lost else ()


def rows_behind(labels: Iterable[LabelledFrame], seconds: float) -> int:
    """Count the rows that begin when a sound is over.

    Args:
        labels: with times from the sound's start.
        seconds: that it lasts.

    Returns:
        How many there are.
    """
    return sum(row.frame >= round(seconds * RATE) for row in labels)


def label_remarks(clips: Sequence[Clip]) -> tuple[str, ...]:
    """What a reader must know of the labels of clips, a sentence each; nothing where no clip has labels."""
    labelled = [clip for clip in clips if clip.labels is not None]
    if not labelled:
        return ()
    faults: Counter[str] = Counter()
    largest = 0.0
    for clip in labelled:
        assert clip.labels is not None
        try:
            every = file_labels(clip.labels, clip.id)
        except ClipError:
            faults["clip(s) whose labels cannot be used (bad_labels)"] += 1
            continue
        faults.update(_odd(every, clip))
        largest = max([largest, *(abs(row.azimuth) for row in every)])
    told = [f"{count:,} {fault}" for fault, count in faults.items() if count]
    if 0 < math.degrees(largest) <= math.pi:  # they may be degrees all the same
        told.append(f"no azimuth goes beyond {math.degrees(largest):.2f} degrees; are they radians?")
    some = f"{len(labelled):,} of {len(clips):,} clips have direction labels"
    return (some, *(f"direction labels: {words}" for words in told))


def _odd(every: Labels, clip: Clip) -> dict[str, int]:
    """Counts, in words, of what is odd about the labels of a clip and does not keep them from being used."""
    inside = in_window(every, clip.start, clip.duration)
    frames: dict[str, list[int]] = {}
    for row in inside:
        frames.setdefault(row.source, []).append(row.frame)
    gaps = sum(1 < after - before <= GAP for source in frames.values() for before, after in pairwise(source))
    behind = rows_behind(every, clip.duration) if clip.start == 0 and clip.duration is not None else 0
    return {
        "row(s) behind the end of their clip are not used": behind,
        "row(s) that repeat another one count once": repeated(_rows_inside(every, clip.start, clip.duration)),
        f"gap(s) of less than {GAP / RATE:g} s within a source are taken for silence": gaps,
        "clip(s) without a row in their window": int(not inside),
    }
