"""Test double of the options of Sep-Stereo and PseudoBinaural; like the latter's, without the list of files."""

import argparse


class TestOptions:
    def __init__(self):
        self.parser = argparse.ArgumentParser()

    def initialize(self):
        for name in ("gpu_ids", "checkpoints_dir", "weights_visual", "weights_audio", "weights_fusion"):
            self.parser.add_argument("--" + name, default="")
        self.parser.add_argument("--fusion_model", default="none")
        self.parser.add_argument("--use_fusion_pred", action="store_true")
        self.parser.add_argument("--output_dir_root", default="test_output")
        self.parser.add_argument("--input_audio_length", type=float, default=10)
        self.parser.add_argument("--hop_size", default=0.05, type=float)

    def parse(self):
        self.initialize()
        return self.parser.parse_args()
