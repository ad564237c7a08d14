"""From a feature store to batches of a flow network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from visaudio_bench.errors import UsageError
from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import Config, lengths
from visaudio_bench.models.visaudio.feature_formats import SPATIAL, unpack_spatial
from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.models.visaudio.training.draws import Draws, draw
from visaudio_bench.models.visaudio.training.recipe import FlowRecipe


@dataclass(frozen=True)
class Batch:
    """Some samples: features as they are kept, what chance decided, and which clips they are."""

    features: Mapping[str, Tensor]
    draws: Draws
    clips: tuple[str, ...]

    def to(self, device: torch.device) -> Batch:
        """On another device; 8- and 16-bit features travel as such and are widened there."""
        if device.type == "cpu":
            return self
        features = {key: value.to(device, non_blocking=True) for key, value in self.features.items()}
        return replace(
            self, features=features, draws=Draws(*(value.to(device, non_blocking=True) for value in self.draws))
        )

    def data(self) -> Tensor:
        """Latents `(B, 2, n, C)`, drawn anew from their mean and deviation each time a clip comes."""
        return self.features["mean"] + self.features["std"] * self.draws.spread

    def conditions(self, *, spatial: bool) -> Conditions:
        """Conditions in float32, with the spatial feature if it is wanted."""
        clip, sync, text = (self.features[key].float() for key in ("clip", "sync", "text"))
        grid = unpack_spatial(self.features) if spatial else None
        return Conditions(clip, sync, text, grid)


class Reader:
    """Reads batches from a store.

    Raises:
        UsageError: the features are not those that the network is made for.
    """

    def __init__(self, store: FeatureStore, config: Config, recipe: FlowRecipe):
        self.store = store
        self.recipe = recipe
        self.shapes = _wanted_shapes(store, config)
        self.latent = (2, self.shapes["mean"][-2], config.latent_dim)
        self.sources = [row.source for row in store.rows]
        self._formats = _formats(store)
        if not config.spacetime:
            self._formats = {key: value for key, value in self._formats.items() if not key.startswith(SPATIAL)}

    def empty(self, size: int, *, pinned: bool) -> dict[str, Tensor]:
        """Memory for `size` samples."""
        return {
            key: torch.empty((size, *(self.shapes.get(key) or shape)), dtype=dtype, pin_memory=pinned)
            for key, (dtype, shape) in self._formats.items()
        }

    def fill(self, memory: Mapping[str, Tensor], place: int, clip: int) -> tuple[bool, bool]:
        """Read a clip into a place of a batch; says whether it has no video, and no caption."""
        row = {key: values[place] for key, values in memory.items()}
        read = self.store.read(clip, into=row)
        for key in row.keys() - read.keys():
            row[key].zero_()
        return "clip" not in read, "text" not in read

    def batch(self, memory: Mapping[str, Tensor], clips: list[int], samples: list[int]) -> Batch:
        """The samples with these numbers, which are of these clips."""
        missing = [self.fill(memory, place, clip) for place, clip in enumerate(clips)]
        drawn = [
            draw(
                self.recipe.seed,
                sample,
                self.latent,
                drop=self.recipe.drop,
                drop_text=self.recipe.text_drop,
                times=self.recipe.time,
            )
            for sample in samples
        ]
        draws = Draws(*(torch.stack(column) for column in zip(*drawn, strict=True)))
        blind, untold = torch.tensor(missing).T
        draws = draws._replace(
            drop_clip=draws.drop_clip | blind, drop_sync=draws.drop_sync | blind, drop_text=draws.drop_text | untold
        )
        return Batch(dict(memory), draws, tuple(self.store.rows[clip].clip for clip in clips))

    def joined(self, memory: Mapping[str, Tensor], pieces: Sequence[Batch]) -> Batch:
        """The batch whose pieces were read one by one, into parts of `memory`."""
        draws = Draws(*(torch.cat(column) for column in zip(*(piece.draws for piece in pieces), strict=True)))
        return Batch(memory, draws, tuple(clip for piece in pieces for clip in piece.clips))


def _formats(store: FeatureStore) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Format and shape of every tensor that any of the first clips has; a store has one kind of clip, or two."""
    formats: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
    for index in range(min(len(store), 64)):
        formats = {**store.describe(index), **formats}
    return formats


def _wanted_shapes(store: FeatureStore, config: Config) -> dict[str, tuple[int, ...]]:
    """Shapes that the network needs, compared with those of the store."""
    long = lengths(store.kind.duration, config.text_tokens)
    grid = config.spatial_grid
    wanted: dict[str, tuple[int, ...]] = {
        "mean": (2, long.latent, config.latent_dim),
        "std": (2, long.latent, config.latent_dim),
        "clip": (long.clip, config.clip_dim),
        "sync": (long.sync, config.sync_dim),
        "text": (long.text, config.text_dim),
    }
    if config.spacetime:
        wanted[SPATIAL] = (long.clip, grid, grid, config.spatial_dim)
    formats = _formats(store)
    for key, shape in wanted.items():
        if key not in formats:
            raise UsageError(
                f"no clip of the feature store {store.folder} has the feature {key}, which {config.name} needs."
            )
        if formats[key][1] != shape:
            raise UsageError(
                f"the feature store {store.folder} has {key} of shape {formats[key][1]}, and {config.name} "
                f"takes {shape}. "
                f"It was made by {dict(store.kind.conditioners)} and {dict(store.kind.codec)} for clips of "
                f"{store.kind.duration:g} s: choose the preset that fits, or make the features again."
            )
    return wanted
