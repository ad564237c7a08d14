"""Build hook: sets the links `visaudio_bench/ROOM -> ../ROOM` where an editable installation finds none.

A checkout brings them. Source archives cannot hold links, and some systems check them out as small text files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOMS = ("baselines", "bench", "leaderboards", "metrics", "models", "suites")


class LinkRooms(BuildHookInterface[Any]):
    """Runs before each build; only editable ones import the rooms through links."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Set what is missing.

        Raises:
            OSError: the file system has no links.
        """
        del build_data
        if self.target_name == "wheel" and version == "editable":
            for room in ROOMS:
                link = Path(self.root, "visaudio_bench", room)
                if not link.is_dir():
                    link.unlink(missing_ok=True)
                    link.symlink_to(Path("..", room), target_is_directory=True)
