"""A decoded picture as a player shows it: upright, of its own shape, in standard colours.

Rotation and mirroring come from the display matrix of the file; pixels that are not square are made so in width, as
FFmpeg's and other players' windows are; a picture of another size (streams that were downloaded at changing
resolutions) is scaled to that of the first, as FFmpeg does. Interlaced pictures stay woven, as FFmpeg and browsers show
them.

What is not shown the same everywhere is refused by a `ClipError`: `rotation` where a picture is turned by something
else than quarters, `shape_changes` where a later picture has another shape than the first, `hdr` where light is coded
for displays of high dynamic range, which players map each in their own way.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

from visaudio_bench.errors import ClipError

Picture = NDArray[np.uint8]

# FFmpeg's numbers of the transfer curves of high dynamic range, and their names.
HDR = {16: "PQ", 18: "HLG"}
# A pixel that is wider or narrower than this is a damaged header.
WIDEST = 16
# Shapes that differ by less are one shape, rounded to whole pixels.
SHAPE = 0.02


class Turn(NamedTuple):
    """How stored pictures become upright ones: rows and columns exchanged first, then each perhaps reversed."""

    transposed: bool = False
    columns_reversed: bool = False
    rows_reversed: bool = False

    def apply(self, picture: Picture) -> Picture:
        """`(H, W, ...)` as it is shown."""
        turned = picture.swapaxes(0, 1) if self.transposed else picture
        return turned[:: -1 if self.rows_reversed else 1, :: -1 if self.columns_reversed else 1]


def turn_of(path: Path, frame: Any) -> Turn:
    """Tell how a frame is turned, by the display matrix that came with it.

    Args:
        path: the file, for the message.
        frame: as decoded.

    Returns:
        The turn; none where there is no matrix.

    Raises:
        ClipError: `rotation`.
    """
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return Turn()
    # Fixed-point numbers, row by row: x' = a x + c y, y' = b x + d y.
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5] / 65536
    size = max(abs(value) for value in (a, b, c, d))
    straight, across = max(abs(b), abs(c)) <= 0.01 * size, max(abs(a), abs(d)) <= 0.01 * size
    if straight == across:
        raise ClipError(
            "rotation",
            f"{path} asks for its pictures to be turned by {abs(frame.rotation):g} degrees; only quarter turns can be "
            "followed. Turn them for good: ffmpeg -i FILE OTHER.mp4",
        )
    return Turn(False, a < 0, d < 0) if straight else Turn(True, c < 0, b < 0)


def refuse_hdr(path: Path, frame: Any) -> None:
    """Refuse a frame whose light is coded for displays of high dynamic range.

    Args:
        path: the file, for the message.
        frame: as decoded.

    Raises:
        ClipError: `hdr`.
    """
    if frame.color_trc in HDR:
        raise ClipError(
            "hdr",
            f"{path} is HDR ({HDR[frame.color_trc]}), which players show each in their own way. Map it to standard "
            "range first: ffmpeg -i FILE -vf zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable,"
            "zscale=t=bt709:m=bt709:r=tv,format=yuv420p -c:a copy OTHER.mp4",
        )


class Screen:
    """Shows the frames of one stream, all of them at the size of the first."""

    def __init__(self, path: Path, stream: Any):
        self._path = path
        self._pixel = Fraction(stream.sample_aspect_ratio or 1)
        self._size: tuple[int, int] | None = None

    def show(self, frame: Any) -> Picture:
        """`(H, W, 3)` uint8 RGB, upright.

        Raises:
            ClipError: as `fitted` and `turn_of`.
        """
        return turn_of(self._path, frame).apply(self.fitted(frame).to_ndarray(format="rgb24"))

    def fitted(self, frame: Any) -> Any:
        """The frame with square pixels and the size of the first one, not yet turned.

        Raises:
            ClipError: `shape_changes`, `hdr`, or `corrupt` where pixels are said to be absurdly wide.
        """
        refuse_hdr(self._path, frame)
        if not 1 / WIDEST <= self._pixel <= WIDEST:
            raise ClipError("corrupt", f"{self._path} states pixels {float(self._pixel):g} times as wide as high.")
        size = (max(1, round(frame.width * self._pixel)), frame.height)
        self._size = self._size or size
        if abs(size[0] * self._size[1] / (size[1] * self._size[0]) - 1) > SHAPE:
            raise ClipError(
                "shape_changes",
                f"the pictures of {self._path} change from {self._size[0]} x {self._size[1]} to {size[0]} x {size[1]} "
                "midway. Give them one shape: ffmpeg -i FILE -vf scale=W:H OTHER.mp4",
            )
        return frame if self._size == (frame.width, frame.height) else frame.reformat(*self._size)
