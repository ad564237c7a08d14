"""Test double of the resampler, good enough for lengths."""

import torch


class Resample(torch.nn.Module):
    def __init__(self, orig_freq=16000, new_freq=16000):
        super().__init__()
        assert (orig_freq, new_freq) == (44100, 16000)

    def forward(self, waveform):
        length = -(-waveform.shape[-1] * 160 // 441)
        return torch.nn.functional.interpolate(waveform[None], size=length)[0]
