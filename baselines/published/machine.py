"""What a system needs of the machine beside Python packages: programs and shared libraries.

It is looked at before anything long begins and by `bench systems check`: without it an environment installs, a model
loads, and every clip fails.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

from visaudio_bench.baselines.published.card import Card, Library

# In a process of its own: a second FFmpeg beside the one that reads media here could take its functions.
LOAD = """
import ctypes, sys
for name in sys.argv[1:]:
    try:
        ctypes.CDLL(name)
        sys.exit(0)
    except OSError:
        pass
sys.exit(1)
"""
PACKAGES = {"ffmpeg": "ffmpeg", "git": "git", "g++": "g++"}  # of Debian, by program


def lacking(card: Card) -> Iterator[str]:
    """A sentence for everything that this machine lacks, with the command that helps."""
    for program in card.programs:
        if shutil.which(program) is None:
            package = f" (Debian: apt install {PACKAGES[program]})" if program in PACKAGES else ""
            yield f"{card.title} needs {program}, which is not on this machine's PATH. Install it first{package}."
    for library in card.libraries:
        if not _loads(library):
            yield (
                f"{card.title} needs {library.name}: none of {', '.join(library.any_of)} can be loaded here. "
                f"{library.get}"
            )


def _loads(library: Library) -> bool:
    command = [sys.executable, "-S", "-E", "-c", LOAD, *library.any_of]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
