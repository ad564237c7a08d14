"""Test double of the authors' model factory."""


class _Part:
    def __init__(self):
        self.state = None

    def load_state_dict(self, state):
        self.state = state


class _Network:
    lengths = None

    def update_seq_lengths(self, latent_seq_len, clip_seq_len, sync_seq_len):
        self.lengths = [latent_seq_len, clip_seq_len, sync_seq_len]


class _Wrapper:
    def __init__(self):
        self.model = _Network()


class _Model(_Part):
    def __init__(self, config):
        super().__init__()
        assert config["model"]["diffusion"]["diffusion_objective"]
        self.model = _Wrapper()
        self.pretransform = _Part()

    def to(self, device):
        return self


def create_model_from_config(model_config):
    return _Model(model_config)
