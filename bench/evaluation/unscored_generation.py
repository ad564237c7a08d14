"""`bench generate`: sounds for videos or suites, without judging them."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from visaudio_bench.bench.console import note, track
from visaudio_bench.bench.evaluation.clip_pictures import pictures_file
from visaudio_bench.bench.evaluation.generation import Generated, generate, recorded
from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
from visaudio_bench.bench.failures import Ledger, failure_of, prepare
from visaudio_bench.errors import BenchError, ClipError, UsageError
from visaudio_bench.files import write_json
from visaudio_bench.guard import one_clip
from visaudio_bench.leaderboards.schema import Failure, read_failures
from visaudio_bench.suites import Clip, Suite
from visaudio_bench.suites.folder import clip_id, probed, require_id
from visaudio_bench.suites.media import SHORTEST, TOLERANCE, read_sound, require_pictures, write_clip

LONGEST_UNASKED = 8.0  # seconds, as published systems make; more of a video is made sound for where it is asked for


class VideoSuite(Suite):
    """Video files that somebody wants sound for.

    Args:
        videos: the files.
        caption: what is to be heard in all of them, if told.
        duration: seconds of each from its start; None for as much as each shows, 8 at most.
    """

    name = "videos"
    title = "videos"
    split = "all"

    def __init__(self, videos: Sequence[Path], caption: str | None, duration: float | None):
        self.duration = duration
        names = [clip_id(video, video.parent) for video in videos]
        for name, video in zip(names, videos, strict=True):
            if not video.is_file():
                raise UsageError(f"there is no file {video}; --video expects a video.")
            require_id(name, video)
            if names.count(name) > 1:
                raise UsageError(
                    f"two videos are called {name}, and so would their sounds be. Give them a run each, with "
                    "another --out."
                )
        self._clips = tuple(
            Clip(name, video, None, 0.0, duration or _own_length(video), caption)
            for name, video in zip(names, videos, strict=True)
        )

    def clips(self) -> tuple[Clip, ...]:
        """One clip a file, in the order given."""
        return self._clips


def _own_length(video: Path) -> float:
    """Seconds of a video that sound is made for where nobody says how many; what is left out is told."""
    shown = probed(video).picture
    if shown is None:  # what is wrong with it is said when it is its turn
        return LONGEST_UNASKED
    if shown >= LONGEST_UNASKED + TOLERANCE:
        note(
            f"{video} lasts {shown:.1f} s: sound is made for its first {LONGEST_UNASKED:g} s. For all of it: "
            f"--duration {int(shown * 10) / 10:g}"
        )
    return min(max(shown, SHORTEST), LONGEST_UNASKED)


def produce(job: SuiteJob, folder: Path, *, seed: int, device: str, mux: bool, workers: int) -> None:
    """Make what is not there yet; what could not be made is listed in the folder's `failures.jsonl`.

    Args:
        job: one suite and one system.
        folder: where the sounds go.
        seed: of everything random.
        device: a torch device.
        mux: write `<clip>.mp4` too, with the pictures of the window and the new sound.
        workers: units of work at once.

    Raises:
        UsageError: a file in `folder` that is not of our making would be overwritten, or the system needs references
            and there are none.
        BenchError: the system cannot run here, or some clips could not be made; all others are made by then.
    """
    (system,) = job.systems
    if system.unavailable:
        raise BenchError(system.unavailable)
    if unheard := job.unheard(system):
        raise UsageError(unheard)
    _refuse_to_overwrite(job, folder, mux=mux)
    plan = Plan((job,), metrics=(), out=folder, seed=seed, device=device, workers=workers, sounds=folder)
    ledger = Ledger(folder)
    unmade = prepare(job.suite, plan.workers)
    asked = [clip.id for clip in job.clips]
    ledger.add(failure_of(unmade[name], job.suite.name, name, "prepare") for name in asked if name in unmade)
    job = replace(job, refused=frozenset(unmade))
    by_clip = recorded(plan, job, system)
    before = len(by_clip)
    too_short = _too_short(job)
    missing = [name for name in asked if name not in by_clip and name not in unmade and name not in too_short]
    making = chain(too_short.values(), generate(plan, job, system, missing))
    for made in track(making, len(too_short) + len(missing), f"{system.card.name} on {job.suite.name}"):
        if made.path is None:
            why = (made.reason, made.message, made.trace)
            ledger.add([Failure(job.suite.name, system.card.name, made.clip, "generate", *why)])
        else:
            by_clip[made.clip] = made.path
    not_made = len(ledger.failures)
    if mux:
        ledger.add(_mux_all(job, by_clip, folder, system.card.name))
    for failure in ledger.failures:
        note(f"not {'shown' if failure.stage == 'mux' else 'made'}: {failure.clip}: {failure.message}")
    path = ledger.write(_still_unmade(folder, asked))
    note(f"{len(by_clip)} sounds in {folder}" + (f" ({before} were there)" if by_clip else ""))
    if ledger.failures:
        unshown = len(ledger.failures) - not_made
        raise BenchError(
            f"{not_made} of {len(job.clips)} clips could not be made"
            + (f", and {unshown} not written as videos" if unshown else "")
            + f"; each is named above and in {path}."
        )


def _refuse_to_overwrite(job: SuiteJob, folder: Path, *, mux: bool) -> None:
    """Refuse a folder where a file of a clip's name lies that no record of ours is beside, a source first of all."""
    for clip in job.clips:
        if (folder / f"{clip.id}.json").is_file():
            continue
        for path in (folder / f"{clip.id}{suffix}" for suffix in (".wav", ".mp4")[: 1 + mux]):
            if path.exists():
                raise UsageError(
                    f"{path} exists and was not made by bench generate (no {clip.id}.json is beside it); it would be "
                    "overwritten. Choose another folder: --out DIR"
                )


def _still_unmade(folder: Path, asked: Collection[str]) -> list[Failure]:
    """What earlier commands could not make in a folder, of clips that this one was not asked for."""
    try:
        told = read_failures(folder / "failures.jsonl") if (folder / "failures.jsonl").is_file() else []
    except UsageError:  # damaged: it is written anew
        return []
    return [failure for failure in told if failure.clip not in asked and not (folder / f"{failure.clip}.wav").is_file()]


def _too_short(job: SuiteJob) -> dict[str, Generated]:
    """Clips of `--video` whose pictures end before the sound would, whatever system makes it."""
    refused = {}
    for clip in job.clips if isinstance(job.suite, VideoSuite) else ():
        try:
            if clip.video is not None and clip.duration is not None:
                require_pictures(clip.video, clip.start, clip.duration)
        except ClipError as error:
            refused[clip.id] = Generated(clip.id, None, error.reason, error.message)
    return refused


def _mux_all(job: SuiteJob, sounds: Mapping[str, Path], folder: Path, system: str) -> Iterator[Failure]:
    """A video beside each sound, with the gain of its sound in the record; what was turned down is said once.

    Yields:
        What could not be written.
    """
    gains = []
    for clip in track(job.clips, len(job.clips), "writing videos"):
        if clip.id in sounds and clip.video is not None:
            try:
                with one_clip():
                    gains.append(_mux(clip, sounds[clip.id], folder))
            except ClipError as error:
                yield failure_of(error, job.suite.name, clip.id, "mux", system)
    lowered = [gain for gain in gains if gain < 1]
    if lowered:
        note(
            f"{len(lowered)} of {len(gains)} sounds are beyond full scale; in the videos both ears are turned down "
            f"alike, by up to {-20 * math.log10(min(lowered)):.1f} dB (each clip's gain is in its .json). "
            "The wav files are as they were made."
        )


def _mux(clip: Clip, sound: Path, folder: Path) -> float:
    """Write one video and note its gain in the record of the sound."""
    name = f"{clip.id}.mp4"
    gain = mux_clip(clip, sound, folder / name)
    record = folder / f"{clip.id}.json"
    write_json(record, {**json.loads(record.read_text("utf-8")), "mux": {"file": name, "gain": gain}})
    return gain


def mux_clip(clip: Clip, sound: Path, out: Path) -> float:
    """Write the pictures of a clip with another sound, as mp4: copied as they are, or cut to the clip's window.

    Args:
        clip: whose pictures.
        sound: file of the sound.
        out: the mp4.

    Returns:
        The gain of the sound, as `write_clip` says.
    """
    played = read_sound(sound)
    with pictures_file(clip, played.samples.shape[1] / played.sample_rate, out.parent) as pictures:
        return write_clip(out, pictures, played.samples, played.sample_rate)
