"""What other programs say of the sounds and pictures of a run, as files beside them: `--companions DIR`.

    DIR/
      events/<system>/<clip>.csv   what a localiser heard in a system's sound: frame of 0.1 s, class, x; no header
      boxes/<clip>.csv             what a detector saw in the video: frame of 0.25 s, class, x0, y0, x1, y1; no header
      foa/<system>/<clip>.wav      a system's sound in first-order ambisonics W, Y, Z, X (ACN, SN3D); any sound file

The true sound is the system `reference`. A file that is not there leaves the columns that read it without this clip
(`no_events`, `no_boxes`, `no_foa`), one that cannot be read costs the clip these columns (`bad_companion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.bench.evaluation.clip_inputs import LackingError
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.sheets import LINE_END, read_text

if TYPE_CHECKING:
    from visaudio_bench.suites.media import Samples

TRUE = "reference"
LARGEST = 2**53  # whole numbers beyond this are none of theirs
KINDS = ("events", "boxes", "foa")


@dataclass(frozen=True)
class Companions:
    """The files of one clip and system below a folder; without a folder there are none."""

    folder: Path | None
    system: str
    clip: str

    def events(self) -> NDArray[np.int64]:
        """Rows of what was heard `(n, 3)`: frame, class, x.

        Raises:
            LackingError: `no_events`, or `bad_companion`.
        """
        return _rows(self._file("events", self.system, (".csv",)), 3)

    def boxes(self) -> NDArray[np.int64]:
        """Rows of what was seen `(m, 6)`: frame, class, x0, y0, x1, y1.

        Raises:
            LackingError: `no_boxes`, or `bad_companion`.
        """
        return _rows(self._file("boxes", "", (".csv",)), 6)

    def field(self, system: str, duration: float | None) -> Samples:
        """Read ambisonics.

        Args:
            system: whose; `TRUE` for the true sound.
            duration: of the clip in seconds, to which it is cut.

        Returns:
            `(4, N)` samples at the file's own rate.

        Raises:
            LackingError: `no_foa`, `bad_companion`, or why its file cannot be read.
        """
        from visaudio_bench.suites.media import SOUND_SUFFIXES, read_sound

        path = self._file("foa", system, tuple(sorted(SOUND_SUFFIXES)))
        try:
            sound = read_sound(path, duration=duration)
        except ClipError as error:
            raise LackingError(error.reason, error.message) from error
        if len(sound.samples) != 4:
            raise LackingError(
                "bad_companion", f"{path} has {len(sound.samples)} channels, four were expected: W, Y, Z, X."
            )
        return sound.samples

    def _file(self, kind: str, system: str, suffixes: tuple[str, ...]) -> Path:
        if self.folder is None:
            raise LackingError(f"no_{kind}", f"no --companions DIR with {kind} was given.")
        names = [self.folder / kind / system / f"{self.clip}{suffix}" for suffix in suffixes]
        path = next((path for path in names if path.is_file()), None)
        if path is None:
            raise LackingError(
                f"no_{kind}", f"{names[0].with_suffix('.*' if len(names) > 1 else suffixes[0])} is not there."
            )
        return path


def _rows(path: Path, width: int) -> NDArray[np.int64]:
    """Numbers of a table without a header, cut to integers as SAVGBench does; a file may be empty."""
    try:
        text, _ = read_text(path)
    except UsageError as error:
        raise LackingError("bad_companion", str(error)) from error
    rows = []
    for line, row in enumerate(LINE_END.split(text), 1):
        if not row.strip():
            continue
        try:
            values = [float(cell) for cell in row.split(",")]
        except ValueError:
            values = []
        if len(values) != width or not all(abs(value) < LARGEST for value in values) or values[0] < 0:
            raise LackingError("bad_companion", f"{path}:{line}: {row!r}, {width} numbers were expected and no header.")
        rows.append([int(value) for value in values])
    return np.array(rows, dtype=np.int64).reshape(-1, width)


def refuse_stranger(folder: Path) -> None:
    """Refuse a folder that holds nothing of what is looked for.

    Raises:
        UsageError: it is not there, or has none of the folders.
    """
    if not any((folder / kind).is_dir() for kind in KINDS):
        raise UsageError(
            f"--companions {folder} holds none of the folders {', '.join(KINDS)}; expected are "
            "events/<system>/<clip>.csv, boxes/<clip>.csv and foa/<system>/<clip>.wav."
        )
