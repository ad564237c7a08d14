"""A metric family: what computes some metrics of a clip together. The manual for authors is docs/add-a-metric.md.

A family of ours is one module in `bench/evaluation/families/` whose `FAMILY` is an object of a subclass of `Family`; it
is found there and nothing else names it. Somebody else's is the same object behind an entry point of the group
`visaudio_bench.metrics`, by the family's name.

The conductor does the rest: it says which weights are missing, decodes sounds and pictures, keeps one clip's error from
the others, caches what networks answer, and makes rows, intervals, tests and tables of what the family returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.quantity import Quantity

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Net
    from visaudio_bench.models.weights import WeightFile

Judged: TypeAlias = Mapping[tuple[str, str], Quantity]
"""Quantities by name and view: `binaural`, or one of `mix`, `left`, `right`, `avg`."""

Loader: TypeAlias = "Callable[[Path, str, torch.dtype], Any]"
"""Makes a network from its weight file, a torch device, and the type of numbers to compute with."""


class Network(NamedTuple):
    """A network that a family needs: its weight file, and how it is loaded.

    `weights` is the file's name in `bench weights`, or, of a file that nobody has told of before, its row: then
    `bench weights` knows it too. `load` makes it, or is the place of its class, `module:class`, where that takes the
    tensors of the file as they are (`models.weight_loading.load`).

    `by_row` names the calls (`__call__` for the network itself) that answer row by row: each argument is a tensor or a
    list with one row for each thing asked, each tensor of the answer has as many, and no row depends on another. Then
    worker processes prepare what goes in, and the network gets rows of several clips and systems at once. A family
    all of whose networks say so calls nothing else of them and asks for plain values (a sample rate) besides.
    """

    weights: WeightFile | str
    load: Loader | str
    by_row: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its weight file."""
        return self.weights if isinstance(self.weights, str) else self.weights.name


class Family:
    """Base of all families. A subclass gives `name` and `metrics`, and defines `quantities`, `features` or both.

    An object of it says nothing of a run and keeps nothing between clips: copies of it work in several processes.

    Attributes:
        name: on the command line, where `--metric NAME` means all of its metrics, and of the entry point.
        metrics: what it computes. Names of quantities, and of features, belong to one family alone.
        networks: the networks that it needs. Where the file of one is not here the family is not asked, and its
            metrics are empty with the reason; what can be had separately is a family of its own.
        frame_rates: how many frames a second it takes of a video, so that each video is decoded once for all families.
    """

    name: str
    metrics: tuple[Metric, ...]
    networks: tuple[Network, ...] = ()
    frame_rates: tuple[Fraction, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether its networks work on `--device`, in the main process: where it has networks or features.

        Other families judge many clips at once in processes of their own.
        """
        return bool(self.networks) or any(metric.features for metric in self.metrics)

    @property
    def by_row(self) -> bool:
        """Whether worker processes can ask its networks (see `Network`)."""
        return bool(self.networks) and all(network.by_row for network in self.networks)

    @property
    def unavailable(self) -> str:
        """Why it cannot work on this machine, with what to do: a package is not installed; empty where it can.

        Its metrics are then empty with the reason, as where weights are missing.
        """
        return ""

    def quantities(self, inputs: ClipInputs) -> Judged:
        """What a prediction is worth: every quantity that the metrics read, by name and view.

        Of what the clip lacks (`inputs.reference`, `inputs.pictures`, `inputs.caption`) asking is enough: all
        quantities of the family then have the reason. A quantity without a value is `undefined("reason")`.

        Raises:
            ClipError: this clip cannot be judged.
        """
        del inputs
        return {}

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """Rows `(k, 3, d)` of mix, left and right of one sound, by the `features` of the metrics that compare sets.

        Predictions and references come here alike. A sound that is too short for a network has no entry.

        Raises:
            ClipError: this sound has none; the clip is listed.
        """
        del sound, networks
        return {}


def by_view(name: str, values: Sequence[float]) -> Judged:
    """Name the values of three views, and of `avg`, the mean of the ears.

    Args:
        name: of the quantity.
        values: of `mix`, `left` and `right`, in this order.

    Returns:
        Quantities by name and view.
    """
    mix, left, right = (float(value) for value in values)
    views = {"mix": mix, "left": left, "right": right, "avg": (left + right) / 2}
    return {(name, view): Quantity(value) for view, value in views.items()}


def binaural(quantities: Mapping[str, Quantity]) -> Judged:
    """Quantities of both channels together, by name and the view `binaural`."""
    return {(name, "binaural"): quantity for name, quantity in quantities.items()}
