"""The checkpoint of `visaudio-tiny` that is part of this package; its card is `CARD.md` beside it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def shipped_checkpoint() -> Path:
    """Where it lies."""
    return Path(str(files("visaudio_bench.models.visaudio.tiny") / "visaudio-tiny.safetensors"))
