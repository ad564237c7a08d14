"""ThinkSound (Liu et al., NeurIPS 2025): two channels from video, a caption and a chain of thought.

`predict_step` of the authors' `predict.py` makes the sound, the data set and the encoders of their
`extract_latents.py` its conditions, clip by clip and in memory: their scripts take the length of all videos from the
first one, and leave clips that fail out without a word.
"""

import json
import math

import worker_kit

# Below this the sync features no longer have the number that the model is built for, 24 a second.
SHORTEST = 8
FEATURES = {
    "metaclip_features": lambda seconds: (8 * seconds, 1024),
    "sync_features": lambda seconds: (24 * seconds, 768),
    "metaclip_text_features": lambda seconds: (77, 1024),
    "t5_features": lambda seconds: (77, 2048),
}


def load(job):
    """Build the generator and the encoders; the returned function makes one clip."""
    import torch
    from predict import predict_step

    config = job.source / "ThinkSound" / "configs" / "model_configs" / "thinksound.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    model = _model(job, settings)
    encode = _encoder(job) if job.weights else _noise

    @torch.no_grad()
    def generate(clip):
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


def _model(job, settings):
    import torch
    from ThinkSound.models import create_model_from_config
    from ThinkSound.models.utils import load_ckpt_state_dict

    model = create_model_from_config(settings)
    if job.weights:
        model.load_state_dict(torch.load(str(job.weights / job.options["checkpoint"]), map_location="cpu"))
        vae = load_ckpt_state_dict(str(job.weights / "vae.ckpt"), prefix="autoencoder.")
        model.pretransform.load_state_dict(vae)
    return model.to(job.device)


def _encoder(job):
    """The authors' data set and encoders, with the texts and not a table of them: pandas takes "NA" for no text."""
    from data_utils.v2a_utils.feature_utils_224 import FeaturesUtils
    from data_utils.v2a_utils.vggsound_224_no_audio import VGGSound

    _show_weights_by_name(job)
    videos, table = job.work / "videos", job.work / "clips.csv"
    videos.mkdir()
    number = {clip.id: index for index, clip in enumerate(job.clips)}
    for clip in job.clips:
        (videos / ("clip%d.mp4" % number[clip.id])).symlink_to(clip.video)
    rows = ["clip%d,-,-" % index for index in number.values()]
    table.write_text("\n".join(["id,caption,caption_cot", *rows]) + "\n", encoding="utf-8")
    data = VGGSound(str(videos), tsv_path=str(table), duration_sec=float(SHORTEST), audio_samples=None)
    encoders = FeaturesUtils(synchformer_ckpt=str(job.weights / "synchformer_state_dict.pth")).to(job.device)
    if not job.options["drop_paths"]:
        encoders.synchformer.eval()

    def encode(clip, seconds):
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


def _noise(clip, seconds):
    """Noise instead of features, where there are no weights: the encoders' tokenisers are downloads like weights."""
    import torch

    del clip
    return {name: torch.randn(shape(seconds)) for name, shape in FEATURES.items()}


def _show_weights_by_name(job):
    """Links in the current directory to the folders of the weights: transformers looks there before the network."""
    for folder in job.weights.iterdir():
        if folder.is_dir():
            (job.work / folder.name).symlink_to(folder)


if __name__ == "__main__":
    worker_kit.main(load)
