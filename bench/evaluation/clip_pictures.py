"""The pictures of a clip as an mp4 of their own: as they are where that shows the clip's window, else cut to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from visaudio_bench.files import scratch_folder
from visaudio_bench.suites import Clip
from visaudio_bench.suites.media import (
    TOLERANCE,
    Frame,
    can_be_copied,
    iter_frames,
    probe,
    whole_rate,
    write_video,
)


@contextmanager
def pictures_file(clip: Clip, seconds: float, folder: Path) -> Iterator[Path]:
    """Give an mp4 that begins when the clip does and lasts about as long: its own video, or a copy for the time being.

    Args:
        clip: one with pictures.
        seconds: how long they are shown.
        folder: where a cut copy lies until the block ends.
    """
    assert clip.video is not None  # the caller asks only for clips with pictures
    whole = clip.start == 0 and (probe(clip.video).picture or 0) <= seconds + TOLERANCE
    if whole and can_be_copied(clip.video):
        yield clip.video
        return
    fps = whole_rate(clip.video)
    with scratch_folder(folder, "pictures") as scratch:
        pictures = scratch / "pictures.mp4"
        frames = (picture for _, picture in iter_frames(clip.video, fps=fps, start=clip.start, duration=seconds))
        write_video(pictures, (even(picture) for picture in frames), fps)
        yield pictures


def even(picture: Frame) -> Frame:
    """Without the last row or column where their number is odd, which the video format does not know."""
    height, width = (size - size % 2 for size in picture.shape[:2])
    return np.ascontiguousarray(picture[:height, :width])
