"""Test double of the options of 2.5D Visual Sound."""

import argparse


class TestOptions:
    def __init__(self):
        self.parser = argparse.ArgumentParser()

    def initialize(self):
        for name in ("hdf5FolderPath", "gpu_ids", "checkpoints_dir", "weights_visual", "weights_audio"):
            self.parser.add_argument("--" + name, default="")
        self.parser.add_argument("--input_audio_path", required=True)
        self.parser.add_argument("--video_frame_path", required=True)
        self.parser.add_argument("--output_dir_root", default="test_output")
        self.parser.add_argument("--input_audio_length", type=float, default=10)
        self.parser.add_argument("--hop_size", default=0.05, type=float)

    def parse(self):
        self.initialize()
        return self.parser.parse_args()
