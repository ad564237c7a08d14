"""Test double of the authors' prediction; writes down what it was given."""

import json
import random


def predict_step(diffusion, batch, diffusion_objective, device="cuda:0"):
    noise, (given,) = batch
    call = {name: value.shape for name, value in given.items() if name.endswith("features")}
    call.update(latents=noise.shape, objective=diffusion_objective, loaded=diffusion.loaded)
    with open("calls.jsonl", "a") as stream:
        stream.write(json.dumps(call) + "\n")
    return [[[random.uniform(-0.5, 0.5) for _ in range(2048)] * noise.shape[2] for _ in range(2)]]
