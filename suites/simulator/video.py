"""Pictures of a scene, ray by ray: the checked walls of the shoebox, a lamp, and the things that sound.

The camera is the listener's head: same place, same yaw, square picture, 90 degrees wide and high. Checks of 0.5 m
show motion and size; things swell at every onset of their sound, so that what is heard can be seen to happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from suites.simulator.hrtf import Array
from suites.simulator.looks import Part, look
from suites.simulator.raycast import Floats, intersect
from suites.simulator.rooms import to_head
from suites.simulator.scenes import HALF_VIEW, Scene, at_times

Picture = NDArray[np.uint8]

FPS = 25
CHECK = 0.5  # m
SWELL_TIME = 0.06  # s
SUBSAMPLES = 2  # per pixel and axis, where things are drawn
SHADOW = 0.28  # m
# Colours of the walls x = 0, x = X, y = 0, y = Y, of floor and ceiling; the walls are dealt out anew for each scene.
WALLS = ((0.55, 0.30, 0.25), (0.30, 0.42, 0.55), (0.38, 0.48, 0.30), (0.58, 0.50, 0.34))
FLOOR, CEILING = (0.34, 0.27, 0.22), (0.62, 0.62, 0.60)


@dataclass(frozen=True)
class Thing:
    """One source while one picture is taken: where it is, which way it faces, how excited it is (0 to 1)."""

    sound: str
    position: Floats
    facing: float
    excitation: float


def frames(scene: Scene, onsets: Sequence[Array], size: int) -> Iterator[Picture]:
    """The `(size, size, 3)` RGB pictures of a scene, 25 a second; `onsets` in seconds, one array a source."""
    times = np.arange(round(scene.duration * FPS)) / FPS
    eye = at_times(scene.listener, times).astype(np.float32)
    yaw = at_times(scene.yaw, times)[:, 0]
    paths = [at_times(source.path, times).astype(np.float32) for source in scene.sources]
    facing = [float(np.arctan2(*(eye[0] - path[0])[1::-1])) for path in paths]
    camera = Camera(scene, size)
    for index, time in enumerate(times):
        things = [
            Thing(source.sound, path[index], angle, excitation(onset, float(time)))
            for source, path, angle, onset in zip(scene.sources, paths, facing, onsets, strict=True)
        ]
        yield camera.take(eye[index], float(yaw[index]), things)


def excitation(onsets: Array, time: float) -> float:
    """How excited a thing is at a time: 1 at an onset, dying away with 60 ms."""
    since = time - onsets[onsets <= time]
    return float(np.exp(-since[-1] / SWELL_TIME)) if len(since) else 0.0


class Camera:
    """Takes pictures of one room; keeps the last view of the empty room, which a still camera sees again."""

    def __init__(self, scene: Scene, size: int):
        self.size = size
        self.room = np.asarray(scene.room.size, dtype=np.float32)
        walls = np.random.default_rng(scene.seed).permutation(np.asarray(WALLS))
        self.colours = np.concatenate([walls, [FLOOR, CEILING]]).astype(np.float32)
        self.lamp = (self.room * np.array([0.5, 0.5, 0.92])).astype(np.float32)
        self._rays = pixel_rays(size, 0, 0, size, size, 1)
        self._view: tuple[tuple[float, ...], Floats, Floats] | None = None

    def take(self, eye: Floats, yaw: float, things: Sequence[Thing]) -> Picture:
        """The `(size, size, 3)` picture from `eye` `(3,)`, looking along `yaw`."""
        light, ground = self._empty(eye, yaw)
        light = light.copy()
        for thing in things:
            self._shadow(light, ground, thing)
        for thing in sorted(things, key=lambda thing: -float(np.linalg.norm(thing.position - eye))):
            self._draw(light, eye, yaw, thing)
        # Linear light to the display's gamma.
        return np.asarray(255 * np.clip(light, 0, 1) ** (1 / 2.2) + 0.5, dtype=np.uint8)

    def _empty(self, eye: Floats, yaw: float) -> tuple[Floats, Floats]:
        """Linear light `(size, size, 3)` of the empty room, and `(size, size, 2)` where floor is seen (else NaN)."""
        pose = (*map(float, eye), yaw)
        if self._view is None or self._view[0] != pose:
            self._view = (pose, *self._cast_walls(eye, turned(self._rays, yaw)))
        return self._view[1], self._view[2]

    def _cast_walls(self, eye: Floats, rays: Floats) -> tuple[Floats, Floats]:
        safe = np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
        reach = np.maximum(-eye / safe, (self.room - eye) / safe)
        axis = reach.argmin(axis=1)
        row = np.arange(len(rays))
        distance = reach[row, axis]
        point = eye + distance[:, None] * rays
        facing = np.abs(rays[row, axis])
        light = self.colours[2 * axis + (rays[row, axis] > 0)]
        # What one pixel covers on the wall: checks finer than that are blurred instead of flickering.
        footprint = distance / (facing * (self.size / 2)) + 0.004
        across, along = (axis + 1) % 3, (axis + 2) % 3
        # Both coordinates within the wall; the third one is constant there, and rounding would make it speckle.
        checks = _stripes(point[row, across], footprint) * _stripes(point[row, along], footprint)
        shade = (1 + 0.16 * checks) * self._lamplight(point, row, axis) * _corners(point, self.room, across, along, row)
        ground = np.where(((axis == 2) & (rays[:, 2] < 0))[:, None], point[:, :2], np.float32(np.nan))
        return (light * shade[:, None]).reshape(self.size, self.size, 3), ground.reshape(self.size, self.size, 2)

    def _lamplight(self, point: Floats, row: NDArray[np.intp], axis: NDArray[np.intp]) -> Floats:
        towards = self.lamp - point
        squared = np.einsum("nk,nk->n", towards, towards)
        incidence = np.abs(towards[row, axis]) / np.sqrt(squared + 0.05)
        return np.asarray(0.55 + 1.5 * incidence / (1 + squared / 3.0), dtype=np.float32)

    def _shadow(self, light: Floats, ground: Floats, thing: Thing) -> None:
        squared = ((ground - thing.position[:2]) ** 2).sum(axis=-1)
        near = squared < (3 * SHADOW) ** 2
        light[near] *= (1 - 0.6 * np.exp(-squared[near] / (2 * SHADOW**2)))[:, None]

    def _draw(self, light: Floats, eye: Floats, yaw: float, thing: Thing) -> None:
        parts = [part.at(thing.excitation) for part in look(thing.sound, float(thing.position[2]))]
        box = self._bounds(parts, eye, yaw, thing)
        if box is None:
            return
        rays = turned(pixel_rays(self.size, *box, SUBSAMPLES), yaw - thing.facing)
        origin = to_head(eye - thing.position, thing.facing).astype(np.float32)
        lamp = to_head(self.lamp - thing.position, thing.facing).astype(np.float32)
        colour, covered = _shade(parts, origin, rays, lamp, thing.excitation)
        top, left, bottom, right = box
        shape = (bottom - top, right - left, SUBSAMPLES**2)
        share = covered.reshape(shape).mean(axis=-1)[..., None]
        patch = light[top:bottom, left:right]
        patch *= 1 - share
        patch += colour.reshape(*shape, 3).mean(axis=2)

    def _bounds(
        self, parts: Sequence[Part], eye: Floats, yaw: float, thing: Thing
    ) -> tuple[int, int, int, int] | None:
        """Rows and columns (top, left, bottom, right) that hold the thing; None when it is out of the picture."""
        points = np.array([corner for part in parts for corner in (part.start, part.end)])
        radii = np.array([part.radius or float(np.linalg.norm(part.half or ())) for part in parts for _ in range(2)])
        world = to_head(points, -thing.facing) + thing.position - eye
        x, y, z = to_head(world, yaw).T
        if np.all(x + radii < 0.05):
            return None
        near, far = np.maximum(x - radii, 0.05), np.maximum(x + radii, 0.1)
        focal = self.size / 2 / np.tan(HALF_VIEW)

        def span(centre: Array) -> tuple[int, int]:
            low = np.minimum((centre - radii) / near, (centre - radii) / far).min() * focal + self.size / 2
            high = np.maximum((centre + radii) / near, (centre + radii) / far).max() * focal + self.size / 2
            return int(np.clip(np.floor(low) - 1, 0, self.size)), int(np.clip(np.ceil(high) + 1, 0, self.size))

        (left, right), (top, bottom) = span(-y), span(-z)
        return (top, left, bottom, right) if right > left and bottom > top else None


def pixel_rays(size: int, top: int, left: int, bottom: int, right: int, samples: int) -> Floats:
    """Unit vectors `(N, 3)` of a part of the picture in camera axes, row by row, `samples`^2 in each pixel."""
    inner = (np.arange(samples) + 0.5) / samples
    focal = size / 2 / np.tan(HALF_VIEW)
    down = (np.arange(top, bottom)[:, None, None, None] + inner[:, None] - size / 2) / focal
    across = (np.arange(left, right)[None, :, None, None] + inner - size / 2) / focal
    down, across = np.broadcast_arrays(down, across)
    rays = np.stack([np.ones(down.size), -across.ravel(), -down.ravel()], axis=-1)
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True), dtype=np.float32)


def turned(rays: Floats, yaw: float) -> Floats:
    """Camera rays in the axes of a world that sees the camera turned by `yaw`."""
    return to_head(rays, -yaw).astype(np.float32)


def _stripes(coordinate: Floats, footprint: Floats) -> Floats:
    """-1 and 1 in turns of `CHECK` metres, blurred over `footprint` metres."""
    phase = coordinate / (2 * CHECK) % 1
    edge = (np.abs(phase - 0.5) - 0.25) * (2 * CHECK)
    return np.asarray(np.clip(edge / footprint, -1, 1) * np.minimum(1, CHECK / footprint), dtype=np.float32)


def _corners(
    point: Floats, room: Floats, across: NDArray[np.intp], along: NDArray[np.intp], row: NDArray[np.intp]
) -> Floats:
    """Walls are darker where they meet."""
    gap = np.minimum(point, room - point)
    nearest = np.minimum(gap[row, across], gap[row, along])
    return np.asarray(1 - 0.45 * np.exp(-np.maximum(nearest, 0) / 0.12), dtype=np.float32)


def _shade(
    parts: Sequence[Part], origin: Floats, rays: Floats, lamp: Floats, excited: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Linear light `(N, 3)` of a thing along rays in its own axes, black where it is missed, and where it is hit."""
    nearest = np.full(len(rays), np.inf, dtype=np.float32)
    colour = np.zeros((len(rays), 3), dtype=np.float32)
    normal = np.zeros((len(rays), 3), dtype=np.float32)
    for part in parts:
        hit = intersect(part, origin, rays)
        closer = hit.distance < nearest
        nearest[closer] = hit.distance[closer]
        normal[closer] = hit.normal[closer]
        colour[closer] = part.colour
    covered = np.isfinite(nearest)
    towards = lamp - (origin + np.where(covered, nearest, 0)[:, None] * rays)
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    lit = np.maximum(np.einsum("nk,nk->n", normal, towards), 0)
    front = np.abs(np.einsum("nk,nk->n", normal, rays))
    shine = 0.3 * np.maximum(np.einsum("nk,nk->n", normal, towards - rays) / 2, 0) ** 24
    brightness = 0.25 + 0.45 * lit + 0.35 * front + 0.35 * excited
    return np.where(covered[:, None], colour * brightness[:, None] + shine[:, None], np.float32(0)), covered
