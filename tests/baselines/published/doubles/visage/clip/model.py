"""Test double of CLIP's network."""

import torch


class _Transformer(torch.nn.Module):
    def forward(self, x):
        return x


class CLIP(torch.nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.visual = torch.nn.Module()
        self.visual.transformer = _Transformer()

    def encode_image(self, image):
        numbers = image[:, 0, 0, 0]
        patches = self.visual.transformer(numbers[None, :, None].expand(50, -1, 768))  # (patches, pictures, width)
        return patches[0, :, :512]
