"""VGGish as a HEAR module; a scene is the mean of its 0.96 s examples."""

from __future__ import annotations

from visaudio_bench.models.backbones.vggish import Vggish
from visaudio_bench.models.hear_api import HearNetwork, get_scene_embeddings, get_timestamp_embeddings, open_network

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: str = "") -> HearNetwork:
    """HEAR API: the network with the registered weights, those of a file, or `random` ones."""
    network = open_network(Vggish, "vggish", model_file_path)
    return HearNetwork(network, lambda x: network.embed(x).mean(1), Vggish.width, window=0.975)
