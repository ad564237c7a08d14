"""PANNs Cnn14: distances between sets of its features, one row a clip, and the divergence of its classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.family import Family, Judged, Network
from visaudio_bench.bench.evaluation.sound_classes import divergence, heard
from visaudio_bench.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Net


class PannsScores(Family):
    """FD-PANN, KAD-PANN and KL-PANN."""

    name = "panns"
    metrics = tuple(METRICS[key] for key in ("fd_pann", "kl_pann", "kad_pann"))
    networks = (Network("panns", "visaudio_bench.models.backbones.panns:Cnn14", by_row=("__call__",)),)

    def quantities(self, inputs: ClipInputs) -> Judged:
        """KL-PANN of each view, and `avg`, the mean of left and right."""
        return divergence("kl_pann", inputs.networks["panns"], inputs)

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """One row a clip."""
        return {"panns": heard(networks["panns"], sound.native)["features"][None]}


FAMILY = PannsScores()
