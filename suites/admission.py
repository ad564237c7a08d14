"""What makes a window of a file a clip: the rules that every real suite has in common, in their order.

| step | refused with |
|---|---|
| the files are there, whole, and media | `not_found`, `lfs_pointer`, `unreadable`, `corrupt` |
| both streams are present | `no_video`, `no_audio` |
| the window lies inside both (0.25 s at its end, 0.5 s at its start) | `short`, `late` |
| two channels | `mono`, `not_two_channel` |
| at least 32 kHz (24 kHz where no better is published) | `low_rate` |
| numbers within 60 dB above full scale, and not silence | `not_finite`, `out_of_range`, `silent` |
| the ears differ: D > 0.01 | `no_difference`, where a suite drops such clips |

Sound is decoded completely; of the pictures the first one and the time stamps at the window's end are looked at,
unless they are asked for, because decoding them all takes a hundred times as long.

D is the difference filter of ViSAudio (Eqs. 39 and 40). A panned or mono recording has D = 0, whatever its level; but
an AAC encoder makes 0.009 of two equal channels of music, so that values between 0.005 and 0.015 are flagged
`borderline`, and 0.08 of two equal channels of noise (it codes noise by its level alone, each channel its own): the
filter cannot tell those from stereo. Copies coded by Opus, Vorbis or MP3 stay equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.suites.containers import picture_span, refuse_absent, refuse_damaged_pictures
from visaudio_bench.suites.media import TOLERANCE, Samples, read_sound, require_two_channels, resample, sound_start

LOWEST_RATE = 32_000  # Hz: below, the level difference of high frequencies is not in the file
TAU = 0.01  # Eq. 40
BORDERLINE = (0.005, 0.015)
LATE = 0.5  # s: a first picture or sound may come this long after the window's start
PEAK, QUIET, QUIET_SHARE, BLOCK = 1e-4, 1e-3, 0.9, 0.02  # full scale, -60 dBFS, share of blocks, seconds
ENDS = 64 * 1024  # bytes at either end of a file that tell it from others


@dataclass(frozen=True)
class AdmissionRules:
    """What a suite asks beyond the common rules.

    `drop_equal` refuses clips with D <= 0.01 instead of flagging them; `pictures` decodes every picture; `lowest_rate`
    is the lowest rate of the sound that is accepted, Hz.
    """

    drop_equal: bool = False
    pictures: bool = False
    lowest_rate: int = LOWEST_RATE


class ClipMeasurements(NamedTuple):
    """What was found out about an admitted window.

    `difference` is D; `side_mid` the energy of side over mid, dB, None where one is zero; `flags` any of `borderline`,
    `no_difference`, `equal_channels`, `one_channel_silent`. `content` tells the files from others (see `fingerprint`).
    """

    source_rate: int
    channels: int
    difference: float
    side_mid: float | None
    peak: float
    flags: tuple[str, ...]
    content: str


def admit(
    video: Path,
    audio: Path,
    start: float,
    duration: float,
    rules: AdmissionRules,
    span: tuple[float, float] | None = None,
) -> ClipMeasurements:
    """Judge one window by the rules.

    Args:
        video: file with the pictures.
        audio: file with the reference sound; may be the same.
        start: of the window, seconds.
        duration: of the window, seconds.
        rules: of the suite.
        span: what `picture_span` says, where it is known already.

    Returns:
        What was measured of the window that is admitted.

    Raises:
        ClipError: the window is refused, with the reason of the module's table.
    """
    refuse_absent(video)
    span = span or picture_span(video, start, start + duration)
    sound = read_sound(audio, start=start, duration=duration)
    check_pictures(video, span, start, duration)
    _refuse_late_sound(audio, start)
    if rules.pictures:
        refuse_damaged_pictures(video, start, start + duration)
    require_two_channels(audio, sound.samples)
    if sound.source_rate < rules.lowest_rate:
        raise ClipError(
            "low_rate",
            f"{audio} has {sound.source_rate} Hz; at least {rules.lowest_rate} Hz are needed. Get a better copy.",
        )
    refuse_silence(audio, sound.samples, sound.source_rate)
    difference = channel_difference(resample(sound.samples, sound.source_rate, SAMPLE_RATE))
    if rules.drop_equal and difference <= TAU:
        raise ClipError("no_difference", f"{audio}: both ears hear nearly the same, D = {difference:.4f} <= {TAU:g}.")
    return ClipMeasurements(
        sound.source_rate,
        len(sound.samples),
        round(difference, 6),
        side_over_mid(sound.samples),
        round(float(np.abs(sound.samples).max()), 6),
        tuple(_flags(sound.samples, difference)),
        fingerprint(video, audio),
    )


def channel_difference(samples: Samples) -> float:
    """D of `(2, N)` sound at 44.1 kHz: mean distance of the channels, each without its mean and scaled to its peak."""
    left, right = (_to_peak(channel.astype(np.float64)) for channel in samples)
    return float(np.mean(np.abs(left - right)))


def _to_peak(channel: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = channel - channel.mean()
    scaled: NDArray[np.float64] = centred / (np.abs(centred).max() + 1e-9)
    return scaled


def side_over_mid(samples: Samples) -> float | None:
    """Energy of the difference over that of the sum of two channels, dB; None where either is zero."""
    left, right = samples.astype(np.float64)
    side, mid = float(np.sum((left - right) ** 2)), float(np.sum((left + right) ** 2))
    return round(10 * float(np.log10(side / mid)), 2) if side and mid else None


def refuse_silence(path: Path, samples: Samples, rate: int) -> None:
    """Refuse sound that is no sound.

    Args:
        path: the file, for the message.
        samples: its sound `(C, N)`, full scale 1.
        rate: of the samples, Hz.

    Raises:
        ClipError: `silent` where nothing exceeds -80 dBFS, or over 90 % of 20 ms lie below -60 dBFS.
    """
    block = round(BLOCK * rate)
    count = max(1, samples.shape[1] // block)
    blocks = samples[:, : count * block].reshape(len(samples), count, -1)
    # Sums of 20 ms in float32 are exact to six digits, and the threshold is a round number of decibels.
    level = np.sqrt(np.einsum("cbn,cbn->b", blocks, blocks) / (blocks.size / count))
    quiet = float(np.mean(level < QUIET))
    if np.abs(samples).max(initial=0) <= PEAK or quiet > QUIET_SHARE:
        raise ClipError("silent", f"{path} is silent for {100 * quiet:.0f} % of the window.")


def check_pictures(path: Path, span: tuple[float, float], start: float, duration: float) -> None:
    """Refuse pictures that come late or end early.

    Args:
        path: the file, for the message.
        span: when its pictures begin and end in seconds, as `picture_span` says.
        start: of the window, seconds.
        duration: of the window, seconds.

    Raises:
        ClipError: `late`, `short`.
    """
    first, last = span
    if first > start + LATE:
        raise ClipError("late", f"the first picture of {path} comes {first - start:.2f} s after the window's start.")
    if last < start + duration - TOLERANCE:
        raise ClipError(
            "short", f"the pictures of {path} end {start + duration - last:.2f} s before the window of {duration:g} s."
        )


def _refuse_late_sound(path: Path, start: float) -> None:
    late = sound_start(path) - start
    if late > LATE:
        raise ClipError("late", f"the sound of {path} begins {late:.2f} s after the window does.")


def fingerprint(*paths: Path) -> str:
    """SHA-256 (16 digits) of the sizes and of the first and last 64 KiB of files: the same wherever they lie.

    Not of all bytes, because a data set of 100 GB would have to be read for that.
    """
    whole = hashlib.sha256()
    for path in dict.fromkeys(paths):
        size = path.stat().st_size
        whole.update(size.to_bytes(8, "big"))
        with path.open("rb") as file:
            whole.update(file.read(ENDS))
            if size > 2 * ENDS:
                file.seek(-ENDS, 2)
            whole.update(file.read(ENDS))
    return whole.hexdigest()[:16]


def _flags(samples: Samples, difference: float) -> Iterator[str]:
    if difference <= TAU:
        yield "no_difference"
    if BORDERLINE[0] < difference < BORDERLINE[1]:
        yield "borderline"
    if np.array_equal(samples[0], samples[1]):
        yield "equal_channels"
    if np.abs(samples).max(axis=1).min() <= PEAK:
        yield "one_channel_silent"
