"""Opening media files that may be damaged, and decoding them packet by packet.

A damaged packet costs itself and not the rest of the file; up to 1 % of them (and one in any case, because a file that
was cut off ends in one) are stepped over, more make the file `corrupt`. What FFmpeg says of a file is believed only
within reason: a time stamp that lies hours from its neighbours is damage, not a gap to be filled with silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from visaudio_bench.errors import ClipError

BAD_PACKETS = 0.01
RATES = range(1000, 768_001)  # Hz; everything outside is a damaged header
# Streams without a container: FFmpeg guesses their length from the rate of their first bytes.
RAW = frozenset({"aac", "ac3", "eac3"})
POINTER = b"version https://git-lfs"


def open_container(path: Path) -> Any:
    """The container of a file.

    Raises:
        ClipError: the file is missing (`not_found`), a git-lfs pointer (`lfs_pointer`), or no media (`unreadable`).
    """
    refuse_absent(path)
    try:
        # By its absolute path: FFmpeg takes `10:30.mp4` for a file of the protocol `10`.
        return av.open(str(path.absolute()))
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


def first_stream(path: Path, container: Any, kind: str) -> Any:
    """The first stream of `kind` (`audio` or `video`) that can be decoded.

    Raises:
        ClipError: `no_audio`, `no_video`, or `unreadable` where its codec is unknown.
    """
    streams = getattr(container.streams, kind)
    if not streams:
        raise ClipError(f"no_{kind}", f"{path} has no {kind} stream.")
    if streams[0].codec_context is None:
        raise ClipError("unreadable", f"{path} has a {kind} stream of a codec that this FFmpeg does not know.")
    return streams[0]


def seek(container: Any, seconds: float) -> None:
    """Go to the key frame at or before `seconds`; near the start there is nothing to gain."""
    if seconds > 0:
        container.seek(round(seconds * av.time_base))


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets of one stream, with None for each that cannot be read; a file that was cut off ends with such a one."""
    demuxed = container.demux(stream)
    while True:
        try:
            yield next(demuxed)
        except StopIteration:
            return
        except av.error.FFmpegError:  # the generator has ended with it
            yield None
            return


def decoded(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """Decoded frames, stepping over damaged packets.

    Raises:
        ClipError: `corrupt`, after the last frame, if more than 1 % of the packets (and more than one) were damaged.
    """
    stream.codec_context.thread_count = 1
    bad = total = 0
    for packet in packets(container, stream):
        total += 1
        damaged = packet is None
        try:
            # Without a packet to decode, what the decoder still holds is asked for.
            yield from stream.codec_context.decode(None) if damaged else packet.decode()
        except av.error.FFmpegError:
            damaged = True
        bad += damaged
        if bad > 20 + BAD_PACKETS * total:
            break
    if bad > max(1, BAD_PACKETS * total):
        raise ClipError("corrupt", f"{path} is damaged: {bad} of {total} packets cannot be decoded.")


def picture_span(path: Path, start: float, end: float) -> tuple[float, float]:
    """When the first picture at or after `start` comes up, and until when pictures are shown, looking to `end`.

    One picture is decoded; the end is read off the time stamps of packets, without decoding. Seconds.

    Raises:
        ClipError: the file cannot be read, or shows no picture after `start`.
    """
    with opened(path) as container:
        stream = first_stream(path, container, "video")
        seek(container, start - 1)
        for frame in decoded(path, container, stream):
            if frame.pts is not None and (first := float(frame.pts * frame.time_base)) >= start - 5e-4:
                break
        else:
            raise ClipError("no_video", f"{path} shows no picture after {start:g} s.")
        container.seek(round(max(start, end - 2.0) * av.time_base))
        return first, max(_ends(container, stream, end), default=first)


def refuse_damaged_pictures(path: Path, start: float, end: float) -> None:
    """Decode every picture of a window.

    H.264 decoders paint over what is missing and raise nothing; they do mark such pictures.

    Raises:
        ClipError: `corrupt` where more than 1 % of the packets or of the pictures (and more than one) are damaged.
    """
    total = damaged = 0
    with opened(path) as container:
        stream = first_stream(path, container, "video")
        seek(container, start - 1)
        for frame in decoded(path, container, stream):
            time = start if frame.pts is None else float(frame.pts * frame.time_base)
            if time > end:
                break
            if time >= start:
                total += 1
                damaged += frame.is_corrupt
    if damaged > max(1, BAD_PACKETS * total):
        raise ClipError("corrupt", f"{path} is damaged: {damaged} of {total} pictures have pieces missing.")


def _ends(container: Any, stream: Any, enough: float) -> Iterator[float]:
    """When each picture ceases to be shown, by the time stamps of packets, until one is decoded after `enough`."""
    # A stream has one time base; fractions for each of some hundred packets would cost more than reading them.
    tick = float(stream.time_base)
    per_frame = float(1 / stream.average_rate) / tick if stream.average_rate else 0.04 / tick
    for packet in packets(container, stream):
        if packet is None or packet.pts is None or packet.is_discard:
            continue
        yield (packet.pts + (packet.duration or per_frame)) * tick
        if packet.dts is not None and packet.dts * tick > enough:
            return
