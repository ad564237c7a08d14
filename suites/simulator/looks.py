"""What sounding things look like: a few spheres, boxes and capsules for every class of sound.

Local axes: x towards the listener's first place, y to the left as seen from the thing, z up; the origin is where the
sound comes from. Colours are linear RGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Vector = tuple[float, float, float]

WOOD, DARK, GOLD, STEEL = (0.60, 0.30, 0.10), (0.06, 0.05, 0.05), (0.95, 0.70, 0.15), (0.62, 0.66, 0.72)
RED, WHITE, BLUE, YELLOW = (0.80, 0.08, 0.08), (0.90, 0.88, 0.82), (0.10, 0.40, 0.95), (0.98, 0.80, 0.10)
ORANGE, GREEN, SKIN, STONE = (0.95, 0.40, 0.05), (0.10, 0.50, 0.25), (0.85, 0.58, 0.42), (0.45, 0.44, 0.42)


@dataclass(frozen=True)
class Part:
    """A capsule of `radius` from `start` to `end` (a sphere when they agree), or a box with half-sizes `half`.

    At an onset a part swells by the fraction `swell` and is displaced by `leap` (m); both die away.
    """

    colour: Vector
    start: Vector
    end: Vector
    radius: float = 0.0
    half: Vector | None = None
    swell: float = 0.0
    leap: Vector = (0.0, 0.0, 0.0)

    def at(self, excitation: float) -> Part:
        """The part while the thing is excited from 0 (silent) to 1 (just struck)."""
        grown = 1 + self.swell * excitation
        return replace(
            self,
            start=_displaced(self.start, self.leap, excitation),
            end=_displaced(self.end, self.leap, excitation),
            radius=self.radius * grown,
            half=None if self.half is None else (self.half[0] * grown, self.half[1] * grown, self.half[2] * grown),
        )


def _displaced(point: Vector, leap: Vector, amount: float) -> Vector:
    return (point[0] + leap[0] * amount, point[1] + leap[1] * amount, point[2] + leap[2] * amount)


def _ball(colour: Vector, centre: Vector, radius: float, *, swell: float = 0.0, leap: Vector = (0, 0, 0)) -> Part:
    return Part(colour, centre, centre, radius, swell=swell, leap=leap)


def _rod(
    colour: Vector, start: Vector, end: Vector, radius: float, *, swell: float = 0.0, leap: Vector = (0, 0, 0)
) -> Part:
    return Part(colour, start, end, radius, swell=swell, leap=leap)


def _box(colour: Vector, centre: Vector, half: Vector, *, swell: float = 0.0) -> Part:
    return Part(colour, centre, centre, half=half, swell=swell)


def _stand(height: float) -> tuple[Part, ...]:
    return (
        _rod(DARK, (0, 0, -0.05), (0, 0, -height), 0.022),
        _rod(DARK, (0, -0.2, -height + 0.02), (0, 0.2, -height + 0.02), 0.03),
    )


def _string(height: float) -> tuple[Part, ...]:
    return (
        *_stand(height),
        _ball(WOOD, (0, 0, -0.10), 0.19, swell=0.3),
        _ball(WOOD, (0, 0, 0.12), 0.14, swell=0.3),
        _ball(DARK, (0.15, 0, -0.02), 0.075, swell=0.5, leap=(0.03, 0, 0)),
        _rod(DARK, (0.06, 0, 0.2), (0.06, 0, 0.62), 0.03),
        _box(WOOD, (0.06, 0, 0.68), (0.03, 0.05, 0.08)),
    )


def _bell(height: float) -> tuple[Part, ...]:
    tubes = tuple(
        _rod(GOLD, (0, y, 0.18), (0, y, low), 0.035, swell=0.5, leap=(0, 0.05, 0))
        for y, low in ((-0.21, -0.30), (-0.07, -0.22), (0.07, -0.14), (0.21, -0.06))
    )
    frame = (
        _rod(DARK, (-0.1, 0, 0.28), (-0.1, 0, -height), 0.022),
        _rod(STEEL, (0, -0.3, 0.26), (0, 0.3, 0.26), 0.03),
    )
    return frame + tubes


def _drum(height: float) -> tuple[Part, ...]:
    return (
        *_stand(height),
        _rod(RED, (0, 0, -0.10), (0, 0, 0.02), 0.22, swell=0.12),
        _rod(WHITE, (0, 0, 0.05), (0, 0, 0.10), 0.19, swell=0.3),
        _rod(WOOD, (0.1, 0.30, 0.55), (0.05, 0.06, 0.36), 0.02, leap=(0, 0, -0.1)),
        _rod(WOOD, (0.1, -0.30, 0.55), (0.05, -0.06, 0.36), 0.02, leap=(0, 0, -0.1)),
    )


def _engine(height: float) -> tuple[Part, ...]:
    return (
        _box(STONE, (0, 0, -height / 2 - 0.1), (0.18, 0.22, height / 2 - 0.1)),
        _box(GREEN, (0, 0, 0.02), (0.20, 0.30, 0.17), swell=0.15),
        _rod(STEEL, (0, 0.2, 0.15), (0, 0.2, 0.5), 0.045, swell=0.4),
        _rod(STEEL, (0, -0.2, 0.15), (0, -0.2, 0.5), 0.045, swell=0.4),
        _ball(DARK, (0.2, 0, 0.02), 0.11, swell=0.5),
    )


def _water(height: float) -> tuple[Part, ...]:
    drops = tuple(
        _ball(BLUE, (x, y, z), radius, swell=0.4, leap=(1.2 * x, 1.2 * y, lift))
        for x, y, z, radius, lift in (
            (0.0, 0.0, 0.10, 0.11, 0.38),
            (0.1, 0.12, 0.02, 0.08, 0.26),
            (0.1, -0.12, 0.02, 0.08, 0.26),
            (-0.1, 0.06, 0.02, 0.07, 0.30),
            (-0.1, -0.06, 0.02, 0.07, 0.30),
        )
    )
    bowl = (
        _box(STONE, (0, 0, -height / 2 - 0.1), (0.1, 0.1, height / 2 - 0.1)),
        _rod(STONE, (0, -0.16, -0.12), (0, 0.16, -0.12), 0.13),
    )
    return bowl + drops


def _bird(height: float) -> tuple[Part, ...]:
    return (
        _rod(WOOD, (0, 0, -0.14), (0, 0, -height), 0.025),
        _ball(YELLOW, (0, 0, 0), 0.13, swell=0.3),
        _ball(YELLOW, (0.06, 0, 0.16), 0.085, swell=0.3),
        _rod(ORANGE, (0.12, 0, 0.16), (0.2, 0, 0.15), 0.025, swell=1.0),
        _ball(DARK, (0.12, 0.045, 0.19), 0.018),
        _ball(DARK, (0.12, -0.045, 0.19), 0.018),
        _rod(ORANGE, (0, 0.11, 0.05), (-0.05, 0.20, -0.03), 0.04, leap=(0, 0.05, 0.12)),
        _rod(ORANGE, (0, -0.11, 0.05), (-0.05, -0.20, -0.03), 0.04, leap=(0, -0.05, 0.12)),
    )


def _footsteps(height: float) -> tuple[Part, ...]:
    return (
        _rod(DARK, (0.14, 0.1, -height + 0.05), (-0.04, 0.1, -height + 0.05), 0.055, swell=0.7),
        _rod(DARK, (0.14, -0.1, -height + 0.05), (-0.04, -0.1, -height + 0.05), 0.055, swell=0.7),
        _rod(BLUE, (0, 0.1, 0), (0, 0.08, 0.75), 0.075, leap=(0.08, 0, 0)),
        _rod(BLUE, (0, -0.1, 0), (0, -0.08, 0.75), 0.075, leap=(-0.08, 0, 0)),
        _rod(ORANGE, (0, 0, 0.82), (0, 0, 1.18), 0.17, leap=(0, 0, -0.04)),
        _rod(ORANGE, (0, 0.2, 1.2), (0, 0.25, 0.8), 0.05, leap=(0.1, 0, 0)),
        _rod(ORANGE, (0, -0.2, 1.2), (0, -0.25, 0.8), 0.05, leap=(-0.1, 0, 0)),
        _ball(SKIN, (0, 0, 1.48), 0.12, leap=(0, 0, -0.04)),
    )


_LOOKS = {
    "string": _string,
    "bell": _bell,
    "drum": _drum,
    "engine": _engine,
    "water": _water,
    "bird": _bird,
    "footsteps": _footsteps,
}


def look(sound: str, height: float) -> tuple[Part, ...]:
    """Build what makes a sound.

    Args:
        sound: a key of `sounds.RECIPES`.
        height: of its origin above the floor, metres.

    Returns:
        Its parts.
    """
    return _LOOKS[sound](height)
