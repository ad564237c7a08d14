"""ThinkSound (Liu et al., NeurIPS 2025): two channels from video, a caption and a chain of thought.

`predict_step` of the authors' `predict.py` makes the sound, the data set and the encoders of their
`extract_latents.py` its conditions, clip by clip and in memory: their scripts take the length of all videos from the
first one, and leave clips that fail out without a word.
"""

from __future__ import annotations

import json
import math
from typing import Any, Callable, Dict

import worker_kit

# Below this the sync features no longer have the number that the model is built for, 24 a second.
SHORTEST = 8

Features = Dict[str, Any]
Encode = Callable[[worker_kit.Clip, int], Features]


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """Build the generator and the encoders; the returned function makes one clip."""
    import torch
    from predict import predict_step

    config = job.source / "ThinkSound" / "configs" / "model_configs" / "thinksound.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    model = _model(job, settings)
    encode = _encoder(job) if job.weights else _noise

    @torch.no_grad()
    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
        seconds = max(SHORTEST, math.ceil(clip.seconds))
        latents = round(44100 / 64 / 32 * seconds)
        model.model.model.update_seq_lengths(latents, 8 * seconds, 24 * seconds)
        condition = {name: value.to(job.device) for name, value in encode(clip, seconds).items()}
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
    from ThinkSound.models import create_model_from_config
    from ThinkSound.models.utils import load_ckpt_state_dict

    model = create_model_from_config(settings)
    if job.weights:
        model.load_state_dict(torch.load(str(job.weights / "thinksound_light.ckpt"), map_location="cpu"))
        vae = load_ckpt_state_dict(str(job.weights / "vae.ckpt"), prefix="autoencoder.")
        model.pretransform.load_state_dict(vae)
    return model.to(job.device)


def _encoder(job: worker_kit.Job) -> Encode:
    """The authors' data set and encoders, with the texts and not a table of them: pandas takes "NA" for no text."""
    from data_utils.v2a_utils.feature_utils_224 import FeaturesUtils
    from data_utils.v2a_utils.vggsound_224_no_audio import VGGSound

    worker_kit.link_weights(job)
    videos, table = job.work / "videos", job.work / "clips.csv"
    videos.mkdir()
    number = {clip.id: index for index, clip in enumerate(job.clips)}
    for clip in job.clips:
        (videos / f"clip{number[clip.id]}.mp4").symlink_to(clip.video)
    rows = [f"clip{index},-,-" for index in number.values()]
    table.write_text("\n".join(["id,caption,caption_cot", *rows]) + "\n", encoding="utf-8")
    data = VGGSound(str(videos), tsv_path=str(table), duration_sec=float(SHORTEST), audio_samples=None)
    encoders = FeaturesUtils(synchformer_ckpt=str(job.weights / "synchformer_state_dict.pth")).to(job.device).eval()

    def encode(clip: worker_kit.Clip, seconds: int) -> Features:
        index = number[clip.id]
        data.labels[index], data.caption_cot[index] = clip.caption or "", clip.cot or ""
        data.clip_expected_length, data.sync_expected_length, data.duration_sec = 8 * seconds, 25 * seconds, seconds
        seen = data.sample(index)
        _, text = encoders.encode_text([seen["caption"]])
        made = {
            "metaclip_features": encoders.encode_video_with_clip(seen["clip_video"][None].to(job.device)),
            "sync_features": encoders.encode_video_with_sync(seen["sync_video"][None].to(job.device)),
            "metaclip_text_features": text,
            "t5_features": encoders.encode_t5_text([seen["caption_cot"]]),
        }
        return {name: value[0].float() for name, value in made.items()}

    return encode


def _noise(clip: worker_kit.Clip, seconds: int) -> Features:
    """Noise instead of features, where there are no weights: the encoders' tokenisers are downloads like weights."""
    import torch

    del clip
    return {
        "metaclip_features": torch.randn(8 * seconds, 1024),
        "sync_features": torch.randn(24 * seconds, 768),
        "metaclip_text_features": torch.randn(77, 1024),
        "t5_features": torch.randn(77, 2048),
    }


if __name__ == "__main__":
    worker_kit.main(load)
