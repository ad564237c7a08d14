"""Test double of CLIP's preparation of pictures."""

import torch


def _transform(n_px):
    assert n_px == 224
    return lambda picture: torch.full((3, 2, 2), float(picture.number))
