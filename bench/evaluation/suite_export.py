"""A suite as files: what one needs to run a model of one's own on it, outside this program."""

from __future__ import annotations

import csv
from pathlib import Path

from visaudio_bench.bench.console import note, track
from visaudio_bench.bench.evaluation.clip_pictures import even
from visaudio_bench.bench.evaluation.signal_scores import read_reference
from visaudio_bench.bench.failures import Ledger, failure_of, prepare
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import BenchError, ClipError
from visaudio_bench.files import atomic_path
from visaudio_bench.guard import one_clip
from visaudio_bench.suites import Clip, Suite
from visaudio_bench.suites.media import iter_frames, whole_rate, write_audio, write_video

CAPTIONS = "captions.csv"


def export(suite: Suite, limit: int | None, out: Path, workers: int) -> None:
    """Write `videos/CLIP.mp4` (silent, cut to the clip), `references/CLIP.wav` and `captions.csv` of a suite.

    What is there is not written again. What could not be written is listed in `failures.jsonl`.

    Args:
        suite: the suite.
        limit: the first so many clips; None for all.
        out: folder.
        workers: processes.

    Raises:
        BenchError: some clips could not be written; all others are by then.
    """
    ledger = Ledger(out)
    unmade = prepare(suite, workers)
    clips = suite.clips()[:limit]
    for clip in track(clips, len(clips), f"writing {suite.name}"):
        try:
            with one_clip():
                if clip.id in unmade:
                    raise unmade[clip.id]
                _write(clip, out)
        except ClipError as error:
            ledger.add([failure_of(error, suite.name, clip.id, "export")])
    with atomic_path(out / CAPTIONS) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["clip", "caption", "start", "duration"])
        rows.writerows([clip.id, clip.caption or "", clip.start, clip.duration or ""] for clip in clips)
    ledger.write()
    for failure in ledger.failures:
        note(f"not written: {failure.clip}: {failure.message}")
    part = f" --limit {limit}" if limit else ""
    note(
        f"{len(clips) - len(ledger.failures)} clips in {out}. Write one sound for each, named CLIP.wav, into a folder; "
        f"then: bench run --suite {suite.name}{part} --system outputs:NAME=FOLDER"
    )
    if ledger.failures:
        raise BenchError(f"{len(ledger.failures)} of {len(clips)} clips could not be written; each is named above.")


def _write(clip: Clip, out: Path) -> None:
    picture, sound = out / "videos" / f"{clip.id}.mp4", out / "references" / f"{clip.id}.wav"
    if clip.video is not None and not picture.exists():
        fps = whole_rate(clip.video)
        frames = iter_frames(clip.video, fps=fps, start=clip.start, duration=clip.duration)
        write_video(picture, (even(frame) for _, frame in frames), fps, crf=12)
    if clip.audio is not None and not sound.exists():
        reference = read_reference(clip)
        assert reference is not None  # the clip has one
        write_audio(sound, reference.samples, SAMPLE_RATE)
