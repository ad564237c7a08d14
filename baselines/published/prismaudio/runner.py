"""PrismAudio (ICLR 2026): two channels from video and a chain of thought, by its authors' functions.

`predict_step` of their `predict.py` makes the sound; the data set and the encoders of their
`prismaudio_data_process.py` its conditions, clip by clip and in memory: that script asks for torchrun and a GPU, and
leaves clips that fail out.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Callable, Dict

import worker_kit

Features = Dict[str, Any]
Encode = Callable[[worker_kit.Clip], Features]


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """Build the generator and the encoders; the returned function makes one clip."""
    import torch
    from predict import predict_step

    config = job.source / "PrismAudio" / "configs" / "model_configs" / "prismaudio.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    model = _model(job, settings)
    encode = _encoder(job) if job.weights else _noise

    @torch.no_grad()
    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
        latents = round(44100 / 64 / 32 * clip.seconds)
        condition = {name: value.to(job.device) for name, value in encode(clip).items()}
        condition.update(id=clip.id, video_exist=torch.tensor(True))
        sound = predict_step(
            model,
            batch=[torch.zeros((1, 64, latents)), (condition,)],
            diffusion_objective=settings["model"]["diffusion"]["diffusion_objective"],
            device=job.device,
        )
        return worker_kit.Sound(sound[0], settings["sample_rate"])

    return generate


def _model(job: worker_kit.Job, settings: dict[str, Any]) -> Any:
    import torch
    from PrismAudio.models import create_model_from_config
    from PrismAudio.models.utils import load_ckpt_state_dict

    model = create_model_from_config(settings)
    if job.weights:
        model.load_state_dict(torch.load(str(job.weights / "prismaudio.ckpt"), map_location="cpu"))
        model.pretransform.load_state_dict(load_ckpt_state_dict(str(job.weights / "vae.ckpt"), prefix="autoencoder."))
    return model.to(job.device)


def _encoder(job: worker_kit.Job) -> Encode:
    """The authors' data set, told each clip's length, and their encoders, told where VideoPrism's vocabulary lies."""
    import numpy
    import torch
    from data_utils.v2a_utils import thinksound_288_al as data_set
    from data_utils.v2a_utils.feature_utils_288 import FeaturesUtils
    from videoprism import models as videoprism

    worker_kit.link_weights(job)
    videoprism.TEXT_TOKENIZERS["c4_en"]["model_path"] = str(job.weights / "sentencepiece.model")
    number = {clip.id: index for index, clip in enumerate(job.clips)}
    videos, table = job.work / "videos", job.work / "clips.csv"
    videos.mkdir()
    for clip in job.clips:
        (videos / f"clip{number[clip.id]}.mp4").symlink_to(clip.video)
    rows = [f"clip{index},-" for index in number.values()]
    table.write_text("\n".join(["id,caption_cot", *rows]) + "\n", encoding="utf-8")
    data = data_set.VGGSound(str(videos), tsv_path=str(table), inference_mode=True)
    encoders = FeaturesUtils(synchformer_ckpt=str(job.weights / "synchformer_state_dict.pth")).to(job.device).eval()

    def encode(clip: worker_kit.Clip) -> Features:
        # The video itself is held longer than that.
        data_set.get_video_duration = functools.partial(_length, clip.seconds)
        seen = data.sample(number[clip.id])
        said = [clip.cot or ""]
        # Their script's loader makes a tensor of these, which are an array.
        clip_video = torch.from_numpy(seen["clip_video"])[None]
        _, pictures, _, _ = encoders.encode_video_and_text_with_videoprism(clip_video, said)
        return {
            "video_features": torch.from_numpy(numpy.array(pictures)),
            "text_features": encoders.encode_t5_text(said)[0].float(),
            "sync_features": encoders.encode_video_with_sync(seen["sync_video"][None].to(job.device))[0].float(),
        }

    return encode


def _length(seconds: float, path: Any) -> float:
    del path
    return seconds


def _noise(clip: worker_kit.Clip) -> Features:
    """Noise instead of features, where there are no weights: the encoders are downloads of other people's networks."""
    import torch

    segments = (int(25 * clip.seconds) - 16) // 8 + 1
    return {
        "video_features": torch.randn(int(4 * clip.seconds), 1024),
        "text_features": torch.randn(77, 1024),
        "sync_features": torch.randn(8 * segments, 768),
    }


if __name__ == "__main__":
    worker_kit.main(load)
