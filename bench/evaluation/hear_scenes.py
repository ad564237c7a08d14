"""The metric family of a HEAR module that a run names with `--backbone`: distances between sets of its embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.family import Family
from visaudio_bench.bench.evaluation.frozen_networks import kind_of
from visaudio_bench.bench.evaluation.score_cache import cached
from visaudio_bench.files import digest
from visaudio_bench.metrics.catalogue import backbone_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Arrays, Hearing, Net
    from visaudio_bench.models.hear_modules import HearBackbone


class HearScenes(Family):
    """FD and KAD of the scene embeddings of one module, one row a clip."""

    def __init__(self, backbone: HearBackbone):
        self.backbone = backbone
        self.metrics = backbone_distances(backbone.identity["module"])
        (self.name,) = {metric.features for metric in self.metrics}

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """One row a clip."""
        del networks  # its weights are the module's own
        return {self.name: scenes(self.backbone, sound.native)["features"][None]}


def scenes(backbone: HearBackbone, hearing: Hearing) -> Arrays:
    """Ask a HEAR module for the features of a sound.

    Modules are mono and may look at what else is in a batch: each view is embedded by itself, as it is in the file.

    Args:
        backbone: the module.
        hearing: the sound.

    Returns:
        `features` `(3, width)` of mix, left and right.
    """

    def compute() -> Arrays:
        import torch

        rate = hearing.sound.source_rate
        views = hearing.views[:, : round(hearing.seconds * rate)]
        return {"features": torch.cat([backbone.embed(view[None], rate) for view in views]).numpy()}

    made_by = [digest(backbone.identity), kind_of(backbone.device)]
    return cached(compute, ["scenes", *made_by, hearing.digest], type(backbone).__module__)
