"""VGGish on the side: distances between sets (`bench.evaluation.side_view`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.families.vggish import SECONDS, VggishDistances, embedded
from visaudio_bench.bench.evaluation.family import Family
from visaudio_bench.bench.evaluation.side_view import of_the_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Net


class VggishOfTheSide(Family):
    """FD-VGG and KAD-VGG of the side."""

    name = "vggish_side"
    metrics = of_the_side("fd_vgg", "kad_vgg")
    networks = VggishDistances.networks

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """A row for every example, as of the ears."""
        if sound.native.seconds < SECONDS:
            return {}
        answer = embedded(networks["vggish"], sound.native, side=True)
        return {"vggish_side": answer["features"].transpose(1, 0, 2)}


FAMILY = VggishOfTheSide()
