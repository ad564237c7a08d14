"""Test double of CLIP: a picture is the number in its file's name."""

import torch

from clip.clip import _transform
from clip.model import CLIP


def load(name, device="cuda", jit=False, download_root=None):
    assert name.endswith("ViT-B-32.pt")
    return CLIP().to(device), _transform(224)


__all__ = ["load", "torch"]
