"""One update's mathematics: from a batch of windows to the weighted losses of Eq. 5."""

from __future__ import annotations

import torch
from torch import Tensor

from visaudio_bench.models.geometry_aware.losses import (
    coherence_loss,
    consistency_loss,
    response_loss,
    squared_distance,
)
from visaudio_bench.models.geometry_aware.network import GeometryAware, Seen
from visaudio_bench.models.geometry_aware.spectra import loudness_gain, masked, spectrum
from visaudio_bench.models.geometry_aware.training.recipe import GeometryRecipe
from visaudio_bench.models.training.loading import TensorBatch
from visaudio_bench.models.training.optimisation import Learner

AUDIO = ("encoder.", "decoder.", "fusion.")
OTHERS_RATE = 0.1  # of the audio networks' learning rate: 0.0001 beside 0.001


class GeometryLearner(Learner):
    """The network with its losses; those of parts that it does not have are left out."""

    def __init__(self, network: GeometryAware, recipe: GeometryRecipe):
        super().__init__()
        self.network: GeometryAware = network
        self.recipe = recipe
        config = network.config
        wanted = {"coherence": config.coherence, "consistency": config.consistency, "response": config.response}
        self.losses = ("loss_backbone", *(f"loss_{name}" for name, is_wanted in wanted.items() if is_wanted))

    def relative_rate(self, parameter: str) -> float:
        """The paper's rates: 0.001 for what hears and fuses, 0.0001 for the rest."""
        return 1.0 if parameter.startswith(AUDIO) else OTHERS_RATE

    def forward(self, batch: TensorBatch) -> Tensor:
        """Weighted losses `(B, parts)`, in the order of `losses`."""
        recipe, config, tensors = self.recipe, self.network.config, batch.tensors
        seen = self.network.see(tensors["frames"])
        mix = tensors["sound"].sum(1)
        ears = spectrum(tensors["sound"] * loudness_gain(mix)[:, None])
        parts = [recipe.backbone * self._backbone(ears, seen)]
        if config.coherence:
            parts.append(recipe.coherence * coherence_loss(self.flipped_logit(ears, seen, batch), tensors["flipped"]))
        if config.consistency:
            other = self.network.see(tensors["others"])
            parts.append(recipe.consistency * consistency_loss(seen.grid, other.grid, recipe.margin))
        if config.response:
            made = self.network.generator(seen.vector)
            known = tensors["known"].to(made.dtype)
            parts.append(recipe.response * known * response_loss(made, tensors["responses"], tensors["seconds"]))
        return torch.stack(parts, 1)

    def flipped_logit(self, ears: Tensor, seen: Seen, batch: TensorBatch) -> Tensor:
        """What the classifier says of spectra `(B, 2, 2, 256, 64)` whose ears it is given as `flipped` says."""
        flipped = batch.tensors["flipped"][:, None, None, None, None]
        logit: Tensor = self.network.coherence(torch.where(flipped, ears.flip(1), ears), seen.vector)
        return logit

    def _backbone(self, ears: Tensor, seen: Seen) -> Tensor:
        mix = ears.sum(1)
        masks = self.network(mix, seen)
        loss: Tensor = squared_distance(masked(masks.difference, mix), ears[:, 0] - ears[:, 1])
        if masks.ears is None:
            return loss
        made = masked(masks.ears, mix[:, None])
        return loss + squared_distance(made[:, 0], ears[:, 0]) + squared_distance(made[:, 1], ears[:, 1])
