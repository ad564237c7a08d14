"""Rows of labels as the sound event data sets of the DCASE challenges write them: numbers, checked and named.

STARSS23 has `frame, class, source, azimuth, elevation, distance` without a header (`suites.construction.starss23`),
DCASE 2025's stereo data have a header and the columns of `STEREO`. A frame lasts 100 ms, angles are whole degrees,
positive to the left and upwards, distances centimetres. A person has one number whatever is heard of him, everything
else has number 0. Here each class of a number counts as a source: mouth and feet are at two places, and so are two
things. Of the frames that the first edition labels, 0.7 % have a person in two classes.

Source: Shimada et al. 2023 (arXiv 2306.09126) and 2025 (arXiv 2507.12042), and the documentation of both data sets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from visaudio_bench.errors import UsageError
from visaudio_bench.suites.direction_labels import LabelledFrame

CLASSES = (
    "female speech", "male speech", "clapping", "telephone", "laughter", "domestic sounds", "footsteps", "door",
    "music", "musical instrument", "water tap", "bell", "knock",
)  # fmt: skip
STEREO = ("frame", "class", "source", "azimuth", "distance", "onscreen")
ALL_AROUND, FRONT = 180.0, 90.0  # degrees: how far azimuths go; stereo cannot tell the back, which is folded forward


def stereo_frame(row: Mapping[str, str], place: str) -> LabelledFrame:
    """Read a row of DCASE 2025's stereo data.

    Args:
        row: its cells by the columns of `STEREO`.
        place: file and line, for the message.

    Returns:
        The frame; its elevation is not known and 0.

    Raises:
        UsageError: a cell is no number, or out of its range.
    """
    cells = [row[name] for name in STEREO]
    text = ",".join(cells)
    frame, kind, source, azimuth, distance, onscreen = numbers(cells, text, place, STEREO)
    if onscreen not in (0, 1):
        raise UsageError(f"{place}: the onscreen of {text!r} is out of range.")
    labelled = checked(place, text, (frame, kind, source), (azimuth, 0.0), distance / 100, furthest=FRONT)
    return labelled._replace(visible=bool(onscreen))


def numbers(cells: list[str], text: str, place: str, columns: tuple[str, ...]) -> list[float]:
    """Read the cells of a row.

    Args:
        cells: as they are written.
        text: the row, for the message.
        place: file and line, for the message.
        columns: what they should be.

    Returns:
        Finite numbers.

    Raises:
        UsageError: one is none.
    """
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) for value in values):
        raise UsageError(f"{place}: {text!r} is not {', '.join(columns)}.")
    return values


def checked(
    place: str,
    text: str,
    event: tuple[float, float, float],
    angles: tuple[float, float],
    distance: float | None,
    *,
    furthest: float = ALL_AROUND,
) -> LabelledFrame:
    """Make a frame of numbers that are in their ranges.

    Args:
        place: file and line, for the message.
        text: the row, for the message.
        event: frame, class and source.
        angles: azimuth and elevation in degrees.
        distance: metres, None where it is not known.
        furthest: the largest azimuth there is, degrees.

    Returns:
        The frame.

    Raises:
        UsageError: a number is out of its range.
    """
    frame, kind, source = event
    azimuth, elevation = angles
    wrong = {
        "frame": frame < 0 or frame != int(frame),
        "class": kind not in range(len(CLASSES)),
        "azimuth": abs(azimuth) > furthest,
        "elevation": abs(elevation) > 90,
        "distance": distance is not None and distance <= 0,
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise UsageError(f"{place}: the {name} of {text!r} is out of range.")
    return LabelledFrame(
        int(frame), math.radians(azimuth), math.radians(elevation), distance, f"{kind:g}-{source:g}", CLASSES[int(kind)]
    )
