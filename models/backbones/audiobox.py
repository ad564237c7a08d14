"""Audiobox Aesthetics (Tjandra et al. 2025): what listeners would say of a sound by itself, on four axes.

The network, WavLM and four perceptrons over a mean of its layers, is the one in its authors' package (extra
`aesthetics`), made with the settings that their checkpoint brings. Nothing else of the package is imported: its own
loading wants torchaudio, and downloads. Windows and their weights are the package's.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.errors import BenchError
from visaudio_bench.models.backbones.waveform import NETWORK_RATE
from visaudio_bench.models.extras import import_extra
from visaudio_bench.models.formats import find_format
from visaudio_bench.models.pickles import read_pickled
from visaudio_bench.models.weight_loading import fill

AXES = ("CE", "CU", "PC", "PQ")
_WINDOW = 10 * NETWORK_RATE
_PARTS = ("model_cfg", "target_transform", "state_dict")
_SETTINGS = (
    "proj_num_layer", "proj_ln", "proj_act_fn", "proj_dropout", "nth_layer", "use_weighted_layer_sum", "precision",
    "normalize_embed", "output_dim",
)  # fmt: skip


class Aesthetics:
    """The network with the scales of its axes."""

    def __init__(self, network: torch.nn.Module, scales: Mapping[str, Mapping[str, float]]):
        self.network, self.scales = network, scales

    def __call__(self, x: Tensor) -> Tensor:
        """Sound `(B, n)` at 16 kHz to scores `(B, 4)` of about 1 to 10, by `AXES`.

        Windows of 10 s follow one another; the last one counts by its share of 10 s.
        """
        windows = torch.split(x, _WINDOW, dim=1)
        shares = torch.tensor([window.shape[1] / _WINDOW for window in windows], device=x.device)
        scores = torch.stack([self._window(window) for window in windows], dim=-1)
        return (scores * shares).sum(-1) / shares.sum()

    def _window(self, window: Tensor) -> Tensor:
        missing = _WINDOW - window.shape[1]
        mask = functional.pad(torch.ones_like(window, dtype=torch.bool), (0, missing))
        with _quiet():
            said = self.network({"wav": functional.pad(window, (0, missing))[:, None], "mask": mask[:, None]})
        return torch.stack(
            [said[axis].float() * self.scales[axis]["std"] + self.scales[axis]["mean"] for axis in AXES], dim=-1
        )


def load_aesthetics(path: Path, device: torch.device | str = "cpu") -> Aesthetics:
    """Build the network with the weights and the settings in the authors' checkpoint.

    Args:
        path: of the checkpoint.
        device: where the network computes.

    Returns:
        The network, frozen, in float32.

    Raises:
        BenchError: the package is not installed, or the file is not that checkpoint.
    """
    architecture = import_extra("audiobox_aesthetics.model.aes", "aesthetics", "Audiobox Aesthetics")
    held = read_pickled(path, zipped=find_format(path) == "zip")
    parts = [held.get(name) if isinstance(held, Mapping) else None for name in _PARTS]
    settings, scales, state = (part if isinstance(part, Mapping) else {} for part in parts)
    if not (set(_SETTINGS) <= set(settings) and set(AXES) <= set(scales) and state):
        raise BenchError(
            f"{path} is not the checkpoint of Audiobox Aesthetics: expected mappings {', '.join(_PARTS)}. "
            "See: bench weights list"
        )
    with _quiet():
        network = architecture.AesMultiOutput(**{key: settings[key] for key in _SETTINGS}, target_transform=scales)
    network.title = "Audiobox Aesthetics"
    fill(network, {key.removeprefix("model."): value for key, value in state.items()}, str(path))
    return Aesthetics(network.to(device).eval().requires_grad_(False), scales)


def _quiet() -> Any:
    """Without the package's warnings, which are torch's about how it calls torch."""
    return warnings.catch_warnings(action="ignore")
