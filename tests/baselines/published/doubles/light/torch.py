"""A stand-in for torch in tests of what goes wrong: seeds, files, devices and contexts, and no arithmetic."""

import contextlib
import json
import random
import types

__version__ = "double"
float32, bfloat16 = "float32", "bfloat16"
backends = types.SimpleNamespace(
    cuda=types.SimpleNamespace(matmul=types.SimpleNamespace()), cudnn=types.SimpleNamespace()
)
cuda = types.SimpleNamespace(is_available=lambda: False)
manual_seed = random.seed


class _NoGrad(contextlib.ContextDecorator):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


no_grad = inference_mode = _NoGrad


class Generator:
    def __init__(self, device):
        self.device = device

    def manual_seed(self, seed):
        self.random = random.Random(seed)
        return self


def device(name):
    return name


def save(state, path):
    with open(path, "w") as file:
        json.dump(state, file)


def load(path, map_location=None, weights_only=True):
    with open(path) as file:
        return json.load(file)


class Array:
    """A shape, and nothing in it."""

    def __init__(self, shape):
        self.shape = list(shape)

    def __getitem__(self, index):
        return Array([1, *self.shape] if index is None else self.shape[1:])

    def to(self, device):
        return self

    def float(self):
        return self

    def cpu(self):
        return self


zeros = Array


def randn(*shape):
    return Array(shape)


def tensor(value):
    return Array(())


def from_numpy(array):
    return Array(array.shape)
