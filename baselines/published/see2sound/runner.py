"""See2Sound (Dagli et al., 2024): 5.1 surround sound from one picture, as its authors published it.

`See2Sound.run` writes its parts into the current directory, which is this process's own, and joins them by a program
called ffmpeg, which comes with the environment. What it writes is faulty at this commit whatever is seen: the front
right microphone stands outside the room and hears nothing. It is taken as it is.
"""

from __future__ import annotations

import os
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


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """Build the three networks; the returned function makes one clip."""
    if job.weights is None:
        raise RuntimeError("See2Sound cannot be built without its weights: its networks are read from their files")
    if not job.device.startswith("cuda"):
        raise RuntimeError("See2Sound needs a GPU: its generator moves itself there")
    import yaml
    from see2sound import See2Sound

    _bring_ffmpeg(job)
    worker_kit.link_weights(job)
    settings: dict[str, Any] = {name: str(job.weights / file) for name, file in FILES.items()}
    settings.update(download=False, low_mem=job.options["low_memory"], gpu=True, steps=job.options["steps"])
    path = job.work / "see2sound.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    model = See2Sound(config_path=str(path))
    model.setup()

    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
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


def _bring_ffmpeg(job: worker_kit.Job) -> None:
    import imageio_ffmpeg

    programs = job.work / "programs"
    programs.mkdir()
    (programs / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    os.environ["PATH"] = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])


if __name__ == "__main__":
    worker_kit.main(load)
