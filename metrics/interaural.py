"""Interaural cues: what a pair of ears could tell about direction, segment by segment, without any network.

The front end (version BCF-1) turns a binaural clip into segments of 1.0 s every 0.25 s. In each it measures

- **ILD**, interaural level difference in dB, positive when the LEFT ear is louder, over the ERB bands above 1.5 kHz;
- **ITD**, interaural time difference in µs, positive when the LEFT ear leads, by GCC-PHAT between 0.1 and 1.5 kHz;
- **IACC**, interaural cross-correlation in [0, 1] between 0.1 and 8 kHz: 1 is a point source, 0 is diffuse;
- **lateralisation** Λ in [-1, 1], positive LEFT, close to the sine of the azimuth up to about 60 degrees.

The split at 1.5 kHz is the duplex theory of hearing (Rayleigh 1907): time below, level above. Room modes turn the
level around below it, and the phase is ambiguous above it. Everything ends at 8 kHz, so that systems that work at
16 kHz can be compared with the others. Λ is a common ruler for two files, not a localiser: front, back and height are
not measured.

Conventions: audio is (2, T) floating point, left first, at 44.1 kHz; mono is an error and is never duplicated here. No
gain normalisation is needed: all cues are ratios, and the gate is relative to the loudest segment. Cues have no better
or worse by themselves; their distance from the cues of a reference has.

Numerics: one short-time spectrum (2048-point periodic Hann, hop 10 ms, not centred). The CROSS-spectrum is averaged
over the 100 frames of a segment before the phase transform, which is what makes ITD robust in reverberation. float32
agrees with float64 within 4e-6 dB, 0.01 µs and 1e-5 in Λ. An identical-channel clip gives exactly (0, 0, 1);
anti-phase channels have IACC 1 and an arbitrary ITD (`Cues.side_mid` then tells); one silent channel gives an ILD of
±30 dB and no ITD; a pure delay of 12 samples lowers IACC to 0.9995 because the window tapers. Decorrelated channels get
a random ITD, which is not gated away.

Sources: Rayleigh 1907 (duplex theory); Glasberg and Moore 1990 (ERB numbers); Knapp and Carter 1976 (GCC-PHAT); ISO
3382-1, annex B (IACC). Their combination and its constants are this project's.

Functions: `interaural_cues`, `levels_alone`, `erb_edges`. What is computed from cues: `metrics.interaural_scores` (one
clip) and `metrics.interaural_sets` (sets of clips).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from visaudio_bench.conventions import BAND_HIGH, SAMPLE_RATE
from visaudio_bench.errors import ClipError

FFT_SIZE = 2048
HOP = 441
SEGMENT_FRAMES = 100
SEGMENT_HOP = 25
MINIMUM_SAMPLES = HOP * (SEGMENT_FRAMES - 1) + FFT_SIZE

BANDS = 27
BAND_LOW = 200.0
ILD_LOW = 1500.0
ITD_LOW, ITD_HIGH = 100.0, 1500.0
MAXIMUM_LAG = 1e-3
LAGS_PER_SAMPLE = 4
BLOCKS_AT_ONCE = 8

ILD_LIMIT_DB = 30.0
ILD_FULL_SIDE_DB = 15.0
ITD_FULL_SIDE_US = 700.0
POWER_FLOOR = 1e-12
BAND_WEIGHT_EXPONENT = 0.3
BAND_FLOOR = 1e-5
BIN_FLOOR = 1e-4
GATE = 1e-2
GATE_FLOOR = 1e-8
ILD_SHARE, ILD_FLOOR = 1e-4, 1e-12
ITD_SHARE, ITD_FLOOR, ITD_BINS = 1e-2, 1e-10, 8

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


class Cues(NamedTuple):
    """The interaural cues of one clip; arrays have one entry a segment (K,), K = 28 for 8 s.

    Attributes:
        ild: level difference in dB, [-30, 30], positive left.
        itd: time difference in µs, [-1000, 1000], positive left, 0 where `itd_ok` is false.
        iacc: cross-correlation, [0, 1].
        lateralisation: Λ, [-1, 1], positive left, 0 where neither cue is valid.
        energy: mean square of both channels added, between 0.2 and 8 kHz, full scale = 1.
        active: whether the segment is less than 20 dB below the loudest one of its clip, and above -80 dB.
        ild_ok: whether the segment has enough energy above 1.5 kHz for a level difference.
        itd_ok: whether the segment has enough energy between 0.1 and 1.5 kHz for a time difference.
        ild_bands: (K, 27) level difference in dB in each ERB band.
        side_mid: ratio of side to mid energy of the whole clip in dB, (l-r)/2 over (l+r)/2, a scalar array ().
    """

    ild: Floats
    itd: Floats
    iacc: Floats
    lateralisation: Floats
    energy: Floats
    active: Booleans
    ild_ok: Booleans
    itd_ok: Booleans
    ild_bands: Floats
    side_mid: Floats


def levels_alone(cues: Cues) -> Cues:
    """Leave time differences out, for sound in which there can be none: of a coincident pair of microphones.

    Args:
        cues: of any sound.

    Returns:
        The same cues with no valid time difference, so that Λ is of the level alone.

    Example:
        Four times as loud on the left and at the same time in both ears, whose Λ would else be halved:

        >>> noise = 0.1 * np.random.default_rng(0).standard_normal(2 * 44100)
        >>> cues = interaural_cues(np.stack([noise, noise / 4]))
        >>> [round(float(one.lateralisation[0]), 2) for one in (cues, levels_alone(cues))]
        [0.4, 0.8]
    """
    level = np.where(cues.ild_ok, np.clip(cues.ild / ILD_FULL_SIDE_DB, -1, 1), 0)
    return cues._replace(itd=np.zeros_like(cues.itd), itd_ok=np.zeros_like(cues.itd_ok), lateralisation=level)


class _Plan(NamedTuple):
    """What depends on the constants only, on one device."""

    window: Tensor  # (2048,) Hann, scaled so that power spectra sum to the mean square
    bands: Tensor  # (bins, 27) membership
    high: slice  # bands that ILD is taken from
    correlation: Tensor  # (2, bins_100_8000, lags) cosines and sines
    lags: Tensor  # (lags,) µs
    wide: slice  # bins of 100 Hz <= f < 8 kHz
    low: slice  # bins of 100 Hz <= f < 1.5 kHz


def erb_edges() -> Floats:
    """Compute the edges of the 27 bands that are uniform in ERB number (Glasberg and Moore 1990).

    Returns:
        The edges in Hz, (28,), from 200 to 8000.

    Example:
        >>> [round(float(edge)) for edge in erb_edges()[[0, 27]]]
        [200, 8000]
    """
    number = 21.4 * np.log10(1 + 0.00437 * np.array([BAND_LOW, BAND_HIGH]))
    edges: Floats = (10 ** (np.linspace(number[0], number[1], BANDS + 1) / 21.4) - 1) / 0.00437
    return edges


def interaural_cues(audio: npt.NDArray[np.floating] | Tensor, sample_rate: int = SAMPLE_RATE) -> Cues:
    """Measure the interaural cues of a binaural clip.

    Args:
        audio: (2, T) floating point, left first, T >= 45 707 (1.04 s). A tensor is worked on where it lies.
        sample_rate: Hz; must be 44 100.

    Returns:
        Cues in float64 and bool on the host, computed in float32.

    Raises:
        ClipError: reason `wrong_rate`, `not_two_channel`, `not_float`, `short` or `not_finite`.

    Example:
        Noise that reaches the right ear 12 samples later (272 µs) and 6 dB softer:

        >>> left = 0.1 * np.random.default_rng(0).standard_normal(2 * 44100)
        >>> cues = interaural_cues(np.stack([left, 0.5 * np.roll(left, 12)]))
        >>> round(float(cues.ild.mean()), 1), round(float(cues.itd.mean()))
        (6.0, 272)
    """
    signal = _validated(audio, sample_rate)
    plan = _plan(signal.device)
    left, right, cross = _segment_spectra(signal, plan.window)
    ild_bands, band_energy = _band_levels(left, right, plan.bands)
    ild, ild_ok = _level_difference(ild_bands, band_energy, plan.high)
    itd, itd_ok = _time_difference(left + right, cross, plan)
    iacc = _coherence(left, right, cross, plan)
    energy = band_energy.sum(-1)
    active = (energy > GATE * energy.max()) & (energy > GATE_FLOOR)
    lateralisation = _lateralisation(ild, itd, ild_ok, itd_ok)
    side_mid = _side_mid(signal)
    columns = torch.column_stack((ild, itd, iacc, lateralisation, energy, active, ild_ok, itd_ok, ild_bands))
    return _on_host(columns, side_mid)


def _on_host(columns: Tensor, side_mid: float) -> Cues:
    """Fetch all columns in one transfer, whatever the device, and look for NaN, which spreads to here."""
    host = columns.cpu().numpy().astype(np.float64)
    if not (math.isfinite(side_mid) and np.isfinite(host).all()):
        raise ClipError("not_finite", "the audio holds NaN or infinite samples; expected finite samples around [-1, 1]")
    ild, itd, iacc, lateralisation, energy = host[:, :5].T
    active, ild_ok, itd_ok = host[:, 5:8].astype(bool).T
    return Cues(
        ild, itd, iacc, lateralisation, energy, active, ild_ok, itd_ok, host[:, 8:], np.asarray(side_mid, np.float64)
    )


def _validated(audio: npt.NDArray[np.floating] | Tensor, sample_rate: int) -> Tensor:
    if sample_rate != SAMPLE_RATE:
        raise ClipError("wrong_rate", f"got audio at {sample_rate} Hz, expected {SAMPLE_RATE} Hz: resample it first")
    if audio.ndim != 2 or audio.shape[0] != 2:
        shape = tuple(audio.shape)
        swapped = " It looks like (samples, channels): transpose it." if audio.ndim == 2 and shape[1] == 2 else ""
        raise ClipError("not_two_channel", f"got audio of shape {shape}, expected (2, samples), left first.{swapped}")
    tensor = torch.as_tensor(audio)
    if not tensor.is_floating_point():
        raise ClipError("not_float", f"got {tensor.dtype} samples, expected floating point: divide int16 by 32768")
    if tensor.shape[1] < MINIMUM_SAMPLES:
        raise ClipError(
            "short",
            f"got {tensor.shape[1]} samples ({tensor.shape[1] / SAMPLE_RATE:.2f} s), expected at least "
            f"{MINIMUM_SAMPLES} ({MINIMUM_SAMPLES / SAMPLE_RATE:.2f} s): cues are measured in segments of one second",
        )
    return tensor.detach().to(torch.float32)


@lru_cache(maxsize=8)
def _plan(device: torch.device) -> _Plan:
    window = np.hanning(FFT_SIZE + 1)[:-1]
    window *= math.sqrt(2 / (FFT_SIZE * np.sum(window**2)))
    edges = erb_edges()
    frequency = np.arange(math.ceil(BAND_HIGH / SAMPLE_RATE * FFT_SIZE)) * SAMPLE_RATE / FFT_SIZE
    bands = (edges[:-1] <= frequency[:, None]) & (frequency[:, None] < edges[1:])
    first, above_low = np.searchsorted(frequency, [ITD_LOW, ITD_HIGH])
    reach = int(MAXIMUM_LAG * SAMPLE_RATE * LAGS_PER_SAMPLE)
    lags = np.arange(-reach, reach + 1) / (LAGS_PER_SAMPLE * SAMPLE_RATE)
    phase = 2 * np.pi * frequency[first:, None] * lags

    def tensor(array: npt.NDArray[np.floating] | Booleans) -> Tensor:
        return torch.as_tensor(array.astype(np.float32), device=device)

    return _Plan(
        window=tensor(window),
        bands=tensor(bands),
        high=slice(int(np.searchsorted(edges, ILD_LOW)), BANDS),
        correlation=tensor(np.stack([np.cos(phase), np.sin(phase)])),
        lags=tensor(lags * 1e6),
        wide=slice(int(first), len(frequency)),
        low=slice(int(first), int(above_low)),
    )


def _segment_spectra(signal: Tensor, window: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the power of left and right (K, bins) and L·conj(R), (2, K, bins) real and imaginary.

    A segment is four neighbouring blocks of 25 frames, so that every block is summed once instead of four times. A few
    blocks at a time stay in the processor's cache, which halves the time.
    """
    per_segment = SEGMENT_FRAMES // SEGMENT_HOP
    frames = (signal.shape[1] - FFT_SIZE) // HOP + 1
    blocks = (frames - SEGMENT_FRAMES) // SEGMENT_HOP + per_segment
    framed = signal.unfold(-1, FFT_SIZE, HOP)[:, : blocks * SEGMENT_HOP]
    sums = [_block_sums(part * window) for part in torch.split(framed, BLOCKS_AT_ONCE * SEGMENT_HOP, 1)]
    segments = torch.cat(sums, dim=1).unfold(1, per_segment, 1).sum(-1) / SEGMENT_FRAMES
    return segments[0], segments[1], segments[2:]


def _block_sums(frames: Tensor) -> Tensor:
    """Sum L², R² and L·conj(R) in parts, (4, blocks, bins), over 25 windowed frames of (2, 25·blocks, 2048) each."""
    bins = math.ceil(BAND_HIGH / SAMPLE_RATE * FFT_SIZE)
    spectrum = torch.view_as_real(torch.fft.rfft(frames)[..., :bins])
    l_re, l_im, r_re, r_im = (spectrum[channel, ..., part] for channel in (0, 1) for part in (0, 1))
    products = torch.stack((l_re**2 + l_im**2, r_re**2 + r_im**2, l_re * r_re + l_im * r_im, l_im * r_re - l_re * r_im))
    return products.view(4, -1, SEGMENT_HOP, bins).sum(2)


def _band_levels(left: Tensor, right: Tensor, bands: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the ILD in dB and the energy of both channels in every ERB band, (K, 27) each."""
    in_left, in_right = left @ bands, right @ bands
    level = 10 * torch.log10((in_left + POWER_FLOOR) / (in_right + POWER_FLOOR))
    return level.clamp(-ILD_LIMIT_DB, ILD_LIMIT_DB), in_left + in_right


def _level_difference(ild_bands: Tensor, energy: Tensor, high: slice) -> tuple[Tensor, Tensor]:
    """Average the ILD in dB over the high bands, weighted by energy to the power 0.3; return its validity too, (K,).

    The small exponent keeps one loud band (a room mode, a tone) from deciding alone.
    """
    ild, inside, total = ild_bands[:, high], energy[:, high], energy.sum(-1)
    loud = inside > BAND_FLOOR * inside.amax(-1, keepdim=True)
    weight = torch.where(loud, (inside / total.clamp_min(torch.finfo(total.dtype).tiny)[:, None]), 0)
    weight = weight**BAND_WEIGHT_EXPONENT
    mean = (weight * ild).sum(-1) / weight.sum(-1).clamp_min(torch.finfo(total.dtype).tiny)
    high_energy = inside.sum(-1)
    return mean.clamp(-ILD_LIMIT_DB, ILD_LIMIT_DB), (high_energy > ILD_SHARE * total) & (high_energy > ILD_FLOOR)


def _time_difference(power: Tensor, cross: Tensor, plan: _Plan) -> tuple[Tensor, Tensor]:
    """Find ITD in µs and its validity (K,): the highest peak of GCC-PHAT within ±1 ms (Knapp and Carter 1976).

    The highest value counts, not the highest magnitude: a magnitude would turn the sign of anti-phase content. There
    is no gate on the height of the peak, on purpose: decorrelated sound is penalised for its random ITD.
    """
    low = cross[..., plan.low]
    magnitude = torch.hypot(low[0], low[1])
    keep = magnitude > BIN_FLOOR * magnitude.amax(-1, keepdim=True)
    phase = torch.where(keep, low / magnitude.clamp_min(torch.finfo(low.dtype).tiny), 0)
    count = keep.sum(-1)
    bins = low.shape[-1]
    correlation = phase[0] @ plan.correlation[0, :bins] + phase[1] @ plan.correlation[1, :bins]
    itd = _refined_peak(correlation / count.clamp_min(1)[:, None], plan.lags)
    inside, wide = power[:, plan.low].sum(-1), power[:, plan.wide].sum(-1)
    valid = (count >= ITD_BINS) & (inside > ITD_SHARE * wide) & (inside > ITD_FLOOR)
    return torch.where(valid, itd, 0), valid


def _refined_peak(correlation: Tensor, lags: Tensor) -> Tensor:
    """Find the first maximum of every row; its lag is moved to the vertex of the parabola through its neighbours."""
    last = len(lags) - 1
    peak = correlation.argmax(-1)
    inner = peak.clamp(1, last - 1)[:, None]
    before, at, after = (correlation.gather(-1, inner + step).squeeze(-1) for step in (-1, 0, 1))
    curvature = before - 2 * at + after
    offset = torch.where(curvature < 0, 0.5 * (before - after) / curvature, 0).clamp(-0.5, 0.5)
    at_end = (peak == 0) | (peak == last)
    return lags[peak] + torch.where(at_end, 0, offset) * (lags[1] - lags[0])


def _coherence(left: Tensor, right: Tensor, cross: Tensor, plan: _Plan) -> Tensor:
    """Find IACC (K,), the largest magnitude of the cross-correlation within ±1 ms (ISO 3382-1, annex B)."""
    wide = cross[..., plan.wide]
    correlation = wide[0] @ plan.correlation[0] + wide[1] @ plan.correlation[1]
    scale = left[:, plan.wide].sum(-1).sqrt() * right[:, plan.wide].sum(-1).sqrt()
    iacc = correlation.abs().amax(-1) / scale.clamp_min(torch.finfo(scale.dtype).tiny)
    return iacc.clamp(0, 1)


def _lateralisation(ild: Tensor, itd: Tensor, ild_ok: Tensor, itd_ok: Tensor) -> Tensor:
    """Compute Λ (K,), the mean of the valid ones of ILD / 15 dB and ITD / 700 µs, each limited to [-1, 1]."""
    from_level = torch.where(ild_ok, (ild / ILD_FULL_SIDE_DB).clamp(-1, 1), 0)
    from_time = torch.where(itd_ok, (itd / ITD_FULL_SIDE_US).clamp(-1, 1), 0)
    return (from_level + from_time) / (ild_ok.int() + itd_ok.int()).clamp_min(1)


def _side_mid(signal: Tensor) -> float:
    side, mid = (signal[0] - signal[1]) / 2, (signal[0] + signal[1]) / 2
    in_side, in_mid = torch.stack((side.square().mean(), mid.square().mean())).tolist()
    return 10 * math.log10((in_side + POWER_FLOOR) / (in_mid + POWER_FLOOR))
