"""PANNs Cnn14 on the side: distances between sets (`bench.evaluation.side_view`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.families.panns import PannsScores
from visaudio_bench.bench.evaluation.family import Family
from visaudio_bench.bench.evaluation.side_view import of_the_side
from visaudio_bench.bench.evaluation.sound_classes import heard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Net


class PannsOfTheSide(Family):
    """FD-PANN and KAD-PANN of the side."""

    name = "panns_side"
    metrics = of_the_side("fd_pann", "kad_pann")
    networks = PannsScores.networks

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """One row a clip."""
        return {"panns_side": heard(networks["panns"], sound.native, side=True)["features"][None]}


FAMILY = PannsOfTheSide()
