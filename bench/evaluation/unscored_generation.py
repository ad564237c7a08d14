"""`bench generate`: sounds for videos or suites, without judging them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from visaudio_bench.bench.console import note, track
from visaudio_bench.bench.evaluation.generation import generate, recorded
from visaudio_bench.bench.evaluation.plan import Job, Plan
from visaudio_bench.bench.failures import Ledger, failure_of, prepare
from visaudio_bench.errors import BenchError, ClipError, UsageError
from visaudio_bench.guard import one_clip
from visaudio_bench.leaderboards.schema import Failure
from visaudio_bench.suites import Clip, Suite
from visaudio_bench.suites.media import Frame, frame_rate, iter_frames, probe, read_sound, write_clip, write_video


class VideoSuite(Suite):
    """Video files that somebody wants sound for."""

    name = "videos"
    title = "videos"
    split = "all"

    def __init__(self, videos: Sequence[Path], caption: str | None, duration: float):
        self.duration = duration
        names = [video.stem for video in videos]
        for video in videos:
            if not video.is_file():
                raise UsageError(f"there is no file {video}; --video expects a video.")
            if names.count(video.stem) > 1:
                raise UsageError(
                    f"two videos are called {video.stem}, and so would their sounds be. Give them a run each, with "
                    "another --out."
                )
        self._clips = tuple(Clip(video.stem, video, None, 0.0, duration, caption) for video in videos)

    def clips(self) -> tuple[Clip, ...]:
        """One clip a file, in the order given."""
        return self._clips


def produce(job: Job, folder: Path, *, seed: int, device: str, mux: bool) -> None:
    """Make what is not there yet; what could not be made is listed in the folder's `failures.jsonl`.

    Args:
        job: one suite and one system.
        folder: where the sounds go.
        seed: of everything random.
        device: a torch device.
        mux: write `<clip>.mp4` too, with the pictures of the window and the new sound.

    Raises:
        BenchError: the system cannot run here, or some clips could not be made; all others are made by then.
    """
    (system,) = job.systems
    if system.unavailable:
        raise BenchError(system.unavailable)
    plan = Plan((job,), metrics=(), out=folder, seed=seed, device=device, sounds=folder)
    ledger = Ledger(folder)
    unmade = prepare(job.suite, plan.workers)
    asked = [clip.id for clip in job.clips]
    ledger.add(failure_of(unmade[name], job.suite.name, name, "prepare") for name in asked if name in unmade)
    job = replace(job, refused=frozenset(unmade))
    there = recorded(plan, job, system)
    before = len(there)
    missing = [name for name in asked if name not in there and name not in unmade]
    for made in track(generate(plan, job, system, missing), len(missing), f"{system.card.name} on {job.suite.name}"):
        if made.path is None:
            why = (made.reason, made.message, made.trace)
            ledger.add([Failure(job.suite.name, system.card.name, made.clip, "generate", *why)])
        else:
            there[made.clip] = made.path
    not_made = len(ledger.failures)
    if mux:
        ledger.add(_mux_all(job, there, folder, system.card.name))
    for failure in ledger.failures:
        note(f"not {'shown' if failure.stage == 'mux' else 'made'}: {failure.clip}: {failure.message}")
    path = ledger.write()
    note(f"{len(there)} sounds in {folder}" + (f" ({before} were there)" if there else ""))
    if ledger.failures:
        unshown = len(ledger.failures) - not_made
        raise BenchError(
            f"{not_made} of {len(job.clips)} clips could not be made"
            + (f", and {unshown} not written as videos" if unshown else "")
            + f"; each is named above and in {path}."
        )


def _mux_all(job: Job, sounds: Mapping[str, Path], folder: Path, system: str) -> Iterator[Failure]:
    """Write each clip with its new sound; yields what could not be written."""
    for clip in track(job.clips, len(job.clips), "writing videos"):
        if clip.id in sounds and clip.video is not None:
            try:
                with one_clip():
                    mux_clip(clip, sounds[clip.id], folder / f"{clip.id}.mp4")
            except ClipError as error:
                yield failure_of(error, job.suite.name, clip.id, "mux", system)


def mux_clip(clip: Clip, sound: Path, out: Path) -> None:
    """The pictures of a clip with another sound, as mp4: copied as they are, or cut to the clip's window."""
    assert clip.video is not None  # the caller asks only for clips with pictures
    heard = read_sound(sound)
    seconds = heard.samples.shape[1] / heard.sample_rate
    whole = clip.start == 0 and (probe(clip.video).picture or 0) <= seconds + 0.25
    if whole and clip.video.suffix.lower() == ".mp4":
        write_clip(out, clip.video, heard.samples, heard.sample_rate)
        return
    fps = round(frame_rate(clip.video))
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".pictures-") as folder:
        pictures = Path(folder) / "pictures.mp4"
        frames = (picture for _, picture in iter_frames(clip.video, fps=fps, start=clip.start, duration=seconds))
        write_video(pictures, (_even(picture) for picture in frames), fps)
        write_clip(out, pictures, heard.samples, heard.sample_rate)


def _even(picture: Frame) -> Frame:
    """Without the last row or column where their number is odd, which the video format does not know."""
    height, width = (size - size % 2 for size in picture.shape[:2])
    return np.ascontiguousarray(picture[:height, :width])
