"""Test double of the authors' predict.py."""

import json
from pathlib import Path

import torch


def predict_step(diffusion, batch, diffusion_objective, device="cuda:0"):
    latents, (condition,) = batch
    shapes = {name: list(value.shape) for name, value in condition.items() if name.endswith("features")}
    call = {
        "id": condition["id"],
        "latents": latents.shape[2],
        "shapes": shapes,
        "objective": diffusion_objective,
        "device": str(device),
        "lengths": diffusion.model.model.lengths,
        "exists": bool(condition["video_exist"]),
        "text": condition["metaclip_text_features"][0, 0].item() if "metaclip_text_features" in condition else None,
    }
    with Path("calls.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(call) + "\n")
    sound = torch.randn(1, 2, latents.shape[2] * 2048)
    return (sound / sound.abs().max()).mul(32767).to(torch.int16)
