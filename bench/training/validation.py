"""What a training looks at now and then: the flow loss on clips that it does not learn from, and where they sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.metrics.interaural import Cues, interaural_cues
from visaudio_bench.metrics.interaural_scores import paired_scores
from visaudio_bench.metrics.quantity import Quantity
from visaudio_bench.models.training.distributed import World
from visaudio_bench.models.training.optimisation import autocast
from visaudio_bench.models.visaudio.codec_interface import Codec
from visaudio_bench.models.visaudio.config import lengths
from visaudio_bench.models.visaudio.sampler import by_channel, clip_noise
from visaudio_bench.models.visaudio.training.batches import Batch, Reader
from visaudio_bench.models.visaudio.training.learner import FlowLearner
from visaudio_bench.models.visaudio.training.recipe import FlowRecipe

SEED = 0
AT_ONCE = 8
STEPS = 10  # of generated clips: enough to hear where they are
COLUMNS = ("lat_r", "lr_acc", "lat_err")


class Validator:
    """Looks at a network: the same noise, times and clips every time, so that the numbers can be compared.

    Without a `codec` only the flow loss is measured and its negative is the score; with one the clips are generated
    too, in `steps` steps, and the score is the correlation of where they sound with where they should.
    """

    def __init__(self, reader: Reader, recipe: FlowRecipe, world: World, codec: Codec | None, *, steps: int = STEPS):
        self.reader, self.recipe, self.world, self.codec = reader, recipe, world, codec
        self.steps = steps

    def __call__(self, learner: FlowLearner) -> dict[str, float]:
        """Scores by name; every process must call."""
        losses: list[list[float]] = []
        cue_scores: list[tuple[int, dict[str, Quantity]]] = []
        for clips, batch in self._batches(self.world.share(range(len(self.reader.store)))):
            with autocast(self.recipe, self.world.device):
                losses += learner(batch).tolist()
            if self.codec is not None:
                sounds = self._generated(learner, batch)
                cue_scores += [
                    (clip, paired_scores(interaural_cues(sound), self.references[clip]))
                    for clip, sound in zip(clips, sounds, strict=True)
                ]
        ears = np.mean(self.world.gather(losses), axis=0)
        names = ("loss_left", "loss_right") if len(ears) > 1 else ("loss_mono",)
        scores = {"loss": float(ears.sum()), **dict(zip(names, map(float, ears), strict=True))}
        scores |= direction_columns(
            [scores for _, scores in sorted(self.world.gather(cue_scores), key=lambda scored: scored[0])]
        )
        return {**scores, "score": scores.get("lat_r", -scores["loss"])}

    def _batches(self, clips: Sequence[int]) -> Iterator[tuple[Sequence[int], Batch]]:
        for first in range(0, len(clips), AT_ONCE):
            some = list(clips[first : first + AT_ONCE])
            batch = self.reader.batch(self.reader.empty(len(some), pinned=False), some, some)
            yield some, batch.to(self.world.device)

    def _generated(self, learner: FlowLearner, batch: Batch) -> Tensor:
        config = learner.network.config
        long = lengths(self.reader.store.kind.duration, config.text_tokens)
        noise = torch.stack([clip_noise(SEED, clip, long, config.latent_dim, dual=config.dual) for clip in batch.clips])
        assert self.codec is not None
        noise, guidance = by_channel(self.codec.sampling, noise.to(self.world.device), self.recipe.guidance)
        with autocast(self.recipe, self.world.device):
            latents = learner.latents(batch, noise, self.steps, guidance)
        return self._decoded(latents)

    def _decoded(self, latent: Tensor) -> Tensor:
        """`(B, 2, T)` on the CPU."""
        assert self.codec is not None
        sound = self.codec.decode(latent).cpu()
        return sound if sound.shape[1] == 2 else sound.expand(-1, 2, -1)

    @cached_property
    def references(self) -> dict[int, Cues]:
        """Where each of this process's clips should sound: as far as the codec can say it."""
        cues: dict[int, Cues] = {}
        for clips, batch in self._batches(self.world.share(range(len(self.reader.store)))):
            for clip, sound in zip(clips, self._decoded(batch.features["mean"]), strict=True):
                cues[clip] = interaural_cues(sound)
        return cues


def direction_columns(scores: Sequence[Mapping[str, Quantity]]) -> dict[str, float]:
    """The columns of a leaderboard that say where sounds are."""
    if not scores:
        return {}
    values = {name: np.array([quantities[name].value for quantities in scores]) for name in scores[0]}
    return {key: float(METRICS[key].aggregate({q: values[q] for q in METRICS[key].quantities})) for key in COLUMNS}
