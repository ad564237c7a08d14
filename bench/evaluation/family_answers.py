"""Asking a metric family about one clip: its answers, checked, and the reasons of those that there are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, JudgedSound, LackingError
from visaudio_bench.bench.evaluation.family import Family, Judged
from visaudio_bench.bench.evaluation.family_registry import quantity_names
from visaudio_bench.bench.evaluation.metric_choice import under_protocol
from visaudio_bench.errors import ClipError
from visaudio_bench.leaderboards.feature_distances import KINDS
from visaudio_bench.metrics.protocol import Protocol
from visaudio_bench.metrics.quantity import Quantity, undefined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.frozen_networks import Net

WRONG = "wrong_answer"  # a family returned something else than it promised


def quantities_of(family: Family, inputs: ClipInputs) -> Judged:
    """Ask a family about a prediction.

    Args:
        family: who is asked.
        inputs: the prediction and what goes with it.

    Returns:
        Its quantities; all undefined, with the reason, where the clip lacks what the family asks for.

    Raises:
        ClipError: the clip cannot be judged, or what came back is not what a family returns.
    """
    try:
        answer = family.quantities(inputs)
    except LackingError as error:
        return without(family, inputs.protocol, error.reason)
    declared = quantity_names(family)
    if not isinstance(answer, Mapping):
        raise _wrong(family, f"{type(answer).__name__} for quantities", "a mapping")
    for key, quantity in answer.items():
        if not (isinstance(key, tuple) and len(key) == 2 and isinstance(quantity, Quantity)):
            raise _wrong(family, f"{key!r}: {quantity!r}", '("name", "view"): Quantity(...)')
        if _base(key[0]) not in declared:
            raise _wrong(family, f'the quantity "{key[0]}"', f"one that its metrics read: {_words(declared)}")
    return answer


def without(family: Family, protocol: Protocol, reason: str) -> Judged:
    """Leave the quantities of a family that has no answer to a clip undefined.

    Args:
        family: who was asked.
        protocol: which views there are.
        reason: why it has no answer.

    Returns:
        Its quantities, NaN with the reason.
    """
    return {
        (name, view): undefined(reason)
        for metric in under_protocol(family.metrics, protocol)
        for name in metric.quantities
        for view in metric.views
        if name in quantity_names(family) and not name.endswith("[]")
    }


def features_of(family: Family, sound: JudgedSound, networks: Mapping[str, Net]) -> dict[str, NDArray[np.float32]]:
    """Ask a family for the features of one sound.

    Args:
        family: who is asked.
        sound: the sound.
        networks: that the family asked for, by name.

    Returns:
        Rows `(k, 3, d)` by the name of the features: mix, left and right; or `(k, 1, d)` of the side.

    Raises:
        ClipError: there are none, or what came back is not what a family returns.
    """
    declared = {metric.features for metric in family.metrics if metric.features}
    features: dict[str, Any] = {name: np.asarray(rows) for name, rows in family.features(sound, networks).items()}
    for name, rows in features.items():
        if name not in declared:
            raise _wrong(family, f'the features "{name}"', f"those that its metrics compare: {_words(declared)}")
        if rows.ndim != 3 or rows.shape[1] not in KINDS:
            expected = " or ".join(f"(rows, {size}, d), of {_words(views)}" for size, views in KINDS.items())
            raise _wrong(family, f"features of shape {rows.shape}", expected)
    return features


def _base(name: str) -> str:
    """`name[]` of `name[3]`."""
    return f"{name.rpartition('[')[0]}[]" if name.endswith("]") else name


def _wrong(family: Family, got: str, expected: str) -> ClipError:
    return ClipError(WRONG, f'the metric family "{family.name}" returned {got}, expected {expected}')


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
