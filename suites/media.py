"""Sound and pictures of files as arrays, and arrays as files: what the rooms above read and write media by.

Two modules beside this one do so for an end of their own: `suites.yuv_pictures` hands on pictures as codecs keep them,
without a detour through RGB, and `suites.mono_pairs` puts two mono files together as they are. `suites.containers`
opens files and decodes packets for all. `baselines.published.stretch` uses a filter of FFmpeg on arrays, not on files.

Conventions: sound is float32 `(channels, samples)`, left first, full scale 1.0; times are seconds from the file's
own start (`suites.containers`), so sound and pictures, placed by their time stamps, keep the alignment the author gave
them. wav, flac, ogg, mp3 and the like go through libsndfile, everything else through PyAV (FFmpeg inside, no system
package needed).
Resampling is soxr "HQ", always of all channels together, and no gain is ever applied: levels between the ears are
what this project measures.

Errors are `ClipError`s with a stable reason code:
`not_found`, `unreadable`, `corrupt`, `no_audio`, `no_video`, `mono`, `not_two_channel`, `short`, `not_finite`,
`out_of_range`, `format_changes`, those of `suites.containers` (`several_audio`, `several_video`, `discontinuous`) and
of `suites.display`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from visaudio_bench.errors import ClipError
from visaudio_bench.files import atomic_path
from visaudio_bench.suites.containers import (
    RATES,
    decoded,
    end_of,
    open_container,
    opened,
    origin,
    packets,
    played_stream,
    refuse_absent,
    start_of,
)
from visaudio_bench.suites.display import Screen
from visaudio_bench.suites.frame_selection import Selection, find_policy

Samples = NDArray[np.float32]
Frame = NDArray[np.uint8]

RESAMPLER = "soxr HQ"
DECODER = f"PyAV {av.__version__}, libsndfile {soundfile.__libsndfile_version__}"

LIBSNDFILE_SUFFIXES = frozenset({".wav", ".wave", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".au", ".w64"})
SOUND_SUFFIXES = LIBSNDFILE_SUFFIXES | {
    ".m4a", ".aac", ".opus", ".weba", ".mka", ".mp2", ".ac3", ".wma", ".caf", ".wv", ".tta",
}  # fmt: skip
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".ogv", ".flv", ".wmv",
     ".3gp"}
)  # fmt: skip

# A window may start or end this far outside the file before it counts as short: container durations are rounded to
# frames, and codecs pad. What is missing is filled with silence.
TOLERANCE = 0.25
# Seconds of the shortest sound that is made for pictures: what holds one segment of the features of motion.
SHORTEST = 0.7
# Time stamps in milliseconds (webm, mkv) jitter by up to 48 samples; a real gap is longer than this.
GAP = 0.02
# Samples beyond this times full scale (60 dB above it) are no sound: floats of another scale, or damage.
LOUDEST = 1000.0
# Silence that time stamps may ask for between pieces of sound, seconds and times what was decoded; beyond is damage.
SILENCE, STRETCH = 60.0, 10.0


class Sound(NamedTuple):
    """Decoded sound: `samples` `(C, N)` at `sample_rate`, and the rate that the file itself has."""

    samples: Samples
    sample_rate: int
    source_rate: int


def read_sound(
    path: Path, *, start: float = 0.0, duration: float | None = None, sample_rate: int | None = None
) -> Sound:
    """Read the sound of a file in the window `[start, start + duration)`, every channel it has.

    Args:
        path: a file with sound.
        start: of the window, seconds.
        duration: of the window, seconds; None reads to the end.
        sample_rate: Hz, to which the sound is resampled; None keeps the file's.

    Returns:
        Samples `(C, N)`, full scale 1.0, and their rate. With a duration there are exactly `round(duration * rate)` of
        them.

    Raises:
        ClipError: the file is missing, unreadable, corrupt, has no sound, or ends more than 0.25 s too early; its
            samples are no numbers (`not_finite`), or over 60 dB above full scale (`out_of_range`).
    """
    refuse_absent(path)
    decode = _decode_soundfile if path.suffix.lower() in LIBSNDFILE_SUFFIXES else _decode_av
    samples, rate = decode(path, start, duration)
    _refuse_impossible(path, samples)
    if duration is not None:
        samples = _fit(path, samples, rate, duration)
    if sample_rate is not None and sample_rate != rate:
        samples = resample(samples, rate, sample_rate)
        if duration is not None:
            samples = _pad_or_cut(samples, round(duration * sample_rate))
    return Sound(np.ascontiguousarray(samples, dtype=np.float32), sample_rate or rate, rate)


def read_binaural(
    path: Path, *, start: float = 0.0, duration: float | None = None, sample_rate: int | None = None
) -> Sound:
    """Read as `read_sound` does, and refuse whatever does not have exactly two channels.

    Args:
        path: a file with sound.
        start: of the window, seconds.
        duration: of the window, seconds; None reads to the end.
        sample_rate: Hz, to which the sound is resampled; None keeps the file's.

    Returns:
        Samples `(2, N)`, left first, full scale 1.0, and their rate.

    Raises:
        ClipError: as `read_sound`; `mono` or `not_two_channel` for another number of channels.
    """
    sound = read_sound(path, start=start, duration=duration, sample_rate=sample_rate)
    require_two_channels(path, sound.samples)
    return sound


def _refuse_impossible(path: Path, samples: Samples) -> None:
    """Refuse samples that no sound has: one of them would spoil, or end, everything that is computed from the rest."""
    peak = max(abs(float(samples.max(initial=0))), abs(float(samples.min(initial=0))))
    if not np.isfinite(peak):
        count = int(np.count_nonzero(~np.isfinite(samples)))
        raise ClipError(
            "not_finite", f"{path} holds {count} of {samples.size} samples that are no numbers (NaN or infinite)."
        )
    if peak > LOUDEST:
        scale = " 16-bit integers written as floats look so: divide by 32768." if peak <= 32768 else ""
        raise ClipError(
            "out_of_range",
            f"{path} has a peak of {peak:.3g}; full scale is 1, and over {LOUDEST:g} is not taken for sound.{scale}",
        )


def require_two_channels(path: Path, samples: Samples) -> None:
    """Refuse sound that is not two-channel.

    Args:
        path: the file that it is of, for the message.
        samples: `(C, N)`.

    Raises:
        ClipError: `mono` or `not_two_channel`.
    """
    channels = samples.shape[0]
    if channels == 1:
        raise ClipError(
            "mono",
            f"{path} is mono; binaural sound has two channels, and a mono file is never duplicated silently. "
            "A recording in mono has no side to compare with; a system that means one channel for both ears writes it "
            "to both.",
        )
    if channels != 2:
        raise ClipError(
            "not_two_channel",
            f"{path} has {channels} channels; binaural sound has two. "
            "Render ambisonics or surround sound to binaural first, and give the two-channel file.",
        )


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """Resample by soxr "HQ", all channels alike.

    Args:
        samples: `(C, N)`.
        source_rate: that they have, Hz.
        target_rate: that they shall have, Hz.

    Returns:
        `(C, M)` float32.
    """
    resampled: Samples = soxr.resample(samples.T, source_rate, target_rate, quality="HQ").T
    return np.ascontiguousarray(resampled, dtype=np.float32)


def scale_to_peak(samples: Samples, peak: float = 0.95) -> Samples:
    """Scale so that the largest sample of all channels is `peak`; silence stays as it is.

    One factor for both ears: a factor of each ear's own would destroy the level difference, which is half of what
    binaural sound consists of.

    Args:
        samples: `(C, N)`.
        peak: full scale is 1.

    Returns:
        `(C, N)` float32.
    """
    loudest = float(np.abs(samples).max(initial=0))
    return samples if loudest == 0 else (samples * np.float32(peak / loudest)).astype(np.float32)


def within_full_scale(samples: Samples) -> tuple[Samples, float]:
    """`(C, N)` turned down by one gain for all channels where its peak exceeds 1, and that gain (else 1.0).

    What is to be written with 16 bits goes through here first: cutting each sample off by itself would change the
    level between the ears.

    Raises:
        ClipError: `not_finite`: there are values that are not numbers.
    """
    peak = float(np.abs(samples).max(initial=0))
    if not math.isfinite(peak):
        raise ClipError("not_finite", "the sound that was made has values that are not numbers.")
    if peak <= 1:
        return samples, 1.0
    return np.asarray(samples / np.float32(peak), dtype=np.float32), 1 / peak


def write_audio(path: Path, samples: Samples, sample_rate: int, *, quick: bool = False) -> None:
    """Write wav or flac, atomically.

    The same samples make the same file, whenever they are written. A wav gets the smallest of 16-bit, 24-bit and
    float that holds the samples exactly, so that writing and reading back changes nothing; a flac gets 16 bits (round
    first what must be exact).

    Args:
        path: its suffix says which.
        samples: `(C, N)`, full scale 1.
        sample_rate: Hz.
        quick: a flac takes 40 % less time and 5 % more bytes.

    Raises:
        ClipError: `beyond_full_scale`, for a flac.
    """
    level = None
    if path.suffix.lower() == ".flac":
        subtype, samples, level = "PCM_16", round_to_16_bit(samples), 0.0 if quick else None
    else:
        subtype = _exact_subtype(samples)
    encoded = io.BytesIO()  # encoded in memory, so that a full disk is the system's own error and not libsndfile's
    form = path.suffix[1:].upper()
    soundfile.write(encoded, samples.T, sample_rate, subtype=subtype, format=form, compression_level=level)
    with atomic_path(path) as temporary:
        temporary.write_bytes(_without_time(encoded.getbuffer()))


def _without_time(wav: memoryview) -> memoryview:
    """The file with 0 for the second of its writing, which libsndfile notes with the peak of floats."""
    peak = bytes(wav[:128]).find(b"PEAK")  # then four bytes each: length, version, time
    if peak > 0:
        wav[peak + 12 : peak + 16] = bytes(4)
    return wav


def round_to_16_bit(samples: Samples) -> Samples:
    """The nearest 16-bit values, as float32; what a 16-bit file gives back.

    Raises:
        ClipError: `beyond_full_scale`: the peak exceeds 1. Nothing is ever cut off; `within_full_scale` turns it down.
    """
    peak = float(np.abs(samples).max(initial=0))
    if peak > 1:
        raise ClipError(
            "beyond_full_scale",
            f"the sound's peak is {peak:.3g} times full scale, and 16 bits hold no more than full scale. Turn it down, "
            "both ears alike.",
        )
    rounded: Samples = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767).astype(np.float32)
    return rounded / np.float32(32768)


def _exact_subtype(samples: Samples) -> str:
    for subtype, scale in (("PCM_16", 2.0**15), ("PCM_24", 2.0**23)):
        scaled = samples.astype(np.float64) * scale
        if (
            np.array_equal(scaled, np.rint(scaled))
            and scaled.min(initial=0) >= -scale
            and scaled.max(initial=0) < scale
        ):
            return subtype
    return "FLOAT"


# How x264 is told to make the same file of the same pictures wherever it runs. Its fast paths differ from each other in
# the last bit of rate control, so that processors get different files; the one for AVX-512 also reads beyond the ends
# of its rows where a picture's width is no multiple of 128, so that two runs of one machine do.
X264 = "cpu-independent=1"


def picture_stream(container: Any, fps: int | Fraction, shape: tuple[int, ...], crf: int) -> Any:
    """Add a stream of H.264 in 4:2:0 whose bytes depend on its pictures alone.

    Args:
        container: opened for writing.
        fps: pictures a second.
        shape: of the pictures, `(H, W)` or `(H, W, 3)`.
        crf: quality, lower is better; 18 is visually lossless.

    Returns:
        The stream.
    """
    options = {"crf": str(crf), "preset": "veryfast", "x264-params": X264}
    stream = container.add_stream("libx264", rate=fps, options=options)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.thread_count = 1
    return stream


def write_video(path: Path, frames: Iterable[Frame], fps: int, *, crf: int = 23) -> None:
    """Write a silent H.264 mp4, atomically.

    Args:
        path: of the mp4.
        frames: `(H, W, 3)` uint8 RGB; height and width must be even.
        fps: pictures a second.
        crf: quality, lower is better; 18 is visually lossless.
    """
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream: Any = None
        for picture in frames:
            if stream is None:
                stream = picture_stream(container, fps, picture.shape, crf)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())


def write_picture(path: Path, picture: Frame) -> None:
    """Write one picture as png, atomically.

    Args:
        path: of the png.
        picture: `(H, W, 3)` uint8 RGB, or `(H, W)` uint8 grey.
    """
    height, width = picture.shape[:2]
    form = "gray" if picture.ndim == 2 else "rgb24"
    encoder: Any = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, form, Fraction(1, 25)
    if form == "gray":  # drawings, not photographs: a quarter of the time, and no more bytes
        encoder.options = {"pred": "none", "compression_level": "2"}
    packets = encoder.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=form))
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(bytes(packet) for packet in (*packets, *encoder.encode(None))))


def can_be_copied(path: Path) -> bool:
    """Whether `write_clip` shows the pictures of a file when they are shown in the file itself.

    So it does with an mp4 whose pictures begin at its zero, and of which no edit list hides any.

    Raises:
        ClipError: the file is missing, cannot be opened, or has no pictures.
    """
    with opened(path) as container:
        stream = played_stream(path, container, "video")
        if "mp4" not in container.format.name or stream.start_time != 0 or origin(container) != 0:
            return False
        return not any(packet is None or packet.is_discard for packet in packets(container, stream))


def write_clip(path: Path, pictures: Path, samples: Samples, sample_rate: int) -> float:
    """Write an mp4 of the pictures of another one, as they are, and sound as 16-bit FLAC, atomically.

    FLAC loses nothing between the ears and has no encoder delay, so that the sound starts at the first picture; AAC has
    neither property. Browsers play it.

    Args:
        path: of the mp4.
        pictures: an mp4 with the pictures.
        samples: `(2, N)`, left first.
        sample_rate: Hz.

    Returns:
        The gain of both ears: 1.0, or less where the sound's peak is beyond full scale.
    """
    samples, gain = within_full_scale(samples)
    packed = np.ascontiguousarray((round_to_16_bit(samples) * 32768.0).astype(np.int16).T.reshape(1, -1))
    with (
        atomic_path(path) as temporary,
        open_container(pictures) as source,
        av.open(str(temporary), "w", format="mp4") as out,
    ):
        played = played_stream(pictures, source, "video")
        video = out.add_stream_from_template(played)
        sound: Any = out.add_stream("flac", rate=sample_rate, layout="stereo", options={"strict": "-2"})
        for packet in source.demux(played):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
        frame.sample_rate = sample_rate
        frame.pts = 0
        resampler = av.AudioResampler("s16", "stereo", sample_rate, frame_size=4096)
        for block in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(sound.encode(block))
        out.mux(sound.encode(None))
    return gain


class Frames(NamedTuple):
    """Chosen pictures `(N, H, W, 3)`, uint8 RGB, and how many of them hold the last one beyond its time."""

    pictures: NDArray[np.uint8]
    held: int


Shown = Callable[[], Frame]
Select = Callable[[Sequence[Fraction]], Selection]
# A picture that is still shown at a window's start may have come up this long before it, seconds.
LOOK_BACK = 1.0
# How many times a second a last picture that lasts is given.
AGAIN = 25


def whole_rate(path: Path) -> int:
    """Pictures a second for a copy of a video: the whole number next to its own, 1 to 60; 25 where it states none.

    Raises:
        ClipError: the file is missing, cannot be opened, or has no pictures.
    """
    with opened(path) as container:
        return max(1, min(60, round(played_stream(path, container, "video").average_rate or 25)))


def iter_frames(
    path: Path, *, fps: float, start: float = 0.0, duration: float | None = None
) -> Iterator[tuple[float, Frame]]:
    """Read frames at `start + k / fps`: for each such time the first frame shown at or after it.

    Args:
        path: a file with pictures.
        fps: pictures a second.
        start: of the window, seconds.
        duration: of the window, seconds; None reads to the end.

    Returns:
        An iterator over the time within the window (seconds from its start) and the `(H, W, 3)` uint8 RGB picture,
        turned upright if the file carries a rotation. With a duration there are exactly `round(duration * fps)` of
        them; a video that ends early repeats its last frame.

    Raises:
        ClipError: the file is missing, unreadable, corrupt, or has no pictures in the window.
    """
    wanted = None if duration is None else round(duration * fps)
    made = 0
    last: Shown | None = None
    for time, last, _ in _decode_frames(path, start):
        # Half a millisecond absorbs the rounding of millisecond time stamps.
        until = float(time) + 5e-4
        if made / fps > until:
            continue
        picture = last()
        while made / fps <= until and made != wanted:
            yield made / fps, picture
            made += 1
        if made == wanted:
            return
    if last is None:
        raise ClipError("no_video", f"{path} shows no picture after {start:g} s.")
    picture = last()
    while wanted is not None and made < wanted:
        yield made / fps, picture
        made += 1


def read_frames(
    path: Path, *, fps: Fraction | float, start: float = 0.0, duration: float, policy: str = "first_at_or_after"
) -> Frames:
    """Read the pictures of a window at a constant rate, by one of the named rules of `suites.frame_selection`.

    What is computed from the pictures depends on the rule: its name belongs into the key of every cache.

    Args:
        path: a video file.
        fps: pictures a second.
        start: of the window, seconds.
        duration: of the window, seconds.
        policy: a name of `suites.frame_selection.POLICIES`.

    Returns:
        The pictures `(N, H, W, 3)`, and how many of them hold the last one beyond its time.

    Raises:
        UsageError: no policy of that name.
        ClipError: the file is missing, unreadable, corrupt, or has no pictures in the window.
    """
    wanted = find_policy(policy)
    choose = partial(wanted.select, rate=fps, count=round(duration * fps))
    return _sampled(path, [choose], start, duration, as_played=wanted.looks_back)[0]


def read_sampled_frames(
    path: Path, selects: Sequence[Select], *, start: float = 0.0, duration: float, as_played: bool = False
) -> list[Frames]:
    """Frames chosen by their exact time stamps, for several choices from one decoding.

    Args:
        path: a video file.
        selects: each gets the time stamps (seconds from the window's start, exact) of all frames of the window and
            of the first one after it, and says which to take.
        start: of the window, seconds.
        duration: of the window, seconds.
        as_played: whether what is on the screen without coming up in the window counts: frames from before it, at
            negative times, and a last one that lasts, given again and again until it ceases.

    Returns:
        For each choice the pictures and how many were held.

    Raises:
        ClipError: the file is missing, unreadable, corrupt, or has no pictures in the window.
    """
    return _sampled(path, selects, start, duration, as_played=as_played)


def _sampled(path: Path, selects: Sequence[Select], start: float, duration: float, *, as_played: bool) -> list[Frames]:
    before = Fraction(LOOK_BACK if as_played else 0)
    frames: list[Shown] = []
    times: list[Fraction] = []
    lasting = Fraction(0)
    for time, frame, lasts in _decode_frames(path, start - float(before)):
        frames.append(frame)
        lasting = lasts
        times.append(time - before)
        if times[-1] > duration:
            break
    else:
        if as_played and lasting > TOLERANCE:
            again = range(1, math.ceil(lasting * AGAIN))
            times += [times[-1] + Fraction(k, AGAIN) for k in again]
            frames += [frames[-1]] * len(again)
    if not frames:
        raise ClipError("no_video", f"{path} shows no picture after {start:g} s.")
    chosen = [select(times) for select in selects]
    pictures = {index: frames[index]() for index in sorted({i for selection in chosen for i in selection.indices})}
    return [Frames(np.stack([pictures[index] for index in selection.indices]), selection.held) for selection in chosen]


def _decode_frames(path: Path, start: float) -> Iterator[tuple[Fraction, Shown, Fraction]]:
    """Frames from `start` on: exact times, functions that make the pictures, and how long each is said to last."""
    exact = Fraction(start).limit_denominator(10**6)
    with opened(path) as container:
        stream = played_stream(path, container, "video")
        screen = Screen(path, stream)
        for time, frame in decoded(path, container, stream, start):
            if time is not None and float(time) >= start - 5e-4:
                yield time - exact, partial(screen.show, frame), (frame.duration or 0) * Fraction(frame.time_base)


def _decode_soundfile(path: Path, start: float, duration: float | None) -> tuple[Samples, int]:
    try:
        with soundfile.SoundFile(path) as file:
            rate = _sane(path, file.samplerate)
            if not _states_length(file):
                return _decode_av(path, start, duration)
            file.seek(min(round(start * rate), file.frames))
            frames = -1 if duration is None else round(duration * rate)
            return file.read(frames, dtype="float32", always_2d=True).T, rate
    except soundfile.LibsndfileError as error:
        raise _no_sound(path, error) from error
    except (ValueError, MemoryError) as error:
        raise ClipError("corrupt", f"{path} is damaged: {error or type(error).__name__}") from error


def _states_length(info: Any) -> bool:
    """Whether a header says how long its sound is; where a pipe or a recorder left that open, players go to the end."""
    length: int = info.frames
    return 0 < length < 2**63 - 1  # libsndfile's SF_COUNT_MAX, of FLAC


def _sound_info(path: Path) -> Any | None:
    """What libsndfile knows of a file; None of one that is for FFmpeg to read, by its suffix or by its header."""
    if path.suffix.lower() not in LIBSNDFILE_SUFFIXES:
        return None
    refuse_absent(path)
    try:
        info = soundfile.info(path)
        return info if _states_length(info) else None
    except soundfile.LibsndfileError as error:
        raise _no_sound(path, error) from error


def _no_sound(path: Path, error: soundfile.LibsndfileError) -> ClipError:
    """The error of a file that libsndfile does not read, with what FFmpeg takes it for."""
    told = f"{path} cannot be read as sound: {error.error_string.rstrip('.')}."
    try:
        with open_container(path) as container:
            taken = f"{container.format.name} ({container.format.long_name})"
            if container.streams.audio and not _named_so(path, container.format.name):
                told += f" FFmpeg takes it for {taken}: give it the suffix of what it is."
    except ClipError:
        pass
    return ClipError("unreadable", told)


def _named_so(path: Path, form: str) -> bool:
    """Whether the suffix of a file is that of a format, by FFmpeg's name of it."""
    suffix = path.suffix.lower().removeprefix(".")
    return {"wave": "wav", "oga": "ogg", "aif": "aiff"}.get(suffix, suffix) in form.split(",")


def _decode_av(path: Path, start: float, duration: float | None) -> tuple[Samples, int]:
    with opened(path) as container:
        stream = played_stream(path, container, "audio")
        pieces: list[tuple[int, Samples]] = []
        rate = end = 0
        for time, frame in decoded(path, container, stream, start):
            # The decoder's word, not the header's: that of HE-AAC states half the rate.
            rate = rate or _sane(path, frame.sample_rate)
            block = _planar(frame)
            if frame.sample_rate != rate or (pieces and len(block) != len(pieces[0][1])):
                raise ClipError(
                    "format_changes",
                    f"{path} changes its sample rate or its channels midway, from {_form(rate, pieces[0][1])} to "
                    f"{_form(frame.sample_rate, block)}. Give it one form: ffmpeg -i FILE OTHER.wav",
                )
            at = end if time is None else round((float(time) - start) * rate)
            if pieces and abs(at - end) <= GAP * rate:
                at = end
            if duration is not None and at >= duration * rate:
                break
            pieces.append((at, block))
            end = at + block.shape[1]
    if not pieces:
        raise ClipError("no_audio", f"{path} has an audio stream without any sound in the window.")
    return _assemble(path, pieces, rate), rate


def _form(rate: int, samples: Samples) -> str:
    return f"{rate} Hz and {len(samples)} channels"


def _sane(path: Path, rate: int) -> int:
    if rate not in RATES:
        raise ClipError("corrupt", f"{path} states a sample rate of {rate} Hz.")
    return rate


def _assemble(path: Path, pieces: list[tuple[int, Samples]], rate: int) -> Samples:
    """Put blocks at their positions from the window's start; what lies before it is cut, gaps stay silent."""
    length = max(at + block.shape[1] for at, block in pieces)
    if length > SILENCE * rate + STRETCH * sum(block.shape[1] for _, block in pieces):
        raise ClipError("corrupt", f"{path} has time stamps that ask for {length / rate:.0f} s of sound.")
    out = np.zeros((pieces[0][1].shape[0], max(length, 0)), dtype=np.float32)
    for at, block in pieces:
        if at + block.shape[1] > 0:
            out[:, max(at, 0) : at + block.shape[1]] = block[:, max(-at, 0) :]
    return out


def _planar(frame: av.AudioFrame) -> Samples:
    data = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    if data.dtype.kind == "i":
        data = data / np.float32(2 ** (8 * data.dtype.itemsize - 1))
    elif data.dtype == np.uint8:
        data = (data.astype(np.float32) - 128) / 128
    return data.astype(np.float32, copy=False)


def _fit(path: Path, samples: Samples, rate: int, duration: float) -> Samples:
    length = round(duration * rate)
    if samples.shape[1] < length - TOLERANCE * rate:
        raise ClipError(
            "short",
            f"{path} has {samples.shape[1] / rate:.2f} s of sound in the window; {duration:g} s were expected.",
        )
    return _pad_or_cut(samples, length)


def _pad_or_cut(samples: Samples, length: int) -> Samples:
    missing = length - samples.shape[1]
    return np.pad(samples, ((0, 0), (0, missing))) if missing > 0 else samples[:, :length]


class MediaInfo(NamedTuple):
    """Until when there is sound and until when pictures, in seconds from the file's own start.

    None where there is no such stream, or nothing of it can be read.
    """

    sound: float | None
    picture: float | None


def probe(path: Path) -> MediaInfo:
    """How long the sound and the pictures of a file are, without decoding.

    Raises:
        ClipError: the file is missing or cannot be opened, or its stream is not to be told (`several_audio` ...).
    """
    if info := _sound_info(path):
        return MediaInfo(info.frames / info.samplerate, None)
    with opened(path) as container:

        def length(kind: str) -> float | None:
            try:
                return end_of(path, container, played_stream(path, container, kind))
            except ClipError as error:
                if error.reason == f"no_{kind}":
                    return None
                raise

        return MediaInfo(length("audio"), length("video"))


def require_pictures(path: Path, start: float, duration: float) -> None:
    """Refuse a video that ends before a window does, for whoever makes sound for the pictures in it.

    Args:
        path: a video file.
        start: of the window, seconds.
        duration: of the window, seconds.

    Raises:
        ClipError: `no_video` where there are no pictures, `short` where they end more than 0.25 s early, with the
            duration that fits; or as `probe`.
    """
    whole = probe(path).picture
    if whole is None:
        raise ClipError("no_video", f"{path} has no pictures, and sound is made for pictures.")
    shown = max(whole - start, 0.0)
    if shown >= duration - TOLERANCE:
        return
    told = f"{path} shows {shown:.2f} s from {start:g} s on"
    if shown < SHORTEST - TOLERANCE:
        raise ClipError("short", f"{told}, and the shortest sound that is made for pictures has {SHORTEST:g} s.")
    fits = max(int(shown * 10) / 10, SHORTEST)
    raise ClipError(
        "short",
        f"{told}, and {duration:g} s of sound were asked for. Ask for what there is: --duration {fits:g}",
    )


def sound_start(path: Path) -> float:
    """When the sound of a file begins, seconds from the file's own start; 0 for wav and the like.

    Raises:
        ClipError: the file cannot be opened or has no sound.
    """
    if path.suffix.lower() in LIBSNDFILE_SUFFIXES:
        return 0.0
    with opened(path) as container:
        return start_of(container, played_stream(path, container, "audio"))


def sound_format(path: Path) -> tuple[int, int]:
    """Sample rate in Hz and channels of a file's sound, from its header.

    Raises:
        ClipError: the file cannot be opened or has no sound.
    """
    if info := _sound_info(path):
        return info.samplerate, info.channels
    with opened(path) as container:
        stream = played_stream(path, container, "audio")
        return stream.rate, stream.channels
