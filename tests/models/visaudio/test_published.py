"""The published parts with small networks in place of the large ones: what goes where, in which order and shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from visaudio_bench.errors import ClipError
from visaudio_bench.models.backbones.synchformer import SynchformerVisual
from visaudio_bench.models.visaudio import published_parts
from visaudio_bench.models.visaudio.config import CODEC_WEIGHTS, ENCODER_WEIGHTS, SPATIAL_WEIGHTS, lengths
from visaudio_bench.models.visaudio.parts import required_weights
from visaudio_bench.models.weights import WEIGHTS


class PictureMeans(nn.Module):
    """Stands in for CLIP and PE: what it is asked for, computed from the means of the pictures."""

    side = 32

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.float().mean((2, 3))

    def encode_text(self, captions: list[str]) -> torch.Tensor:
        return torch.full((len(captions), 77, 4), float(len(captions[0])))


class PlaceMeans(PictureMeans):
    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(frames.float(), 4).permute(0, 2, 3, 1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "DfnClip": PictureMeans,
        "PerceptionEncoder": PlaceMeans,
        "SynchformerVisual": lambda: SynchformerVisual(width=24, heads=2, depth=1).eval(),
    }
    monkeypatch.setattr(published_parts, "load", lambda network, *_, **__: made[network.__name__]())
    monkeypatch.setattr(
        published_parts.weights, "require", lambda name: SimpleNamespace(path=Path(name), sha256=name[::-1])
    )


def test_every_part_gets_its_own_pictures(small: None, clips: Path) -> None:
    parts = published_parts.PublishedConditioners()
    made = parts.encode(clips / "clip0.mp4", "a bell", start=0.0, duration=2.0)
    wanted = lengths(2.0)
    assert made.clip.shape == (1, wanted.clip, 3)
    assert made.sync.shape == (1, wanted.sync, 24)
    assert made.spatial is not None
    assert made.spatial.shape == (1, wanted.clip, 4, 4, 3)
    assert float(made.text[0, 0, 0]) == len("a bell")
    # the video blinks at ten frames a second on its left side: bright at odd frames, first frame at or after k / 8
    bright = made.clip[0, :, 0] > made.clip[0, 0, 0] + 5
    assert bright.int().tolist()[:8] == [0, 0, 1, 0, 1, 1, 0, 1]
    places = made.spatial[0, ..., 0].std(0).mean(0)
    assert float(places[0]) > 10 * float(places[2:].max())


def test_identity_names_the_weights_and_the_choice_of_frames(small: None) -> None:
    identity = published_parts.PublishedConditioners(spatial=False).identity
    assert set(identity["weights"]) == set(ENCODER_WEIGHTS)
    assert published_parts.PublishedConditioners().identity["weights"][SPATIAL_WEIGHTS] == SPATIAL_WEIGHTS[::-1]
    assert "first_at_or_after" in identity["frames"]


def test_without_the_spacetime_module_nothing_spatial_is_computed(small: None, clips: Path) -> None:
    parts = published_parts.PublishedConditioners(spatial=False)
    assert parts.encode(clips / "clip0.mp4", None, start=0.0, duration=1.0).spatial is None


def test_a_video_that_ends_early_is_refused(small: None, clips: Path) -> None:
    with pytest.raises(ClipError, match=r"ends at 2\.00 s"):
        published_parts.PublishedConditioners().encode(clips / "clip0.mp4", None, start=0.0, duration=3.0)


def test_the_codec_takes_ears_one_by_one(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Doubling:
        latent_dim = 2

        def encode(self, sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            frames = sound.unfold(-1, 1024, 1024)
            return frames.mean(-1, keepdim=True).expand(-1, -1, 2), torch.ones(len(sound), frames.shape[1], 2)

        def decode(self, latent: torch.Tensor) -> torch.Tensor:
            return latent[..., 0].repeat_interleave(1024, dim=-1)

    monkeypatch.setattr(published_parts, "load_codec", lambda *_, **__: Doubling())
    codec = published_parts.PublishedCodec(encoder=True)
    sound = torch.arange(6.0).reshape(3, 2, 1).expand(3, 2, 4096)
    mean, deviation = codec.encode(sound)
    assert mean.shape == deviation.shape == (3, 2, 4, 2)
    assert torch.equal(codec.decode(mean), sound)
    elsewhere = published_parts.PublishedCodec("meta", encoder=True)
    assert {part.device.type for part in elsewhere.encode(sound)} == {"meta"}, "the network is given what lies with it"
    assert set(codec.identity["weights"]) == set(CODEC_WEIGHTS)


@pytest.mark.parametrize("spatial", [True, False])
def test_the_weights_that_generation_asks_for_are_registered(spatial: bool) -> None:
    names = required_weights("published", spatial=spatial)
    assert set(names) <= set(WEIGHTS)
    assert (SPATIAL_WEIGHTS in names) == spatial
    assert required_weights("built-in", spatial=spatial) == ()


def test_missing_weights_are_told_before_anything_is_loaded(tmp_path: Path, monkeypatch: Any, bench: Callable) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_WEIGHTS", str(tmp_path))
    done = bench("generate", "--system", "mmaudio-dup", "--suite", "simroom-mini", "--out", tmp_path / "out")
    assert done.code == 1
    for name in required_weights("published", spatial=False):
        assert name in done.err
    assert SPATIAL_WEIGHTS not in done.err
