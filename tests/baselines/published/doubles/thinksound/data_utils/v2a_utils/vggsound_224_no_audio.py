"""Test double of the authors' data set, which reads its table with pandas."""

import csv
from pathlib import Path

import torch


class VGGSound:
    def __init__(
        self,
        root,
        *,
        tsv_path="",
        sample_rate=44_100,
        duration_sec=9.0,
        audio_samples=397312,
        normalize_audio=False,
        start_row=None,
        end_row=None,
        save_dir="",
    ):
        self.root = Path(root)
        with Path(tsv_path).open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        self.videos = [row["id"] for row in rows]
        self.labels = [row["caption"] for row in rows]
        self.caption_cot = [row["caption_cot"] for row in rows]
        self.duration_sec = duration_sec
        self.clip_expected_length = int(8 * duration_sec)
        self.sync_expected_length = int(25 * duration_sec)
        Path("facebook/metaclip-h14-fullcc2.5b").stat()  # for what makes its pictures, found by name as the encoders

    def sample(self, idx):
        assert (self.root / (self.videos[idx] + ".mp4")).is_file()
        return {
            "id": self.videos[idx],
            "caption": self.labels[idx],
            "clip_video": torch.zeros(self.clip_expected_length, 3, 2, 2),
            "sync_video": torch.zeros(self.sync_expected_length, 3, 2, 2),
            "caption_cot": self.caption_cot[idx],
        }
