"""The four losses of Garg et al., for every sample of a batch, before their weights (Eqs. 1 to 4)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from visaudio_bench.models.geometry_aware.spectra import magnitude_time

WEIGHTS = {"backbone": 10.0, "coherence": 1.0, "consistency": 0.01, "response": 1.0}  # Eq. 5


def squared_distance(predicted: Tensor, true: Tensor) -> Tensor:
    """Compute the mean square of what differs, one term of Eq. 1.

    Args:
        predicted: `(B, ...)`.
        true: likewise.

    Returns:
        `(B,)`.
    """
    return (predicted - true).square().flatten(1).mean(1)


def coherence_loss(logit: Tensor, flipped: Tensor) -> Tensor:
    """Compute the binary cross entropy of saying whether the channels are flipped (Eq. 2).

    Args:
        logit: `(B,)`, above 0 for flipped.
        flipped: `(B,)` whether they are.

    Returns:
        `(B,)`.
    """
    return functional.binary_cross_entropy_with_logits(logit, flipped.to(logit.dtype), reduction="none")


def response_loss(predicted: Tensor, true: Tensor, seconds: Tensor) -> Tensor:
    """Compute the distances of an impulse response and of its reverberation time (Eq. 3).

    Args:
        predicted: magnitudes `(B, 2, 64, 64)`.
        true: likewise.
        seconds: `(B,)` the true reverberation time.

    Returns:
        `(B,)`, the sum of both.
    """
    distance = (squared_distance(predicted, true) + 1e-12).sqrt()
    return distance + (magnitude_time(predicted) - seconds).abs()


def consistency_loss(features: Tensor, others: Tensor, margin: float) -> Tensor:
    """Compute how much more than a margin the features of two pictures differ in the mean square (Eq. 4).

    Args:
        features: `(B, ...)` of the one.
        others: of the other, likewise.
        margin: which costs nothing.

    Returns:
        `(B,)`, 0 within the margin.
    """
    return (squared_distance(features, others) - margin).clamp_min(0)
