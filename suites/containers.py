"""Opening media files that may be damaged, and decoding them packet by packet.

A damaged packet costs itself and not the rest of the file; up to 1 % of them (and one in any case, because a file that
was cut off ends in one) are stepped over, more make the file `corrupt`. What FFmpeg says of a file is believed only
within reason: a time stamp that lies hours from its neighbours is damage, not a gap to be filled with silence.

A file is read as a player plays it:

- Of its streams, one with pictures and one with sound are played: those that carry the default flag, as `best_stream`
  of FFmpeg has it; a cover is no video. Where players would differ, the file is refused (`several_audio`,
  `several_video`).
- Times count from the file's own start, which is where the first of these two streams starts: pieces of a longer
  recording and MPEG transport streams keep the clock of what they were cut from, and players begin with the first
  picture or sound all the same. Where one begins after the other, it does so here.
- Edit lists, encoder delays and pre-skip are applied by FFmpeg.
- A clock that jumps (two transport streams in one file) cannot be followed: `discontinuous`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from visaudio_bench.errors import ClipError
from visaudio_bench.suites.display import refuse_hdr, turn_of

BAD_PACKETS = 0.01
RATES = range(1000, 768_001)  # Hz; everything outside is a damaged header
# Streams without a container: FFmpeg guesses their length and the times after a seek from the rate of their bytes.
RAW = frozenset({"aac", "ac3", "eac3"})
# Lists and programs that a file may be instead of media, whatever its name: FFmpeg would open what they name.
_LISTS = frozenset(
    {"concat", "dash", "hls", "image2", "image2pipe", "lavfi", "rtp", "rtsp", "sdp", "webm_dash_manifest"}
)
_ONE_FILE = ",".join(sorted(av.formats_available - _LISTS))
POINTER = b"version https://git-lfs"
# Decoding begins this long before a window: sound needs what came before, and pictures their key frame.
LEAD = 1.0
# Time stamps may go back by this much in seconds (damage does that), and forward by so much in transport streams.
BACK, FORWARD = Fraction(1, 4), Fraction(10)


def open_container(path: Path) -> Any:
    """The container of a file.

    Raises:
        ClipError: the file is missing (`not_found`), a git-lfs pointer (`lfs_pointer`), or no media (`unreadable`).
    """
    refuse_absent(path)
    try:
        # By its absolute path: FFmpeg takes `10:30.mp4` for a file of the protocol `10`. Titles in other encodings than
        # UTF-8 are nobody's concern here.
        return av.open(str(path.absolute()), metadata_errors="replace", options={"format_whitelist": _ONE_FILE})
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ClipError("unreadable", f"{path} cannot be opened as a media file: {error}") from error


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The container of a file, for reading from it.

    Raises:
        ClipError: as `open_container`; `corrupt` where the file is so damaged that FFmpeg, or the arithmetic on its
            numbers, gives up in the block.
    """
    with open_container(path) as container:
        try:
            yield container
        except (av.error.FFmpegError, ArithmeticError, ValueError, MemoryError) as error:
            raise ClipError("corrupt", f"{path} is damaged: {error or type(error).__name__}") from error


def refuse_absent(path: Path) -> None:
    """Refuse what is not there: no file, an empty one, or the small text that git-lfs leaves in its place.

    Raises:
        ClipError: `not_found`, `unreadable`, `lfs_pointer`.
    """
    if not path.is_file():
        target = f"{path} is a link to {path.readlink()}, which does" if path.is_symlink() else f"{path} does"
        raise ClipError("not_found", f"{target} not exist.")
    if is_lfs_pointer(path):
        raise ClipError(
            "lfs_pointer", f"{path} is a git-lfs pointer; the file itself was not fetched. In its folder: git lfs pull"
        )
    if path.stat().st_size == 0:
        raise ClipError("unreadable", f"{path} is empty.")


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is what a clone without git-lfs leaves: a text of about 130 bytes."""
    if path.stat().st_size > 1024:
        return False
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def played_stream(path: Path, container: Any, kind: str) -> Any:
    """Find the stream that players play.

    Args:
        path: the file, for messages.
        container: the file, opened.
        kind: `audio` or `video`.

    Returns:
        The stream.

    Raises:
        ClipError: `no_audio`, `no_video`; `unreadable` where its codec is unknown; `several_audio`, `several_video`
            where none of several is marked, or more than one, and players would take different ones.
    """
    streams = _streams(container, kind)
    best = _best(container, kind)
    if best is None:
        raise ClipError(f"no_{kind}", f"{path} has no {kind} stream.")
    # FFmpeg prefers the larger of equals, browsers and VLC the first.
    first = next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])
    if best is not first:
        ours, theirs = streams.index(best), streams.index(first)
        raise ClipError(
            f"several_{kind}",
            f"{path} has {len(streams)} {kind} streams, and players differ: FFmpeg plays number {ours}, others number "
            f"{theirs} (from 0). Keep the one that is meant: ffmpeg -i FILE -map 0:{'va'.replace(kind[0], '')}? "
            f"-map 0:{kind[0]}:{theirs} -c copy OTHER",
        )
    if best.codec_context is None:
        raise ClipError("unreadable", f"{path} has a {kind} stream of a codec that this FFmpeg does not know.")
    return best


def _streams(container: Any, kind: str) -> list[Any]:
    """All streams of `kind` that can be played in time; covers cannot."""
    return [stream for stream in getattr(container.streams, kind) if not stream.disposition & Disposition.attached_pic]


def _best(container: Any, kind: str) -> Any:
    """What FFmpeg would play, None where there is nothing; sound goes with the pictures, where there are programmes."""
    streams = _streams(container, kind)
    best = container.streams.best(kind, related=_best(container, "video") if kind == "audio" else None)
    return best if best in streams else streams[0] if streams else None


def origin(container: Any) -> Fraction:
    """The file's own start on the clock of its time stamps, seconds: everything is counted from it."""
    played = [stream for kind in ("video", "audio") if (stream := _best(container, kind)) is not None]
    known = [Fraction(stream.start_time) * stream.time_base for stream in played if stream.start_time is not None]
    return min(known, default=Fraction(0))


def start_of(container: Any, stream: Any) -> float:
    """Tell when a stream starts.

    Args:
        container: the file, opened.
        stream: one of its streams.

    Returns:
        Seconds from the file's own start.
    """
    known = stream.start_time is not None
    return float(Fraction(stream.start_time) * stream.time_base - origin(container)) if known else 0.0


def end_of(path: Path, container: Any, stream: Any) -> float | None:
    """Tell when a stream ends.

    Headers of mp4, avi, ogg and the like state lengths. Those of matroska and webm state one for the whole file, by
    some programs with the time before its start; of transport streams FFmpeg knows the start of the last packet. Of
    these, of streams without a container and of files that state nothing, the time stamps of the packets at the end are
    looked at.

    Args:
        path: the file, which may have to be opened once more.
        container: the file, opened.
        stream: one of its streams.

    Returns:
        Seconds from the file's own start; None where nothing of it can be read.
    """
    guessed = container.format.name in RAW or _may_jump(container)
    if stream.duration and not guessed:
        return start_of(container, stream) + float(stream.duration * stream.time_base)
    whole = Fraction(0 if container.format.name in RAW else container.duration or 0) / av.time_base
    for skipped in (whole - 2, Fraction(0)):
        with opened(path) as again:  # the other one stays where it is
            if skipped > 0:
                with suppress(av.error.FFmpegError):
                    _seek(again, skipped)
            if ends := list(_ends(again, again.streams[stream.index], float("inf"))):
                return max(ends)
    return None


def _seek(container: Any, time: Fraction | float) -> None:
    """Go to the key frame at or before `time` of the file's own clock."""
    container.seek(round((time + origin(container)) * av.time_base), backward=True)


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """Read the packets of one stream.

    Args:
        container: the file, opened.
        stream: one of its streams.

    Returns:
        An iterator over them, with None for each that cannot be read; a file that was cut off ends with such a one.
    """
    demuxed = container.demux(stream)
    while True:
        try:
            yield next(demuxed)
        except StopIteration:
            return
        except av.error.FFmpegError:  # the generator has ended with it
            yield None
            return


def decoded(path: Path, container: Any, stream: Any, start: float = 0.0) -> Iterator[tuple[Fraction | None, Any]]:
    """Decode a window and what comes before it, stepping over damaged packets.

    Args:
        path: the file, for messages.
        container: the file, opened.
        stream: one of its streams.
        start: of the window, seconds.

    Returns:
        An iterator over the frames: the time of each in seconds from the file's own start, None where it has none, and
        the frame.

    Raises:
        ClipError: `corrupt`, after the last frame, if more than 1 % of the packets (and more than one) were damaged;
            `discontinuous` where time stamps jump.
    """
    stream.codec_context.thread_count = 1
    zero = origin(container)
    frames = _timed(path, container, stream, zero)
    if start > LEAD and container.format.name not in RAW:
        frames = _sought(path, container, stream, zero, start, frames)
    last: Fraction | None = None
    for time, frame in frames:
        if time is not None:
            if last is not None and not -BACK <= time - last <= _gap(container):
                raise ClipError(
                    "discontinuous",
                    f"the clock of {path} jumps from {float(last):.2f} to {float(time):.2f} s, as where pieces "
                    "with time stamps of their own were put together. Give it one clock: ffmpeg -i FILE OTHER.mp4",
                )
            last = time
        yield time, frame


def _gap(container: Any) -> Fraction | float:
    return FORWARD if _may_jump(container) else float("inf")


def _may_jump(container: Any) -> bool:
    """Whether the format is one of broadcast, whose clock may be set anew at any time."""
    return bool(container.format.flags & av.format.Flags.ts_discont.value)


def _sought(
    path: Path, container: Any, stream: Any, zero: Fraction, start: float, whole: Iterator[tuple[Fraction | None, Any]]
) -> Iterator[tuple[Fraction | None, Any]]:
    """Frames from shortly before `start`; from the first one, where seeking leads beyond it.

    Transport streams have no index: seeking leads between two key frames, and what comes up first is the next.
    """
    try:
        _seek(container, start - LEAD)
        frames = _timed(path, container, stream, zero)
        first = next(frames, None)
    except av.error.FFmpegError:
        first = None
    if first is not None and first[0] is not None and first[0] <= start:
        return chain([first], frames)
    container.seek(round((zero - FORWARD) * av.time_base), backward=True)
    return whole


def _timed(path: Path, container: Any, stream: Any, zero: Fraction) -> Iterator[tuple[Fraction | None, Any]]:
    bad = total = 0
    for packet in packets(container, stream):
        total += 1
        damaged = packet is None
        try:
            # Without a packet to decode, what the decoder still holds is asked for.
            for frame in stream.codec_context.decode(None) if damaged else packet.decode():
                yield None if frame.pts is None else Fraction(frame.pts) * frame.time_base - zero, frame
        except av.error.FFmpegError:
            damaged = True
        bad += damaged
        if bad > 20 + BAD_PACKETS * total:
            break
    if bad > max(1, BAD_PACKETS * total):
        raise ClipError("corrupt", f"{path} is damaged: {bad} of {total} packets cannot be decoded.")


def picture_span(path: Path, start: float, end: float) -> tuple[float, float]:
    """Tell when the first picture at or after `start` comes up, and until when pictures are shown.

    One picture is decoded; the end is read off the time stamps of packets, without decoding.

    Args:
        path: the file.
        start: from when on to look, seconds.
        end: until when, seconds.

    Returns:
        Both times, in seconds from the file's own start.

    Raises:
        ClipError: the file cannot be read, shows no picture after `start`, or one that cannot be shown as players do.
    """
    with opened(path) as container:
        stream = played_stream(path, container, "video")
        for time, frame in decoded(path, container, stream, start):
            if time is not None and (first := float(time)) >= start - 5e-4:
                refuse_hdr(path, frame)
                turn_of(path, frame)
                break
        else:
            raise ClipError("no_video", f"{path} shows no picture after {start:g} s.")
        _seek(container, max(start, end - 2.0))
        return first, max(_ends(container, stream, end), default=first)


def refuse_damaged_pictures(path: Path, start: float, end: float) -> None:
    """Decode every picture of a window.

    H.264 decoders paint over what is missing and raise nothing; they do mark such pictures.

    Args:
        path: the file.
        start: of the window, seconds.
        end: of the window, seconds.

    Raises:
        ClipError: `corrupt` where more than 1 % of the packets or of the pictures (and more than one) are damaged.
    """
    total = damaged = 0
    with opened(path) as container:
        for time, frame in decoded(path, container, played_stream(path, container, "video"), start):
            now = start if time is None else time
            if now > end:
                break
            if now >= start:
                total += 1
                damaged += frame.is_corrupt
    if damaged > max(1, BAD_PACKETS * total):
        raise ClipError("corrupt", f"{path} is damaged: {damaged} of {total} pictures have pieces missing.")


def _ends(container: Any, stream: Any, enough: float) -> Iterator[float]:
    """When each picture or sound ceases, by the time stamps of packets, until one is decoded after `enough`."""
    # A stream has one time base; fractions for each of some hundred packets would cost more than reading them.
    tick, zero = float(stream.time_base), float(origin(container))
    rate = getattr(stream, "average_rate", None)
    per_frame = float(1 / rate) / tick if rate else 0.04 / tick
    for packet in packets(container, stream):
        if packet is None or packet.pts is None or packet.is_discard:
            continue
        yield (packet.pts + (packet.duration or per_frame)) * tick - zero
        if packet.dts is not None and packet.dts * tick - zero > enough:
            return
