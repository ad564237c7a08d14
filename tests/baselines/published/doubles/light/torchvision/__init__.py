"""A stand-in for torchvision: the networks that demos start from, which must not be downloaded."""

import types


def _resnet(weights):
    assert weights is None, "ImageNet weights would be downloaded"
    return "resnet"


models = types.SimpleNamespace(resnet18=_resnet, resnet34=_resnet)
