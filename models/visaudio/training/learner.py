"""One update's mathematics: from a batch to errors, from gradients to weights and their running average."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.flow import flow_matching_errors
from visaudio_bench.models.visaudio.network import FlowNetwork
from visaudio_bench.models.visaudio.sampler import sample
from visaudio_bench.models.visaudio.training.batches import Batch
from visaudio_bench.models.visaudio.training.recipe import Recipe
from visaudio_bench.models.visaudio.training.schedule import ema_decay, ema_exponent


class Learner(nn.Module):
    """The network with its loss around it, so that parallel wrappers see one call."""

    def __init__(self, network: FlowNetwork):
        super().__init__()
        self.network = network

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
    def latents(self, batch: Batch, noise: Tensor, steps: int, guidance: float) -> Tensor:
        """The codec's latents of sounds for a batch's conditions, `(B, 2, n, C)`, for a mono network `(B, 1, n, C)`."""
        network = self.network
        conditions = batch.conditions(spatial=network.config.spacetime)
        made = sample(network, conditions, noise, steps=steps, guidance=guidance)
        made = network.unnormalise(made.float())
        return made if network.config.dual else made[:, None]


class Average:
    """The running average of the weights, whose memory is a fixed share of the training so far (`schedule`)."""

    def __init__(self, network: nn.Module, width: float):
        self.exponent = ema_exponent(width)
        self.updates = 0
        self._live = {name: value for name, value in network.named_parameters() if value.requires_grad}
        self.weights = {name: value.detach().clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now; the first ones are copied."""
        self.updates += 1
        decay = ema_decay(self.updates, self.exponent) if self.updates > 1 else 0.0
        live = [value.detach() for value in self._live.values()]
        torch._foreach_lerp_(list(self.weights.values()), live, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the averaged weights while this lasts."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, live in self._live.items():
            kept = self.weights[name].clone()
            self.weights[name].copy_(live)
            live.copy_(kept)


def precision_of(recipe: Recipe, device: torch.device) -> str:
    """What the network computes with on this device."""
    if recipe.precision != "auto":
        return recipe.precision
    return "bfloat16" if device.type == "cuda" else "float32"


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """The context in which the network runs."""
    if precision_of(recipe, device) == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def optimiser_of(network: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.AdamW:
    """AdamW over all that is trained, without groups, as MMAudio's."""
    epsilon = recipe.epsilon
    if epsilon is None:
        epsilon = 1e-6 if precision_of(recipe, device) == "bfloat16" else 1e-8
    return torch.optim.AdamW(
        [value for value in network.parameters() if value.requires_grad],
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=epsilon,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
