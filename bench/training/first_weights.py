"""Whether a training may begin with the weights of a file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.models.own_checkpoints import NetworkConfig


def require_same_network(theirs: NetworkConfig, ours: NetworkConfig, path: Path) -> None:
    """Refuse the weights of a network that is built otherwise than the one to be trained.

    Args:
        theirs: the network in the file.
        ours: the network that is to be trained; its name may be another.
        path: of the file.

    Raises:
        UsageError: they differ.
    """
    wanted = ours.to_dict()
    differing = [
        f"its {key} is {value}, not {wanted[key]}"
        for key, value in theirs.to_dict().items()
        if key != "name" and value != wanted[key]
    ]
    if differing:
        raise UsageError(f"{path} holds another network than is to be trained: {'; '.join(differing)}.")


def require_finite(network: nn.Module, path: Path) -> None:
    """Refuse weights that are no numbers: such a training would end at its first step.

    A copy in float16 has lost what does not fit there.

    Args:
        network: with the file's weights.
        path: of the file.

    Raises:
        BenchError: a tensor has values that are not finite.
    """
    broken = [name for name, value in network.state_dict().items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise BenchError(
            f"{path} cannot be trained from: {len(broken)} tensors have values that are not finite numbers, first "
            f"{broken[0]}. Take the file that it was made from"
        )
