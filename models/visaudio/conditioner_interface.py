"""From a clip to what the network is conditioned on: the interface of conditioners, and the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from visaudio_bench.models.visaudio.conditions import Conditions


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
        """The conditions of one clip, a batch of one, in float32 on the CPU: `look` at what was `read`.

        Args:
            video: a video file.
            caption: None is the empty text.
            start: of the window, seconds from the file's own start.
            duration: of the window, seconds.

        Raises:
            ClipError: the video is unreadable, shows nothing in the window, or ends before it.
        """

    def read(self, video: Path, *, start: float, duration: float) -> Any:
        """What `look` needs of a clip's pictures, in the CPU's memory. No network is asked; any thread may read.

        Args:
            video: a video file.
            start: of the window, seconds from the file's own start.
            duration: of the window, seconds.

        Raises:
            ClipError: as `encode`.
        """

    def look(self, pictures: Any, caption: str | None) -> Conditions:
        """The conditions of pictures that were `read`, and of a caption.

        Args:
            pictures: what `read` returned.
            caption: None is the empty text.
        """

    def encode_text(self, caption: str) -> Tensor:
        """The tokens `(nt, text_dim)` of a caption; of the empty one for an empty text."""
