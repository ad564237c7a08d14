"""Test double of the authors' reader of checkpoints."""

import torch


def load_ckpt_state_dict(ckpt_path, prefix=None):
    assert prefix == "autoencoder."
    return torch.load(ckpt_path)
