"""Test double of HunyuanVideo-Foley's features."""

import os


def feature_process(video_path, prompt, model_dict, cfg, neg_prompt=None):
    os.stat(video_path)
    return "seen", [neg_prompt, prompt], 1.2
