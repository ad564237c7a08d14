"""How scenes to learn from are filmed: what real pictures have and ray-traced rooms have not.

The evaluation shows clean rooms. A model that has seen nothing else takes a dark picture, a busy wall or a shaking
hand for something it knows. So each scene to learn from is filmed in a way of its own, which follows from its seed:
exposure and tint, a wall paper with the spectrum of natural pictures, lamps that flicker, a hand that shakes, things
that pass by without a sound, posts in front, a noisy sensor, a coarse encoder. And some of them are silent: nothing is
struck in them, or the picture is a still, or shows nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from visaudio_bench.suites.simulator.hrtf import Array
from visaudio_bench.suites.simulator.lenses import PerspectiveLens
from visaudio_bench.suites.simulator.scenes import Scene, at_times
from visaudio_bench.suites.simulator.video import FPS, Picture, frames

SILENT = 0.14  # of the scenes
_PAPER = 256  # pixels of the wall paper, which repeats


@dataclass(frozen=True)
class Filming:
    """One way to film.

    Attributes:
        silent: nothing is struck; `still`: the first picture is held; `blank`: the picture is one colour.
        exposure: of all colours `(3,)`, tint included. lift: what is added to them. gamma: of the display.
        paper: contrast of the wall paper. flicker: of the lamps.
        shake: of the hand, pixels. passers: things that pass by. posts: things that stand in front.
        noise: of the sensor, of 255. crf: of the encoder.
    """

    silent: bool = False
    still: bool = False
    blank: bool = False
    exposure: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lift: float = 0.0
    gamma: float = 1.0
    paper: float = 0.0
    flicker: float = 0.0
    shake: float = 0.0
    passers: int = 0
    posts: int = 0
    noise: float = 0.0
    crf: int = 23


def filming_of(scene: Scene, silent: float = SILENT) -> Filming:
    """The way in which a scene is filmed, which its seed decides.

    One scene in four is filmed cleanly; each trouble comes in about one of three of the others.

    Args:
        scene: what is filmed.
        silent: share of the scenes in which nothing sounds. Who is among the few is also among the many.

    Returns:
        How it is filmed.
    """
    rng = np.random.default_rng([scene.seed, 11])
    nothing = bool(rng.random() < silent)
    kind = rng.random()
    clean = rng.random() < 0.25
    exposure = np.exp(rng.normal(-0.1, 0.35)) * np.exp(rng.normal(0.0, 0.12, 3))
    drawn = Filming(
        silent=nothing,
        still=nothing and kind < 0.35,
        blank=nothing and kind > 0.8,
        exposure=(float(exposure[0]), float(exposure[1]), float(exposure[2])),
        lift=_sometimes(rng, 0.15),
        gamma=float(np.exp(rng.normal(0.0, 0.2))),
        paper=_sometimes(rng, 0.6, share=0.5),
        flicker=_sometimes(rng, 0.12, share=0.2),
        shake=_sometimes(rng, 1.5),
        passers=int(rng.integers(1, 4)) if rng.random() < 0.35 else 0,
        posts=int(rng.integers(1, 3)) if rng.random() < 0.25 else 0,
        noise=_sometimes(rng, 7.0, share=0.4),
        crf=int(rng.integers(18, 36)),
    )
    return Filming(silent=nothing, still=drawn.still, blank=drawn.blank) if clean else drawn


def _sometimes(rng: np.random.Generator, most: float, share: float = 0.35) -> float:
    amount, chosen = float(rng.uniform(0.0, most)), rng.random() < share
    return amount if chosen else 0.0


def filmed(scene: Scene, onsets: Sequence[Array], size: int, how: Filming) -> Iterator[Picture]:
    """The pictures of a scene.

    Args:
        scene: what is shown.
        onsets: when the events of each source begin, seconds; of a silent scene they are not shown.
        size: of the pictures, pixels each way.
        how: it is filmed.

    Returns:
        An iterator over `(size, size, 3)` uint8 RGB pictures, 25 a second.
    """
    rng = np.random.default_rng([scene.seed, 12])
    count = round(scene.duration * FPS)
    shown = [np.zeros(0) for _ in onsets] if how.silent else onsets
    turned = at_times(scene.yaw, np.arange(count) / FPS)[:, 0]
    paper = _pink(rng, _PAPER)
    passers = [_passer(rng, size, count) for _ in range(how.passers)]
    posts = _posts(rng, size, how.posts)
    hand = _wobble(rng, count, 2) * how.shake
    lamps = 1 + how.flicker * _wobble(rng, count, 1)[:, 0]
    flat = np.full((size, size, 3), rng.choice([0.0, 0.0, 90.0, 128.0, 255.0]), np.float32)
    held: Array | None = None
    for index, picture in enumerate(frames(scene, shown, PerspectiveLens(size))):
        light = flat if how.blank else picture.astype(np.float32)
        if how.paper and not how.blank:
            # the wall paper turns with the room
            across = round(float(turned[index]) * size / 2)
            light = light * (1 + how.paper * np.roll(paper, across, axis=1)[:size, :size, None])
        if not how.blank:
            light = _with_passers(light, passers, index)
            if how.posts:
                light = np.where(posts[..., :1] >= 0, posts, light)
        if held is not None and how.still:
            light = held
        elif how.still:
            held = light
        else:
            light = _moved(light, hand[index]) if how.shake else light
        yield _developed(light, how, float(1.0 if how.still else lamps[index]), rng)


def _developed(light: Array, how: Filming, lamp: float, rng: np.random.Generator) -> Picture:
    levels = np.linspace(0, 1, 256) ** how.gamma  # of the display
    gain = np.asarray(how.exposure) * lamp
    table = (255 * (levels[:, None] * gain + how.lift)).astype(np.float32)
    exposed = table[np.clip(light, 0, 255).astype(np.uint8), [0, 1, 2]]
    if how.noise:
        exposed = exposed + np.float32(how.noise) * rng.standard_normal(light.shape, dtype=np.float32)
    return np.asarray(np.clip(exposed + 0.5, 0, 255), dtype=np.uint8)


def _pink(rng: np.random.Generator, size: int) -> Array:
    """A picture `(size, size)` whose spectrum falls with frequency as that of natural ones does, of deviation 0.5."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / np.maximum(frequency, 2 / size)
    spectrum[0, 0] = 0
    made = np.fft.irfft2(spectrum, s=(size, size))
    return np.asarray(np.clip(0.5 * made / made.std(), -0.95, 1.5), dtype=np.float32)


def _wobble(rng: np.random.Generator, count: int, columns: int) -> Array:
    """Noise `(count, columns)` below about 4 Hz, of deviation 1."""
    from scipy import ndimage  # a third of a second, which a list of suites does not wait for

    smooth = ndimage.gaussian_filter1d(rng.standard_normal((count + 20, columns)), 1.6, axis=0)[10 : count + 10]
    return np.asarray(smooth / max(float(smooth.std()), 1e-9))


def _moved(light: Array, offset: Array) -> Array:
    # between two pixels each way, as a hand that shakes is not bound to them
    for axis in (0, 1):
        whole = int(np.floor(offset[axis]))
        rest = np.float32(offset[axis] - whole)
        near = np.roll(light, whole, axis=axis)
        light = (1 - rest) * near + rest * np.roll(near, 1, axis=axis)
    return light


@dataclass(frozen=True)
class Passer:
    """An ellipse that goes its way without a sound: colour, half-sizes in pixels, and its centres `(N, 2)`."""

    colour: Array
    half: tuple[float, float]
    centres: Array


def _passer(rng: np.random.Generator, size: int, count: int) -> Passer:
    first, last = rng.uniform(-0.1, 1.1, (2, 2)) * size
    along = np.linspace(0, 1, count)[:, None]
    half = (float(rng.uniform(0.04, 0.2) * size), float(rng.uniform(0.03, 0.12) * size))
    return Passer(rng.uniform(0, 255, 3), half, first + along * (last - first))


def _with_passers(light: Array, passers: Sequence[Passer], index: int) -> Array:
    down, across = np.ogrid[: light.shape[0], : light.shape[1]]
    for passer in passers:
        centre = passer.centres[index]
        inside = ((down - centre[0]) / passer.half[0]) ** 2 + ((across - centre[1]) / passer.half[1]) ** 2 < 1
        light = np.where(inside[..., None], passer.colour, light)
    return light


def _posts(rng: np.random.Generator, size: int, count: int) -> Array:
    """Upright bars `(size, size, 3)`; -1 where there is none. They are narrow: what sounds stays in sight."""
    made = np.full((size, size, 3), -1.0)
    for _ in range(count):
        left, width = int(rng.integers(0, size)), int(rng.integers(2, 1 + size // 16))
        made[:, left : left + width] = rng.uniform(0, 255, 3)
    return made
