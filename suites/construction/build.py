"""One clip: from a panorama with ambisonics to a perspective video with binaural sound.

A clip depends on its source files, its id and the recipe: not on the other clips, on how many processes work, or on
how busy they are. Another kind of processor may round the last bit of a sample or of a pixel the other way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.files import write_text
from visaudio_bench.guard import keep_trace, one_clip
from visaudio_bench.suites.admission import LOWEST_RATE, TAU, channel_difference, refuse_silence
from visaudio_bench.suites.ambisonics import CHANNELS, binaural, rotate
from visaudio_bench.suites.construction.localise import loudest
from visaudio_bench.suites.construction.panorama import PanoramaCheck
from visaudio_bench.suites.construction.perspective import Projector
from visaudio_bench.suites.construction.sphere360 import Panorama
from visaudio_bench.suites.construction.trajectory import Pose, Trajectory, draw_trajectory
from visaudio_bench.suites.construction.view_labels import seen_by
from visaudio_bench.suites.construction.width import width
from visaudio_bench.suites.direction_labels import in_window, write_labels
from visaudio_bench.suites.media import Samples, Sound, read_sound, resample, write_audio
from visaudio_bench.suites.yuv_pictures import Planes, iter_planes, video_facts, write_planes

FASTEST = 30.5  # pictures a second: beyond, every second one is taken, as often as necessary


@dataclass(frozen=True)
class BuildSettings:
    """How clips are made.

    Attributes:
        seed: of every trajectory.
        duration: seconds, from the source's beginning.
        size: pixels, width and height.
        decoder: of the ears, see `suites.foa_decoders`.
        segments: how many pieces of constant rotation the sound is cut into, as the paper does without saying how
            many; None turns it sample by sample.
        difference: clips whose channels differ by no more than this (D, Eq. 40) are left out.
    """

    seed: int = 0
    duration: float = 8.0
    size: int = 512
    decoder: str = "omnitone"
    segments: int | None = None
    difference: float = TAU


class Files(NamedTuple):
    """The files of a clip; the record is written last, so that it marks the clip as complete.

    `labels` is there where the panorama has direction labels.
    """

    video: Path
    audio: Path
    record: Path
    labels: Path


def clip_files(folder: Path, clip: str) -> Files:
    """Name the files of one clip.

    Args:
        folder: of the data set.
        clip: its id.

    Returns:
        Where they are, or will be.
    """
    return Files(
        folder / "video" / f"{clip}.mp4",
        folder / "audio" / f"{clip}.flac",
        folder / "clips" / f"{clip}.json",
        folder / "labels" / f"{clip}.csv",
    )


def build_clip(panorama: Panorama, folder: Path, recipe: BuildSettings) -> dict[str, Any]:
    """Make the files of one clip.

    A clip that cannot be made leaves a record too, with `reason` and `message`, so that it is not tried again.

    Args:
        panorama: what it is made from.
        folder: of the data set.
        recipe: how.

    Returns:
        The record that was written.
    """
    files = clip_files(folder, panorama.id)
    try:
        with one_clip(), _one_thread():
            return _keep(panorama, files, _make(panorama, files, recipe))
    except ClipError as error:
        return refuse_clip(panorama, folder, error)


def refuse_clip(panorama: Panorama, folder: Path, error: ClipError) -> dict[str, Any]:
    """Write the record of a clip that cannot be made, and remove what an earlier source of it became.

    The traceback of an error that nobody expected is kept beside the list of rejects.

    Args:
        panorama: what it should have been made from.
        folder: of the data set.
        error: why it cannot.

    Returns:
        The record that was written.
    """
    if error.trace:
        keep_trace(folder, f'clip "{panorama.id}" (build)', error.trace)
    files = clip_files(folder, panorama.id)
    for path in (files.video, files.audio, files.labels):
        path.unlink(missing_ok=True)
    return _keep(panorama, files, {"reason": error.reason, "message": error.message})


def _keep(panorama: Panorama, files: Files, findings: dict[str, Any]) -> dict[str, Any]:
    record = {"id": panorama.id, "source": source_sizes(panorama), **findings}
    write_text(files.record, json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
    return record


def source_sizes(panorama: Panorama) -> list[int]:
    """Bytes of the source's files: a file that was fetched anew has another size, and its clip is made again."""
    paths = (panorama.video, panorama.audio, *([panorama.labels] if panorama.labels else []))
    return [path.stat().st_size if path.is_file() else 0 for path in paths]


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch: with several, vectors begin elsewhere and the last bit depends on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _make(panorama: Panorama, files: Files, recipe: BuildSettings) -> dict[str, Any]:
    every = panorama.read_labels(panorama.labels, panorama.id) if panorama.labels else ()
    field = read_field(panorama.audio, recipe.duration, panorama.start, panorama.lowest_rate)
    source = loudest(field.samples)
    trajectory = draw_trajectory(source.azimuth, source.elevation, recipe.duration, random_for(panorama.id, recipe))
    sound, gain = render_sound(field, trajectory, recipe)
    difference = channel_difference(sound)
    if difference <= recipe.difference:
        raise ClipError("no_difference", f"both ears hear nearly the same: D = {difference:.4f} (Eq. 40).")
    facts = video_facts(panorama.video)
    fps = output_rate(facts.fps)
    pictures = render_pictures(panorama.video, fps, trajectory, recipe, panorama.start)
    write_planes(files.video, pictures, fps, facts.colours)
    write_audio(files.audio, sound, SAMPLE_RATE)
    labels = seen_by(trajectory, in_window(every, panorama.start), recipe.duration)
    if labels:
        write_labels(files.labels, {panorama.id: labels})
    return {
        "duration": recipe.duration,
        "fps": str(fps),
        "source_rate": field.source_rate,
        "loudest": {name: round(value, 4) for name, value in source._asdict().items()},
        "trajectory": asdict(trajectory),
        "gain": gain,
        "difference": round(difference, 6),
        "width": width(sound, SAMPLE_RATE)._asdict(),
        **({"labels": True} if labels else {}),
    }


def random_for(clip: str, recipe: BuildSettings) -> np.random.Generator:
    """Seed the random numbers of one clip, from its id and the recipe's seed alone.

    Args:
        clip: its id.
        recipe: how clips are made.

    Returns:
        A generator that gives the same numbers on every machine.
    """
    return np.random.default_rng(list(hashlib.sha256(f"{recipe.seed} {clip}".encode()).digest()))


def read_field(path: Path, duration: float, start: float = 0.0, lowest_rate: int = LOWEST_RATE) -> Sound:
    """Read the ambisonics of a window of a file.

    Args:
        path: the file.
        duration: seconds.
        start: of the window, seconds.
        lowest_rate: Hz.

    Returns:
        `(4, N)` at the rate that the file has.

    Raises:
        ClipError: as `read_sound` and `refuse_silence`; `not_ambisonic` without four channels, `low_rate` below
            the lowest rate.
    """
    field = read_sound(path, start=start, duration=duration)
    if len(field.samples) != CHANNELS:
        raise ClipError(
            "not_ambisonic",
            f"{path} has {len(field.samples)} sound channels; first-order ambisonics has four (W, Y, Z, X).",
        )
    if field.source_rate < lowest_rate:
        raise ClipError("low_rate", f"{path} has {field.source_rate} Hz; at least {lowest_rate} Hz are needed.")
    refuse_silence(path, field.samples, field.source_rate)
    return field


def render_sound(field: Sound, trajectory: Trajectory, recipe: BuildSettings) -> tuple[Samples, float]:
    """Render what the camera's two ears hear.

    One gain for both ears: their level difference is what the data set is for.

    Args:
        field: ambisonics `(4, N)` around the camera's place.
        trajectory: where the camera looks.
        recipe: how the ears are rendered.

    Returns:
        `(2, N)` at 44.1 kHz, left first, and the gain that kept it below full scale (1 if none was needed).
    """
    pose = sound_poses(trajectory, field.samples.shape[1], field.sample_rate, recipe)
    ears = binaural(rotate(field.samples, *pose), field.sample_rate, recipe.decoder)
    sound = resample(ears, field.sample_rate, SAMPLE_RATE)
    length = round(recipe.duration * SAMPLE_RATE)
    sound = np.pad(sound, ((0, 0), (0, max(length - sound.shape[1], 0))))[:, :length]
    gain = min(1.0, 0.999 / float(np.abs(sound).max(initial=1e-9)))
    return (sound * np.float32(gain) if gain < 1 else sound), gain


def sound_poses(trajectory: Trajectory, length: int, sample_rate: int, recipe: BuildSettings) -> Pose:
    """Tell where the camera looks at each sample; with segments, where it did at the beginning of each.

    Args:
        trajectory: of the camera.
        length: in samples.
        sample_rate: Hz.
        recipe: which says how long a segment is, if there are any.

    Returns:
        Poses with angles `(length,)` in radians.
    """
    index = np.arange(length, dtype=np.float64)
    if recipe.segments:
        index = np.floor(index * recipe.segments / length) * (length / recipe.segments)
    return trajectory.at(index / sample_rate)


def output_rate(source: Fraction) -> Fraction:
    """Pictures a second of the result: the source's, or a whole part of it that is at most 30."""
    return source / int(np.ceil(float(source) / FASTEST))


def render_pictures(
    path: Path, fps: Fraction, trajectory: Trajectory, recipe: BuildSettings, start: float = 0.0
) -> Iterator[Planes]:
    """Render what the camera sees.

    Args:
        path: the panoramic video.
        fps: pictures a second.
        trajectory: where the camera looks.
        recipe: field of view and size of the pictures.
        start: of the window in the video, seconds.

    Returns:
        An iterator over the pictures; each is valid until the next one is asked for.

    Raises:
        ClipError: the video cannot be read, or proves in the end to be no panorama.
    """
    projector, check = Projector(recipe.size), PanoramaCheck()
    for index, picture in enumerate(iter_planes(path, fps=fps, duration=recipe.duration, start=start)):
        if index % round(fps) == 0:
            check.look(picture.y)
        yaw, pitch, roll = trajectory.at(float(index / fps))
        yield projector.project(picture, float(yaw), float(pitch), float(roll))
    check.verdict()


def trajectory_of(record: dict[str, Any]) -> Trajectory:
    """The trajectory that a record holds."""
    start, rate = (tuple(record["trajectory"][name]) for name in ("start", "rate"))
    return Trajectory(start, rate)
