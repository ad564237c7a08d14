import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visaudio_bench.metrics.quantity import Quantity, gather

GOLDEN = Path(__file__).parents[1] / "golden"
OPERATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "id": lambda x: x,
    "mono": lambda x: np.repeat(x.mean(0, keepdims=True), 2, axis=0),
    "swap": lambda x: x[::-1].copy(),
    "gain025": lambda x: x * np.float32(0.25),
    "rsilent": lambda x: x * np.array([[1.0], [0.0]], np.float32),
    "zeros": np.zeros_like,
    "delay100": lambda x: np.pad(x, ((0, 0), (100, 0)))[:, :-100],
}


@pytest.fixture(scope="session")
def spatial() -> dict[str, Any]:
    return json.loads((GOLDEN / "spatial" / "expected.json").read_text())


@pytest.fixture(scope="session")
def signal() -> Callable[[str], np.ndarray]:
    """`signal("A:swap")`: a golden signal after a named operation, (2, T) float32."""
    with np.load(GOLDEN / "spatial" / "signals.npz") as archive:
        stored = {name: archive[name].astype(np.float32) / 32768 for name in archive}

    def get(name: str) -> np.ndarray:
        source, operation = name.split(":")
        return OPERATIONS[operation](stored.get(source, stored.get(f"{source}16")))

    return get


def side_by_side(clips: Sequence[Mapping[str, Quantity | float]]) -> dict[str, np.ndarray]:
    """The quantities of clips as `gather` puts the rows of their table together."""
    names = list(dict.fromkeys(name for clip in clips for name in clip))
    rows = [(names.index(name), number, value) for number, clip in enumerate(clips) for name, value in clip.items()]
    values = [value.value if isinstance(value, Quantity) else value for _, _, value in rows]
    codes, numbers = (np.array([row[place] for row in rows]) for place in (0, 1))
    return gather(names, codes, numbers, np.array(values, dtype=np.float64), len(clips))


def point_source(seed: int, delay: float, gain_db: float, seconds: float = 2.0, ambience: float = 0.02) -> np.ndarray:
    """Pink-ish noise that reaches the left ear `delay` samples earlier and `gain_db` louder, with weak ambience."""
    generator = np.random.default_rng(seed)
    samples = int(seconds * 44100)
    spectrum = np.fft.rfft(generator.normal(size=samples)) / np.sqrt(np.arange(samples // 2 + 1) + 50)
    omega = 2 * np.pi * np.arange(len(spectrum)) / samples
    ears = [
        np.fft.irfft(spectrum * np.exp(-1j * omega * shift) * 10 ** (level / 20), samples)
        for shift, level in ((-delay / 2, gain_db / 2), (delay / 2, -gain_db / 2))
    ]
    pair = np.stack(ears)
    pair = pair / np.abs(pair).max() * 0.5
    return (pair + ambience * pair.std() * generator.normal(size=pair.shape)).astype(np.float32)


@pytest.fixture(scope="session", name="point_source")
def point_source_fixture() -> Callable[..., np.ndarray]:
    return point_source
