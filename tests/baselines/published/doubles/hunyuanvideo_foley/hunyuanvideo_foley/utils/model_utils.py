"""Test double of HunyuanVideo-Foley's loading and sampling; writes down what it was given."""

import json
import os
import random


def load_model(model_path, config_path, device, enable_offload=False, model_size=None):
    for path in (os.path.join(model_path, "hunyuanvideo_foley.pth"), config_path, "google/siglip2-base-patch16-512"):
        os.stat(path)
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for path in (config_path, os.path.join(folder, "models", "synchformer", "divided_224_16x4.yaml")):
        open(path).close()
    return {"size": model_size, "offload": enable_offload}, "config"


def denoise_process(
    visual_feats,
    text_feats,
    audio_len_in_s,
    model_dict,
    cfg,
    guidance_scale=4.5,
    num_inference_steps=50,
    batch_size=1,
):
    call = {"texts": text_feats, "guidance": guidance_scale, "steps": num_inference_steps, **model_dict}
    with open("calls.jsonl", "a") as stream:
        stream.write(json.dumps(call) + "\n")
    return [[[random.uniform(-0.5, 0.5) for _ in range(int(48000 * audio_len_in_s))]]], 48000
