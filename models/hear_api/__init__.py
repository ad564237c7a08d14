"""Our frozen audio backbones as HEAR modules: `models.hear_api.vggish`, `.panns`, `.imagebind_audio`.

`load_model("")` takes the registered weights, `load_model(FILE)` that file, and `load_model("random")` none at all,
for tests of tools.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.waveform import NETWORK_RATE
from visaudio_bench.models.weight_loading import load
from visaudio_bench.models.weights import require

RANDOM = "random"
_HOP = 0.05
_WINDOWS_AT_ONCE = 32

Network = TypeVar("Network", bound=nn.Module)


class HearNetwork(nn.Module):
    """A backbone with the attributes of the HEAR API; `embed` maps sound `(B, n)` at 16 kHz to `(B, width)`.

    A timestamp embedding is the scene embedding of a window of `window` seconds around it, every 50 ms; beyond the
    ends of the sound there is silence, and sound shorter than the window is padded with it.
    """

    sample_rate = NETWORK_RATE

    def __init__(self, network: nn.Module, embed: Callable[[Tensor], Tensor], width: int, window: float):
        super().__init__()
        self.network = network
        self.scene_embedding_size = self.timestamp_embedding_size = width
        self.window = round(window * NETWORK_RATE)
        self._embed = embed

    @torch.no_grad()
    def scenes(self, audio: Tensor) -> Tensor:
        """`(n, samples)` to `(n, width)`."""
        return self._embed(functional.pad(audio, (0, max(0, self.window - audio.shape[1])))).float()

    @torch.no_grad()
    def timestamps(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """`(n, samples)` to `(n, t, width)` and times in ms `(n, t)`."""
        hop = round(_HOP * NETWORK_RATE)
        padded = functional.pad(audio, (self.window // 2, self.window - self.window // 2))
        windows = padded.unfold(1, self.window, hop)
        count = windows.shape[1]
        parts = torch.split(windows.flatten(0, 1), _WINDOWS_AT_ONCE)
        rows = torch.cat([self._embed(part) for part in parts]).float().reshape(len(audio), count, -1)
        times = torch.arange(count, device=audio.device) * (1000.0 * hop / NETWORK_RATE)
        return rows, times.expand(len(audio), -1)


def get_scene_embeddings(audio: Tensor, model: HearNetwork) -> Tensor:
    """HEAR API: embed whole clips.

    Args:
        audio: `(n, samples)` at the model's rate.
        model: as `load_model` gave it.

    Returns:
        One embedding a clip, `(n, d)` float32.
    """
    return model.scenes(audio)


def get_timestamp_embeddings(audio: Tensor, model: HearNetwork) -> tuple[Tensor, Tensor]:
    """HEAR API: embed a moment every 50 ms.

    Args:
        audio: `(n, samples)` at the model's rate.
        model: as `load_model` gave it.

    Returns:
        Embeddings `(n, t, d)` float32, and their times in ms `(n, t)`.
    """
    return model.timestamps(audio)


def open_network(network: Callable[[], Network], registered: str, path: str) -> Network:
    """Open a backbone with the weights that `load_model` was asked for.

    Args:
        network: its class.
        registered: name of its public weight file.
        path: of another file; empty for the public one, `RANDOM` for weights by chance.

    Returns:
        The network, frozen.

    Raises:
        BenchError: the file is not here, or holds another network.
    """
    if path == RANDOM:
        return network().eval().requires_grad_(False)
    return load(network, Path(path) if path else require(registered).path)
