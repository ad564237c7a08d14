"""Test double of the package that brings the program along."""

import sys


def get_ffmpeg_exe():
    return sys.executable
