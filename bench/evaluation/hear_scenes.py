"""The metric family of a HEAR module that a run names with `--backbone`: distances between sets of its embeddings.

Its network is the module, which worker processes ask as they ask others. It may look at what else is in a batch, so it
never gets more than one view at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.family import Family
from visaudio_bench.bench.evaluation.frozen_networks import Net
from visaudio_bench.files import digest
from visaudio_bench.metrics.catalogue import backbone_distances

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Arrays, Hearing
    from visaudio_bench.models.hear_modules import HearBackbone


class HearScenes(Family):
    """FD and KAD of the scene embeddings of one module, one row a clip."""

    def __init__(self, module: str):
        self.metrics = backbone_distances(module)
        (self.name,) = {metric.features for metric in self.metrics}

    @property
    def by_row(self) -> bool:
        """As `Family.by_row`."""
        return True

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """One row a clip."""
        return {self.name: scenes(networks[self.name], sound.native)["features"][None]}


def net_of(backbone: HearBackbone) -> Net:
    """A module as the network of its family: loaded here, and by its name wherever else it is wanted."""
    from visaudio_bench.models.weights import Located

    loaded = Located(Path(backbone.name), digest(backbone.identity))
    net = Net(backbone.name, partial(_open, backbone.name), loaded, str(backbone.device), by_row=("embed",), alone=True)
    vars(net)["module"] = backbone
    return net


def _open(name: str, path: Path, device: str, dtype: torch.dtype) -> HearBackbone:
    from visaudio_bench.models.hear_modules import HearBackbone

    del path, dtype  # both are the module's own business
    return HearBackbone(name, device)


def scenes(net: Net, hearing: Hearing) -> Arrays:
    """Ask a HEAR module for the features of a sound.

    Modules are mono: each view is embedded by itself, as it is in the file.

    Args:
        net: the module.
        hearing: the sound.

    Returns:
        `features` `(3, width)` of mix, left and right.
    """

    def compute() -> Arrays:
        import torch

        from visaudio_bench.models.backbones.waveform import resample

        rate = hearing.sound.source_rate
        views = hearing.views[:, : round(hearing.seconds * rate)]
        own_rate = net.module.sample_rate
        resampled = [resample(view[None], rate, own_rate) for view in views]
        return {"features": torch.cat([net.module.embed(view, own_rate) for view in resampled]).numpy()}

    return net.answer("scenes", compute, hearing)
