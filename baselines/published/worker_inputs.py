"""What every published system is given for a clip, made once by one rule and kept in the cache.

The pictures: 25 a second, silent, as long as the clip, the last one held for 0.2 s more. A constant rate because
systems count frames (AudioX takes every fifth and so squeezes 24 frames/s in time), the held picture because readers
lose the last frame (199 of 200 at 25 frames/s) and MMAudio then shortens the sound. Size and aspect stay as they are:
every system does its own. No sound track, so that no system can hear the answer.

What is in the cache may only be read, and is compared with its hash whenever it is used again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import NamedTuple

from visaudio_bench.baselines.published.card import Card
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.files import cache_dir, digest, file_stamp, write_json, write_text
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import (
    Frame,
    iter_frames,
    read_binaural,
    read_sound,
    round_to_16_bit,
    within_full_scale,
    write_audio,
    write_picture,
    write_video,
)

FRAMES_PER_SECOND = 25
# How long the last picture is shown beyond the clip: five pictures, for readers that lose the last one. Not
# `media.TOLERANCE`, which is how much of the clip a file may lack; `iter_frames` has filled that up before.
HELD_SECONDS = 0.2
# Visually lossless: what a system sees differs from the original by less than the original's own coding noise.
CRF = 12
FRAMES = ".frames"  # of the file that says that a folder of pictures is whole


class Inputs(NamedTuple):
    """Files of one clip, None where the card does not ask for them."""

    video: Path | None = None
    image: Path | None = None
    frames: Path | None = None
    mono: Path | None = None


def prepare(card: Card, clip: Clip, seconds: float, mono: Path | None) -> Inputs:
    """Make the files of one clip that a card asks for; what is there is not made again.

    Args:
        card: the system's.
        clip: the clip.
        seconds: its length.
        mono: sound to be binauralised, None for the clip's own reference; only used where the card asks for it.

    Returns:
        The files, in the cache; None for what the card does not ask for.

    Raises:
        ClipError: the clip has no video or no sound of the kind asked for, or it cannot be read.
    """
    given = set(card.given)
    return Inputs(
        video=_video(clip, seconds) if "video" in given else None,
        image=_image(clip, min(card.image_at, seconds / 2)) if "image" in given else None,
        frames=_frames(clip, seconds, card.frames_per_second) if "frames" in given else None,
        mono=_mono(clip, seconds, mono) if "mono" in given else None,
    )


def _made(source: Path, suffix: str, make: Callable[[Path], None], *parameters: object) -> Path:
    """The file that `make` makes from `source` with these parameters, from the cache where it is there and whole."""
    if not source.is_file():
        raise ClipError("not_found", f"{source} does not exist.")
    key = digest([str(source.resolve()), file_stamp(source), suffix, parameters, source_revision(__name__)])
    path = cache_dir() / "published" / "inputs" / f"{key[:32]}{suffix}"
    seal = path.with_name(f"{path.name}.sha256")
    if not (seal.is_file() and seal.read_text(encoding="ascii", errors="replace") == _hash_of(path)):
        make(path)
        for part in _parts(path):
            part.chmod(0o444)
        write_text(seal, _hash_of(path))
    return path


def _parts(path: Path) -> list[Path]:
    """A made file with what belongs to it: the pictures that it stands for, the gain of a sound."""
    pictures = path.with_name(path.name.removesuffix(FRAMES))
    several = sorted(pictures.iterdir()) if path.name.endswith(FRAMES) and pictures.is_dir() else []
    return [file for file in (path, _gain_of(path), *several) if file.is_file()]


def _hash_of(path: Path) -> str:
    summed = hashlib.sha256()
    for part in _parts(path):
        summed.update(f"{part.name} {part.stat().st_size} ".encode())
        with part.open("rb") as file:
            summed.update(hashlib.file_digest(file, "sha256").digest())
    return summed.hexdigest()


def _pictures(clip: Clip, seconds: float, fps: float) -> Iterator[Frame]:
    frames = iter_frames(_source(clip), fps=fps, start=clip.start, duration=seconds)
    return (picture for _, picture in frames)


def _source(clip: Clip) -> Path:
    if clip.video is None:
        raise ClipError("no_video", f"clip {clip.id} has no video, which this system needs.")
    return clip.video


def _video(clip: Clip, seconds: float) -> Path:
    def make(path: Path) -> None:
        held = _hold_last(_pictures(clip, seconds, FRAMES_PER_SECOND), round(HELD_SECONDS * FRAMES_PER_SECOND))
        write_video(path, (_even(picture) for picture in held), FRAMES_PER_SECOND, crf=CRF)

    return _made(_source(clip), ".mp4", make, clip.start, seconds)


def _hold_last(pictures: Iterable[Frame], times: int) -> Iterator[Frame]:
    last: list[Frame] = []
    for picture in pictures:
        last[:] = [picture]
        yield picture
    yield from chain.from_iterable(repeat(last, times))


def _even(picture: Frame) -> Frame:
    """Without the odd last row or column, which H.264 with halved colour cannot hold."""
    return picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]


def _image(clip: Clip, at: float) -> Path:
    def make(path: Path) -> None:
        ((_, picture),) = iter_frames(_source(clip), fps=1.0, start=clip.start + at, duration=1.0)
        write_picture(path, picture)

    return _made(_source(clip), ".png", make, clip.start + at)


def _frames(clip: Clip, seconds: float, fps: float) -> Path:
    """A folder with `000001.png`, ...; its last file is written last, so that a folder with it is complete."""
    count = round(seconds * fps)

    def make(path: Path) -> None:
        for number, picture in enumerate(_pictures(clip, seconds, fps), start=1):
            write_picture(path.parent / path.name.removesuffix(FRAMES) / f"{number:06d}.png", picture)
        write_text(path, "")

    mark = _made(_source(clip), FRAMES, make, clip.start, seconds, fps, count)
    return mark.parent / mark.name.removesuffix(FRAMES)


def _mono(clip: Clip, seconds: float, other: Path | None) -> Path:
    """One channel, 44.1 kHz, 16 bits: the mean of the reference's two, or of all that the other sound has.

    A mean beyond full scale is turned down; `mono_gain` says by how much.
    """
    source = other or clip.audio
    if source is None:
        raise ClipError("no_reference", f"clip {clip.id} has no reference sound, whose mono mix this system needs.")
    start = 0.0 if other else clip.start

    def make(path: Path) -> None:
        read = read_sound if other else read_binaural
        samples = read(source, start=start, duration=seconds, sample_rate=SAMPLE_RATE).samples
        mean, gain = within_full_scale(samples.mean(axis=0, keepdims=True))
        write_json(_gain_of(path), gain)
        write_audio(path, round_to_16_bit(mean), SAMPLE_RATE)

    return _made(source, ".wav", make, start, seconds)


def mono_gain(mono: Path) -> float:
    """The gain that brought a prepared mono sound within full scale, 1.0 if none was needed."""
    return float(json.loads(_gain_of(mono).read_text(encoding="utf-8")))


def _gain_of(mono: Path) -> Path:
    return mono.with_suffix(".gain.json")
