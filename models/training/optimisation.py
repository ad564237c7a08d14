"""From gradients to weights and their running average, and in which precision; and what is to be learnt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from visaudio_bench.models.training.recipe import Recipe
from visaudio_bench.models.training.schedule import ema_decay, ema_exponent


class Learner(nn.Module, ABC):
    """A network with its loss around it, so that parallel wrappers see one call.

    Attributes:
        network: what is trained and kept.
        losses: names of what the loss is the sum of.
        methods: those beside `forward` that use the weights.
    """

    network: nn.Module
    losses: tuple[str, ...]
    methods: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, batch: Any) -> Tensor:
        """What each sample adds to each part of the loss, `(B, len(losses))`; the loss is the sum of their means."""

    def relative_rate(self, parameter: str) -> float:
        """The learning rate of one of the network's parameters, in units of the recipe's."""
        del parameter
        return 1.0


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
    """Tell what the network computes with on a device.

    Args:
        recipe: its `precision` may be `auto`.
        device: of the training.

    Returns:
        `float32` or `bfloat16`; `auto` is the latter on a GPU alone.
    """
    if recipe.precision != "auto":
        return recipe.precision
    return "bfloat16" if device.type == "cuda" else "float32"


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """Make the context in which the network runs.

    Args:
        recipe: its precision.
        device: of the training.

    Returns:
        Autocast to bfloat16, or a context that does nothing.
    """
    if precision_of(recipe, device) == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def optimiser_of(learner: Learner, recipe: Recipe, device: torch.device) -> torch.optim.AdamW:
    """Make AdamW over all that is trained.

    Args:
        learner: its network, and the relative rate of each parameter.
        recipe: rate, betas, epsilon (1e-6 in bfloat16 and 1e-8 in float32 where it says none) and decay.
        device: of the training.

    Returns:
        The optimiser: one group, as MMAudio's, or one for each relative rate.
    """
    epsilon = recipe.epsilon
    if epsilon is None:
        epsilon = 1e-6 if precision_of(recipe, device) == "bfloat16" else 1e-8
    groups: dict[float, list[nn.Parameter]] = {}
    for name, value in learner.network.named_parameters():
        if value.requires_grad:
            groups.setdefault(learner.relative_rate(name), []).append(value)
    return torch.optim.AdamW(
        [{"params": values, "relative": relative} for relative, values in groups.items()],
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=epsilon,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
