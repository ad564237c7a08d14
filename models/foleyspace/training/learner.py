"""One update's mathematics: how far the predicted spectra are from the true ones."""

from __future__ import annotations

from torch import Tensor

from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.training.loading import TensorBatch
from visaudio_bench.models.training.optimisation import Learner


class FoleyLearner(Learner):
    """The network with its loss: the mean square of what is wrong with the ears' spectra, at a time that was drawn."""

    losses = ("loss_left", "loss_right")

    def __init__(self, network: SpatialDiffusion):
        super().__init__()
        self.network: SpatialDiffusion = network

    def forward(self, batch: TensorBatch) -> Tensor:
        """`(B, 2)`, left first."""
        tensors = batch.tensors
        time = tensors["time"]
        at = time[:, None, None, None]
        noisy = (1 - at) * tensors["noise"] + at * tensors["data"]
        made: Tensor = self.network(noisy, time, tensors["mono"], tensors["places"], tensors["falls"])
        wrong = (made - tensors["data"]).square()
        return wrong.reshape(len(wrong), 2, -1).mean(2)
