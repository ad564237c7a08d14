"""`foleyspace:FILE[:steps=N][:depth=NETWORK]`: a mono sound made binaural by diffusion, along the path that is seen.

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
from visaudio_bench.baselines.depth_track import DepthEstimator, DepthModel
from visaudio_bench.baselines.foleyspace_like import track_of
from visaudio_bench.baselines.motion import Array
from visaudio_bench.baselines.published.options import row_name, shown
from visaudio_bench.baselines.source_track import MotionEstimator, SourceEstimator, trajectory
from visaudio_bench.baselines.system import SystemCard
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import UsageError
from visaudio_bench.files import digest, is_there
from visaudio_bench.models import weights
from visaudio_bench.models.foleyspace.config import MOST_STEPS, number_of_steps
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Samples

if TYPE_CHECKING:  # torch comes with the first checkpoint, not with the list of systems
    from visaudio_bench.models.foleyspace.network import SpatialDiffusion

NAME = "foleyspace"
TITLE = "FoleySpace (open, from its abstract)"
STEPS_OPTION, DEPTH_OPTION = OPTIONS = ("steps", "depth")
SUMMARY = "a mono sound along the path of what moves, by diffusion"


class FoleySpace(Binauraliser):
    """A trained diffusion network behind an estimator of where the source is.

    It takes as many steps as its checkpoint says. With another number, or with a network that sees depth, it is a row
    of another name and revision: the sounds of both are never taken for each other.
    """

    def __init__(
        self,
        path: Path,
        estimator: SourceEstimator | None = None,
        *,
        row: str | None = None,
        steps: int | None = None,
        depth: DepthModel | None = None,
    ):
        from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS, steps_in

        self.path = path
        self.config = CHECKPOINTS.read_config(path)
        self.depth = None if depth is None else DepthEstimator(depth)
        self.estimator: SourceEstimator = estimator or self.depth or MotionEstimator()
        usual = steps_in(path)
        self.steps = steps or usual
        changed: dict[str, Any] = {} if self.steps == usual else {STEPS_OPTION: self.steps}
        if depth is not None:
            changed[DEPTH_OPTION] = depth.name
        small, rooms = self.config.name.endswith("tiny"), self.config.keeps_mean
        self.card = SystemCard(
            name=row_name(row or "-".join([NAME, *["rooms"] * rooms, *["tiny"] * small]), changed),
            title=", ".join([*([row] if row else [TITLE, *["in rooms"] * rooms, *["tiny"] * small]), *shown(changed)]),
            summary=f"{SUMMARY}; weights of {path.name}" + (f", distances by {depth.name}" if depth else ""),
            inputs=self.INPUTS,
            revision=digest([source_revision(__name__), self.estimator.revision, self.sha256, self.steps])[:24],
            paper="our implementation from the abstract of arXiv 2508.12918",
            weights_licence="of the files" if depth else "of the file",
        )

    @property
    def unavailable(self) -> str:
        """What the network that sees depth lacks."""
        return self.depth.model.unavailable if self.depth else ""

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weight file."""
        return weights.sha256(self.path)

    def examine(self) -> None:
        """As `System.examine`: every key and shape of its weights."""
        self._load()

    @cached_property
    def network(self) -> SpatialDiffusion:
        """The network, loaded when it is first needed."""
        return self._load()

    def _load(self) -> SpatialDiffusion:
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
            **({DEPTH_OPTION: dict(self.depth.provenance())} if self.depth else {}),
        }

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which every process loads for itself."""
        return {key: value for key, value in self.__dict__.items() if key != "network"}


def open_foleyspace(argument: str | None = None) -> FoleySpace:
    """The system behind `foleyspace:FILE`, or `foleyspace:ROW=FILE`; behind either `:steps=N`, `:depth=NETWORK`.

    Raises:
        UsageError: no file is given, or it is not there; there is no such option, number of steps, or network.
    """
    named, choices = _parted(argument or "")
    steps = _steps(choices[STEPS_OPTION]) if STEPS_OPTION in choices else None
    row, path = checkpoint_of(NAME, named, "foleyspace", summary=SUMMARY, inputs=FoleySpace.INPUTS)
    depth = None
    if DEPTH_OPTION in choices:
        from visaudio_bench.models.backbones.depth_anything import DepthAnything

        depth = DepthAnything(choices[DEPTH_OPTION])
    return FoleySpace(path, row=row, steps=steps, depth=depth)


def _parted(argument: str) -> tuple[str, dict[str, str]]:
    """What names the checkpoint, and the options that are asked for; a file of the whole name is meant by it."""
    named, separator, choice = argument.rpartition(":")
    option, equals, value = choice.partition("=")
    if not (separator and equals) or _is_whole(argument):
        return argument, {}
    file, others = _parted(named)
    if option in OPTIONS:
        return file, {**others, option: value}
    if names_file(file):
        raise UsageError(
            f'system "{NAME}" has no option "{choice}". Options: {", ".join(OPTIONS)}. '
            f"Write: --system {NAME}:FILE:option=value"
        )
    return argument, {}


def _is_whole(argument: str) -> bool:
    """Whether all of an argument is a file, or a row and its file; a path may hold both signs, a row no colon."""
    row, _, file = argument.partition("=")
    return is_there(argument) or (":" not in row and is_there(file))


def _steps(value: str) -> int:
    steps = number_of_steps(value)
    if steps is None:
        raise UsageError(
            f'option {STEPS_OPTION} of system "{NAME}" takes a whole number from 1 to {MOST_STEPS}, got "{value}".'
        )
    return steps
