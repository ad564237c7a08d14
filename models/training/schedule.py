"""Closed forms of what changes with the step: the learning rate and the memory of the averaged weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def learning_rate(step: int, peak: float, warmup: int, decay_at: Sequence[int] = (), decay: float = 0.1) -> float:
    """Compute the learning rate of an update: linear warm-up, then constant, then times `decay` at each step.

    Args:
        step: of the update, counted from 0.
        peak: rate after the warm-up.
        warmup: updates that it takes.
        decay_at: updates after the end of the warm-up at which the rate falls, as in MMAudio's recipe.
        decay: the factor that it falls by.

    Returns:
        The rate.
    """
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return float(peak * decay ** sum(step - warmup >= at for at in decay_at))


def ema_exponent(sigma_rel: float) -> float:
    """Exponent g of the power-function average whose width is `sigma_rel` of the training so far.

    The largest real root of g^3 + 7 g^2 + (16 - 1/s^2) g + (12 - 1/s^2): Karras et al. 2024 (arXiv:2312.02696).
    """
    inverse = sigma_rel**-2
    roots = np.roots([1.0, 7.0, 16.0 - inverse, 12.0 - inverse])
    return float(roots[np.abs(roots.imag) < 1e-9].real.max())


def ema_decay(updates: int, exponent: float) -> float:
    """Compute what the average keeps of itself at an update.

    It is the geometric mean of the decays before and after the step, which takes off the bias of a finite step.

    Args:
        updates: number of the update, counted from 1.
        exponent: of the power function that forgets; larger ones forget faster.

    Returns:
        A share in (0, 1).
    """
    before, after = 1 - 1 / (updates + 1), 1 - 1 / (updates + 2)
    return float((before * after) ** ((1 + exponent) / 2))
