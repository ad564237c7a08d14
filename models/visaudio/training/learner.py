"""One update's mathematics: from a batch to errors."""

from __future__ import annotations

import torch
from torch import Tensor

from visaudio_bench.models.training.optimisation import Learner
from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.flow import flow_matching_errors
from visaudio_bench.models.visaudio.network import FlowNetwork
from visaudio_bench.models.visaudio.sampler import sample
from visaudio_bench.models.visaudio.training.batches import Batch


class FlowLearner(Learner):
    """The flow network with its loss, whose parts are those of the ears."""

    methods = ("latents",)

    def __init__(self, network: FlowNetwork):
        super().__init__()
        self.network: FlowNetwork = network
        self.losses = ("loss_left", "loss_right") if network.config.dual else ("loss_mono",)

    def forward(self, batch: Batch) -> Tensor:
        """Squared errors of the velocity, `(B, 2)` for the left and the right ear, `(B, 1)` for a mono network."""
        network, draws = self.network, batch.draws
        data, noise = network.normalise(batch.data()), draws.noise
        if not network.config.dual:
            # One ear's noise and the mean of the ears: of the built-in codec's latents that is the mono sound's.
            data, noise = data.mean(1), noise[:, 0]
        conditions = self._dropped(batch.conditions(spatial=network.config.spacetime), batch)
        errors = flow_matching_errors(network, data, noise, draws.time, conditions)
        return errors.reshape(len(errors), -1)

    def _dropped(self, conditions: Conditions, batch: Batch) -> Conditions:
        draws = batch.draws
        return self.network.drop(conditions, draws.drop_clip, draws.drop_sync, draws.drop_text)

    @torch.no_grad()
    def latents(self, batch: Batch, noise: Tensor, steps: int, guidance: float | Tensor) -> Tensor:
        """The codec's latents of sounds for a batch's conditions, `(B, 2, n, C)`, for a mono network `(B, 1, n, C)`."""
        network = self.network
        conditions = batch.conditions(spatial=network.config.spacetime)
        made = sample(network, conditions, noise, steps=steps, guidance=guidance)
        made = network.unnormalise(made.float())
        return made if network.config.dual else made[:, None]
