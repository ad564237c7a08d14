"""Test double of the authors' generation."""

import json
from pathlib import Path

import torch


def generate_diffusion_cond(
    model,
    steps=250,
    cfg_scale=6,
    conditioning=None,
    conditioning_tensors=None,
    negative_conditioning=None,
    negative_conditioning_tensors=None,
    batch_size=1,
    sample_size=2097152,
    sample_rate=48000,
    seed=-1,
    device="cuda",
    init_audio=None,
    init_noise_level=1.0,
    mask_args=None,
    return_latents=False,
    **sampler_kwargs,
):
    (given,) = conditioning
    (video,) = given.pop("video_prompt")
    call = {**given, "audio_prompt": list(given["audio_prompt"].shape), "video_prompt": list(video.shape)}
    call.update(steps=steps, cfg_scale=cfg_scale, seed=seed, device=device, loaded=model.loaded, **sampler_kwargs)
    with Path("calls.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(call) + "\n")
    torch.manual_seed(seed)
    return 3 * torch.randn(batch_size, 2, sample_size)
