"""MMAudio by the functions that its demo calls, in its own environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import worker_kit

RATE = 44100


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """The flow network and its feature networks, as `demo.py` builds them."""
    import torch
    from mmaudio import eval_utils
    from mmaudio.model.flow_matching import FlowMatching
    from mmaudio.model.networks import get_my_mmaudio

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # as the demo does
    config = eval_utils.all_model_cfg[job.options["model"]]
    dtype = getattr(torch, job.options["precision"])
    net = get_my_mmaudio(config.model_name).to(job.device, dtype).eval()
    if job.weights is not None:
        path = job.weights / Path(config.model_path).name
        net.load_weights(torch.load(str(path), map_location=job.device, weights_only=True))
    else:  # made as NaN, because they belong to the weights
        net.latent_mean.data.zero_()
        net.latent_std.data.fill_(1)
    features = _features(job, config, torch).to(job.device, dtype).eval()
    flow = FlowMatching(min_sigma=0, inference_mode="euler", num_steps=job.options["steps"])

    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
        seen = eval_utils.load_video(clip.video, clip.seconds, load_all_frames=False)
        lengths = config.seq_cfg
        lengths.duration = seen.duration_sec
        net.update_seq_lengths(lengths.latent_seq_len, lengths.clip_seq_len, lengths.sync_seq_len)
        with torch.inference_mode():
            sounds = eval_utils.generate(
                seen.clip_frames.unsqueeze(0),
                seen.sync_frames.unsqueeze(0),
                [clip.caption or ""],
                negative_text=[job.options["negative"]],
                feature_utils=features,
                net=net,
                fm=flow,
                rng=torch.Generator(device=job.device).manual_seed(clip.seed),
                cfg_strength=job.options["guidance"],
            )
        short = [f"the authors' reader saw {seen.duration_sec:g} s"] if seen.duration_sec < clip.seconds else []
        return worker_kit.Sound(sounds.float()[0], RATE, short)

    return generate


def _features(job: worker_kit.Job, config: Any, torch: Any) -> Any:
    """CLIP, Synchformer, the mel codec and the vocoder; CLIP and the vocoder come out of the model hub's cache."""
    from mmaudio.model.utils.features_utils import FeaturesUtils

    folder = job.weights
    if folder is None:
        folder = job.work
        _write_random(folder, config, torch)
    return FeaturesUtils(
        tod_vae_ckpt=str(folder / Path(config.vae_path).name),
        synchformer_ckpt=str(folder / Path(config.synchformer_ckpt).name),
        enable_conditions=True,
        mode=config.mode,
        bigvgan_vocoder_ckpt=None,
        need_vae_encoder=False,
    )


def _write_random(folder: Path, config: Any, torch: Any) -> None:
    """Random weights where the authors' code reads files, and small networks where it asks the model hub.

    What the hub would give is other people's and large; two layers of CLIP and a narrow vocoder show as well that
    everything runs.
    """
    import open_clip
    from mmaudio.ext.autoencoder import autoencoder
    from mmaudio.ext.autoencoder.vae import get_my_vae
    from mmaudio.ext.bigvgan_v2.env import AttrDict
    from mmaudio.ext.synchformer import Synchformer
    from mmaudio.model.utils import features_utils

    torch.save(get_my_vae(config.mode).state_dict(), str(folder / Path(config.vae_path).name))
    torch.save(Synchformer().state_dict(), str(folder / Path(config.synchformer_ckpt).name))

    def small_clip(name: str, return_transform: bool) -> Any:
        del name, return_transform
        shape = open_clip.get_model_config("ViT-H-14-378-quickgelu")
        shape["vision_cfg"]["layers"] = shape["text_cfg"]["layers"] = 2
        return open_clip.CLIP(**shape)

    def small_vocoder(name: str, use_cuda_kernel: bool) -> Any:
        del name
        shape = AttrDict(
            num_mels=128, resblock="1", activation="snakebeta", snake_logscale=True, upsample_initial_channel=64,
            upsample_rates=[8, 4, 2, 2, 2, 2], upsample_kernel_sizes=[16, 8, 4, 4, 4, 4],
            resblock_kernel_sizes=[3, 7, 11], resblock_dilation_sizes=[[1, 3, 5]] * 3,
            use_tanh_at_final=False, use_bias_at_final=False,
        )  # fmt: skip
        return autoencoder.BigVGANv2(shape, use_cuda_kernel=use_cuda_kernel)

    features_utils.create_model_from_pretrained = small_clip
    autoencoder.BigVGANv2.from_pretrained = staticmethod(small_vocoder)


if __name__ == "__main__":
    worker_kit.main(load)
