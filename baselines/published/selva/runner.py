"""SelVA by the functions that its demo calls, in its own environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import worker_kit

RATE = 16000


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """The video encoder, the generator and the feature networks, as `demo.py` builds them."""
    if job.weights is None:
        raise RuntimeError("SelVA cannot be built without its weights: its feature networks come from model hubs")
    import torch
    from selva.model.flow_matching import FlowMatching
    from selva.model.networks_generator import get_my_mmaudio
    from selva.model.networks_video_enc import get_my_textsynch
    from selva.utils import eval_utils

    worker_kit.link_weights(job)
    weights = job.weights
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # as the demo does
    config = eval_utils.all_model_cfg["small_16k"]
    dtype = getattr(torch, job.options["precision"])

    def filled(network: Any, path: Path) -> Any:
        network = network.to(job.device, dtype).eval()
        network.load_weights(torch.load(str(weights / Path(path).name), map_location=job.device, weights_only=True))
        return network

    encoder = filled(get_my_textsynch("depth1"), config.model_video_enc_path)
    generator = filled(get_my_mmaudio(config.model_name), config.model_generator_path)
    features = _features(weights, config).to(job.device, dtype).eval()
    flow = FlowMatching(min_sigma=0, inference_mode="euler", num_steps=job.options["steps"])

    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
        seen = eval_utils.load_video(clip.video, clip.seconds, load_all_frames=False)
        lengths = config.seq_cfg
        lengths.duration = seen.duration_sec
        generator.update_seq_lengths(lengths.latent_seq_len, lengths.clip_seq_len, lengths.sync_seq_len)
        encoder.update_seq_lengths(video_seq_len=lengths.sync_seq_len)
        with torch.inference_mode():
            sounds = eval_utils.generate(
                None,
                seen.sync_frames.unsqueeze(0),
                [clip.caption or ""],
                negative_text=[job.options["negative"]],
                feature_utils=features,
                net_video_enc=encoder,
                net_generator=generator,
                fm=flow,
                rng=torch.Generator(device=job.device).manual_seed(clip.seed),
                cfg_strength=job.options["guidance"],
            )
        return worker_kit.Sound(sounds.float()[0], RATE)

    return generate


def _features(weights: Path, config: Any) -> Any:
    from selva.model.utils.features_utils import FeaturesUtils

    return FeaturesUtils(
        tod_vae_ckpt=str(weights / Path(config.vae_path).name),
        synchformer_ckpt=str(weights / Path(config.synchformer_ckpt).name),
        enable_conditions=True,
        mode=config.mode,
        bigvgan_vocoder_ckpt=str(weights / Path(config.bigvgan_16k_path).name),
        need_vae_encoder=False,
    )


if __name__ == "__main__":
    worker_kit.main(load)
