"""A stand-in for h5py: one dictionary of lists of bytes in a json file."""

import json


class File:
    def __init__(self, path, mode):
        self.path, self.mode = path, mode
        self.data = json.load(open(path)) if mode == "r" else {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.mode == "w":
            with open(self.path, "w") as file:
                json.dump(self.data, file)

    def __setitem__(self, name, values):
        self.data[name] = [value.decode() for value in values]

    def __getitem__(self, name):
        return [value.encode() for value in self.data[name]]
