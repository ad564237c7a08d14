"""Where a number comes from: everything that could change it, recorded with every run."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from visaudio_bench import __version__

# Packages whose version can change a number.
PACKAGES = ("numpy", "scipy", "torch", "av", "soundfile", "soxr", "pyarrow")


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that take part in decoding and computing."""
    return {name: _version(name) for name in PACKAGES}


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def code_version() -> dict[str, Any]:
    """Version of this project, and its commit where it runs from a git checkout."""
    root = Path(__file__).resolve().parent.parent
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no")) if commit else None
    return {"version": __version__, "commit": commit, "dirty": dirty}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def command_line() -> str:
    """The command of this process."""
    return " ".join(["bench", *sys.argv[1:]])


def provenance(*, command: str, seed: int, device: str, dtype: str) -> dict[str, Any]:
    """Collect what every result carries; suites, systems and metrics are added by the run.

    Args:
        command: as it was typed.
        seed: of everything random.
        device: where networks run.
        dtype: numbers that they compute with.

    Returns:
        JSON-able values by name.
    """
    from visaudio_bench.suites.media import DECODER, RESAMPLER

    return {
        "command": command,
        "code": code_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": package_versions(),
        "seed": seed,
        "device": device,
        "dtype": dtype,
        "resampler": RESAMPLER,
        "decoder": DECODER,
    }
