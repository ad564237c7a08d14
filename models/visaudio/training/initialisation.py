"""How a network begins: statistics of the latents, and layers whose outputs have unit size.

With PyTorch's and Xavier's random weights a value loses a factor of two to ten in every convolution, and twice that in
a gated perceptron: what Algorithm 1 says about a picture comes out with a size of 1e-5, beside conditions of size 1.
Adam's steps do not depend on that size until it drowns in its epsilon, but thousands of steps pass before the spatial
features are heard at all. So the layers that begin with random weights are scaled one after the other until their
outputs deviate by 1 over a batch (LSUV: Mishkin and Matas 2016, without the orthogonal start). Layers that are
zero at first, and those with public weights, are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.models.visaudio.network import FlowNetwork
from visaudio_bench.models.visaudio.training.batches import Batch
from visaudio_bench.models.visaudio.training.learner import FlowLearner

SCALED = (nn.Linear, nn.Conv1d, nn.Conv2d)
# The conditions of either ear are to be MMAudio's at first: [I | 0] stays what it is.
KEPT = ("spacetime.",)
NEW = ("pe_proj.",)  # what MMAudio's weights do not bring
MOST_CLIPS = 2048


@torch.no_grad()
def measure_latents(network: FlowNetwork, store: FeatureStore) -> None:
    """Give the network mean and deviation of each channel of the store's latents, as MMAudio's files have them.

    Args:
        network: is changed.
        store: of features; of more than `MOST_CLIPS` clips about as many are read, evenly spread.
    """
    count, total, squares = 0, torch.zeros(network.config.latent_dim), torch.zeros(network.config.latent_dim)
    total, squares = total.double(), squares.double()
    for index in range(0, len(store), max(1, len(store) // MOST_CLIPS)):
        means = store.read(index)["mean"].flatten(0, -2).double()
        means = means[torch.isfinite(means).all(1)]  # one broken clip does not break the others
        count, total, squares = count + len(means), total + means.sum(0), squares + means.square().sum(0)
    mean = total / count
    network.latent_mean.copy_(mean)
    network.latent_std.copy_((squares / count - mean.square()).clamp_min(1e-12).sqrt())


@torch.no_grad()
def balance(network: FlowNetwork, batch: Batch, *, only: tuple[str, ...] = ("",)) -> list[str]:
    """Scale random layers so that their outputs have unit size.

    Args:
        network: is changed.
        batch: which the outputs are of.
        only: what names of layers begin with that may be scaled.

    Returns:
        The names of those that were.
    """
    scaled: list[str] = []
    with _watching(network, only, scaled):
        FlowLearner(network)(batch)
    return scaled


@contextmanager
def _watching(network: FlowNetwork, only: tuple[str, ...], scaled: list[str]) -> Iterator[None]:
    """Every layer is scaled when it is first called, and hands on what it says after that."""
    hooks = [
        module.register_forward_hook(_scaling(name, scaled))
        for name, module in network.named_modules()
        if isinstance(module, SCALED) and name.startswith(only) and not name.startswith(KEPT)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _scaling(name: str, scaled: list[str]) -> Any:
    def scale(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        del inputs
        size = float(output.float().std())
        if name in scaled or size < 1e-12 or not bool(module.weight.any()):  # type: ignore[operator]
            return None
        for value in module.parameters(recurse=False):
            value.div_(size)
        scaled.append(name)
        return output / size

    return scale
