"""From a clip to what the network is conditioned on: the interface of conditioners, and the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from models.visaudio.conditions import Conditions
from suites.media import probe
from visaudio_bench.errors import ClipError

# s by which pictures may end before the sound does: the last one then stays. Files of 8 s at 24 frames a second end at
# 7.96 s by their time stamps; more than that is another video.
HOLD = 0.25


class Conditioners(Protocol):
    """Frozen encoders of pictures and words.

    `identity` is what tells these features from those of other encoders: names, versions and hashes of weights. It
    goes into feature stores, checkpoints and records.
    """

    name: str

    @property
    def identity(self) -> Mapping[str, Any]:
        """JSON-able."""

    def encode(self, video: Path, caption: str | None, *, start: float, duration: float) -> Conditions:
        """The conditions of one clip, a batch of one, in float32 on the CPU.

        Args:
            video: a video file.
            caption: None is the empty text.
            start: of the window, seconds on the container's clock.
            duration: of the window, seconds.

        Raises:
            ClipError: the video is unreadable, shows nothing in the window, or ends before it.
        """

    def encode_text(self, caption: str) -> Tensor:
        """The tokens `(nt, text_dim)` of a caption; of the empty one for an empty text."""


def require_pictures(video: Path, start: float, duration: float) -> None:
    """Refuse a video that ends before the window does.

    Raises:
        ClipError: `no_video` where there are no pictures, `short_video` where they end more than `HOLD` early.
    """
    shown = probe(video).picture
    if shown is None:
        raise ClipError("no_video", f"{video} has no pictures, and sound is made for pictures.")
    if shown - start < duration - HOLD:
        raise ClipError(
            "short_video",
            f"{video} shows {max(shown - start, 0):.2f} s from {start:g} s on, and {duration:g} s of sound were asked "
            f"for. Ask for what there is: --duration {_shorter(shown - start)}",
        )


def _shorter(seconds: float) -> str:
    """The longest duration that a video has pictures for, down to a tenth, but no shorter than a model can make."""
    return f"{max(int(seconds * 10) / 10, 0.7):g}"
