"""Test double of the authors' data set."""

from pathlib import Path

import numpy
from torch import Array


def get_video_duration(video_path):
    return 1.2


class VGGSound:
    def __init__(
        self,
        root,
        *,
        tsv_path,
        sample_rate=44100,
        normalize_audio=False,
        start_row=None,
        end_row=None,
        save_dir="",
        use_variable_length=False,
        video_encoder="videoprism",
        video_resolution=288,
        inference_mode=False,
        video_fps=4,
    ):
        lines = Path(tsv_path).read_text().splitlines()
        assert lines[0] == "id,caption_cot"
        self.videos = [Path(root) / (line.split(",")[0] + ".mp4") for line in lines[1:]]
        assert inference_mode

    def sample(self, idx):
        assert self.videos[idx].exists()
        seconds = get_video_duration(self.videos[idx])
        return {
            "clip_video": numpy.broadcast_to(numpy.float32(0), (int(4 * seconds), 288, 288, 3)),
            "sync_video": Array((int(25 * seconds), 3, 224, 224)),
        }
