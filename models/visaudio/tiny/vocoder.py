"""A codec without weights: what both ears share, and how they differ, heard as filtered tones and noise.

A latent token stands for 1024 samples (23 ms) and has 57 values for each ear. Both ears share the levels of 40
mel-spaced bands, the pitch, how much of 4 wide bands repeats with it, and how alike the ears are in 4 wide bands; then
come how much louder this ear is than the other in 7 bands and how much earlier it hears the sound. It is the parametric
description of a scene by one sound and its interaural cues (binaural cue coding: Faller and Baumgarte 2003; ears that
are less alike hear more of what is diffuse: Breebaart et al. 2005). Decoding gives one carrier, a train of pulses and
noise, the levels; each ear hears it turned by its differences, and as much of it decorrelated as the likeness leaves.

The likeness is measured over 0.4 s, in which what arrives directly and its reverberation are mixed; over a second ears
hear what is louder, which is more alike. Decoding makes up for it by an exponent.

Whatever the latents, no band is louder than it was in any training scene and no sample is beyond full scale.

Exchanging the ears exchanges their latents (rounding may move a lead by one step of 6 µs), equal ears have equal
latents that say that they are alike, and such latents give equal ears.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.models.visaudio.codec_interface import Sampling
from visaudio_bench.models.visaudio.config import LATENT_HOP
from visaudio_bench.models.visaudio.tiny.tones import pitch_of, pulses, repeating

LEVELS, TONES, LIKENESSES, DIFFERENCES = 40, 4, 4, 7
SHARED = LEVELS + 1 + TONES + LIKENESSES
_FFT, _HOP = 2048, 512
_FRAMES = LATENT_HOP // _HOP  # spectra a token
_EDGE = (_FFT - _HOP) // 2  # so that the first spectrum is centred on the first hop
_LOWEST, _HIGHEST = 50.0, 16000.0
_FLOOR = 1e-12  # of power in a band: -120 dB below a full-scale sine
_QUIET = 1e-8  # power that is added to both ears before they are compared: silence comes from the front
_DIFFERENCE_LOW = 300.0
# Interaural cues are means over 0.4 s of power, as a listener's are: between two sounds the last direction holds.
_MEMORY = 17
_LEAD_LOW, _LEAD_HIGH = 100.0, 1500.0
_LONGEST_LEAD = 1e-3
# Latent units: a difference of 20 dB, a lead of 0.7 ms and four octaves around 440 Hz are 1.
_LEVEL_UNIT, _DIFFERENCE_UNIT, _LEAD_UNIT, _PITCH_UNIT, _PITCH_CENTRE = 20.0, 20.0, 7e-4, 2.0, 440.0
# dB: each band where it is loudest in all scenes of simroom-filmed and simroom-crowded
_LOUDEST = (
    -17.0, -9.4, -8.7, -16.1, -17.0, -11.1, -9.6, -11.1, -12.3, -11.6, -16.7, -19.1, -17.7, -18.7, -16.2, -16.9,
    -17.6, -17.9, -17.8, -17.1, -14.5, -14.8, -15.8, -16.5, -17.6, -19.6, -27.2, -31.4, -32.2, -32.3, -32.1, -31.5,
    -33.2, -34.3, -34.9, -35.9, -33.1, -33.1, -34.3, -35.7,
)  # fmt: skip
# Of the likeness: of 0.5 to 1 in steps of 0.1 the one with which references of simroom-validation best keep width.
_HEARD_ALIKE = 0.6
_FULL = 0.98  # of full scale: no sample is beyond
_SCATTER = 0.02  # s, over which what is diffuse is scattered


class _Plan(NamedTuple):
    window: Tensor  # (2048,)
    bands: Tensor  # (1025, 40), each column sums to one
    envelope: Tensor  # (40, 1025), interpolates levels between band centres
    wide: Tensor  # (1025, 7)
    spread: Tensor  # (7, 1025)
    broad: Tensor  # (1025, 4)
    broad_spread: Tensor  # (4, 1025)
    phase: Tensor  # (2, bins below the lead's highest, lags): cosine and sine
    lags: Tensor  # (lags,) s
    frequency: Tensor  # (1025,) Hz
    loudest: Tensor  # (40,) dB
    scatter: Tensor  # (2, 1025) of magnitude 1: how each ear hears what is diffuse


class Vocoder:
    """The codec of `tiny`."""

    name = "tone-and-noise-vocoder"
    latent_dim = SHARED + DIFFERENCES + 1

    def __init__(self) -> None:
        self.identity = {"codec": self.name, "version": "2"}
        self.sampling = _sampling()

    def encode(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (all zero: nothing is drawn) of the latents of a sound.

        Args:
            sound: `(B, E, T)` float32 at 44.1 kHz, left first; padded with zeros to whole tokens. E is 1 or 2; one
                channel is what both ears hear.

        Returns:
            Two tensors `(B, E, ceil(T / 1024), 57)`.
        """
        ears = sound.shape[1]
        sound = sound.expand(-1, 2, -1)
        plan = _plan(sound.device)
        spectra = _analyse(sound, plan)
        power = _by_token(spectra.abs().square())
        both = power.mean(1)
        levels = 10 * torch.log10(both @ plan.bands + _FLOOR) / _LEVEL_UNIT
        pitch, pitched = pitch_of(both, plan.window)
        tonal = repeating(both, pitch, plan.broad, plan.window, plan.frequency) * pitched[..., None]
        lead = _lead(spectra, plan)
        alike = _alike(spectra, power, lead, plan)
        ratio = torch.log10(_smooth(power) @ plan.wide + _QUIET)
        own = torch.cat([10 * (ratio[:, 0] - ratio[:, 1]) / _DIFFERENCE_UNIT, lead[..., None] / _LEAD_UNIT], dim=-1)
        height = torch.log2(pitch / _PITCH_CENTRE)[..., None] / _PITCH_UNIT
        shared = torch.cat([levels, height, tonal, alike], dim=-1)
        latent = torch.stack([torch.cat([shared, sign * own], dim=-1) for sign in (1, -1)], dim=1)
        return latent[:, :ears], torch.zeros_like(latent[:, :ears])

    def decode(self, latent: Tensor) -> Tensor:
        """Sound `(B, E, 1024 n)` of latents `(B, E, n, 57)`; what the ears share is averaged.

        The noise is the same in every clip, so that nothing but the latents decides.
        """
        plan = _plan(latent.device)
        # Not finite is silence: a number that is none must not spread over the clip.
        latent = torch.nan_to_num(latent, nan=-6.0, posinf=6.0, neginf=-6.0)
        shared = latent[..., :SHARED].mean(1)
        own = (latent[:, 0, :, SHARED:] - latent[:, -1, :, SHARED:]) / 2
        direct, diffuse = _carriers(shared, plan)
        ratio = 10 ** (_DIFFERENCE_UNIT * (own[..., :DIFFERENCES] @ plan.spread).clamp(-1.5, 1.5) / 10)
        left = _to_frames(ratio / (1 + ratio))
        lead = _to_frames(_LEAD_UNIT * own[..., DIFFERENCES:])
        turn = math.pi * lead.clamp(-_LONGEST_LEAD, _LONGEST_LEAD) * plan.frequency
        turned = torch.polar(torch.ones_like(turn), turn)
        spectra = [
            (direct * side + scattered) * (2 * share).clamp_min(0).sqrt()
            for side, scattered, share in zip((turned, turned.conj()), diffuse, (left, 1 - left), strict=True)
        ]
        return limited(_synthesise(torch.stack(spectra, dim=1)[:, : latent.shape[1]], plan))


def _sampling() -> Sampling:
    """Where a sound is has one answer, and what it is many: chosen on `simroom-validation`.

    The ears' differences begin without noise, all else with what it was learnt from. Guidance says what is heard and,
    by the lead, from which side; of level differences and width it makes more than there is.
    """
    noise, guidance = torch.ones(Vocoder.latent_dim), torch.ones(Vocoder.latent_dim)
    noise[SHARED:] = 0
    guidance[SHARED - LIKENESSES : SHARED + DIFFERENCES] = 0
    return Sampling(noise, guidance)


def limited(sound: Tensor) -> Tensor:
    """`(B, E, T)` turned down around each peak that is beyond full scale, all ears alike; else as it is."""
    peak = sound.abs().amax(1, keepdim=True)
    if float(peak.max()) <= _FULL:
        return sound
    # The gain of the loudest sample nearby, and then its mean over as many: never above what any sample needs.
    reach = _FFT // 2
    most = functional.max_pool1d(peak, 2 * reach + 1, 1, reach)
    gain = (_FULL / most).clamp_max(1)
    padded = functional.pad(gain, (reach // 2, reach // 2), mode="replicate")
    return sound * functional.avg_pool1d(padded, 2 * (reach // 2) + 1, 1)


def _carriers(shared: Tensor, plan: _Plan) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Spectra `(B, 2 n, 1025)`: what both ears hear alike, and what each hears by itself."""
    levels, height, tonal, alike = torch.split(shared, [LEVELS, 1, TONES, LIKENESSES], dim=-1)
    wanted = (_LEVEL_UNIT * levels.clamp_min(-6)).minimum(plan.loudest)
    power = _to_frames(10 ** ((wanted @ plan.envelope) / 10))
    heard_alike = alike.clamp(0, 1) ** _HEARD_ALIKE
    tone_share, direct_share = (
        _to_frames(part @ plan.broad_spread).clamp(0, 1) for part in (tonal.clamp(0, 1), heard_alike)
    )
    frames = power.shape[1]
    hertz = _PITCH_CENTRE * torch.exp2(_PITCH_UNIT * height[..., 0].clamp(-2, 2))
    train = pulses(hertz, frames * _HOP)[:, None]
    tones = _analyse(train, plan)[:, 0] * (plan.window.sum() / 2) / plan.window.square().sum().sqrt()
    # Each band of the tones is brought to one; one that no harmonic falls into has none to be brought up.
    filled = (tones.abs().square() @ plan.bands).clamp_min(0.05) @ plan.envelope
    tones = tones * (power * tone_share / filled).sqrt()
    loud = (power * (1 - tone_share)).sqrt()
    noises = [_noise(frames, shared.device, seed) * loud for seed in range(3)]
    # What tones and noise are together once more: a tone between two narrow bands falls short in both.
    made = (tones + noises[0]).abs().square() @ plan.bands
    again = _to_frames(10 ** (wanted / 10)) / made.clamp_min(1e-14)
    tones = tones * (again.clamp(0.5, 4) @ plan.envelope).sqrt()
    direct = (tones + noises[0]) * direct_share.sqrt()
    # A little less, so that ears that are alike but for rounding are alike.
    apart = (1 - 1e-4 - direct_share).clamp_min(0).sqrt()
    left, right = ((tones * plan.scatter[ear] + noises[1 + ear]) * apart for ear in (0, 1))
    return direct, (left, right)


@lru_cache(maxsize=4)
def _plan(device: torch.device) -> _Plan:
    frequency = np.arange(_FFT // 2 + 1) * SAMPLE_RATE / _FFT
    lead = (frequency >= _LEAD_LOW) & (frequency < _LEAD_HIGH)
    reach = round(4 * SAMPLE_RATE * _LONGEST_LEAD)
    lags = np.arange(-reach, reach + 1) / (4 * SAMPLE_RATE)
    bands, envelope = _triangles(frequency, LEVELS, _LOWEST)
    wide, spread = _triangles(frequency, DIFFERENCES, _DIFFERENCE_LOW)
    broad, broad_spread = _triangles(frequency, TONES, _DIFFERENCE_LOW)
    # Where the left ear leads by d, L conj(R) is turned by +2 pi f d.
    turn = 2 * np.pi * frequency[: lead.nonzero()[0][-1] + 1, None] * lags
    phase = np.stack([np.cos(turn), np.sin(turn)]) * lead[: len(turn), None]

    def tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
        return torch.as_tensor(array.astype(np.float32), device=device)

    arrays = (bands, envelope, wide, spread, broad, broad_spread, phase, lags, frequency, np.array(_LOUDEST))
    parts = [torch.hann_window(_FFT, device=device), *map(tensor, arrays), _scatter().to(device)]
    return _Plan(*parts)


def _scatter() -> Tensor:
    """Two decaying noises, as a room has them, without their colour."""
    length = round(2 * _SCATTER * SAMPLE_RATE)
    fading = torch.exp(-torch.arange(length) / (_SCATTER * SAMPLE_RATE / 2))
    spectra: Tensor = torch.fft.rfft(torch.randn(2, length, generator=torch.Generator().manual_seed(1)) * fading, _FFT)
    return spectra / spectra.abs().clamp_min(1e-9)


def _alike(spectra: Tensor, power: Tensor, lead: Tensor, plan: _Plan) -> Tensor:
    """How alike the ears are in broad bands, `(B, n, 4)` in [0, 1], once the lead is taken away."""
    cross = spectra[:, 0] * spectra[:, 1].conj()
    cross = (cross[:, ::_FRAMES] + cross[:, 1::_FRAMES]) / _FRAMES
    # The left ear leads by d: its spectrum is turned by +2 pi f d against the right one's.
    turn = 2 * math.pi * lead[..., None] * plan.frequency
    real = cross.real * torch.cos(turn) + cross.imag * torch.sin(turn)
    common = _smooth(real[:, None])[:, 0] @ plan.broad + _QUIET
    each = _smooth(power) @ plan.broad + _QUIET
    return (common / each.prod(1).sqrt()).clamp(0, 1)


def _triangles(
    frequency: np.ndarray[tuple[int, ...], np.dtype[np.float64]], count: int, low: float
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Averages over mel-spaced triangles `(bins, count)`, and linear interpolation back `(count, bins)`."""
    mel = 2595 * np.log10(1 + frequency / 700)
    centres = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + _HIGHEST / 700), count)
    interpolation = np.stack([np.interp(mel, centres, row) for row in np.eye(count)])
    # Below the first and above the last centre a band holds on; its average must not.
    inside = interpolation * ((mel >= 2 * centres[0] - centres[1]) & (mel <= centres[-1]))
    # The narrowest bands of the lowest frequencies may fall between two bins.
    nearest = np.abs(mel[None] - centres[:, None]).argmin(axis=1)
    inside[np.arange(count), nearest] = np.maximum(inside[np.arange(count), nearest], 1e-3)
    return (inside / inside.sum(axis=1, keepdims=True)).T, interpolation


def _analyse(sound: Tensor, plan: _Plan) -> Tensor:
    """Spectra `(B, 2, 2 n, 1025)` of `(B, 2, T)`; a full-scale sine has power 1 in its bin."""
    missing = -sound.shape[-1] % LATENT_HOP
    padded = functional.pad(sound, (_EDGE, _EDGE + missing))
    spectra: Tensor = torch.fft.rfft(padded.unfold(-1, _FFT, _HOP) * plan.window)
    return spectra * (2 / plan.window.sum())


def _synthesise(spectra: Tensor, plan: _Plan) -> Tensor:
    frames = torch.fft.irfft(spectra * (plan.window.sum() / 2), _FFT) * plan.window
    flat = frames.flatten(0, 1).transpose(1, 2)
    length = (spectra.shape[2] - 1) * _HOP + _FFT
    summed = functional.fold(flat, (1, length), (1, _FFT), stride=(1, _HOP))[:, 0, 0]
    # Squared Hann windows a quarter apart add up to 1.5.
    return summed[:, _EDGE:-_EDGE].reshape(*spectra.shape[:2], -1) / 1.5


def _by_token(frames: Tensor) -> Tensor:
    """Mean over the spectra of each token, `(B, E, 2 n, F)` to `(B, E, n, F)`."""
    return (frames[:, :, ::_FRAMES] + frames[:, :, 1::_FRAMES]) / _FRAMES


def _to_frames(tokens: Tensor) -> Tensor:
    """`(B, n, F)` to `(B, 2 n, F)`, interpolated."""
    return functional.interpolate(tokens.transpose(1, 2), scale_factor=float(_FRAMES), mode="linear").transpose(1, 2)


def _smooth(tokens: Tensor) -> Tensor:
    """Moving mean over `(B, E, n, F)` with a Hann window of `_MEMORY` tokens."""
    kernel = torch.hann_window(_MEMORY + 2, periodic=False, device=tokens.device)[1:-1].to(tokens.dtype)
    rows = tokens.transpose(2, 3).reshape(-1, 1, tokens.shape[2])
    smooth = functional.conv1d(rows, (kernel / kernel.sum())[None, None], padding=_MEMORY // 2)
    return smooth.reshape(*tokens.shape[:2], tokens.shape[3], -1).transpose(2, 3)


def _lead(spectra: Tensor, plan: _Plan) -> Tensor:
    """How much earlier the left ear hears, `(B, n)` s: the peak of the smoothed, whitened cross-correlation."""
    count = plan.phase.shape[1]
    cross = spectra[:, 0, :, :count] * spectra[:, 1, :, :count].conj()
    both = _smooth(_by_token(torch.stack([cross.real, cross.imag], dim=1)))
    white = both / (both.square().sum(1, keepdim=True).sqrt() + _QUIET * 1e-4)
    correlation = white[:, 0] @ plan.phase[0] + white[:, 1] @ plan.phase[1]
    # Silence and equal ears have their highest value at no delay at all, but for rounding.
    correlation[..., len(plan.lags) // 2] += 1e-4 * count
    return plan.lags[correlation.argmax(-1)]


@lru_cache(maxsize=12)
def _noise(frames: int, device: torch.device, seed: int) -> Tensor:
    """Spectra `(frames, 1025)` of white noise, of mean power 1, always the same."""
    length = (frames - 1) * _HOP + _FFT
    samples = torch.randn(length, generator=torch.Generator().manual_seed(seed)).to(device)
    spectra: Tensor = torch.fft.rfft(samples.unfold(-1, _FFT, _HOP) * _plan(device).window)
    return spectra / math.sqrt(float(_plan(device).window.square().sum()))
