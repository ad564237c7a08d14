"""ImageBind's audio half as a HEAR module; a scene is the mean of three 2 s clips, a timestamp is 2 s around it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from visaudio_bench.models.backbones.imagebind import ImageBind, audio_clips
from visaudio_bench.models.backbones.waveform import NETWORK_RATE
from visaudio_bench.models.hear_api import (
    RANDOM,
    HearNetwork,
    get_scene_embeddings,
    get_timestamp_embeddings,
    open_network,
)

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: str = "") -> HearNetwork:
    """HEAR API: the network with the registered weights, those of a file, or `random` ones (without a vision half)."""
    sizes = {"vision": (32, 1, 2)} if model_file_path == RANDOM else {}
    network = open_network(partial(ImageBind, **sizes), "imagebind", model_file_path)

    def embed(x: Tensor) -> Tensor:
        return network.embed_audio(torch.stack([audio_clips(row[None], NETWORK_RATE) for row in x]).to(x.device))

    return HearNetwork(network, embed, ImageBind.width, window=2.0)
