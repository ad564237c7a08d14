"""What the page of one clip shows, made in a folder of its own: video, sounds, pictures, and cues over time.

The folder's name is a key of everything in it, and `clip.js` is written last, so that a report goes on where it was
stopped, and makes again only what has changed.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.bench.evaluation.clip_inputs import Ears
from visaudio_bench.bench.evaluation.clip_pictures import pictures_file
from visaudio_bench.bench.evaluation.families.direction import as_arrays
from visaudio_bench.bench.evaluation.signal_scores import predicted_ears, read_reference
from visaudio_bench.bench.failures import failure_of
from visaudio_bench.bench.report_pages.data_scripts import write_data
from visaudio_bench.bench.report_pages.pictures import picture, spectra, thumbnail
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.files import atomic_path, digest, file_stamp, is_there, read_json
from visaudio_bench.guard import one_clip
from visaudio_bench.leaderboards.schema import Failure
from visaudio_bench.metrics.direction import segment_labels
from visaudio_bench.metrics.interaural import HOP, SEGMENT_FRAMES, SEGMENT_HOP, Cues
from visaudio_bench.sources import source_revision
from visaudio_bench.suites import Clip
from visaudio_bench.suites.direction_labels import LabelledFrame, clip_labels
from visaudio_bench.suites.media import iter_frames, within_full_scale, write_audio, write_picture

REFERENCE = "reference"
SECONDS_BETWEEN = SEGMENT_HOP * HOP / SAMPLE_RATE
FIRST_CENTRE = SEGMENT_FRAMES * HOP / SAMPLE_RATE / 2


class ClipTask(NamedTuple):
    """One clip of a suite: each system's sound, the folder of its records, and where the folders of clips lie."""

    suite: str
    clip: Clip
    sounds: Mapping[str, Path]
    records: Mapping[str, Path]
    media: Path


class ShownClip(NamedTuple):
    """The name of a clip's folder, and what could not be put there; nothing is said again of a folder that is there."""

    key: str
    failures: tuple[Failure, ...]


def show_clip(task: ClipTask) -> ShownClip:
    """Make the folder of a clip, unless it is there."""
    name = clip_key(task)
    folder = task.media / name
    if (folder / "clip.js").is_file():
        return ShownClip(name, ())
    folder.mkdir(parents=True, exist_ok=True)
    maker = _Maker(task, folder)
    write_data(folder / "clip.js", name, maker.content())
    failures = (failure_of(error, task.suite, task.clip.id, "report") for error in maker.errors)
    return ShownClip(name, tuple(failures))


def clip_key(task: ClipTask) -> str:
    """The name of a clip's folder: a hash of everything that is made from."""
    clip = task.clip
    files = [clip.video, clip.audio, clip.labels, *task.sounds.values()]
    parts = {
        "code": source_revision(show_clip),
        "clip": [task.suite, clip.id, clip.start, clip.duration, clip.caption],
        "sounds": list(task.sounds),
        "files": [[str(path), file_stamp(path) if is_there(str(path)) else None] for path in files if path is not None],
    }
    return digest(parts)[:20]


class _Maker:
    """Makes the files of one clip; what cannot be made is kept in `errors`, and costs no more than itself."""

    def __init__(self, task: ClipTask, folder: Path):
        self.task, self.folder = task, folder
        self.errors: list[ClipError] = []

    def content(self) -> dict[str, Any]:
        """Everything that the page must know."""
        ears = self._ears()
        sounds = self._sounds(ears)
        seconds = max((sound["seconds"] for sound in sounds.values()), default=self.task.clip.duration or 0)
        return {
            "suite": self.task.suite,
            "id": self.task.clip.id,
            "caption": self.task.clip.caption or "",
            "seconds": seconds,
            "video": self._video(seconds),
            "sounds": sounds,
            "labels": self._labels(max((len(sound["cues"]["side"]) for sound in sounds.values()), default=0)),
            "segments": {"first": FIRST_CENTRE, "step": SECONDS_BETWEEN},
            "problems": [error.message for error in self.errors],
        }

    def _ears(self) -> dict[str, Ears]:
        """The sound of every system as it was judged, and the reference where no system repeats it."""
        ears: dict[str, Ears] = {}
        clip = self.task.clip
        if REFERENCE not in self.task.sounds and clip.audio is not None:
            try:
                with one_clip():
                    reference = read_reference(clip)
                    assert reference is not None  # the clip has one
                    ears[REFERENCE] = reference
            except ClipError as error:
                self.errors.append(error)
        for system, path in self.task.sounds.items():
            try:
                with one_clip():
                    ears[system] = predicted_ears(clip, path)
            except ClipError as error:
                self.errors.append(error)
        return ears

    def _sounds(self, ears: Mapping[str, Ears]) -> dict[str, Any]:
        """Sounds and pictures; all pictures of a clip have one scale, so that what looks louder is louder."""
        levels = {system: spectra(sound.samples, SAMPLE_RATE) for system, sound in ears.items()}
        loudest = max((float(np.max(level)) for level in levels.values()), default=0.0)
        peak = max((float(np.abs(sound.samples).max(initial=0)) for sound in ears.values()), default=1.0)
        sounds: dict[str, Any] = {}
        numbers: dict[bytes, int] = {}  # the same sound of several systems is there once
        for system, sound in ears.items():
            samples, gain = within_full_scale(sound.samples)
            content, before = hashlib.sha256(samples.tobytes()).digest(), len(numbers)
            number = numbers.setdefault(content, before)
            if number == before:
                write_audio(self.folder / f"{number}.flac", samples, SAMPLE_RATE, quick=True)
                write_picture(self.folder / f"{number}.png", picture(sound.samples, levels[system], loudest, peak))
            sounds[system] = {
                "file": f"{number}.flac",
                "picture": f"{number}.png",
                "seconds": round(samples.shape[1] / SAMPLE_RATE, 3),
                "turned_down": round(-20 * math.log10(gain), 1),
                "cues": self._cues(sound),
                "made": self._made(system),
            }
        return sounds

    def _cues(self, sound: Ears) -> dict[str, Any]:
        try:
            cues: Cues = sound.cues
        except ClipError as error:  # shorter than a segment
            self.errors.append(error)
            return {"ild": [], "itd": [], "side": []}
        both = cues.active & (cues.ild_ok | cues.itd_ok)
        return {
            "ild": _rounded(cues.ild, cues.active & cues.ild_ok, 1),
            "itd": _rounded(cues.itd, cues.active & cues.itd_ok, 0),
            "side": _rounded(cues.lateralisation, both, 3),
        }

    def _made(self, system: str) -> dict[str, Any]:
        """The record beside a sound."""
        record = self.task.records.get(system, Path()) / f"{self.task.clip.id}.json"
        if not record.is_file():  # the reference of a run that has no such system
            return {}
        try:
            told = read_json(record)
            return {
                name: told[name] for name in ("revision", "seed", "device", "seconds", "provenance") if name in told
            }
        except (OSError, ValueError, TypeError):
            return {}

    def _video(self, seconds: float) -> dict[str, str] | None:
        clip = self.task.clip
        if clip.video is None:
            return None
        try:
            with one_clip():
                with (
                    pictures_file(clip, seconds, self.folder) as pictures,
                    atomic_path(self.folder / "video.mp4") as out,
                ):
                    shutil.copyfile(pictures, out)
                middle = clip.start + seconds / 2
                _, frame = next(iter(iter_frames(clip.video, fps=1, start=middle, duration=1)))
                write_picture(self.folder / "thumbnail.png", thumbnail(frame))
        except ClipError as error:
            self.errors.append(error)
            return None
        return {"file": "video.mp4"}

    def _labels(self, segments: int) -> list[dict[str, Any]]:
        """Where the labelled sources of the clip are, as metrics count it: the mean of each in every segment."""
        if self.task.clip.labels is None:
            return []
        try:
            rows = clip_labels(self.task.clip)
        except ClipError as error:
            self.errors.append(error)
            return []
        by_source: dict[str, list[LabelledFrame]] = {}
        for row in rows:
            by_source.setdefault(row.source, []).append(row)
        sides = {source: segment_labels(as_arrays(own), segments).lateral for source, own in by_source.items()}
        return [
            {
                "words": by_source[source][0].kind or f"source {source}",
                "side": _rounded(side, np.isfinite(side), 3),
            }
            for source, side in sides.items()
        ]


def _rounded(values: NDArray[np.float64], valid: NDArray[np.bool_], digits: int) -> list[float | None]:
    """Numbers for a curve, null where there is none."""
    return [round(float(value), digits) if ok else None for value, ok in zip(values, valid, strict=True)]
