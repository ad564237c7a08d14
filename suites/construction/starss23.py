"""STARSS23 as users have it on disk: real scenes all around, with labels of what sounds where, ten times a second.

    DIR/
      foa_dev/dev-train-sony/fold3_room22_mix001.wav       first-order ambisonics W, Y, Z, X (ACN, SN3D), 24 kHz
      metadata_dev/dev-train-sony/fold3_room22_mix001.csv
      video_dev/dev-train-sony/fold3_room22_mix001.mp4     equirectangular

and likewise below `dev-train-tau`, `dev-test-sony` and `dev-test-tau`; fold 3 is for training, fold 4 for testing. A
row of the metadata is `frame, class, source, azimuth, elevation, distance`: the frame counts from 0 in 100 ms, the
azimuth is in degrees and grows to the left (counter-clockwise), the elevation upwards, the distance is in centimetres
and is missing in the first edition. There is no header, and a frame without a row is one without a labelled source.
How sources are numbered is said in `suites.seld_rows`. Of the first edition's 121 files three have rows that stand
twice, of a source that is labelled twice at one place; they count once.

Twelve recordings have no video (`fold3_room21_mix001` to `mix012`). Evaluation recordings are called `mix001.wav`, lie
in `foa_eval` and have no metadata.

A recording is cut into windows that follow one another; one without a label is left out.

Source: Shimada et al. 2023, arXiv 2306.09126 (STARSS23, MIT licence), and the documentation of the data set; its first
edition's metadata as nomaanakhan/seld-dcase2022 has them (commit 844edcd).
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.files import read_once
from visaudio_bench.sheets import LINE_END, read_text
from visaudio_bench.suites.biaudio import find_generic
from visaudio_bench.suites.construction.sphere360 import FoundPanoramas, Panorama
from visaudio_bench.suites.datasets import Dataset, FoundData, Options, Reject
from visaudio_bench.suites.direction_labels import RATE, LabelledFrame, Labels, in_order, repeated, rows_behind
from visaudio_bench.suites.media import probe
from visaudio_bench.suites.seld_rows import checked, numbers

LICENCE = "MIT"
NAME = re.compile(r"fold(?P<fold>\d+)_room\d+_mix\d+")
SIDES = {"3": "train", "4": "test"}
COLUMNS = ("frame", "class", "source", "azimuth", "elevation", "distance")
LOWEST_RATE = 24_000  # Hz: of the data set; cues are measured up to 8 kHz


def find_starss23(folder: Path, duration: float) -> FoundPanoramas:
    """Find the windows of every recording below a folder.

    Args:
        folder: the one with `foa_dev`, `metadata_dev` and `video_dev`.
        duration: of a window, seconds.

    Returns:
        The windows in the order of their names, and what was left out.

    Raises:
        UsageError: it is not this data set.
    """
    tables = sorted((folder / "metadata_dev").rglob("fold*.csv"))
    if not tables:
        raise UsageError(
            f"{folder} holds no metadata_dev/*/fold*.csv. --from expects STARSS23 with foa_dev, metadata_dev and "
            f"video_dev side by side. {STARSS23.obtain}"
        )
    panoramas: list[Panorama] = []
    rejects: list[Reject] = []
    faults: Counter[str] = Counter()
    for table in tables:
        try:
            kept, empty = _windows(folder, table, duration, faults)
        except ClipError as error:
            rejects.append(Reject(table.stem, error.reason, error.message))
            continue
        panoramas += kept
        rejects += empty
    told = tuple(f"{count:,} labels {fault}" for fault, count in faults.items() if count)
    return FoundPanoramas(tuple(panoramas), tuple(rejects), 0, False, told, suite="starss23", licence_of_all=LICENCE)


def _windows(folder: Path, table: Path, duration: float, faults: Counter[str]) -> tuple[list[Panorama], list[Reject]]:
    """The windows of a recording, and those without a label; what is odd about its labels is added to `faults`."""
    match = NAME.fullmatch(table.stem)
    if match is None or match["fold"] not in SIDES:
        raise ClipError("unknown_name", f"{table}: expected a name as fold3_room22_mix001, of fold 3 or 4.")
    part = table.parent.relative_to(folder / "metadata_dev")
    video, sound = (folder / kind / part / f"{table.stem}.{suffix}" for kind, suffix in KINDS)
    for path, reason in ((video, "no_video"), (sound, "no_audio")):
        if not path.is_file():
            raise ClipError(reason, f"{table} is there, and {path} is not.")
    labels = read_recording(table, table.stem)
    frames = [row.frame for row in labels]
    length = probe(sound).sound or 0.0
    count = int(length / duration + 1e-6)
    if not count:
        raise ClipError("short", f"{sound} lasts {length:.2f} s; a clip lasts {duration:g} s.")
    kept, rejects = [], []
    for start in (index * duration for index in range(count)):
        name = f"{table.stem}_{round(start * RATE):05d}"
        if any(start <= frame / RATE < start + duration for frame in frames):
            kept.append(
                Panorama(
                    name, SIDES[match["fold"]], table.stem, video, sound, table,
                    start=start, lowest_rate=LOWEST_RATE, read_labels=read_recording,
                )
            )  # fmt: skip
        else:
            rejects.append(Reject(name, "no_labels", f"{table} labels nothing from {start:g} s on for {duration:g} s."))
    faults["behind the last whole window of their recording are not used"] += rows_behind(labels, count * duration)
    faults["that repeat another one count once"] += repeated(labels)
    return kept, rejects


KINDS = (("video_dev", "mp4"), ("foa_dev", "wav"))


def read_recording(path: Path, clip: str) -> Labels:
    """Read the metadata of a recording.

    Args:
        path: of the csv.
        clip: whose labels are wanted; all windows of a recording share its metadata.

    Returns:
        Its rows, by frame and source.

    Raises:
        ClipError: `bad_labels`, with the line of what is wrong.
    """
    del clip
    try:
        return _read(path)
    except UsageError as error:
        raise ClipError("bad_labels", str(error)) from error


@read_once
def _read(path: Path) -> Labels:
    text, _ = read_text(path)
    places = ((f"{path}:{line}", row) for line, row in enumerate(LINE_END.split(text), 1) if row.strip())
    return in_order(path.stem, ((place, _row(row, place)) for place, row in places))


def _row(row: str, place: str) -> LabelledFrame:
    cells = row.split(",")
    values = numbers(cells, row, place, COLUMNS)
    if len(values) not in (5, 6):
        raise UsageError(f"{place}: {row!r} is not {', '.join(COLUMNS)}.")
    frame, kind, source, azimuth, elevation = values[:5]
    distance = values[5] / 100 if len(values) == 6 else None
    return checked(place, row, (frame, kind, source), (azimuth, elevation), distance)


def find_built(folder: Path, options: Options) -> FoundData:
    """Find the clips that `bench data build starss23` has made.

    Args:
        folder: its `--out`.
        options: what was chosen when preparing.

    Returns:
        What its manifest names; nothing is decoded.

    Raises:
        UsageError: there is no manifest.
    """
    return find_generic(STARSS23, folder, options)


STARSS23 = Dataset(
    name="starss23",
    title="STARSS23, perspective views",
    find=find_built,
    licence=LICENCE,
    home="Zenodo, record 7880637 (foa_dev, video_dev and metadata_dev), turned into clips by: "
    "bench data build starss23 --from DIR --out OUT",
    layouts=("the folder that bench data build starss23 has made, with manifest.jsonl",),
)
