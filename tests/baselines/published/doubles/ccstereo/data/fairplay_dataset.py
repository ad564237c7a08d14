"""Test double of CCStereo's data set: one sound and the pictures of its windows, found as in FAIR-Play's folders."""

import os
from glob import glob

import librosa
from PIL import Image


class FAIRPLAY_DATSET:  # noqa: N801 - the authors' name
    def __init__(self, opt, mode=""):
        self.data_root = opt.data_root
        self.test_hop_size = opt.test_hop_size
        self.samples_per_window = int(opt.audio_length * 16000)
        with open(os.path.join(opt.data_root, "five_splits", opt.hdf5FolderPath, mode + ".txt")) as f:
            self.audios = [line.strip()[:-4] for line in f]

    def prepare_visual(self, file_id, clip_info=None, audio_len=None, windows_list=None, audio_num_samples=None):
        path = os.path.join(self.data_root, "frames", file_id + ".mp4")
        there = len(glob(os.path.join(path, "*.png")))
        shown = []
        for start in windows_list:
            middle = (start + self.samples_per_window / 2) / audio_num_samples * audio_len
            shown.append(max(0, int(round((middle + self.test_hop_size) * 10))))
            assert shown[-1] <= there
            Image.open(os.path.join(path, str(shown[-1]).zfill(6) + ".png")).convert("RGB")
        return shown, None

    def __getitem__(self, index):
        file_id = self.audios[index]
        audio, rate = librosa.load(
            os.path.join(self.data_root, "binaural_audios", file_id + ".wav"), sr=16000, mono=False
        )
        hop = int(self.test_hop_size * self.samples_per_window)
        windows = list(range(0, max(len(audio[0]) - self.samples_per_window, 0) + hop, hop))
        # Whole seconds, as in the authors' own; of a clip of another length the pictures would be wrong.
        shown, _ = self.prepare_visual(
            file_id, audio_len=int(len(audio[0]) / rate), windows_list=windows, audio_num_samples=len(audio[0])
        )
        return audio, shown, None, {"windows_list": windows, "fn": file_id}, None, None, None
