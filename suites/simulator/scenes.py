"""A scene: a room, a listener who is also the camera, and the sources around him, all as functions of time.

Sound, pictures and truth ask the same object where things are, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from visaudio_bench.suites.simulator.hrtf import Array
from visaudio_bench.suites.simulator.images import Room, to_head
from visaudio_bench.suites.simulator.sounds import RECIPES

HALF_VIEW = np.pi / 4  # the camera's field of view is 90 degrees wide and 90 degrees high

Knots = tuple[tuple[float, ...], ...]


def at_times(knots: Knots, times: Array) -> Array:
    """Follow a trajectory through its knots; outside them the end values hold.

    Between knots it is a monotone cubic (PCHIP): smooth, and never beyond the knots on either side.

    Args:
        knots: time in seconds and n values, each.
        times: when, seconds.

    Returns:
        `(len(times), n)` values.
    """
    table = np.asarray(knots, dtype=np.float64)
    if len(table) == 1:
        return np.repeat(table[:, 1:], len(times), axis=0)
    path = scipy.interpolate.PchipInterpolator(table[:, 0], table[:, 1:])
    return np.asarray(path(np.clip(times, table[0, 0], table[-1, 0])))


@dataclass(frozen=True)
class SoundSource:
    """Something that sounds: a key of `sounds.RECIPES`, the seed of its sound, and its path `(t, x, y, z)`.

    `visible` says that the scene is designed to show it; where it is in view at a time follows from the geometry.
    """

    sound: str
    seed: int
    path: Knots
    visible: bool = True


@dataclass(frozen=True)
class Scene:
    """One clip of a simulated suite.

    Attributes:
        id: the clip's id.
        factor: what the scene is for (see `design.FACTORS`).
        duration: seconds.
        seed: of the room's colours, its diffuse tail and its ambience.
        room: size in metres and reverberation time in seconds.
        listener: path `(t, x, y, z)` of the head's centre and camera.
        yaw: `(t, angle)`, where head and camera look, radians from the x axis, positive to the left, not wrapped.
        sources: what sounds.
    """

    id: str
    factor: str
    duration: float
    seed: int
    room: Room
    listener: Knots
    yaw: Knots
    sources: tuple[SoundSource, ...]

    def words(self, *, visible: bool) -> tuple[str, ...]:
        """What the visible (or the invisible) sources sound like, in words."""
        return tuple(RECIPES[source.sound].words for source in self.sources if source.visible is visible)

    @property
    def caption(self) -> str:
        """What a system is given: what is visible, then what is not, without labels, as ViSAudio does at inference."""
        return ", ".join(self.words(visible=True) + self.words(visible=False))

    @property
    def labelled_caption(self) -> str:
        """The caption in the form of BiAudio's training text."""
        visible = " and ".join(self.words(visible=True))
        invisible = " and ".join(self.words(visible=False))
        return f"Visible sound: {visible}, Invisible sound: {invisible}" if invisible else f"Visible sound: {visible}"

    def to_json(self) -> dict[str, Any]:
        """The scene as JSON-able values; `from_json` gives it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Scene:
        """The scene that `to_json` wrote."""
        sources = tuple(SoundSource(**{**source, "path": _knots(source["path"])}) for source in row["sources"])
        room = Room(**{**row["room"], "size": tuple(row["room"]["size"])})
        moved = {"listener": _knots(row["listener"]), "yaw": _knots(row["yaw"])}
        return cls(**{**row, **moved, "room": room, "sources": sources})


def _knots(rows: Any) -> Knots:
    return tuple(tuple(row) for row in rows)


class Bearing(NamedTuple):
    """Where a source is for the listener, `(P,)` each: radians (positive to the left, upwards) and metres."""

    azimuth: Array
    elevation: Array
    distance: Array

    @property
    def in_view(self) -> NDArray[np.bool_]:
        """Whether the source's centre lies in the picture."""
        ahead = np.cos(self.azimuth) > 0
        high = np.abs(np.tan(self.elevation)) <= np.cos(self.azimuth) * np.tan(HALF_VIEW)
        return np.asarray(ahead & (np.abs(self.azimuth) <= HALF_VIEW) & high)


def bearing(scene: Scene, source: SoundSource, times: Array) -> Bearing:
    """Tell where a source is as seen and heard by the listener.

    Args:
        scene: in which both are.
        source: one of its sources.
        times: when, seconds.

    Returns:
        Its direction in radians and its distance in metres, at each time.
    """
    offset = at_times(source.path, times) - at_times(scene.listener, times)
    x, y, z = to_head(offset, at_times(scene.yaw, times)[:, 0]).T
    return Bearing(np.arctan2(y, x), np.arctan2(z, np.hypot(x, y)), np.linalg.norm(offset, axis=-1))
