"""Mono to binaural by the demos of 2.5D Visual Sound, Sep-Stereo (APNet) and PseudoBinaural, in their environment.

All three are one program: `demo.py`, or `demo_stereo.py` with a list of files, which slides a window of 0.63 s over
the sound. Its `main` is called for every clip with networks that are built once. What it needs of a machine of 2019 is
given to it: `librosa.output`, a device named "cuda", ImageNet weights that the system's own replace at once, and in
PseudoBinaural an option that its demo reads and never defines.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import shutil
import sys
import types
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

import worker_kit

RATE = 16000
NETWORKS = ("visual", "audio", "fusion")


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """The authors' demo, with the networks of a first call kept for all later ones."""
    import torch

    written = _librosa_output()
    _resnet_without_download()
    single = (job.source / "demo.py").is_file()
    demo = importlib.import_module("demo" if single else "demo_stereo")
    demo.torch = _Torch(torch, job.device)  # type: ignore[attr-defined]
    _define_list_option()
    _build_once(demo)
    flags = ["--gpu_ids", "-1" if job.device == "cpu" else "0", "--checkpoints_dir", "options"]
    flags += ["--hop_size", str(job.options["hop"]), "--output_dir_root", "output"]
    flags += [] if single else ["--fusion_model", "APNet", "--use_fusion_pred"]

    def spatialise(clip: worker_kit.Clip, more: list[str]) -> Any:
        inputs = _single(clip) if single else _listed(clip)
        with torch.no_grad():
            _call(demo.main, [*flags, *inputs, "--input_audio_length", str(clip.seconds), *more])
        return written.pop("predicted_binaural.wav")

    with _loading_to_cpu(torch):
        spatialise(_silent_clip(), _weights(job.weights, NETWORKS[:2] if single else NETWORKS))
    demo.weights_init = type  # type: ignore[attr-defined]  # does nothing: the demo would draw new ones every time
    return lambda clip: worker_kit.Sound(spatialise(clip, []), RATE)


def _weights(folder: Path | None, names: Sequence[str]) -> list[str]:
    """The options that name the weights; without them the networks stay as the demo draws them."""
    if folder is None:
        return []
    return [part for name in names for part in (f"--weights_{name}", str(folder / f"{name}.pth"))]


@contextlib.contextmanager
def _loading_to_cpu(torch: Any) -> Iterator[None]:
    """The weights were saved from a GPU; the demo moves the networks to the device by itself."""
    before = torch.load
    torch.load = functools.partial(before, map_location="cpu")
    try:
        yield
    finally:
        torch.load = before


def _silent_clip() -> worker_kit.Clip:
    """One second of nothing, for the first call."""
    from PIL import Image

    frames = Path("nothing").absolute()
    frames.mkdir(exist_ok=True)
    for number in range(1, 11):
        Image.new("RGB", (448, 224)).save(str(frames / f"{number:06d}.png"))
    mono = frames / "mono.wav"
    worker_kit.write_wav(mono, [[0.0] * RATE], RATE)
    return worker_kit.Clip("nothing", 0, 1.0, frames=frames, mono=mono)


def _call(main: Callable[[], None], arguments: list[str]) -> None:
    before, sys.argv = sys.argv, ["demo", *arguments]
    try:
        main()
    finally:
        sys.argv = before


def _single(clip: worker_kit.Clip) -> list[str]:
    """2.5D Visual Sound takes one sound and a folder of pictures as they are."""
    return ["--input_audio_path", str(_two_channels(clip, Path("sound.wav"))), "--video_frame_path", str(clip.frames)]


def _listed(clip: worker_kit.Clip) -> list[str]:
    """The others take a list of sounds; the pictures are found by replacing a part of the path."""
    import h5py

    assert clip.frames is not None
    sound = _two_channels(clip, Path("audio_resave") / "clip.wav")
    pictures = Path("frames") / "clip"
    shutil.rmtree(str(pictures), ignore_errors=True)
    pictures.mkdir(parents=True)
    for path in clip.frames.glob("*.png"):  # PIL looks at the content, so a png may be called jpg
        (pictures / f"{int(path.stem)}.jpg").symlink_to(path)
    with h5py.File("list.h5", "w") as file:
        file["audio"] = [str(sound).encode()]
    return ["--hdf5FolderPath", "list.h5"]


def _two_channels(clip: worker_kit.Clip, path: Path) -> Path:
    """The sound in both channels: the networks see their sum, and a difference of nothing."""
    assert clip.mono is not None
    (mono,), rate = worker_kit.read_wav(clip.mono)
    path.parent.mkdir(exist_ok=True)
    worker_kit.write_wav(path, [mono, mono], rate)
    return path


def _librosa_output() -> dict[str, Any]:
    """What the demo writes, by file name, instead of files: `librosa.output` left librosa in 0.8."""
    import librosa

    written: dict[str, Any] = {}

    def write_wav(path: str, samples: Any, rate: int) -> None:
        del rate
        written[Path(path).name] = samples

    vars(librosa)["output"] = types.SimpleNamespace(write_wav=write_wav)
    return written


def _resnet_without_download() -> None:
    import torchvision

    for name in ("resnet18", "resnet34"):
        setattr(torchvision.models, name, functools.partial(_untrained, getattr(torchvision.models, name)))


def _untrained(build: Callable[..., Any], pretrained: bool) -> Any:
    del pretrained
    return build(weights=None)


class _Torch:
    """torch, whose device called "cuda" is the one that the job names."""

    def __init__(self, torch: Any, device: str):
        self._torch = torch
        self._device = device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def device(self, name: str) -> Any:
        return self._torch.device(self._device if name == "cuda" else name)


def _build_once(demo: Any) -> None:
    """Keep the networks: the demo asks for new ones at each call and fills them with the same weights."""
    builder = getattr(demo, "ModelBuilder", None)
    if builder is not None:
        for name in ("build_visual", "build_audio"):
            setattr(builder, name, functools.lru_cache(maxsize=None)(getattr(builder, name)))
        built = builder()
        demo.ModelBuilder = lambda: built
        return
    for name in ("VisualNet", "VisualNetDilated", "AudioNet", "APNet"):
        setattr(demo, name, _once(getattr(demo, name)))


def _once(build: Callable[..., Any]) -> Callable[..., Any]:
    """The first thing that `build` makes, whatever it is asked for later."""
    kept: list[Any] = []

    def get(*arguments: Any, **named: Any) -> Any:
        if not kept:
            kept.append(build(*arguments, **named))
        return kept[0]

    return get


def _define_list_option() -> None:
    """PseudoBinaural's demo reads `hdf5FolderPath`, which its options do not have."""
    options = importlib.import_module("options.test_options").TestOptions
    initialize = options.initialize

    def with_list(self: Any) -> None:
        initialize(self)
        if not any(action.dest == "hdf5FolderPath" for action in self.parser._actions):
            self.parser.add_argument("--hdf5FolderPath")

    options.initialize = with_list


if __name__ == "__main__":
    worker_kit.main(load)
