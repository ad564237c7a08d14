import os


class Synchformer:
    def __init__(self):
        open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "divided_224_16x4.yaml")).close()

    def state_dict(self):
        return {}
