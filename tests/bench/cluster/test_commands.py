"""What commands leave that a cluster works for is what they leave without one.

Of `bench run` see evaluation/test_network_pipeline.py, of `bench data build` suites/construction/test_dataset.py.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.pool import Needs

from ...conftest import Bench
from .doubles import conduct


def functions(asked: list[tuple[object, Needs]]) -> set[str]:
    return {getattr(function, "func", function).__name__ for function, _ in asked}  # type: ignore[attr-defined]


def hashes(folder: Path, pattern: str) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob(pattern))
    }


def test_sounds_of_videos(bench: Bench, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = conduct(monkeypatch)
    for path in clips.glob("clip[2-5].*"):
        path.unlink()

    def made(name: str, *more: object) -> dict[str, str]:
        asked = ("--system", "motion-pan", "--suite", f"folder:{clips}", "--out", tmp_path / name, *more)
        told = bench("generate", *asked)
        assert told.code == 0, told.err
        return hashes(tmp_path / name, "*.wav")

    alone = made("alone", "--workers", 1)
    assert not cluster.asked
    assert len(alone) == 2
    assert made("cluster", "--ray", "auto") == alone
    assert functions(cluster.asked) == {"_generate_chunk"}


def test_features(bench: Bench, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = conduct(monkeypatch)
    for path in clips.glob("clip[2-5].*"):
        path.unlink()

    def built(name: str, *more: object) -> str:
        asked = (
            "--suite",
            f"folder:{clips}",
            "--out",
            tmp_path / name,
            "--parts",
            "built-in",
            "--duration",
            1.5,
            *more,
        )
        told = bench("features", "build", *asked)
        assert told.code == 0, told.err
        return FeatureStore(tmp_path / name).manifest_hash

    alone = built("alone", "--workers", 1, "--device", "cpu")
    assert not cluster.asked
    # This machine may have no card: what runs on one are the networks of the workers, and these need none.
    assert built("cluster", "--ray", "auto", "--device", "cuda") == alone
    assert {needs for function, needs in cluster.asked if functions([(function, needs)]) == {"_piece"}} == {Needs(1, 1)}
