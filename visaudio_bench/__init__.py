"""Judging and building video-to-binaural-audio generation.

The Python interface is `cues`, `score`, `run` and `read_run`; `docs/python.md` shows it. It is imported at first use,
and nothing else is: this package is the ground under every room, and importing it costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visaudio_bench.bench.api import IncompleteRunError, RunFrames, cues, read_run, run, score

__version__ = "0.1.0"
__all__ = ["IncompleteRunError", "RunFrames", "__version__", "cues", "read_run", "run", "score"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("visaudio_bench.bench.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
