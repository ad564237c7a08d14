"""Time-stretching that keeps what lies between the ears.

A system that only knows five seconds is shown eight seconds of video compressed into five, and its sound is stretched
back. Stretched ear by ear, a sound loses its interaural time differences and coherence, because every ear is cut at
other places; here both ears are always cut at the same places. Measured on five seconds of noise and of clicks with
the left ear 18 samples ahead and 6.02 dB louder, stretched to eight (tests/baselines/published/test_stretch.py):

| method   | lag | coherence | level difference  | pitch    |
|----------|-----|-----------|-------------------|----------|
| atempo   | 18  | 0.9997    | 6.02 dB           | kept     |
| resample | 29  | 0.977     | 6.02 dB           | -8.1 st  |

Overlapping segments repeat short sounds, and atempo shows the repetition before the sound: the centroid of a click
lies 11 to 30 ms early, which a synchrony metric with steps of 200 ms does not see.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from visaudio_bench.suites.media import Samples, resample

Stretch = Literal["atempo", "resample"]

BLOCK = 4096
# atempo gives out nothing for the last half of its window: silence behind the sound pushes all of it out.
FLUSH_SECONDS = 0.2
FILTER_VERSION = "libavfilter " + ".".join(map(str, av.library_versions["libavfilter"]))


def stretch(samples: Samples, sample_rate: int, length: int, kind: Stretch = "atempo") -> Samples:
    """Sound `(C, N)`, one or two channels, made `length` samples long, all channels alike.

    Args:
        samples: at `sample_rate`.
        sample_rate: Hz.
        length: in samples; between a hundredth and twice of N for `atempo`.
        kind: `atempo` (FFmpeg's overlap-add of similar segments, sought for all channels together) keeps the pitch;
            `resample` plays the sound slower, which lowers its pitch and lengthens its time differences: it is there
            to see what depends on the method.

    Returns:
        `(C, length)` float32.
    """
    if length == samples.shape[1]:
        return samples
    if kind == "resample":
        stretched = resample(samples, samples.shape[1], length)
    else:
        stretched = _atempo(samples, sample_rate, samples.shape[1] / length)
    missing = length - stretched.shape[1]
    return np.pad(stretched, ((0, 0), (0, missing))) if missing > 0 else np.ascontiguousarray(stretched[:, :length])


def _atempo(samples: Samples, sample_rate: int, tempo: float) -> Samples:
    layout = {1: "mono", 2: "stereo"}[samples.shape[0]]
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=sample_rate, format="fltp", layout=layout, time_base=Fraction(1, sample_rate)
    )
    tempered, sink = graph.add("atempo", repr(tempo)), graph.add("abuffersink")
    source.link_to(tempered)
    tempered.link_to(sink)
    graph.configure()
    out: list[Samples] = []
    for frame in _frames(samples, sample_rate, layout):
        graph.push(frame)
        out += _pull(graph, samples.shape[0])
    return np.concatenate(out, axis=1)


def _frames(samples: Samples, sample_rate: int, layout: str) -> Iterator[av.AudioFrame | None]:
    padded = np.pad(samples, ((0, 0), (0, round(FLUSH_SECONDS * sample_rate)))).astype(np.float32, copy=False)
    for start in range(0, padded.shape[1], BLOCK):
        block = np.ascontiguousarray(padded[:, start : start + BLOCK])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, start, Fraction(1, sample_rate)
        yield frame
    yield None


def _pull(graph: Any, channels: int) -> Iterator[Samples]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        data = frame.to_ndarray()
        yield data if frame.format.is_planar else data.reshape(-1, channels).T
