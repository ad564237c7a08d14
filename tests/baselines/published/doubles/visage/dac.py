"""Test double of the codec: 512 samples a code."""

import torch


class _Quantizer(torch.nn.Module):
    def from_codes(self, codes):
        assert codes.shape[1] == 9
        return codes.float(), None, None


class DAC(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.quantizer = _Quantizer()

    @classmethod
    def load(cls, location):
        assert location.endswith("weights_44khz_8kbps_0.0.1.pth")
        return cls()

    def decode(self, z):
        return (z[:, :1] / 1024 - 0.5).repeat_interleave(512, dim=-1)
