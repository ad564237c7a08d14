"""Test double of the authors' encoders."""

import os

from torch import Array
from videoprism import models as vp


class FeaturesUtils:
    def __init__(
        self, *, vae_ckpt=None, vae_config=None, synchformer_ckpt=None, enable_conditions=True, need_vae_encoder=True
    ):
        os.stat("google/t5gemma-l-l-ul2-it")  # found by name in the current directory
        folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        open(os.path.join(folder, "ext", "synchformer", "divided_224_16x4.yaml")).close()
        os.stat(synchformer_ckpt)
        os.stat(vp.TEXT_TOKENIZERS["c4_en"]["model_path"])

    def to(self, device):
        return self

    def eval(self):
        return self

    def encode_video_and_text_with_videoprism(self, x, cot, batch_size=-1):
        return None, [[0.0] * 1024] * x.cpu().shape[1], None, None

    def encode_t5_text(self, text):
        return Array((1, len(text[0]), 1024))

    def encode_video_with_sync(self, x, batch_size=-1):
        return Array((1, 8 * ((x.shape[1] - 16) // 8 + 1), 768))
