"""Shared by all tests: a cache of their own, the command line in this process, small media, golden inputs.

`make_wave` and `make_frames` make the synthetic sound and pictures of `tests/golden/metrics` again from their
description; `filled_state` gives a network weights that depend on nothing but a salt and the names of its parameters.
Neither exists outside the tests.
"""

from __future__ import annotations

import gc
import hashlib
import math
import os
import shutil
import sys
import warnings
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from visaudio_bench.suites.media import Frame, Samples, round_to_16_bit, write_audio, write_video

if TYPE_CHECKING:  # the process that hands the tests out to others needs none of it
    import torch

os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")  # that of trio, which comes with selenium, is not used
from hypothesis import settings

# Shared machines are slow at random; where a result must not depend on luck, neither may the examples.
settings.register_profile("ours", deadline=None, derandomize="CI" in os.environ, max_examples=50)
settings.load_profile("ours")

ROOT = Path(__file__).resolve().parent.parent
# Real recordings, where the tester has them; tests that need them are skipped elsewhere.
MEDIA = Path(os.environ.get("VISAUDIO_BENCH_TEST_MEDIA", ROOT.parent / "shared" / "media"))

BROWSER_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """A test of minutes may take an hour on a machine that does much else; what hangs is ended all the same."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(7200))


WORKERS_IMPORT = (
    "visaudio_bench.bench.evaluation.execution",
    "visaudio_bench.bench.evaluation.generation",
    "visaudio_bench.bench.evaluation.network_pipeline",
    "visaudio_bench.bench.evaluation.verification",
    "visaudio_bench.bench.training.feature_extraction",
    "visaudio_bench.metrics.interaural",
    "visaudio_bench.suites.making",
    "visaudio_bench.suites.preparation",
    "visaudio_bench.suites.simulator.rooms",
    "scipy.signal",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--other-rounding", action="store_true", help="golden tests as on a library that rounds otherwise")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is made here stays to the end: looking through it for what can go would cost a second each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _workers_begin_with_all_that_any_test_needs() -> Iterator[None]:
    """The process that workers are copied from lives as long as the tests: what it has imported none imports again."""
    from visaudio_bench.pool import CONTEXT

    with pytest.MonkeyPatch.context() as patch:
        preload = CONTEXT.set_forkserver_preload
        patch.setattr(CONTEXT, "set_forkserver_preload", lambda modules: preload([*modules, *WORKERS_IMPORT]))
        yield


@pytest.fixture(autouse=True)
def _rounding(request: pytest.FixtureRequest) -> Iterator[None]:
    """With --other-rounding, what torch computes in golden tests is wrong in its last bit."""
    if not request.config.getoption("--other-rounding") or not request.node.get_closest_marker("golden"):
        yield
        return
    from .rounding import other_rounding

    with other_rounding(0):
        yield


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole session, so that the small suite is rendered once."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"


@pytest.fixture(autouse=True)
def _cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(shared_cache))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Inputs that a test draws without a generator of its own are the same in every run."""
    import torch

    torch.default_generator.manual_seed(0)  # torch.manual_seed also writes down, for later cards, where it was called


@pytest.fixture
def media() -> Path:
    """The folder of real recordings."""
    if not MEDIA.is_dir():
        pytest.skip(
            f"no real recordings in {MEDIA} (VISAUDIO_BENCH_TEST_MEDIA); tests/media/README.md: where to get them"
        )
    return MEDIA


class Recording(NamedTuple):
    """A real clip of 8.1 s that comes with the tests: a piano at the left, see tests/media/README.md."""

    video: Path
    sound: Path


@pytest.fixture
def recording() -> Recording:
    """The piano of FAIR-Play's first clip."""
    folder = Path(__file__).parent / "media"
    return Recording(folder / "fairplay_000001.mp4", folder / "fairplay_000001.flac")


@pytest.fixture
def start_browser(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start a Chromium of a profile of its own with these flags and `logs`; it keeps downloads in `downloads`."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="BROWSER TEST NOT RUN: pip install selenium")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    chromedriver = shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("BROWSER TEST NOT RUN: apt-get install chromium chromium-driver")
    started = []

    def start(*flags: str, logs: Sequence[str]) -> Any:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*BROWSER_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags):
            options.add_argument(flag)
        downloads = {"download.default_directory": str(tmp_path / "downloads"), "download.prompt_for_download": False}
        options.add_experimental_option("prefs", downloads)
        options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            started.append(webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver)))
        # Some versions leave the focus to a window of their own, and pages hear of none then.
        started[-1].execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        return started[-1]

    yield start
    for driver in started:
        driver.quit()


class Told(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


Bench = Callable[..., Told]


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Run `bench ...` in this process; whatever it says on stderr names only options that the command has."""
    from visaudio_bench.bench.cli import main

    from .options import strange_options

    def run(*arguments: object) -> Told:
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        told = [line for line in said.err.splitlines() if "No such option" not in line]
        words = [word for word in map(str, arguments) if word.isascii()]
        assert not (strange := [name for line in told for name in strange_options(line, words)]), (strange, said.err)
        return Told(code, said.out, said.err)

    return run


@pytest.fixture
def clips(tmp_path: Path, written_clips: Path) -> Path:
    """A folder of six 2 s clips: noise on alternating sides, with a video that flickers on that side."""
    shutil.copytree(written_clips, tmp_path / "clips", copy_function=shutil.copy)
    return tmp_path / "clips"


@pytest.fixture(scope="session")
def written_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `clips` is a copy of."""
    folder = tmp_path_factory.mktemp("written_clips")
    for index in range(6):
        side = "left" if index % 2 == 0 else "right"
        write_audio(folder / f"clip{index}.wav", lateral_noise(2.0, side=side, seed=index), 44100)
        write_video(folder / f"clip{index}.mp4", flicker(side), 10)
    return folder


def lateral_noise(seconds: float, *, side: str = "left", seed: int = 0) -> Samples:
    """(2, N) noise at 44.1 kHz that comes ten samples earlier and 8 dB louder on one side, in 16-bit values."""
    n = round(seconds * 44100)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(n + 10).astype(np.float32)
    near, far = noise[10:], 0.4 * noise[:n]
    return round_to_16_bit(np.stack([near, far] if side == "left" else [far, near]))


def flicker(side: str) -> list[Frame]:
    """Two seconds at 10 frames/s of a dark picture whose one side blinks."""
    frames = []
    for index in range(20):
        frame = np.full((64, 64, 3), 40, dtype=np.uint8)
        columns = slice(4, 12) if side == "left" else slice(52, 60)
        frame[20:44, columns] = 220 if index % 2 else 40
        frames.append(frame)
    return frames


GOLDEN = Path(__file__).parent / "golden"
CONSTANT = ("spectrogram_extractor.", "logmel_extractor.", "log_logit_scale")


def sha256(array: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _triangle(phase: Any) -> Any:
    return 1.0 - 4.0 * np.abs(phase - np.floor(phase) - 0.5)


def make_wave(seed: int, seconds: float, rate: int) -> np.ndarray:
    """(2, n) int16: four gliding triangle tones, six noise bursts, faint noise, an offset in each ear.

    The order in which the generator is asked is part of the definition.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    n = round(seconds * rate)
    t = np.arange(n, dtype=np.float64) / rate
    ears = np.zeros((2, n))
    for _ in range(4):
        base = 80.0 + 3000.0 * random.random()
        glide = (random.random() - 0.5) * base * 0.1
        level, pan = 0.05 + 0.15 * random.random(), random.random()
        period, duty = 0.3 + 1.5 * random.random(), 0.3 + 0.6 * random.random()
        on = ((t / period) - np.floor(t / period) < duty).astype(np.float64)
        tone = level * on * _triangle(base * t + 0.5 * glide * t * t)
        late = int(random.integers(0, 30))
        ears[0] += (1.0 - pan) * tone
        ears[1] += pan * np.concatenate([np.zeros(late), tone[: n - late]])
    for _ in range(6):
        start, level, pan = random.random() * seconds, 0.1 + 0.3 * random.random(), random.random()
        since = t - start
        decay = np.where(since >= 0, 1.0 / (1.0 + (40.0 * since) * (40.0 * since)), 0.0)
        noise = (random.random(n) - 0.5) * 2.0
        ears[0] += level * (1.0 - pan) * decay * noise
        ears[1] += level * pan * decay * noise
    ears += 0.004 * (random.random((2, n)) - 0.5)
    for ear in range(2):
        ears[ear] += 0.01 * (random.random() - 0.5)
    return np.floor(np.clip(ears, -0.999, 0.999) * 32767.0 + 0.5).astype(np.int16)


def make_frames(seed: int, count: int, height: int, width: int) -> np.ndarray:
    """(count, height, width, 3) uint8: a gradient with a ripple, and five soft blobs that wander."""
    random = np.random.Generator(np.random.PCG64(seed))
    y = (np.arange(height, dtype=np.float64) / height)[:, None]
    x = (np.arange(width, dtype=np.float64) / width)[None, :]
    slopes = random.random((3, 4))
    blobs = []
    for _ in range(5):
        place = (random.random(), random.random())
        speed = ((random.random() - 0.5) * 0.02, (random.random() - 0.5) * 0.02)
        blobs.append((place, speed, 0.03 + 0.1 * random.random(), random.random(3)))
    fx, fy = 1 + int(random.integers(0, 4)), 1 + int(random.integers(0, 4))
    out = np.empty((count, height, width, 3), np.uint8)
    for i in range(count):
        picture = np.empty((height, width, 3))
        for c, (a, b, ripple, _) in enumerate(slopes):
            wave = _triangle(fx * x + fy * y + 0.01 * i * (1 + c))
            picture[..., c] = 60 + 80 * (a * x + b * y) + 40 * ripple * wave
        for (px, py), (vx, vy), radius, colour in blobs:
            cx, cy = (0.5 + 0.5 * float(_triangle(np.float64(p + v * i))) for p, v in ((px, vx), (py, vy)))
            d = ((x - cx) * (x - cx) + (y - cy) * (y - cy)) / (radius * radius)
            k = 1.0 / (1.0 + d * d)
            picture = picture * (1 - k[..., None]) + k[..., None] * (30 + 210 * colour)
        out[i] = np.clip(np.floor(picture + 0.5), 0, 255).astype(np.uint8)
    return out


def fill_tensor(key: str, like: torch.Tensor, salt: str) -> torch.Tensor:
    import torch

    if not like.is_floating_point():
        return torch.zeros(like.shape, dtype=like.dtype)
    generator = torch.Generator().manual_seed(zlib.crc32((salt + key).encode()))
    draw = torch.randn(tuple(like.shape), generator=generator)
    if key.endswith("weight_g"):
        draw = (1.0 + 0.02 * draw).abs()
    elif like.ndim >= 2:
        draw = draw / math.sqrt(like.numel() / like.shape[0])
    elif key.endswith("running_var"):
        draw = 1.0 + 0.1 * draw.abs()
    elif like.ndim == 1 and key.endswith("weight"):
        draw = 1.0 + 0.02 * draw
    else:
        draw = 0.02 * draw
    return draw.to(like.dtype)


def filled_state(network: Callable[[], torch.nn.Module], salt: str = "dev") -> dict[str, torch.Tensor]:
    """A state dict for a network class, without building the network in memory; constants as the class makes them."""
    import torch

    with torch.device("meta"):
        shapes = network().state_dict()
    constants = {}
    if any(part in key for key in shapes for part in CONSTANT[:2]):
        constants = network().state_dict()
    state = {}
    for key, like in shapes.items():
        if key.endswith("log_logit_scale"):
            state[key] = torch.tensor(math.log(20.0))
        elif any(part in key for part in CONSTANT):
            state[key] = constants[key]
        else:
            state[key] = fill_tensor(key, like, salt)
    return state


@pytest.fixture(scope="session")
def golden() -> Path:
    return GOLDEN / "metrics"


@pytest.fixture(scope="session")
def wave() -> Callable[[int, float, int], np.ndarray]:
    return make_wave


@pytest.fixture(scope="session")
def frames() -> Callable[[int, int, int, int], np.ndarray]:
    return make_frames


@pytest.fixture(scope="session")
def filled() -> Callable[..., dict[str, torch.Tensor]]:
    return filled_state


@pytest.fixture(scope="session")
def build() -> Callable[[Callable[[], torch.nn.Module]], torch.nn.Module]:
    """A network with filled weights, through the strict loading of the product."""
    import torch

    from visaudio_bench.models.weight_loading import fill

    def make(network: Callable[[], torch.nn.Module], salt: str = "dev") -> torch.nn.Module:
        with torch.device("meta"):
            built = network()
        fill(built, filled_state(network, salt), f"filled weights of salt {salt}")
        return built.eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def waves(wave: Callable[[int, float, int], np.ndarray]) -> dict[str, tuple[torch.Tensor, int]]:
    """The golden sounds as float32 `(C, n)` with their rates."""
    recipes = {
        "w1_44k_8s": (1200, 8.0, 44100),
        "w2_16k_5s": (1201, 5.0, 16000),
        "w3_48k_10s4": (1202, 10.4, 48000),
        "w4_16k_1s5": (1203, 1.5, 16000),
    }
    made = {name: (to_float(wave(*recipe)), recipe[2]) for name, recipe in recipes.items()}
    made["w1_mono_float"] = (made["w1_44k_8s"][0].mean(0, keepdim=True), 44100)
    return made


def to_float(samples: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(samples.astype(np.float32) / 32768)


@pytest.fixture(scope="session")
def end_to_end_sound(
    wave: Callable[[int, float, int], np.ndarray],
) -> Callable[[int], dict[str, tuple[np.ndarray, int]]]:
    """Reference and prediction of one of the six end-to-end clips: (2, n) int16 and the rate."""

    @cache
    def make(index: int) -> dict[str, tuple[np.ndarray, int]]:
        rate = 48000 if index == 3 else 44100
        reference = wave(1000 + index, 8.5 if index == 4 else 8.0, rate)
        other = wave(1050 + index, 8.0, 44100)
        if index == 3:
            return {"reference": (reference, rate), "prediction": (other, 44100)}
        mixed = (reference[:, : other.shape[1]].astype(np.int32) + other) // 2
        return {"reference": (reference, rate), "prediction": (mixed.astype(np.int16), rate)}

    return make


@pytest.fixture(scope="session")
def end_to_end_frames(golden: Path) -> Callable[[int, float, int], np.ndarray]:
    """Frames of one of the six end-to-end videos, selected by the rule of the product."""
    import av

    from visaudio_bench.suites.frame_selection import fps_filter

    def read(index: int, rate: Any, count: int) -> np.ndarray:
        times, pictures = [], []
        with av.open(str(golden / "video" / f"clip_{index:02d}.mp4")) as container:
            for frame in container.decode(video=0):
                assert frame.pts is not None and frame.time_base is not None
                times.append(frame.pts * frame.time_base)
                pictures.append(frame.to_ndarray(format="rgb24"))
        return np.stack([pictures[i] for i in fps_filter(times, rate, count).indices])

    return read
