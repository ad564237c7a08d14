"""The script that draws the charts of pages: plotly's, out of its Python package, which is found and not imported."""

from __future__ import annotations

import filecmp
import shutil
from importlib.util import find_spec
from pathlib import Path

from visaudio_bench.errors import UsageError
from visaudio_bench.files import atomic_path

SCRIPT = "plotly.min.js"


def plotly_script() -> Path:
    """Where the script lies.

    Raises:
        UsageError: plotly is not installed, or has no such script.
    """
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            'charts are drawn by plotly, which is not installed; install it: pip install "visaudio-bench[report]"'
        )
    script = Path(spec.submodule_search_locations[0]) / "package_data" / SCRIPT
    if not script.is_file():
        raise UsageError(
            f"charts are drawn by plotly, but {script} is not there; install it again: "
            'pip install --force-reinstall "visaudio-bench[report]"'
        )
    return script


def copy_plotly(folder: Path) -> None:
    """Put the script into a folder of pages, unless it is there.

    Raises:
        UsageError: as `plotly_script`.
    """
    script, copy = plotly_script(), folder / SCRIPT
    if copy.is_file() and filecmp.cmp(script, copy, shallow=False):
        return
    with atomic_path(copy) as out:
        shutil.copyfile(script, out)
