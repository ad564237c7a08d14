"""Test double of the two networks together."""


class AudioVisualModel:
    def __init__(self, nets, opt):
        self.weight = nets[1]

    def load_state_dict(self, state):
        self.weight = state["weight"]

    def to(self, device):
        self.device = device
        return self

    def eval(self):
        return self
