"""Test double of the networks of Sep-Stereo: a weight drawn when it is built, and again by `weights_init`."""

import random


class Net:
    def __init__(self, *args, **kwargs):
        self.weight = random.uniform(0.4, 0.6)

    def apply(self, function):
        function(self)

    def load_state_dict(self, state, strict=True):
        self.weight = state["weight"]


class VisualNet(Net):
    pass


class VisualNetDilated(Net):
    pass


class AudioNet(Net):
    pass


class APNet(Net):
    pass


def weights_init(m):
    m.weight = random.uniform(0.4, 0.6)
