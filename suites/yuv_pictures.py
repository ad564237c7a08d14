"""Pictures as video codecs keep them: one plane of light, two of colour at half the size (YUV 4:2:0, 8 bits).

Reading and writing them without a detour through RGB costs a third of the time, and changes no colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from visaudio_bench.errors import ClipError
from visaudio_bench.files import atomic_path
from visaudio_bench.suites.admission import LATE
from visaudio_bench.suites.containers import decoded, opened, played_stream, start_of
from visaudio_bench.suites.display import Screen, Turn, turn_of
from visaudio_bench.suites.media import TOLERANCE, picture_stream

Plane = NDArray[np.uint8]
FORM = "yuv420p"


class Planes(NamedTuple):
    """Light `(H, W)`, and the two colour differences `(H / 2, W / 2)` each."""

    y: Plane
    u: Plane
    v: Plane


class Colours(NamedTuple):
    """How the planes of a file are meant: FFmpeg's numbers of its matrix, primaries, transfer curve and range."""

    matrix: int
    primaries: int
    transfer: int
    range: int


class VideoFacts(NamedTuple):
    """What a video's header says: pictures a second, and its colours."""

    fps: Fraction
    colours: Colours


def video_facts(path: Path) -> VideoFacts:
    """Frame rate and colours of a video.

    Raises:
        ClipError: the file is missing, cannot be opened, or has no pictures or no frame rate.
    """
    with opened(path) as container:
        stream = played_stream(path, container, "video")
        if not stream.average_rate:
            raise ClipError("no_video", f"{path} does not say how many pictures a second it has.")
        codec = stream.codec_context
        # Planes of another form are converted, and then have the range of most videos.
        levels = codec.color_range if codec.pix_fmt == FORM else 0
        colours = Colours(codec.colorspace, codec.color_primaries, codec.color_trc, levels)
        return VideoFacts(Fraction(stream.average_rate), colours)


def iter_planes(path: Path, *, fps: Fraction, duration: float, start: float = 0.0) -> Iterator[Planes]:
    """Read the picture nearest to each time `start + k / fps`.

    Args:
        path: a video file.
        fps: pictures a second.
        duration: seconds from the start on.
        start: seconds from the file's own start.

    Returns:
        An iterator over `round(duration * fps)` pictures; the planes are valid until the next one is asked for.

    Raises:
        ClipError: the file is missing, unreadable or corrupt, or its pictures begin or end too far inside the window.
    """
    wanted = [start + float(index / fps) for index in range(round(duration * fps))]
    made = 0
    last: tuple[float, Any] | None = None
    with opened(path) as container:
        stream = played_stream(path, container, "video")
        screen = Screen(path, stream)
        for time, frame in decoded(path, container, stream, start):
            if time is None:
                continue
            now = float(time)
            if last is None:
                begins = max(now - start, start_of(container, stream)) if start else now
                if begins > LATE:
                    raise ClipError("late", f"the first picture of {path} comes at {begins:.2f} s.")
            while last is not None and made < len(wanted) and 2 * wanted[made] < last[0] + now:
                yield _planes(path, screen, last[1])
                made += 1
            if made == len(wanted):
                return
            last = now, frame
        if last is None:
            raise ClipError("no_video", f"{path} has a video stream without any picture in it.")
        if wanted[-1] - last[0] > TOLERANCE:
            raise ClipError("short", f"{path} ends at {last[0]:.2f} s; {start + duration:g} s were expected.")
        for _ in wanted[made:]:
            yield _planes(path, screen, last[1])


def _planes(path: Path, screen: Screen, frame: Any) -> Planes:
    turn = turn_of(path, frame)
    frame = screen.fitted(frame)
    if turn != Turn():  # planes of another shape; so rare that the detour may cost time
        upright = np.ascontiguousarray(turn.apply(frame.to_ndarray(format="rgb24")))
        frame = av.VideoFrame.from_ndarray(upright, format="rgb24")
    if frame.format.name != FORM:
        frame = frame.reformat(format=FORM)
    return Planes(*(_view(plane) for plane in frame.planes))


def _view(plane: Any) -> Plane:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def write_planes(path: Path, pictures: Iterable[Planes], fps: Fraction, colours: Colours, *, crf: int = 18) -> None:
    """Write a silent H.264 mp4 whose first picture is at time 0, atomically.

    Args:
        path: of the mp4.
        pictures: as planes; height and width must be even.
        fps: pictures a second.
        colours: how the planes are meant.
        crf: quality, lower is better; 18 is visually lossless.
    """
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream: Any = None
        for picture in pictures:
            if stream is None:
                stream = picture_stream(container, fps, picture.y.shape, crf)
                codec = stream.codec_context
                codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range = colours
            container.mux(stream.encode(_frame(picture)))
        if stream is not None:
            container.mux(stream.encode())


def _frame(picture: Planes) -> av.VideoFrame:
    height, width = picture.y.shape
    frame = av.VideoFrame(width, height, FORM)
    for plane, values in zip(frame.planes, picture, strict=True):
        _view(plane)[:] = values
    return frame
