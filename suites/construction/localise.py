"""Where the loudest sound of an ambisonic recording comes from."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from visaudio_bench.suites.ambisonics import harmonics
from visaudio_bench.suites.simulator.hrtf import Array, Samples

STEP = 2.0  # degrees


class Loudest(NamedTuple):
    """The direction of most energy, in radians, and how much it stands out.

    `contrast` is the energy there over its mean on the sphere: 3 for a single plane wave, 1 for a diffuse field.
    """

    azimuth: float
    elevation: float
    contrast: float


class Grid(NamedTuple):
    """Directions `(D,)` in radians, their harmonics `(4, D)`, and the part of the sphere that each stands for."""

    azimuth: Array
    elevation: Array
    harmonics: Array
    area: Array


@cache
def grid() -> Grid:
    """Every 2 degrees: azimuth -180 to 178, elevation -90 to 90, azimuth the slower one; each pole only once."""
    azimuth, elevation = np.meshgrid(np.arange(-180.0, 180.0, STEP), np.arange(-90.0, 90.0 + STEP, STEP), indexing="ij")
    once = (np.abs(elevation) < 90) | (azimuth == 0)
    around, up = np.deg2rad(azimuth[once]), np.deg2rad(elevation[once])
    half = np.deg2rad(STEP / 2)
    rings = 2 * np.pi * (np.sin(np.minimum(up + half, np.pi / 2)) - np.sin(np.maximum(up - half, -np.pi / 2)))
    area = rings / np.where(np.abs(elevation[once]) < 90, 360 / STEP, 1)
    return Grid(around, up, harmonics(around, up), area / (4 * np.pi))


def energy_map(foa: Samples) -> Array:
    """Energy `(D,)` of a field `(4, N)` in the directions of `grid`: the mean square of its sum of harmonics.

    Source: Eqs. 11-19. The square of the sum is y' C y with C the covariance of the four channels: one pass over the
    samples, however many directions.
    """
    field = foa.astype(np.float64)
    covariance = field @ field.T / max(foa.shape[1], 1)
    y = grid().harmonics
    return np.asarray(np.sum(y * (covariance @ y), axis=0))


def loudest(foa: Samples) -> Loudest:
    """The direction of the greatest energy on the 2-degree grid (Eq. 20), the first one where several are equal."""
    energy, directions = energy_map(foa), grid()
    peak = int(np.argmax(energy))
    mean = float(energy @ directions.area)
    contrast = float(energy[peak]) / mean if mean > 0 else 1.0
    return Loudest(float(directions.azimuth[peak]), float(directions.elevation[peak]), contrast)
