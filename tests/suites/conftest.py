"""Small trees in the layouts in which users have the real data sets, made of simulated sound and pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from visaudio_bench.suites.media import Samples, round_to_16_bit, write_audio

RATE = 48000
Movie = Callable[..., Path]


def noise(seconds: float, *, rate: int = RATE, side: str = "left", seed: int = 0, channels: int = 2) -> Samples:
    """(channels, N) noise, ten samples earlier and 8 dB louder on one side."""
    n = round(seconds * rate)
    one = 0.1 * np.random.default_rng(seed).standard_normal(n + 10).astype(np.float32)
    ears = [one[10:], 0.4 * one[:n]] if side == "left" else [0.4 * one[:n], one[10:]]
    return round_to_16_bit(np.stack([*ears, *[one[:n]] * channels][:channels]))


def write_movie(
    path: Path,
    seconds: float | None,
    sound: Samples | None = None,
    *,
    rate: int = RATE,
    fps: int = 10,
    codec: str = "aac",
    sound_delay: float = 0.0,
    picture_delay: float = 0.0,
    times: Sequence[int] = (),
    rotation: int = 0,
    step: int = 2,
    key_frames: int = 10,
    form: str | None = None,
    title: str = "",
    options: dict[str, str] | None = None,
) -> Path:
    """A file of 64 x 32 pictures, grey 10 + `step` k in frame k, lighter on the left; `seconds` None is sound alone.

    Delays are in the time stamps. `form` is the container where the name does not say it, `key_frames` the pictures
    from one key frame to the next. `times` are the frames' time stamps in milliseconds where the rate is not constant.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        container.metadata["title"] = title
        video: Any = None
        audio: Any = None
        if seconds is not None:
            video = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "g": str(key_frames)})
            video.width, video.height, video.pix_fmt = 64, 32, "yuv420p"
            video.codec_context.thread_count = 1
            video.codec_context.time_base = video.time_base = Fraction(1, 1000)
            if rotation:
                video.set_display_rotation(rotation)
        if sound is not None:
            layout = {1: "mono", 2: "stereo", 4: "quad"}[len(sound)]
            audio = container.add_stream(codec, rate=rate, layout=layout)
        stamps = list(times) or [round(1000 * k / fps) for k in range(round((seconds or 0) * fps))]
        for k, stamp in enumerate(stamps):
            picture = np.full((32, 64, 3), min(10 + step * k, 235), dtype=np.uint8)
            picture[:, :16] += 20
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts = stamp + round(1000 * picture_delay)
            frame.time_base = video.codec_context.time_base
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode())
        if sound is not None and audio is not None:
            _encode_sound(container, audio, sound, rate, sound_delay)
    return path


def _encode_sound(container: Any, stream: Any, sound: Samples, rate: int, delay: float) -> None:
    packed = np.ascontiguousarray((sound * 32768).astype(np.int16).T.reshape(1, -1))
    frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=stream.layout.name)
    frame.sample_rate, frame.pts = rate, 0
    context = stream.codec_context
    resampler = av.AudioResampler(context.format.name, stream.layout.name, rate, frame_size=1024)
    for block in (*resampler.resample(frame), *resampler.resample(None)):
        block.pts = (block.pts or 0) + round(delay * rate)
        container.mux(stream.encode(block))
    container.mux(stream.encode(None))


@pytest.fixture(scope="session")
def movie() -> Movie:
    return write_movie


@pytest.fixture(scope="session")
def sound() -> Callable[..., Samples]:
    return noise


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that trees are made of: they are coded once."""
    folder = tmp_path_factory.mktemp("parts")
    write_movie(folder / "silent10.mp4", 10.1)
    for name, side in (("left", "left"), ("right", "right")):
        write_movie(folder / f"{name}17.mp4", 17.0, noise(17.0, side=side, rate=44100), rate=44100)
    both = np.repeat(noise(9.0, channels=1, rate=44100), 2, axis=0)
    write_movie(folder / "equal9.mp4", 9.0, both, rate=44100, codec="flac", options={"strict": "-2"})
    return folder


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of manifests of this test."""
    folder = tmp_path / "prepared"
    monkeypatch.setenv("VISAUDIO_BENCH_DATA", str(folder))
    return folder


Tree = Callable[[Path], Path]


@pytest.fixture
def fairplay_tree(parts: Path) -> Tree:
    """FAIR-Play: 48 kHz wavs of 10.005 and 9.984 s, one list as h5 under its author's root, one as text."""

    def make(root: Path) -> Path:
        h5py = pytest.importorskip("h5py")
        (root / "videos").mkdir(parents=True)
        for index in range(1, 5):
            shutil.copy(parts / "silent10.mp4", root / "videos" / f"{index:06d}.mp4")
            samples = noise(10.1, side="left" if index % 2 else "right", seed=index)
            count = 480_256 if index < 4 else 479_232
            write_audio(root / "binaural_audios" / f"{index:06d}.wav", samples[:, :count], RATE)
        (root / "splits" / "split1").mkdir(parents=True)
        (root / "new_splits" / "split1").mkdir(parents=True)
        for side, indices in (("train", (1, 2)), ("val", (3,)), ("test", (4,))):
            names = [f"/author/root/binaural_audios/{index:06d}.wav" for index in indices]
            with h5py.File(root / "splits" / "split1" / f"{side}.h5", "w") as file:
                file["audio"] = np.array(names, dtype="S")
            lines = "".join(f"{5 - index:06d}.mp3\n" for index in indices)
            (root / "new_splits" / "split1" / f"{side}.txt").write_text(lines)
        return root

    return make


@pytest.fixture
def music_tree(parts: Path) -> Tree:
    """MUSIC: flat and nested names, instruments with underscores, ids that start with `-` and `_` and hold both."""

    def make(root: Path) -> Path:
        names = {
            "solo_acoustic_guitar_-8AgRz5Jdrw.mp4": "left17.mp4",  # a test video of the benchmark's split, or not
            "duet_acoustic_guitar_violin_WeeRb3LMb8E.mp4": "right17.mp4",
            "solo/electric_bass/_O1m-qCSo6_.mp4": "equal9.mp4",
            "duet/trumpet tuba/Zqg4DwXmYBI.mp4": "left17.mp4",
            "solo_accordion_yn1NaZWN_qQ.mp4": "right17.mp4",
        }
        for name, part in names.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(parts / part, root / name)
        return root

    return make


@pytest.fixture
def biaudio_tree(parts: Path) -> Tree:
    """The generic layout: sound beside the video and inside it, captions with labels, commas and a missing B."""

    def make(root: Path) -> Path:
        (root / "video").mkdir(parents=True)
        for name in ("aaaaaaaaaaa_10", "tAiVUt5vE34l_20"):
            shutil.copy(parts / "silent10.mp4", root / "video" / f"{name}.mp4")
        shutil.copy(parts / "left17.mp4", root / "video" / "ccccccccccc_30.mp4")
        write_audio(root / "audio" / "aaaaaaaaaaa_10.wav", noise(8.0, rate=44100, seed=1), 44100)
        write_audio(root / "audio" / "tAiVUt5vE34l_20.flac", noise(8.0, rate=44100, side="right", seed=2), 44100)
        (root / "test.csv").write_text(
            "clip_id,caption\n"
            'aaaaaaaaaaa_10,"Visible sound: a man, playing, Invisible sound: birds, wind"\n'
            "tAiVUt5vE34l_20,Visible sound: a drum\n"
            "ccccccccccc_30,a plain caption\n"
        )
        return root

    return make
