"""Depth Anything V2 (Yang et al. 2024, arXiv 2406.09414) through transformers: how near each part of a picture is.

The answer is an inverse depth without a unit: a part that is twice as near has twice the number, as far as the network
is right, and 0 is as far as can be. Two pictures of one video share their scale only roughly. Pictures are scaled and
normalised as the published `preprocessor_config.json` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import digest, read_json
from visaudio_bench.models import weights
from visaudio_bench.models.backbones.frames import normalise, scale
from visaudio_bench.models.extras import import_extra
from visaudio_bench.models.weight_loading import read_state

EXTRA = "depth"
LIBRARY = "transformers"
SMALL = "depth-anything-v2-small"
TITLE = "Depth Anything V2"
CONFIG, PREPROCESSOR, TENSORS = "config.json", "preprocessor_config.json", "model.safetensors"
# What the published config.json of the small network says beyond the library's defaults. The file of weights lies alone
# among others, so it is known here.
_STAGES = [3, 6, 9, 12]
SMALL_CONFIG: Mapping[str, Any] = {
    "backbone_config": {
        "model_type": "dinov2", "hidden_size": 384, "image_size": 518, "num_attention_heads": 6, "patch_size": 14,
        "out_indices": _STAGES, "out_features": [f"stage{index}" for index in _STAGES], "reshape_hidden_states": False,
    },
    "reassemble_hidden_size": 384, "neck_hidden_sizes": [48, 96, 192, 384], "fusion_hidden_size": 64,
    "head_hidden_size": 32, "patch_size": 14, "depth_estimation_type": "relative",
}  # fmt: skip


@dataclass(frozen=True)
class Scaling:
    """How a picture is made ready; the published values of `preprocessor_config.json`.

    Attributes:
        height: that pictures are scaled to, pixels.
        width: likewise; the one that scales the picture less decides, and the other side follows.
        multiple: sides are rounded to multiples of it.
        mean: of each channel, in [0, 1].
        std: of each channel, likewise.
    """

    height: int = 518
    width: int = 518
    multiple: int = 14
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture of this height and width is scaled to."""
        down, across = self.height / height, self.width / width
        factor = across if abs(1 - across) < abs(1 - down) else down
        high, wide = (max(1, round(factor * side / self.multiple)) * self.multiple for side in (height, width))
        return high, wide


class DepthAnything:
    """A network by the name of its weights, or in a folder as transformers keeps it; loaded when it is first needed."""

    def __init__(self, source: str):
        """Find the files; nothing is read but a folder's descriptions.

        Args:
            source: `SMALL`, or a folder with `config.json`, `preprocessor_config.json` and `model.safetensors`.

        Raises:
            UsageError: it is neither, or the folder is not of such a network of relative depth.
        """
        self.folder = None if source == SMALL else Path(source)
        self.name = SMALL if self.folder is None else self.folder.resolve().name
        self.config, self.scaling = (SMALL_CONFIG, Scaling()) if self.folder is None else _described(self.folder)

    @property
    def library(self) -> str:
        """Name and version of the library."""
        return f"{LIBRARY} {version(LIBRARY)}"

    @property
    def unavailable(self) -> str:
        """Why it cannot be used here, with the command that helps; empty if it can. The library is not imported."""
        absent = () if self.folder is not None else weights.missing([SMALL])
        if absent:
            return f"{TITLE} needs weights that are not here: {absent[0]}"
        if find_spec(LIBRARY) is None:
            return f'{TITLE} needs {LIBRARY}, which is not installed: pip install "visaudio-bench[{EXTRA}]"'
        return ""

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weights; of a folder, of all that the answers depend on."""
        if self.folder is None:
            return weights.require(SMALL).sha256
        return digest([weights.sha256(self.folder / TENSORS), self.config, repr(self.scaling)])

    @cached_property
    def network(self) -> Any:
        """The network, on the CPU.

        Raises:
            BenchError: the library is not installed, or the file holds another network.
        """
        path = weights.require(SMALL).path if self.folder is None else self.folder / TENSORS
        return _loaded(path, self.config)

    @torch.no_grad()
    def inverse_depth(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How near each part of a picture is.

        Args:
            picture: `(H, W, 3)`.

        Returns:
            `(h, w)`, 0 or more without a unit, larger where it is nearer; of the size that the network has seen.
        """
        size = self.scaling.size(*picture.shape[:2])
        pixels = normalise(scale(picture[None], *size), self.scaling.mean, self.scaling.std)
        answer: NDArray[np.float32] = self.network(pixel_values=pixels).predicted_depth[0].numpy()
        return answer

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which every process loads for itself."""
        return {key: value for key, value in self.__dict__.items() if key != "network"}


def _described(folder: Path) -> tuple[Mapping[str, Any], Scaling]:
    """What the two descriptions in a folder say."""
    absent = [name for name in (CONFIG, PREPROCESSOR, TENSORS) if not (folder / name).is_file()]
    if absent:
        lack = f"has no {', '.join(absent)}" if folder.is_dir() else "is no folder"
        raise UsageError(
            f"{folder} {lack}. A depth network is {SMALL} (bench weights fetch {SMALL}), or a folder with {CONFIG}, "
            f"{PREPROCESSOR} and {TENSORS} as transformers keeps it."
        )
    try:
        config, told = read_json(folder / CONFIG), read_json(folder / PREPROCESSOR)
        kind = (config["model_type"], config.get("depth_estimation_type", "relative"))
        multiple = int(told.get("ensure_multiple_of") or 1)
        mean, std = (tuple(map(float, told[key])) for key in ("image_mean", "image_std"))
        scaling = Scaling(int(told["size"]["height"]), int(told["size"]["width"]), multiple, mean, std)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{folder / CONFIG} or its {PREPROCESSOR} is not as transformers writes it ({error})."
        ) from error
    if kind != ("depth_anything", "relative"):
        raise UsageError(f"{folder} holds a network of {' '.join(kind)} depth; depth_anything, relative, was expected.")
    return config, scaling


def _loaded(path: Path, config: Mapping[str, Any]) -> Any:
    """The network of a description with the tensors of a file, all of them and none else."""
    library: Any = import_extra(LIBRARY, EXTRA, TITLE)
    library.logging.set_verbosity_error()  # what does not fit is said below
    library.logging.disable_progress_bar()
    # The library gives parts of this network other names than the file has, and knows which: its own way in is taken.
    network, told = library.DepthAnythingForDepthEstimation.from_pretrained(
        None,
        config=library.DepthAnythingConfig.from_dict(dict(config)),
        state_dict=dict(read_state(path)),
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        dtype=torch.float32,
    )
    wrong = {what.removesuffix("_keys"): len(told[what]) for what in told if told[what]}
    if wrong:
        counted = ", ".join(f"{count} {what}" for what, count in wrong.items())
        raise BenchError(f"{path} does not hold the weights of {TITLE} as it is described: tensors are {counted}.")
    return network.eval().requires_grad_(False)
