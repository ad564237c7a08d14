"""See2Sound (Dagli et al., 2024): 5.1 surround sound from one picture, as its authors published it.

`See2Sound.run` writes its parts into the current directory, which is this process's own, and joins them by a program
called ffmpeg, which comes with the environment. It opens its settings relative to the current directory too: they are
linked there. What it writes is faulty at this commit whatever is seen: the front right microphone stands outside the
room and hears nothing. It is taken as it is, but for pictures below 200 x 200, where others stand outside too.

Without weights everything is built in its full shape from empty files of the real names, its memory not written to:
this shows that it can be loaded, and makes no sound.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import worker_kit

FILES = {
    "codi_encoder": "CoDi_encoders.pth",
    "codi_text": "CoDi_text_diffuser.pth",
    "codi_audio": "CoDi_audio_diffuser_m.pth",
    "codi_video": "CoDi_video_diffuser_8frames.pth",
    "sam": "sam_vit_h_4b8939.pth",
    "depth": "depth_anything_vitl14.pth",
}


# The smallest folder that transformers takes for CLIP's, where there are no weights.
CLIP_FILES = {
    "config.json": '{"model_type": "clip", "text_config_dict": {}, "vision_config_dict": {}}',
    "preprocessor_config.json": '{"image_processor_type": "CLIPImageProcessor"}',
    "vocab.json": '{"<|startoftext|>": 0, "<|endoftext|>": 1}',
    "merges.txt": "#version: 0.2\n",
    "tokenizer_config.json": "{}",
    "special_tokens_map.json": "{}",
}
# Opened relative to the current directory by the authors' code.
OPENED = ("configs", "torchhub")
# Microphones stand so many pixels from the middle of a room that is as wide and as high as the picture.
REACH = 100


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """Build the three networks; the returned function makes one clip."""
    if job.weights and not job.device.startswith("cuda"):
        raise RuntimeError("See2Sound needs a GPU: its generator moves itself there")
    for name in OPENED:
        (job.work / name).symlink_to(job.source / name)
    worker_kit.link_weights(job)
    _bring_ffmpeg(job)
    if job.weights is None:
        return _without_weights(job)
    model = _model(job, job.weights)

    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
        _refuse_small(clip.image)
        made = job.work / "surround.wav"
        if made.exists():
            made.unlink()
        model.run(
            path=str(clip.image),
            output_path=str(made),
            num_audios=job.options["sounds"],
            prompt=clip.caption,
            steps=job.options["steps"],
        )
        if not made.exists():
            raise RuntimeError("See2Sound ended without a sound, and without an error")
        samples, rate = worker_kit.read_wav(made)
        return worker_kit.Sound(samples, rate)

    return generate


def _model(job: worker_kit.Job, weights: Path) -> Any:
    import yaml
    from see2sound import See2Sound

    settings: dict[str, Any] = {name: str(weights / file) for name, file in FILES.items()}
    settings.update(download=False, low_mem=job.options["low_memory"], gpu=bool(job.weights))
    settings["steps"] = job.options["steps"]
    path = job.work / "see2sound.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    model = See2Sound(config_path=str(path))
    model.setup()
    return model


def _without_weights(job: worker_kit.Job) -> worker_kit.Generate:
    """Everything that is loaded, in its full shape and without memory; what it returns says that it makes no sound."""
    import torch

    for file in FILES.values():
        torch.save({}, str(job.work / file))
    clip = job.work / "openai" / "clip-vit-large-patch14"
    clip.mkdir(parents=True)
    for file, text in CLIP_FILES.items():
        (clip / file).write_text(text, encoding="utf-8")
    names = [name for name in vars(torch.nn.init) if name.endswith("_") and not name.startswith("_")]
    before = {name: getattr(torch.nn.init, name) for name in names}
    load_state_dict = torch.nn.Module.load_state_dict
    try:
        for name in names:  # what is never written to takes no memory
            setattr(torch.nn.init, name, _first)
        torch.nn.Module.load_state_dict = _first  # type: ignore[assignment,method-assign]
        _model(job, job.work)
    finally:
        torch.nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]
        for name in names:
            setattr(torch.nn.init, name, before[name])

    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
        del clip
        raise RuntimeError("See2Sound was loaded as far as it can be without weights, and makes no sound without them")

    return generate


def _first(given: Any, *others: Any, **named: Any) -> Any:
    """What it is given, untouched."""
    del others, named
    return given


def _refuse_small(image: Path | None) -> None:
    """Microphones outside the room hear nothing; of smaller pictures only the centre's is left inside."""
    if image is None or not image.is_file():
        return
    head = image.read_bytes()[:24]
    width, height = struct.unpack(">II", head[16:24]) if head.startswith(b"\x89PNG") else (REACH * 2, REACH * 2)
    if min(width, height) < 2 * REACH:
        raise ValueError(
            f"the picture has {width} x {height} pixels, and See2Sound's microphones stand {REACH} pixels from its "
            f"middle: below {2 * REACH} x {2 * REACH} they are outside its room and hear nothing"
        )


def _bring_ffmpeg(job: worker_kit.Job) -> None:
    import imageio_ffmpeg

    programs = job.work / "programs"
    programs.mkdir()
    (programs / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    os.environ["PATH"] = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])


if __name__ == "__main__":
    worker_kit.main(load)
