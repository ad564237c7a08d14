"""PANNs Cnn14 (16 kHz) as a HEAR module; a scene is the clip-wise embedding, a timestamp that of 1 s around it."""

from __future__ import annotations

from visaudio_bench.models.backbones.panns import Cnn14
from visaudio_bench.models.hear_api import HearNetwork, get_scene_embeddings, get_timestamp_embeddings, open_network

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: str = "") -> HearNetwork:
    """HEAR API: the network with the registered weights, those of a file, or `random` ones."""
    network = open_network(Cnn14, "panns", model_file_path)
    return HearNetwork(network, lambda x: network(x).features, Cnn14.width, window=1.0)
