"""`bench generate`: sounds for videos or suites, without judging them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from visaudio_bench.bench.console import note, track
from visaudio_bench.bench.evaluation.generation import Generated, generate, recorded
from visaudio_bench.bench.evaluation.plan import Job, Plan
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.suites import Clip, Suite
from visaudio_bench.suites.media import (
    Frame,
    can_be_copied,
    iter_frames,
    probe,
    read_sound,
    whole_rate,
    write_clip,
    write_video,
)


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
    """Make what is not there yet.

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
    pending = job.pending
    for _ in track(job.suite.prepare(plan.workers), len(pending), f"preparing {job.suite.name}"):
        pass
    there = recorded(plan, job, system)
    missing = [clip.id for clip in job.clips if clip.id not in there]
    failed: list[Generated] = []
    for made in track(generate(plan, job, system, missing), len(missing), f"{system.card.name} on {job.suite.name}"):
        if made.path is None:
            failed.append(made)
            note(f"not made: {made.clip}: {made.message}")
        else:
            there[made.clip] = made.path
    if mux:
        for clip in track(job.clips, len(job.clips), "writing videos"):
            if clip.id in there and clip.video is not None:
                mux_clip(clip, there[clip.id], folder / f"{clip.id}.mp4")
    note(
        f"{len(there)} sounds in {folder}"
        + (f" ({len(there) - len(missing) + len(failed)} were there)" if there else "")
    )
    if failed:
        raise BenchError(f"{len(failed)} of {len(job.clips)} clips could not be made; each is named above.")


def mux_clip(clip: Clip, sound: Path, out: Path) -> None:
    """The pictures of a clip with another sound, as mp4: copied as they are, or cut to the clip's window."""
    assert clip.video is not None  # the caller asks only for clips with pictures
    heard = read_sound(sound)
    seconds = heard.samples.shape[1] / heard.sample_rate
    whole = clip.start == 0 and (probe(clip.video).picture or 0) <= seconds + 0.25
    if whole and can_be_copied(clip.video):
        write_clip(out, clip.video, heard.samples, heard.sample_rate)
        return
    fps = whole_rate(clip.video)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".pictures-") as folder:
        pictures = Path(folder) / "pictures.mp4"
        frames = (picture for _, picture in iter_frames(clip.video, fps=fps, start=clip.start, duration=seconds))
        write_video(pictures, (_even(picture) for picture in frames), fps)
        write_clip(out, pictures, heard.samples, heard.sample_rate)


def _even(picture: Frame) -> Frame:
    """Without the last row or column where their number is odd, which the video format does not know."""
    height, width = (size - size % 2 for size in picture.shape[:2])
    return np.ascontiguousarray(picture[:height, :width])
