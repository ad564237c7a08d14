"""Test double of the authors' configuration."""


class VisageConfig:
    def __init__(self, **kwargs):
        self.settings = kwargs
