"""Libraries that only some networks need, imported when the first of those is made."""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

from visaudio_bench.errors import BenchError


def import_extra(name: str, extra: str, purpose: str) -> ModuleType:
    """Import a library that an extra of this project installs.

    It is imported with the CPU as default device whatever surrounds the call: networks are built on the meta device,
    where constants of a library would come out without values.

    Args:
        name: of the module.
        extra: that installs it, for the message.
        purpose: what needs it, for the message.

    Returns:
        The module.

    Raises:
        BenchError: it is not installed, or cannot be imported.
    """
    try:
        with torch.device("cpu"):
            return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        raise BenchError(
            f"{purpose} needs {name}, which cannot be imported ({error}). Install it: "
            f'pip install "visaudio-bench[{extra}]"'
        ) from error
