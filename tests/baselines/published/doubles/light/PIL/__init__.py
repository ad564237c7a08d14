"""A stand-in for Pillow: pictures are files that are there."""

import os


class Image:
    @staticmethod
    def new(mode, size):
        return Image()

    @staticmethod
    def open(path):
        os.stat(path)
        return Image()

    def save(self, path):
        open(path, "w").close()

    def convert(self, mode):
        return self
