"""Stages of judging: every metric family without networks, and the distances between sets of features."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy.linalg import sqrtm

from benchmarks.clips import rendered
from benchmarks.measuring import Bench, Figure
from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, Ears, JudgedSound
from visaudio_bench.bench.evaluation.family import Family
from visaudio_bench.bench.evaluation.family_answers import quantities_of
from visaudio_bench.bench.evaluation.family_registry import built_in
from visaudio_bench.bench.evaluation.signal_scores import pictures_of, read_native
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.files import CACHE_VARIABLE
from visaudio_bench.metrics.frechet import frechet_distance
from visaudio_bench.metrics.kernel_distance import kernel_distance, median_distance
from visaudio_bench.metrics.protocol import OURS
from visaudio_bench.suites import Clip
from visaudio_bench.suites.media import read_binaural

WINDOW, HOP = 2048, 512


def metrics(bench: Bench) -> Iterator[Figure]:
    """What each family takes for a prediction, its reference's share included; nothing comes from the cache."""
    clip = rendered(bench)[0]
    assert clip.audio is not None
    samples = read_binaural(clip.audio, duration=clip.duration, sample_rate=SAMPLE_RATE).samples
    for family in built_in():
        if not family.alone:
            yield bench.compared(
                "metric", family.name, f"sound of {clip.duration:g} s",
                partial(judged, bench, family, clip, samples),
                f"numpy's STFT of both sounds, {WINDOW} samples", lambda: [spectra(samples) for _ in range(2)],
            )  # fmt: skip
    yield from sets(bench)


def judged(bench: Bench, family: Family, clip: Clip, samples: np.ndarray) -> None:
    """Ask a family about a sound, with an empty cache."""
    assert clip.audio is not None
    native = partial(read_native, clip.audio, clip, clip.start, OURS)
    own, true = (JudgedSound(partial(Ears, scale * samples), native) for scale in (0.5, 1.0))
    seeing = pictures_of(clip, [family], OURS)
    with tempfile.TemporaryDirectory(dir=bench.folder) as cache:
        before = os.environ.get(CACHE_VARIABLE)
        os.environ[CACHE_VARIABLE] = cache
        try:
            quantities_of(family, ClipInputs(clip, own, true, seeing, OURS, {}))
        finally:
            os.environ.pop(CACHE_VARIABLE) if before is None else os.environ.update({CACHE_VARIABLE: before})


def spectra(samples: np.ndarray) -> np.ndarray:
    """Short-time spectra of every channel."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW, axis=1)[:, ::HOP]
    return np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32))


def sets(bench: Bench) -> Iterator[Figure]:
    """Distances between the features of two sets of clips."""
    rows, width = (1000, 512) if bench.size.full else (40, 16)
    draw = np.random.default_rng(0)
    mixing = draw.normal(size=(width, width)) / np.sqrt(width)
    one, other = (np.maximum(shift + draw.normal(size=(rows, width)) @ mixing, 0) for shift in (0.0, 0.1))
    per = f"two sets of {rows} x {width}"
    yield bench.compared(
        "metric", "Fréchet distance", per, partial(frechet_distance, one, other),
        "scipy.linalg.sqrtm of the product of covariances", partial(usual_route, one, other),
    )  # fmt: skip
    yield bench.compared(
        "metric", "kernel distance", per, partial(kernel_distance, one, other),
        "numpy's whole kernel matrices", partial(whole_kernels, one, other, median_distance(other)),
    )  # fmt: skip


def usual_route(one: np.ndarray, other: np.ndarray) -> float:
    """The formula of the Fréchet distance with a matrix square root."""
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    step = one.mean(0) - other.mean(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that the product is singular where there are few rows
        root = sqrtm(first @ second)
    return float(step @ step + np.trace(first) + np.trace(second) - 2 * np.trace(root).real)


def whole_kernels(one: np.ndarray, other: np.ndarray, bandwidth: float) -> float:
    """The sums of a Gaussian kernel over all pairs, each matrix at once."""
    total = 0.0
    for x, y in ((one, one), (other, other), (one, other)):
        squares = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
        total += float(np.exp(-squares / (2 * bandwidth**2)).sum())
    return total
