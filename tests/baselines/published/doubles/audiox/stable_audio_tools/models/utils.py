"""Test double of the authors' reader of checkpoints."""

from pathlib import Path


def load_ckpt_state_dict(ckpt_path):
    assert Path(ckpt_path).is_file()
    return "state"
