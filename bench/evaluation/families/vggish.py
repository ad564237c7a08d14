"""VGGish: distances between sets of its features, one row for every complete 0.96 s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.family import Family, Network
from visaudio_bench.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Arrays, Hearing, Net

SECONDS = 0.975  # one example: 96 frames of log-mel


class VggishDistances(Family):
    """FD-VGG and KAD-VGG."""

    name = "vggish"
    metrics = tuple(METRICS[key] for key in ("fd_vgg", "kad_vgg"))
    networks = (Network("vggish", "visaudio_bench.models.backbones.vggish:Vggish"),)

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """A row for every example; none of sound that is shorter than one."""
        if sound.native.seconds < SECONDS:
            return {}
        return {"vggish": embedded(networks["vggish"], sound.native)["features"].transpose(1, 0, 2)}


def embedded(net: Net, hearing: Hearing, *, side: bool = False) -> Arrays:
    """Ask VGGish for the features of a sound.

    Args:
        net: the network.
        hearing: the sound.
        side: ask for its side instead.

    Returns:
        `features` `(3, k, 128)`: mix, left and right, one row for every complete 0.96 s; or `(1, k, 128)` of the side.
    """
    from visaudio_bench.models.backbones.waveform import to_16k

    def compute() -> Arrays:
        rows = to_16k(
            hearing.side if side else hearing.views, hearing.sound.source_rate, hearing.duration, remove_mean=True
        )
        return {"features": net.module.embed(rows.to(net.device)).cpu().numpy()}

    return net.answer("features of the side" if side else "features", compute, hearing)


FAMILY = VggishDistances()
