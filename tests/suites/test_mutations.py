"""Two hundred damaged files: reading never crashes, never hangs, and always ends in sound or in a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from visaudio_bench.errors import ClipError
from visaudio_bench.isolation import map_isolated
from visaudio_bench.suites.admission import AdmissionRules, admit
from visaudio_bench.suites.media import probe, read_frames, read_sound, write_audio

REASONS = {
    "unreadable", "corrupt", "no_audio", "no_video", "short", "late", "mono", "not_two_channel", "low_rate",
    "not_finite", "silent", "lfs_pointer", "not_found",
}  # fmt: skip


def read_everything(path: Path) -> dict[str, str]:
    """Every way in which a file is read; runs in a process of its own. Anything but a `ClipError` goes through."""
    seconds = 0.4
    ways: dict[str, Callable[[], object]] = {
        "probe": lambda: probe(path),
        "whole": lambda: read_sound(path, sample_rate=44100).samples.shape,
        "window": lambda: read_sound(path, start=0.1, duration=seconds).samples.shape,
        "pictures": lambda: read_frames(path, fps=10, duration=seconds).pictures.shape,
        "admit": lambda: admit(path, path, 0.0, seconds, AdmissionRules()),
    }
    told = {}
    for name, way in ways.items():
        try:
            way()
            told[name] = "read"
        except ClipError as error:
            told[name] = error.reason
    return told


# A mutation: bytes that are overwritten (place as a share of the file, value), and where the file is cut.
places = st.floats(0, 1, exclude_max=True)
mutations = st.tuples(
    st.lists(st.tuples(places, st.binary(min_size=1, max_size=8)), max_size=6),
    st.one_of(st.none(), places),
    # headers are a small share of a file, and the most interesting one
    st.lists(st.tuples(st.integers(0, 1500), st.binary(min_size=1, max_size=4)), max_size=4),
)


def mutate(content: bytes, how: tuple) -> bytes:
    somewhere, end, in_header = how
    changed = bytearray(content)
    for place, value in [*((int(share * len(content)), value) for share, value in somewhere), *in_header]:
        changed[place : place + len(value)] = value[: max(0, len(content) - place)]
    return bytes(changed if end is None else changed[: int(end * len(content))])


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory, movie: Callable, sound: Callable) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("small")
    movie(folder / "x.mp4", 0.6, sound(0.6), options={"movflags": "faststart"})
    write_audio(folder / "x.wav", sound(0.6), 48000)
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("suffix", [".mp4", ".wav"])
@seed(20)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(how=mutations)
def test_a_mutated_file_is_read_or_refused(
    tmp_path: Path, originals: dict[str, bytes], suffix: str, how: tuple
) -> None:
    path = tmp_path / f"mutated{suffix}"
    path.write_bytes(mutate(originals[suffix], how))
    (outcome,) = map_isolated(read_everything, [path], 1, timeout=600)
    assert set(outcome.result().values()) <= REASONS | {"read"}


def test_the_originals_are_read(tmp_path: Path, originals: dict[str, bytes]) -> None:
    for suffix, content in originals.items():
        (tmp_path / f"x{suffix}").write_bytes(content)
    told = read_everything(tmp_path / "x.mp4")
    assert set(told.values()) == {"read"}
    assert np.isfinite(read_sound(tmp_path / "x.wav").samples).all()
