"""`foleyspace:FILE`: a mono sound made binaural by diffusion along the trajectory that the pictures show.

An open implementation from an abstract (`models.foleyspace` lists what it leaves open). Three parts, each replaceable:
who looks (`baselines.source_track`), how places of pictures become places in space (`trajectory`), and the network. By
itself it hears the reference's mono sound; `GENERATOR+foleyspace:FILE` is the pipeline of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visaudio_bench.baselines.binauraliser import Binauraliser
from visaudio_bench.baselines.checkpoint_argument import checkpoint_of
from visaudio_bench.baselines.foleyspace_like import track_of
from visaudio_bench.baselines.motion import Array
from visaudio_bench.baselines.source_track import MotionEstimator, SourceEstimator, trajectory
from visaudio_bench.baselines.system import SystemCard
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.files import digest
from visaudio_bench.models import weights
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Samples

if TYPE_CHECKING:  # torch comes with the first checkpoint, not with the list of systems
    from visaudio_bench.models.foleyspace.network import SpatialDiffusion

NAME = "foleyspace"
SUMMARY = "a mono sound along the path of what moves, by diffusion"


class FoleySpace(Binauraliser):
    """A trained diffusion network behind an estimator of where the source is."""

    def __init__(self, path: Path, estimator: SourceEstimator | None = None, *, row: str | None = None):
        from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS

        self.path = path
        self.config = CHECKPOINTS.read_config(path)
        self.estimator: SourceEstimator = estimator or MotionEstimator()
        small, rooms = self.config.name.endswith("tiny"), self.config.keeps_mean
        self.card = SystemCard(
            name=row or NAME + ("-rooms" if rooms else "") + ("-tiny" if small else ""),
            title=row
            or "FoleySpace (open, from its abstract)" + (", in rooms" if rooms else "") + (", tiny" if small else ""),
            summary=f"{SUMMARY}; weights of {path.name}",
            inputs=self.INPUTS,
            revision=digest([source_revision(__name__), self.estimator.revision, self.sha256])[:24],
            paper="our implementation from the abstract of arXiv 2508.12918",
            weights_licence="of the file",
        )

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weight file."""
        return weights.sha256(self.path)

    @cached_property
    def network(self) -> SpatialDiffusion:
        """The network, loaded when it is first needed."""
        from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS

        return CHECKPOINTS.load(self.path)

    def positions(self, clip: Clip, seconds: float) -> Array:
        """Places `(P, 3)` of the clip's source in metres, spread evenly over the sound.

        The distance that is usual in the clip is brought to the one at which the network leaves the level as it is:
        what made the mono sound has chosen its level.
        """
        from visaudio_bench.models.foleyspace.inference import at_usual_distance

        return at_usual_distance(trajectory(track_of(clip, seconds, self.estimator)))

    def binauralise(self, clip: Clip, mono: Samples, rng: np.random.Generator) -> Samples:
        """As `Binauraliser.binauralise`."""
        import torch

        from visaudio_bench.models.foleyspace.inference import binauralise, louder_near

        places = np.ascontiguousarray(self.positions(clip, mono.shape[0] / SAMPLE_RATE))
        sound = torch.from_numpy(mono if self.config.keeps_mean else louder_near(mono, places))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        ears: Samples = binauralise(self.network, sound, torch.from_numpy(places), generator).numpy()
        return ears

    def provenance(self) -> Mapping[str, Any]:
        """Weights, network, and who looked."""
        from visaudio_bench.models.foleyspace.inference import STEPS

        return {
            "weights": {"file": self.path.name, "sha256": self.sha256},
            "network": self.config.to_dict(),
            "estimator": self.estimator.revision,
            "steps": STEPS,
        }

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which every process loads for itself."""
        return {key: value for key, value in self.__dict__.items() if key != "network"}


def open_foleyspace(argument: str | None = None) -> FoleySpace:
    """The system behind `foleyspace:FILE`, or `foleyspace:ROW=FILE`.

    Raises:
        UsageError: no file is given, or it is not there.
    """
    row, path = checkpoint_of(NAME, argument, "foleyspace", summary=SUMMARY, inputs=FoleySpace.INPUTS)
    return FoleySpace(path, row=row)
