"""From a store of pictures and sounds to batches of windows: which, how cropped, mirrored and flipped is all drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from visaudio_bench.errors import UsageError
from visaudio_bench.models.geometry_aware.clip_windows import RESPONSE_EVERY
from visaudio_bench.models.geometry_aware.config import PICTURE_RATE, RESPONSE, SAMPLE_RATE, SAMPLES, Config
from visaudio_bench.models.geometry_aware.training.recipe import GeometryRecipe
from visaudio_bench.models.training.loading import TensorBatch
from visaudio_bench.models.training.order import generator_of
from visaudio_bench.models.visaudio.feature_store import FeatureStore

APART = PICTURE_RATE  # frames: a second, the most by which the pictures of Eq. 4 lie apart


class Reader:
    """Reads windows from a store.

    A batch has `frames` and `others` `(B, 3, H, W)` bytes, `sound` `(B, 2, 10080)`, `responses` `(B, 2, 64, 64)` with
    `seconds` `(B,)` and `known` `(B,)` (whether there is a response), and `flipped` `(B,)`.

    Raises:
        UsageError: the store keeps something else, or pictures of another size than the network's.
    """

    def __init__(self, store: FeatureStore, config: Config, recipe: GeometryRecipe):
        self.store, self.config, self.recipe = store, config, recipe
        self.sources = [row.source for row in store.rows]
        self.frames, self.samples = _lengths(store, config)
        if self.samples < SAMPLES:
            raise UsageError(f"the clips of {store.folder} last {store.kind.duration:g} s, and a window 0.63 s.")

    def empty(self, size: int, *, pinned: bool) -> dict[str, Tensor]:
        """Memory for `size` samples."""
        picture = (size, 3, self.config.height, self.config.width)
        shapes: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
            "frames": (picture, torch.uint8),
            "others": (picture, torch.uint8),
            "sound": ((size, 2, SAMPLES), torch.float32),
            "responses": ((size, 2, RESPONSE, RESPONSE), torch.float32),
            "seconds": ((size,), torch.float32),
            "known": ((size,), torch.bool),
            "flipped": ((size,), torch.bool),
        }
        return {key: torch.empty(shape, dtype=dtype, pin_memory=pinned) for key, (shape, dtype) in shapes.items()}

    def batch(self, memory: Mapping[str, Tensor], clips: list[int], samples: list[int]) -> TensorBatch:
        """The samples with these numbers, which are of these clips."""
        for place, (clip, sample) in enumerate(zip(clips, samples, strict=True)):
            self._fill({key: values[place] for key, values in memory.items()}, clip, sample)
        return TensorBatch(memory, tuple(self.store.rows[clip].clip for clip in clips))

    def joined(self, memory: Mapping[str, Tensor], pieces: Sequence[TensorBatch]) -> TensorBatch:
        """As `TensorBatch.joined`."""
        return TensorBatch.joined(memory, pieces)

    def _fill(self, row: Mapping[str, Tensor], clip: int, sample: int) -> None:
        chance = generator_of(self.recipe.seed, sample)

        def below(count: int) -> int:
            return int(torch.randint(count, (), generator=chance))

        start = below(self.samples - SAMPLES + 1)
        centre = (start + SAMPLES / 2) / SAMPLE_RATE
        frame = min(int(centre * PICTURE_RATE), self.frames - 1)
        nearby = range(max(0, frame - APART), min(self.frames, frame + APART + 1))
        other = nearby[below(len(nearby))]
        high, wide = self.config.stored
        corner = below(high - self.config.height + 1), below(wide - self.config.width + 1)
        mirrored = self.recipe.mirror and below(2) == 1
        row["flipped"].fill_(below(2) == 1)
        for name, number in (("frames", frame), ("others", other)):
            whole = self.store.read_rows(clip, "frames", number, 1)[0]
            part = whole[:, corner[0] : corner[0] + self.config.height, corner[1] : corner[1] + self.config.width]
            row[name].copy_(part.flip(-1) if mirrored else part)
        ears = self.store.read_rows(clip, "sound", start, SAMPLES).T.float() / 32768
        row["sound"].copy_(ears.flip(0) if mirrored else ears)
        self._fill_response(row, clip, centre, mirrored)

    def _fill_response(self, row: Mapping[str, Tensor], clip: int, centre: float, mirrored: bool) -> None:
        shape = self.store.describe(clip).get("responses")
        row["known"].fill_(shape is not None)
        if shape is None or not self.config.response:
            row["responses"].zero_()
            row["seconds"].zero_()
            return
        number = min(int(centre / RESPONSE_EVERY), shape[1][0] - 1)
        response = self.store.read_rows(clip, "responses", number, 1)[0]
        row["responses"].copy_(response.flip(0) if mirrored else response)
        row["seconds"].copy_(self.store.read_rows(clip, "seconds", number, 1)[0])


def require_responses(store: FeatureStore, config: Config) -> None:
    """Refuse to learn impulse responses where there are none.

    Args:
        store: that is to be learnt from.
        config: of the network.

    Raises:
        UsageError: the network predicts responses, and no clip has one.
    """
    if config.response and not any("responses" in store.describe(index) for index in range(len(store))):
        raise UsageError(
            f"no clip of {store.folder} has an impulse response, and {config.name} learns to predict them. Only "
            "simulated scenes have: train without (--preset fairplay, or --set network.response=false)."
        )


def _lengths(store: FeatureStore, config: Config) -> tuple[int, int]:
    """Frames and samples of each clip."""
    formats = store.describe(0)
    if "frames" not in formats or "sound" not in formats:
        raise UsageError(
            f"{store.folder} does not hold pictures and sounds, but features of another network. Make a store: "
            "bench features build --parts windows --suite NAME --out DIR"
        )
    size = formats["frames"][1][2:]
    if size != config.stored:
        raise UsageError(
            f"the pictures in {store.folder} are {size[0]} x {size[1]}, and {config.name} takes crops of "
            f"{config.stored[0]} x {config.stored[1]}: choose the preset that fits, or make the store again."
        )
    return formats["frames"][1][0], formats["sound"][1][0]
