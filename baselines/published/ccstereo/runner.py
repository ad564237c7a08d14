"""CCStereo (Chen et al., ACM MM 2025): a mono sound made binaural by what the pictures show.

Its authors published no demo: `test.py` goes over the whole of FAIR-Play, measures, and keeps no sound. Their data set,
their networks and the step of their test are called for one clip, laid out as a FAIR-Play of one sound, and what the
step joins of its windows is kept before it is brought to full scale and measured. Their trainer itself is not made: it
downloads an optical flow network that no published option uses.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import os
import sys
import types
from pathlib import Path
from typing import Any, Callable

import worker_kit

RATE = 16000
WINDOW = 0.63  # seconds, as in the authors' commands
FILE = "ccstereo.pth"
CLIP = "clip"


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """The networks as `test.py` builds them for FAIR-Play, and a data set whose only sound changes."""
    _without_training_packages()
    from data.fairplay_dataloader import collation_fn
    from data.fairplay_dataset import FAIRPLAY_DATSET
    from src.training.ccstereo_trainer import AutoencoderTrainingWrapper

    step = _Step(_model(job), job, AutoencoderTrainingWrapper)
    root = job.work / "fairplay"
    for name in ("five_splits/split", "binaural_audios", "frames"):
        (root / name).mkdir(parents=True)
    (root / "five_splits" / "split" / "test.txt").write_text(CLIP + ".wav\n")
    options = types.SimpleNamespace(
        setup="5splits", hdf5FolderPath="split", data_root=str(root), data_vol_scaler=1, random_mono=False,
        sample_size=16384, test_hop_size=job.options["hop"], multi_frames=True, method_type="m2b",
        audio_length=WINDOW, use_mask=False,
    )  # fmt: skip
    data = FAIRPLAY_DATSET(options, "test")

    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
        _lay_out(clip, root)
        # The length in whole seconds, from which the authors find the picture of a window, is that of FAIR-Play alone.
        data.prepare_visual = functools.partial(_of_length, type(data).prepare_visual, data, clip.seconds)
        return worker_kit.Sound(step.made(collation_fn([data[0]])), RATE)

    return generate


def _model(job: worker_kit.Job) -> Any:
    import torch

    _resnet_without_download()
    builder = importlib.import_module("models.ccstereo_model.models").ModelBuilder()
    visual = builder.build_visual(backbone=18, img_dim=128)
    audio = builder.build_audio(ngf=16, input_nc=2, output_nc=2, img_dim=128)
    together = importlib.import_module("models.ccstereo_model.audioVisual_model").AudioVisualModel
    model = together((visual, audio), types.SimpleNamespace())
    if job.weights is not None:
        model.load_state_dict(torch.load(str(job.weights / FILE), map_location="cpu")["state_dict"])
    return model.to(job.device).eval()


class _Step:
    """What the authors' test step asks of the trainer that it belongs to: the network, and what becomes of a sound."""

    use_mask = False

    def __init__(self, model: Any, job: worker_kit.Job, trainer: Any):
        self.autoencoder, self.device, self.test_hop_size = model, job.device, job.options["hop"]
        self._trainer = trainer
        self._joined: Any = None

    def made(self, batch: Any) -> Any:
        """The two channels that the step makes of a batch of one sound."""
        self._trainer.eval_model(self, batch, 0)
        return self._joined

    def integrate_with_sliding_window(self, *given: Any) -> Any:
        self._joined = self._trainer.integrate_with_sliding_window(self, *given)
        return self._joined

    def get_results(self, *given: Any, **named: Any) -> dict[str, float]:
        del given, named  # nothing to measure against
        return {}

    def log_dict(self, *given: Any, **named: Any) -> None:
        pass


def _lay_out(clip: worker_kit.Clip, root: Path) -> None:
    """The clip where FAIR-Play has its sounds and pictures, with the mono sound in both channels."""
    assert clip.mono is not None
    assert clip.frames is not None
    (mono,), rate = worker_kit.read_wav(clip.mono)
    worker_kit.write_wav(root / "binaural_audios" / (CLIP + ".wav"), [mono, mono], rate)
    pictures = root / "frames" / (CLIP + ".mp4")
    if os.path.lexists(str(pictures)):
        pictures.unlink()
    pictures.symlink_to(clip.frames)


def _of_length(prepare: Callable[..., Any], data: Any, seconds: float, file_id: str, **given: Any) -> Any:
    given["audio_len"] = seconds
    return prepare(data, file_id, **given)


def _without_training_packages() -> None:
    """Stand-ins for the logs of a training, and for what a class that is never made takes from detectron2."""
    _stand_in("wandb")
    for name in ("detectron2", "detectron2.utils"):
        _stand_in(name).__path__ = []
    _stand_in("detectron2.config").configurable = lambda function: function
    _stand_in("detectron2.layers").Conv2d = None
    _stand_in("detectron2.utils.registry").Registry = _Registry


def _stand_in(name: str) -> Any:
    """A module with the specification that other packages look for."""
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    return sys.modules.setdefault(name, module)


class _Registry:
    """As much of detectron2's as an import asks for."""

    def __init__(self, name: str):
        del name

    def register(self) -> Callable[[Any], Any]:
        return lambda thing: thing


def _resnet_without_download() -> None:
    import torchvision

    built = torchvision.models.resnet18
    torchvision.models.resnet18 = lambda *_: built(weights=None)


if __name__ == "__main__":
    worker_kit.main(load)
