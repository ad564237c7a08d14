"""Pictures of a scene, ray by ray: the checked walls of the shoebox, a lamp, and the things that sound.

The camera is the listener's head: same place, same yaw; its lens decides how much it sees. Checks of 0.5 m
show motion and size; things swell at every onset of their sound, so that what is heard can be seen to happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.suites.simulator.hrtf import Array
from visaudio_bench.suites.simulator.images import to_head
from visaudio_bench.suites.simulator.lenses import Box, Lens
from visaudio_bench.suites.simulator.looks import Part, Vector, look
from visaudio_bench.suites.simulator.raycast import distances, normals
from visaudio_bench.suites.simulator.scenes import Scene, at_times

Picture = NDArray[np.uint8]

FPS = 25
CHECK = 0.5  # m
SWELL_TIME = 0.06  # s
SUBSAMPLES = 2  # per pixel and axis, where things are drawn
SHADOW = 0.28  # m
REST = 0.02  # a thing less excited than this is drawn at rest
# Colours of the walls x = 0, x = X, y = 0, y = Y, of floor and ceiling; the walls are dealt out anew for each scene.
WALLS = ((0.55, 0.30, 0.25), (0.30, 0.42, 0.55), (0.38, 0.48, 0.30), (0.58, 0.50, 0.34))
FLOOR, CEILING = (0.34, 0.27, 0.22), (0.62, 0.62, 0.60)


@dataclass(frozen=True)
class Thing:
    """One source while one picture is taken: where it is, which way it faces, how excited it is (0 to 1)."""

    sound: str
    position: Vector
    facing: float
    excitation: float


def frames(scene: Scene, onsets: Sequence[Array], lens: Lens) -> Iterator[Picture]:
    """Draw the pictures of a scene.

    Args:
        scene: what is shown.
        onsets: when the events of each source begin, seconds.
        lens: the camera's, which says how large pictures are.

    Returns:
        An iterator over `(H, W, 3)` uint8 RGB pictures, 25 a second.
    """
    times = np.arange(round(scene.duration * FPS)) / FPS
    eye = at_times(scene.listener, times).astype(np.float32)
    yaw = at_times(scene.yaw, times)[:, 0]
    paths = [at_times(source.path, times).astype(np.float32) for source in scene.sources]
    facing = [float(np.arctan2(*(eye[0] - path[0])[1::-1])) for path in paths]
    camera = Camera(scene, lens)
    for index, time in enumerate(times):
        things = tuple(
            Thing(source.sound, _triple(path[index]), angle, excitation(onset, float(time)))
            for source, path, angle, onset in zip(scene.sources, paths, facing, onsets, strict=True)
        )
        yield camera.take(eye[index], float(yaw[index]), things)


def _triple(point: Array) -> Vector:
    x, y, z = point.tolist()
    return x, y, z


def excitation(onsets: Array, time: float) -> float:
    """Tell how excited a thing is, dying away with 60 ms.

    Args:
        onsets: when its events begin, seconds.
        time: now, seconds.

    Returns:
        1 at an onset, 0 before the first one and where it has died away.
    """
    since = time - onsets[onsets <= time]
    now = float(np.exp(-since[-1] / SWELL_TIME)) if len(since) else 0.0
    return now if now > REST else 0.0


class Camera:
    """Takes pictures of one room; what has not changed since the picture before is not drawn again."""

    def __init__(self, scene: Scene, lens: Lens):
        self.lens = lens
        self.room = np.asarray(scene.room.size, dtype=np.float32)
        walls = np.random.default_rng(scene.seed).permutation(np.asarray(WALLS))
        self.colours = np.concatenate([walls, [FLOOR, CEILING]]).astype(np.float32)
        self.lamp = (self.room * np.array([0.5, 0.5, 0.92])).astype(np.float32)
        self._rays = lens.rays((0, 0, lens.height, lens.width), 1).reshape(3, -1)
        self._pose: tuple[float, ...] = ()
        self._things: tuple[Thing, ...] = ()

    def take(self, eye: Array, yaw: float, things: tuple[Thing, ...]) -> Picture:
        """The `(H, W, 3)` picture from `eye` `(3,)`, looking along `yaw`."""
        pose = (*map(float, eye), yaw)
        if pose == self._pose and things == self._things:
            return self._picture
        if pose != self._pose:
            self._empty, self._ground = self._cast_walls(eye, turned(self._rays, yaw))
        self._pose, self._things = pose, things
        light = self._empty.copy()
        for thing in things:
            self._shadow(light, thing)
        for thing in sorted(things, key=lambda thing: -float(np.linalg.norm(thing.position - eye))):
            self._draw(light, eye, yaw, thing)
        # Linear light to the display's gamma.
        self._picture: Picture = (255 * np.clip(light, 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8)
        return self._picture

    def _cast_walls(self, eye: Array, rays: Array) -> tuple[Array, Array]:
        """Linear light `(H, W, 3)` of the empty room, and floor coordinates `(2, H, W)` (else NaN)."""
        safe = np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
        reach = np.maximum(-eye[:, None] / safe, (self.room - eye)[:, None] / safe)
        axis = reach.argmin(axis=0)
        distance = np.minimum(np.minimum(reach[0], reach[1]), reach[2])
        point = eye[:, None] + distance * rays
        facing = _pick(np.abs(rays), axis)
        # What one pixel covers on the wall: checks finer than that are blurred instead of flickering.
        footprint = distance / (facing * np.float32(self.lens.focal)) + np.float32(0.004)
        # Both coordinates within the wall; the third one is constant there, and rounding would make it speckle.
        across, along = _pick(point, (axis + 1) % 3), _pick(point, (axis + 2) % 3)
        shade = 1 + np.float32(0.16) * _stripes(across, footprint) * _stripes(along, footprint)
        shade *= self._lamplight(point, axis) * _corners(point, self.room)
        shape = self.lens.height, self.lens.width
        light = self.colours[2 * axis + (_pick(rays, axis) > 0)] * shade[:, None]
        ground = np.where((axis == 2) & (rays[2] < 0), point[:2], np.float32(np.nan))
        return light.reshape(*shape, 3), ground.reshape(2, *shape)

    def _lamplight(self, point: Array, axis: NDArray[np.intp]) -> Array:
        towards = np.abs(self.lamp[:, None] - point)
        squared = _dot(towards, towards)
        incidence = _pick(towards, axis) / np.sqrt(squared + np.float32(0.05))
        return np.asarray(0.55 + 1.5 * incidence / (1 + squared / 3), dtype=np.float32)

    def _shadow(self, light: Array, thing: Thing) -> None:
        squared = (self._ground[0] - thing.position[0]) ** 2 + (self._ground[1] - thing.position[1]) ** 2
        near = squared < (3 * SHADOW) ** 2
        light[near] *= (1 - 0.6 * np.exp(-squared[near] / (2 * SHADOW**2)))[:, None]

    def _draw(self, light: Array, eye: Array, yaw: float, thing: Thing) -> None:
        parts = [part.at(thing.excitation) for part in look(thing.sound, thing.position[2])]
        origin = to_head(eye - thing.position, thing.facing).astype(np.float32)
        boxes = [_bounds(self.lens, part, origin, yaw - thing.facing) for part in parts]
        (top, left), (bottom, right) = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
        if bottom <= top or right <= left:
            return
        rays = turned(self.lens.rays((top, left, bottom, right), SUBSAMPLES), yaw - thing.facing)
        windows = [np.s_[b[0] - top : b[2] - top, b[1] - left : b[3] - left] for b in boxes]
        nearest, which = _cast_parts(parts, windows, origin, rays)
        hit = which >= 0
        lamp = to_head(self.lamp - thing.position, thing.facing).astype(np.float32)
        colour = np.zeros((*hit.shape, 3), dtype=np.float32)
        glow = 0.35 * thing.excitation
        colour[hit] = _shade(_surface(parts, which[hit], origin, nearest[hit] * rays[:, hit]), lamp, glow)
        share = np.asarray(hit.mean(axis=-1), dtype=np.float32)[..., None]
        patch = light[top:bottom, left:right]
        patch *= 1 - share
        patch += colour.mean(axis=2)


def _bounds(lens: Lens, part: Part, origin: Array, yaw: float) -> Box:
    """The part of the picture that holds a part of a thing."""
    radius = part.radius if part.half is None else float(np.linalg.norm(part.half))
    return lens.box(to_head(np.array([part.start, part.end]) - origin, yaw), radius)


def turned(rays: Array, yaw: float) -> Array:
    """Turn camera rays into the world that the camera stands in.

    Args:
        rays: `(3, ...)` in the camera's axes.
        yaw: how far the camera is turned to the left, radians.

    Returns:
        `(3, ...)` in the axes of the world.
    """
    cos, sin = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
    return np.stack([cos * rays[0] - sin * rays[1], cos * rays[1] + sin * rays[0], rays[2]])


def _pick(values: Array, axis: NDArray[np.intp]) -> Array:
    """`values[axis[n], n]`."""
    return np.asarray(np.where(axis == 0, values[0], np.where(axis == 1, values[1], values[2])))


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _stripes(coordinate: Array, footprint: Array) -> Array:
    """-1 and 1 in turns of `CHECK` metres, blurred over `footprint` metres."""
    turns = coordinate * np.float32(0.5 / CHECK)
    edge = (np.abs(turns - np.floor(turns) - np.float32(0.5)) - np.float32(0.25)) * np.float32(2 * CHECK)
    return np.asarray(np.clip(edge / footprint, -1, 1) * np.minimum(1, np.float32(CHECK) / footprint))


def _corners(point: Array, room: Array) -> Array:
    """Walls are darker where they meet: by the second smallest of the three gaps, the smallest being the wall's own."""
    x, y, z = np.minimum(point, room[:, None] - point)
    second = np.maximum(np.minimum(x, y), np.minimum(np.maximum(x, y), z))
    return np.asarray(1 - np.float32(0.45) * np.exp(-np.maximum(second, 0) / np.float32(0.12)))


def _cast_parts(
    parts: Sequence[Part], windows: Sequence[tuple[slice, slice]], origin: Array, rays: Array
) -> tuple[Array, NDArray[np.int8]]:
    """Distance to and index of the nearest part along each ray (-1 for none); a part is sought in its window only."""
    nearest = np.full(rays.shape[1:], np.inf, dtype=np.float32)
    which = np.full(rays.shape[1:], -1, dtype=np.int8)
    for index, (part, window) in enumerate(zip(parts, windows, strict=True)):
        distance = distances(part, origin, rays[:, *window].reshape(3, -1)).reshape(nearest[window].shape)
        closer = distance < nearest[window]
        nearest[window][closer] = distance[closer]
        which[window][closer] = index
    return nearest, which


class Surface(NamedTuple):
    """Points `(3, N)` that are seen, from the camera `reach` `(3, N)` away, with normals and colours `(N, 3)`."""

    points: Array
    reach: Array
    normals: Array
    colours: Array


def _surface(parts: Sequence[Part], which: NDArray[np.int8], origin: Array, reach: Array) -> Surface:
    """What is seen at `origin + reach` on the parts that `which` `(N,)` names."""
    points = origin[:, None] + reach
    outward = np.empty_like(points)
    for index in np.unique(which):
        of_part = which == index
        outward[:, of_part] = normals(parts[index], points[:, of_part])
    return Surface(points, reach, outward, np.array([part.colour for part in parts], dtype=np.float32)[which])


def _shade(seen: Surface, lamp: Array, glow: float) -> Array:
    """Linear light `(N, 3)` of a surface: some from everywhere, some from the lamp, a highlight, and its own glow."""
    towards = lamp[:, None] - seen.points
    towards /= np.sqrt(_dot(towards, towards))
    back = -seen.reach / np.sqrt(_dot(seen.reach, seen.reach))
    shine = np.float32(0.3) * np.clip(_dot(seen.normals, towards + back) / 2, 0, 1) ** 24
    lit = np.float32(0.45) * np.maximum(_dot(seen.normals, towards), 0)
    facing = np.float32(0.35) * np.abs(_dot(seen.normals, back))
    return np.asarray(seen.colours * (lit + facing + np.float32(0.25 + glow))[:, None] + shine[:, None])
