"""`geometry-aware:FILE`, `mono2binaural:FILE` and their controls: the reference's mono sound made binaural by pictures.

`flipped-visual:FILE` is a network of either kind that sees every picture in a mirror, `audio-only:FILE` one that was
trained without any: the controls of Garg et al.'s tables, whose third, Mono-Mono, is the system `mono`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visaudio_bench.baselines.binauraliser import Binauraliser
from visaudio_bench.baselines.checkpoint_argument import checkpoint_of
from visaudio_bench.baselines.system import SystemCard
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.files import digest
from visaudio_bench.models import weights
from visaudio_bench.models.geometry_aware.config import PICTURE_RATE
from visaudio_bench.models.geometry_aware.config import SAMPLE_RATE as NETWORK_RATE
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Samples, iter_frames, resample

if TYPE_CHECKING:  # torch comes with the first checkpoint, not with the list of systems
    from torch import Tensor

    from visaudio_bench.models.geometry_aware.network import GeometryAware

FLIPPED = "flipped-visual"
TITLES = {
    "geometry-aware": ("Geometry-aware (open)", "a mono sound made binaural by a geometry-aware network"),
    "mono2binaural": ("Mono2Binaural (open)", "a mono sound made binaural by a difference mask"),
    "audio-only": ("Audio-Only", "a mono sound made binaural by a network that sees nothing"),
    FLIPPED: ("Flipped-Visual", "a mono sound made binaural by pictures in a mirror"),
}
PAPERS = {"mono2binaural": "our implementation of Gao and Grauman, 2.5D Visual Sound, CVPR 2019"}


class GeometryAwareSystem(Binauraliser):
    """A trained network as a row, called `row` where that is given; `name` is one of `TITLES`."""

    def __init__(self, name: str, path: Path, *, row: str | None = None):
        from visaudio_bench.models.geometry_aware.checkpoints import CHECKPOINTS

        self.path = path
        self.mirrored = name == FLIPPED
        self.config = CHECKPOINTS.read_config(path)
        if not self.mirrored and self.config.system != name:
            raise UsageError(
                f"{path} holds the network of {self.config.system}, not of {name}. "
                f"Write: --system {self.config.system}:{path}"
            )
        if self.mirrored and not self.config.pictures:
            raise UsageError(f"{path} holds a network that sees nothing: mirrored pictures make no difference to it.")
        title, summary = TITLES[name]
        small = self.config.height < 224
        of = f" ({self.config.system})" if self.mirrored else ""
        self.card = SystemCard(
            name=row or name + ("-tiny" if small else ""),
            title=row or title + of + (", tiny" if small else ""),
            summary=f"{summary}; weights of {path.name}",
            inputs=self.INPUTS if self.config.pictures else ("reference_mono",),
            revision=digest([source_revision(__name__), self.sha256, name])[:24],
            paper=PAPERS.get(self.config.system, "our implementation of Garg et al., arXiv 2111.10882"),
            weights_licence="of the file",
            may_be_mono=True,  # a network that has learnt little says nothing of direction
        )

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weight file."""
        return weights.sha256(self.path)

    def examine(self) -> None:
        """As `System.examine`: every key and shape of its weights."""
        self._load()

    @cached_property
    def network(self) -> GeometryAware:
        """The network, loaded when it is first needed."""
        return self._load()

    def _load(self) -> GeometryAware:
        from visaudio_bench.models.geometry_aware.checkpoints import CHECKPOINTS

        return CHECKPOINTS.load(self.path)

    def binauralise(self, clip: Clip, mono: Samples, rng: np.random.Generator) -> Samples:
        """As `Binauraliser.binauralise`; nothing above 8 kHz comes out."""
        import torch

        from visaudio_bench.models.geometry_aware.inference import binauralise

        del rng
        frames = self._shown(clip, mono.shape[0] / SAMPLE_RATE)
        low = torch.from_numpy(resample(mono[None], SAMPLE_RATE, NETWORK_RATE)[0])
        made = binauralise(self.network, low, frames, mirrored=self.mirrored).numpy()
        ears = resample(made, NETWORK_RATE, SAMPLE_RATE)
        return np.pad(ears, ((0, 0), (0, max(0, mono.shape[0] - ears.shape[1]))))[:, : mono.shape[0]]

    def _shown(self, clip: Clip, seconds: float) -> Tensor:
        """The clip's pictures, ten a second; one without anything for a network that sees nothing."""
        import torch

        from visaudio_bench.models.geometry_aware.clip_windows import resized

        if not self.config.pictures:
            return torch.zeros((1, 3, *self.config.stored), dtype=torch.uint8)
        if clip.video is None:
            raise ClipError("no_video", f"clip {clip.id} has no video, which {self.card.name} needs.")
        seen = max(seconds, 1 / PICTURE_RATE)
        frames = iter_frames(clip.video, fps=PICTURE_RATE, start=clip.start, duration=seen)
        return torch.stack([resized(picture, self.config.stored) for _, picture in frames])

    def provenance(self) -> dict[str, object]:
        """Weights and network."""
        return {"weights": {"file": self.path.name, "sha256": self.sha256}, "network": self.config.to_dict()}

    def __getstate__(self) -> dict[str, object]:
        """Without the network, which every process loads for itself."""
        return {key: value for key, value in self.__dict__.items() if key != "network"}


def trained_systems(checkpoint: Path) -> Sequence[GeometryAwareSystem]:
    """The rows of a leaderboard that a checkpoint makes: itself, and with mirrored pictures where it sees any."""
    from visaudio_bench.models.geometry_aware.checkpoints import CHECKPOINTS

    config = CHECKPOINTS.read_config(checkpoint)
    names = (config.system, FLIPPED) if config.pictures else (config.system,)
    return tuple(GeometryAwareSystem(name, checkpoint) for name in names)


def _open(name: str, argument: str | None) -> GeometryAwareSystem:
    summary, inputs = TITLES[name][1], GeometryAwareSystem.INPUTS
    row, path = checkpoint_of(name, argument, "geometry-aware", summary=summary, inputs=inputs)
    return GeometryAwareSystem(name, path, row=row)


Opener = Callable[[str | None], GeometryAwareSystem]
open_geometry_aware: Opener = partial(_open, "geometry-aware")
open_mono2binaural: Opener = partial(_open, "mono2binaural")
open_audio_only: Opener = partial(_open, "audio-only")
open_flipped_visual: Opener = partial(_open, FLIPPED)
