"""Stages of a clip: its scene is rendered, its files are read, systems make sound for it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import soundfile
from scipy.signal import fftconvolve

from benchmarks.measuring import Bench, Figure
from visaudio_bench.baselines import DEFAULT_SYSTEMS, open_system
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.pool import map_unordered
from visaudio_bench.suites import Clip
from visaudio_bench.suites.frame_selection import fps_filter
from visaudio_bench.suites.media import read_binaural, read_sampled_frames
from visaudio_bench.suites.simulated import PLANS, SimulatedSuite
from visaudio_bench.suites.simulator.render import render_files

RATES = (Fraction(25), Fraction(1, 2))  # frames a second that Synchformer and ImageBind look at


def rendered(bench: Bench) -> tuple[Clip, ...]:
    """Two clips of a simulated suite, rendered where they are not."""
    suite = SimulatedSuite(PLANS["simroom" if bench.size.full else "simroom-mini"])
    folder = bench.folder / "rendered"
    clips = tuple(moved(clip, folder) for clip in suite.clips()[:2])
    for clip in clips:
        if clip.audio is not None and not clip.audio.exists():
            render_files(suite.scenes[clip.id], folder, suite.size)
    return clips


def moved(clip: Clip, folder: Path) -> Clip:
    """The same clip with its files in another folder."""
    assert clip.video is not None and clip.audio is not None
    return Clip(
        clip.id, folder / clip.video.name, folder / clip.audio.name, clip.start, clip.duration, clip.caption, clip.meta
    )


def render(bench: Bench) -> Iterator[Figure]:
    """A scene of the simulated suite, as files."""
    suite = SimulatedSuite(PLANS["simroom" if bench.size.full else "simroom-mini"])
    scene = next(iter(suite.scenes.values()))
    draw = np.random.default_rng(0)
    dry, response = draw.standard_normal(round(SAMPLE_RATE * suite.duration)), draw.standard_normal((2, SAMPLE_RATE))
    yield bench.compared(
        "render", "scene", f"scene of {suite.duration:g} s, {suite.size} pixels",
        partial(render_files, scene, bench.folder / "rendered", suite.size),
        "one static source through two responses of 1 s (scipy fftconvolve), no pictures",
        lambda: [fftconvolve(dry, ear) for ear in response],
    )  # fmt: skip


def read(bench: Bench) -> Iterator[Figure]:
    """Sound and pictures of a clip."""
    clip = rendered(bench)[0]
    assert clip.audio is not None and clip.video is not None and clip.duration is not None
    video, long = clip.video, clip.duration
    yield bench.compared(
        "read", "sound", f"sound of {long:g} s",
        partial(read_binaural, clip.audio, start=clip.start, duration=long, sample_rate=SAMPLE_RATE),
        "soundfile.read", partial(soundfile.read, clip.audio, dtype="float32"),
    )  # fmt: skip
    selects = [partial(fps_filter, rate=rate, count=max(1, int(rate * int(long)))) for rate in RATES]
    yield bench.compared(
        "read", "pictures", f"video of {long:g} s, as two networks look at it",
        partial(read_sampled_frames, video, selects, duration=long),
        "PyAV, every frame as RGB", partial(every_frame, video),
    )  # fmt: skip


def worker_memory(bench: Bench) -> float:
    """MB that a worker has held once it has judged a clip."""
    audio = rendered(bench)[0].audio
    assert audio is not None
    return max(outcome.result() for outcome in map_unordered(held, [audio, audio], 2))


def held(audio: Path) -> float:
    """MB that this process has held at most, when it knows where a sound is heard."""
    interaural_cues(read_binaural(audio, start=0.0, duration=None, sample_rate=SAMPLE_RATE).samples)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def every_frame(path: Path) -> int:
    """Decode a video with PyAV alone; returns how many frames there are."""
    with av.open(str(path)) as container:
        return len([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def generate(bench: Bench) -> Iterator[Figure]:
    """Every system that needs no weights."""
    clips = rendered(bench)
    assert clips[0].audio is not None
    sound, rate = soundfile.read(clips[0].audio, dtype="float32")
    copy = bench.folder / "copy.wav"
    for name in DEFAULT_SYSTEMS:
        system, out = open_system(name), bench.folder / "made" / name
        out.mkdir(parents=True, exist_ok=True)
        made = bench.compared(
            "generate", name, f"clip of {clips[0].duration:g} s",
            lambda system=system, out=out: list(system.generate(clips, out, only={clips[0].id}, device="cpu", seed=0)),
            "soundfile.write of a sound as long", lambda: soundfile.write(copy, sound, rate),
        )  # fmt: skip
        size = (out / f"{clips[0].id}.wav").stat().st_size
        yield made._replace(more={"bytes a second": size / (clips[0].duration or 1.0)})
