"""What is true of a rendered scene, as numbers: the metadata file beside each clip, and its reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.errors import ClipError
from visaudio_bench.files import read_json
from visaudio_bench.suites.simulator.hrtf import Array
from visaudio_bench.suites.simulator.rooms import CONTROL_RATE
from visaudio_bench.suites.simulator.scenes import Scene, at_times, bearing
from visaudio_bench.suites.simulator.sounds import RECIPES


@dataclass(frozen=True)
class SourceTruth:
    """One source, at 100 Hz from the clip's start.

    Attributes:
        sound: key of `sounds.RECIPES`; `words`: its caption.
        position: `(P, 3)` metres in the room.
        azimuth: `(P,)` radians as seen and heard by the listener, positive to the left.
        elevation: `(P,)` radians, positive upwards.
        distance: `(P,)` metres.
        visible: `(P,)` whether the source's centre is in the picture.
        onsets: seconds at which it begins to sound (the sound arrives distance / 343 later).
    """

    sound: str
    words: str
    position: Array
    azimuth: Array
    elevation: Array
    distance: Array
    visible: NDArray[np.bool_]
    onsets: Array


@dataclass(frozen=True)
class Truth:
    """What `truth_of` wrote: `times` `(P,)` s, `listener` `(P, 3)` m, `yaw` `(P,)` rad, the sources, and the scene."""

    times: Array
    listener: Array
    yaw: Array
    sources: tuple[SourceTruth, ...]
    scene: Scene
    renderer: str


def control_times(scene: Scene) -> Array:
    """Seconds, 100 a second, from 0 to the scene's end inclusive."""
    return np.arange(round(scene.duration * CONTROL_RATE) + 1) / CONTROL_RATE


def truth_of(scene: Scene, onsets: Sequence[Array], renderer: str) -> dict[str, Any]:
    """Collect what is true of a rendered scene.

    Args:
        scene: which was rendered.
        onsets: when the events of each source begin, seconds.
        renderer: revision of the code that rendered it.

    Returns:
        JSON-able values, rounded to 0.1 mm and 0.1 mrad.
    """
    times = control_times(scene)
    rows = []
    for source, onset in zip(scene.sources, onsets, strict=True):
        seen = bearing(scene, source, times)
        rows.append(
            {
                "sound": source.sound,
                "words": RECIPES[source.sound].words,
                "position": _rounded(at_times(source.path, times)),
                "azimuth": _rounded(seen.azimuth),
                "elevation": _rounded(seen.elevation),
                "distance": _rounded(seen.distance),
                "visible": [int(value) for value in seen.in_view],
                "onsets": _rounded(onset),
            }
        )
    return {
        "renderer": renderer,
        "rate": CONTROL_RATE,
        "listener": _rounded(at_times(scene.listener, times)),
        "yaw": _rounded(at_times(scene.yaw, times)[:, 0]),
        "sources": rows,
        "scene": scene.to_json(),
    }


def read_truth(path: Path) -> Truth:
    """The truth about a rendered clip, from the file named by `clip.meta["truth"]`.

    Raises:
        ClipError: the clip has not been rendered yet, or the file is not one of ours.
    """
    try:
        data = read_json(path)
        sources = tuple(_source(row) for row in data["sources"])
        listener, yaw = np.asarray(data["listener"]), np.asarray(data["yaw"])
        times = np.arange(len(yaw)) / data["rate"]
        return Truth(times, listener, yaw, sources, Scene.from_json(data["scene"]), data["renderer"])
    except FileNotFoundError as error:
        raise ClipError("not_found", f"{path} does not exist: the clip has not been rendered yet.") from error
    except Exception as error:  # a run folder names any file as the truth, and whatever may come of that
        raise ClipError("unreadable", f"{path} is not the truth of a simulated clip: {error!r}") from error


def _source(row: dict[str, Any]) -> SourceTruth:
    arrays = {key: np.asarray(row[key]) for key in ("position", "azimuth", "elevation", "distance", "onsets")}
    return SourceTruth(row["sound"], row["words"], visible=np.asarray(row["visible"], dtype=bool), **arrays)


def _rounded(values: Array) -> Any:
    return np.round(values, 4).tolist()
