"""Test double of CCStereo's networks: a weight drawn when they are built."""

import random

import torchvision


class ModelBuilder:
    def build_visual(self, backbone=18, img_dim=512):
        assert (backbone, img_dim) == (18, 128)
        torchvision.models.resnet18(True)
        return random.uniform(0.4, 0.6)

    def build_audio(self, ngf=64, input_nc=2, output_nc=2, img_dim=512, weights=""):
        assert (ngf, input_nc, output_nc, img_dim) == (16, 2, 2, 128)
        return random.uniform(0.4, 0.6)
