"""Test double of the authors' readers."""

from pathlib import Path

import torch


def read_video(filepath, seek_time=0.0, duration=-1, target_fps=2):
    assert Path(filepath).is_file() and seek_time == 0
    return torch.zeros(duration * target_fps, 3, 2, 2)


def load_and_process_audio(audio_path, sample_rate, seconds_start, seconds_total):
    assert audio_path is None
    return torch.zeros(2, sample_rate * seconds_total)
