"""DCASE 2025's stereo sound events (task 3) as users have them on disk: five seconds of real scenes, with labels.

    DIR/
      stereo_dev/dev-train-sony/fold3_room22_mix001_deg359_start2246.wav     left and right, 24 kHz
      metadata_dev/dev-train-sony/fold3_room22_mix001_deg359_start2246.csv   columns of `suites.seld_rows.STEREO`
      video_dev/dev-train-sony/fold3_room22_mix001_deg359_start2246.mp4      640 x 360, 100 degrees wide

and likewise below `dev-train-tau`, `dev-test-sony` and `dev-test-tau`; fold 3 is for training, fold 4 for testing. The
name says the recording of STARSS23 that a clip was drawn from, the view's direction and the first label frame.

Left and right are W + Y and W - Y of the turned first-order ambisonics, two cardioids at one place: they differ in
**level alone**. Nothing can be said of time differences there, and everything that is, is left out: `meta.level_only`
of each clip says so, sides and angles are then read from levels (`metrics.interaural.levels_alone`).

Azimuths are from the view's middle, positive to the left, and folded: a source behind is written where its mirror image
in front is, so that all lie within 90 degrees. Elevations are not written; `onscreen` says whether the source is in the
picture. Clips in which nothing sounds have a table without rows and are left out (`no_labels`).

Source: Shimada et al. 2025, arXiv 2507.12042 (MIT licence), the documentation of the data set (Zenodo, record
15087603), and its authors' generator (SonyResearch/dcase2025_stereo_seld_data_generator, commit 08e267e).
"""

from __future__ import annotations

import re
from pathlib import Path

from visaudio_bench.errors import UsageError
from visaudio_bench.suites.admission import AdmissionRules
from visaudio_bench.suites.datasets import Candidate, Dataset, FoundData, Options, Reject
from visaudio_bench.suites.direction_labels import read_labels
from visaudio_bench.suites.manifest import Entry

NAME = re.compile(r"(?P<recording>fold(?P<fold>\d+)_room\d+_mix\d+)_deg\d+_start\d+")
SIDES = {"3": "train", "4": "test"}
SECONDS = 5.0
KINDS = (("video_dev", "mp4"), ("stereo_dev", "wav"))


def find(folder: Path, options: Options) -> FoundData:
    """Find the clips whose table, sound and video are there.

    Args:
        folder: the one with `stereo_dev`, `metadata_dev` and `video_dev`.
        options: nothing in it means anything here.

    Returns:
        What the folder holds; no media are opened.

    Raises:
        UsageError: it is not this data set.
    """
    del options
    tables = sorted((folder / "metadata_dev").rglob("*.csv"))
    if not tables:
        raise DCASE_STEREO.refuse(folder, "holds no metadata_dev/*/*.csv")
    candidates, rejects = [], []
    for table in tables:
        clip = _clip(folder, table)
        if isinstance(clip, Reject):
            rejects.append(clip)
        else:
            candidates.append(Candidate(clip))
    return FoundData(folder, tuple(candidates), tuple(rejects))


def _clip(folder: Path, table: Path) -> Entry | Reject:
    match = NAME.fullmatch(table.stem)
    if match is None or match["fold"] not in SIDES:
        return Reject(
            table.stem,
            "unknown_name",
            f"{table}: expected a name as fold3_room22_mix001_deg359_start2246, fold 3 or 4.",
        )
    part = table.parent.relative_to(folder / "metadata_dev")
    video, sound = (Path(kind) / part / f"{table.stem}.{suffix}" for kind, suffix in KINDS)
    for path, reason in ((video, "no_video"), (sound, "no_audio")):
        if not (folder / path).is_file():
            return Reject(table.stem, reason, f"{table} is there, and {folder / path} is not.")
    try:
        labels = read_labels(table)
    except UsageError as error:
        return Reject(table.stem, "bad_labels", str(error))
    if not any(labels.values()):
        return Reject(table.stem, "no_labels", f"{table} labels nothing.")
    return Entry(
        table.stem,
        SIDES[match["fold"]],
        match["recording"],
        video.as_posix(),
        sound.as_posix(),
        duration_s=SECONDS,
        meta={"level_only": True},
        labels=table.relative_to(folder).as_posix(),
    )


DCASE_STEREO = Dataset(
    name="dcase2025-stereo",
    title="DCASE 2025 stereo SELD",
    find=find,
    licence="MIT",
    home="Zenodo, record 15087603 (stereo_dev.zip, video_dev.zip and metadata_dev.zip; 30,000 clips of 5 s)",
    layouts=("stereo_dev, metadata_dev and video_dev side by side, as the archives unpack them",),
    duration=SECONDS,
    rules=AdmissionRules(lowest_rate=24_000),
)
