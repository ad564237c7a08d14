"""Pictures that are read while networks compute: the same sounds in the same order, and a clip's fault is its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from visaudio_bench.models.visaudio import pipeline, published_parts
from visaudio_bench.models.visaudio.config import Config
from visaudio_bench.models.visaudio.pipeline import Pipeline, Request, Sounded
from visaudio_bench.models.visaudio.settings import Settings

from .small_parts import NOTES, put_in_place

CONFIG = Config(
    "small", latent_dim=40, hidden=16, heads=2, depth=2, fused_depth=1, clip_dim=8, sync_dim=24, text_dim=8,
    spatial_dim=3, spatial_grid=4,
)  # fmt: skip


class Noted(published_parts.PublishedConditioners):
    """Conditioners that note which threads read, and which look."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[threading.Thread] = set()
        self.lookers: set[threading.Thread] = set()

    def read(self, *given: Any, **named: Any) -> Any:
        self.readers.add(threading.current_thread())
        return super().read(*given, **named)

    def look(self, *given: Any) -> Any:
        self.lookers.add(threading.current_thread())
        return super().look(*given)


def test_sounds_are_the_same_to_the_bit(
    clips: Path, tmp_path: Path, filled: Callable, filled_network: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTES, "")
    put_in_place(monkeypatch.setattr, tmp_path / "small", filled)
    monkeypatch.setattr(pipeline, "_AHEAD", 2)
    (clips / "clip3.mp4").write_bytes(b"no video")
    requests = [Request(f"clip{index}", clips / f"clip{index}.mp4", f"bell {index}", 0.0, 0.7) for index in range(5)]
    requests.insert(1, Request("long", clips / "clip5.mp4", None, 0.1, 1.8))
    requests.insert(3, requests[0]._replace(id="silent film", video=None))
    network = filled_network(CONFIG)

    def made(readers: int) -> tuple[list[Sounded], Noted]:
        monkeypatch.setattr(pipeline, "readers_for", lambda device: readers)
        conditioners = Noted()
        settings = Settings(steps=2, batch=2, window=0.7)
        own = Pipeline(network, conditioners, published_parts.PublishedCodec(), settings=settings)
        return list(own.generate(requests, 7)), conditioners

    (plain, alone), (ahead, noted) = made(0), made(3)
    assert [(one.request.id, one.error and one.error.reason) for one in ahead] == [
        (one.request.id, one.error and one.error.reason) for one in plain
    ]
    reasons = {one.request.id: one.error.reason for one in plain if one.error is not None}
    assert reasons.keys() == {"silent film", "clip3"} and reasons["silent film"] == "no_video"
    for one, other in zip(plain, ahead, strict=True):
        if one.sound is not None:
            assert other.sound is not None and one.sound.tobytes() == other.sound.tobytes()
            assert float(abs(one.sound).max()) > 0
    main = {threading.main_thread()}
    assert (alone.readers, alone.lookers, noted.lookers) == (main, main, main)
    assert noted.readers and not noted.readers & main


def test_a_card_has_readers_and_a_processor_has_none() -> None:
    assert pipeline.readers_for(torch.device("cpu")) == 0
    assert pipeline.readers_for(torch.device("cuda:1")) > 0
