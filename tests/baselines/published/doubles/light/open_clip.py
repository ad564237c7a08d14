"""A stand-in for open_clip: configurations and a class."""


def get_model_config(name):
    return {"embed_dim": 8, "vision_cfg": {"layers": 32}, "text_cfg": {"layers": 24}, "name": name}


class CLIP:
    def __init__(self, **shape):
        self.shape = shape
