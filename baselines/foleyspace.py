"""`foleyspace:FILE[:steps=N]`: a mono sound made binaural by diffusion along the trajectory that the pictures show.

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
from visaudio_bench.baselines.checkpoint_argument import checkpoint_of, names_file
from visaudio_bench.baselines.foleyspace_like import track_of
from visaudio_bench.baselines.motion import Array
from visaudio_bench.baselines.published.options import row_name, shown
from visaudio_bench.baselines.source_track import MotionEstimator, SourceEstimator, trajectory
from visaudio_bench.baselines.system import SystemCard
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import UsageError
from visaudio_bench.files import digest
from visaudio_bench.models import weights
from visaudio_bench.models.foleyspace.config import MOST_STEPS, number_of_steps
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Samples

if TYPE_CHECKING:  # torch comes with the first checkpoint, not with the list of systems
    from visaudio_bench.models.foleyspace.network import SpatialDiffusion

NAME = "foleyspace"
TITLE = "FoleySpace (open, from its abstract)"
OPTION = "steps"
SUMMARY = "a mono sound along the path of what moves, by diffusion"


class FoleySpace(Binauraliser):
    """A trained diffusion network behind an estimator of where the source is.

    It takes as many steps as its checkpoint says. With another number it is a row of another name and revision: the
    sounds of both are never taken for each other.
    """

    def __init__(
        self,
        path: Path,
        estimator: SourceEstimator | None = None,
        *,
        row: str | None = None,
        steps: int | None = None,
    ):
        from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS, steps_in

        self.path = path
        self.config = CHECKPOINTS.read_config(path)
        self.estimator: SourceEstimator = estimator or MotionEstimator()
        usual = steps_in(path)
        self.steps = steps or usual
        changed = {} if self.steps == usual else {OPTION: self.steps}
        small, rooms = self.config.name.endswith("tiny"), self.config.keeps_mean
        self.card = SystemCard(
            name=row_name(row or "-".join([NAME, *["rooms"] * rooms, *["tiny"] * small]), changed),
            title=", ".join([*([row] if row else [TITLE, *["in rooms"] * rooms, *["tiny"] * small]), *shown(changed)]),
            summary=f"{SUMMARY}; weights of {path.name}",
            inputs=self.INPUTS,
            revision=digest([source_revision(__name__), self.estimator.revision, self.sha256, self.steps])[:24],
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
        made = binauralise(self.network, sound, torch.from_numpy(places), generator, steps=self.steps)
        ears: Samples = made.numpy()
        return ears

    def provenance(self) -> Mapping[str, Any]:
        """Weights, network, steps, and who looked."""
        return {
            "weights": {"file": self.path.name, "sha256": self.sha256},
            "network": self.config.to_dict(),
            "estimator": self.estimator.revision,
            "steps": self.steps,
        }

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which every process loads for itself."""
        return {key: value for key, value in self.__dict__.items() if key != "network"}


def open_foleyspace(argument: str | None = None) -> FoleySpace:
    """The system behind `foleyspace:FILE`, or `foleyspace:ROW=FILE`, and `:steps=N` behind either.

    Raises:
        UsageError: no file is given, or it is not there; there is no such option, or no such number of steps.
    """
    named, steps = _parted(argument or "")
    row, path = checkpoint_of(NAME, named, "foleyspace", summary=SUMMARY, inputs=FoleySpace.INPUTS)
    return FoleySpace(path, row=row, steps=steps)


def _parted(argument: str) -> tuple[str, int | None]:
    """What names the checkpoint, and the number of steps that is asked for; a file of the whole name is meant by it."""
    named, separator, choice = argument.rpartition(":")
    option, equals, value = choice.partition("=")
    chosen = bool(separator and equals) and (option == OPTION or names_file(named))
    if not chosen or names_file(argument):
        return argument, None
    if option != OPTION:
        raise UsageError(f'system "{NAME}" has no option "{choice}". Write: --system {NAME}:FILE:{OPTION}=N')
    steps = number_of_steps(value)
    if steps is None:
        raise UsageError(
            f'option {OPTION} of system "{NAME}" takes a whole number from 1 to {MOST_STEPS}, got "{value}".'
        )
    return named, steps
