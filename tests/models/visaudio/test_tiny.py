"""The built-in codec and conditioners: what they keep, what they tell apart, and what they cannot know."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.errors import ClipError
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.models.visaudio.config import CONFIGS, lengths
from visaudio_bench.models.visaudio.tiny.conditioners import BuiltInConditioners
from visaudio_bench.models.visaudio.tiny.vocoder import _LOUDEST, LEVELS, LIKENESSES, SHARED, Vocoder
from visaudio_bench.suites.media import write_video

CODEC = Vocoder()


def noise(seconds: float = 1.5, ears: int = 2, seed: int = 0, *, lead: int = 0, louder: float = 1.0) -> torch.Tensor:
    """`(1, ears, T)`: the left ear hears the same `lead` samples earlier and `louder` times as loud."""
    length = round(seconds * 44100)
    samples = 0.1 * torch.randn(length + 64, generator=torch.Generator().manual_seed(seed))
    left, right = samples[32 : 32 + length], samples[32 - lead : 32 - lead + length]
    return torch.stack([left * louder, right])[None, :ears]


@settings(max_examples=25)
@given(st.integers(1, 3 * 44100), st.integers(1, 2))
def test_any_length_becomes_whole_tokens(samples: int, ears: int) -> None:
    sound = torch.ones(1, ears, samples)
    mean, deviation = CODEC.encode(sound)
    assert mean.shape == deviation.shape == (1, ears, math.ceil(samples / 1024), CODEC.latent_dim)
    assert CODEC.decode(mean).shape == (1, ears, 1024 * mean.shape[2])
    assert not deviation.any()


@pytest.mark.parametrize(("lead", "louder"), [(12, 1.0), (0, 2.0), (-20, 0.5), (25, 3.0)])
def test_direction_survives(lead: int, louder: float) -> None:
    sound = noise(lead=lead, louder=louder)
    heard = interaural_cues(CODEC.decode(CODEC.encode(sound)[0])[0], 44100)
    assert heard.itd == pytest.approx(lead / 44100 * 1e6, abs=15)
    assert heard.ild == pytest.approx(20 * math.log10(louder), abs=0.3)


def test_levels_and_rhythm_survive() -> None:
    sound = noise(3.0)
    sound[..., 44100 : 2 * 44100] *= 0.1
    made = CODEC.decode(CODEC.encode(sound)[0])
    for second, level in ((0.5, 0.1), (1.5, 0.01), (2.5, 0.1)):
        part = made[..., round((second - 0.3) * 44100) : round((second + 0.3) * 44100)]
        assert 20 * math.log10(float(part.std()) / level) == pytest.approx(0, abs=1.5)


def test_exchanged_ears_have_exchanged_latents() -> None:
    sound = noise(lead=7, louder=1.7)
    there, back = CODEC.encode(sound)[0], CODEC.encode(sound.flip(1))[0]
    torch.testing.assert_close(there.flip(1)[..., :-1], back[..., :-1], atol=1e-4, rtol=0)
    # the lead may turn by one step of 5.7 µs where two are equally good
    torch.testing.assert_close(there.flip(1), back, atol=0.0082, rtol=0)


def test_whatever_comes_in_nothing_is_beyond_full_scale_or_louder_than_in_training() -> None:
    generator = torch.Generator().manual_seed(0)
    for scale in (1.0, 30.0, 1e4):
        made = CODEC.decode(scale * torch.randn(1, 2, 40, CODEC.latent_dim, generator=generator))
        assert bool(torch.isfinite(made).all())
        assert float(made.abs().max()) <= 0.981
    broken = torch.zeros(1, 2, 40, CODEC.latent_dim).fill_(math.nan)
    assert float(CODEC.decode(broken).abs().max()) < 1e-4
    # every band as loud as can be asked for: no louder in its band than the loudest training scene
    loudest = torch.full((1, 2, 40, CODEC.latent_dim), 0.0)
    loudest[..., :LEVELS] = 10.0
    loudest[..., SHARED - LIKENESSES : SHARED] = 1.0
    heard = 20 * CODEC.encode(CODEC.decode(loudest))[0][0, 0, 5:-5, :LEVELS].mean(0)
    assert bool((heard < torch.tensor(_LOUDEST) + 3).all())


@pytest.mark.parametrize("hertz", [110.0, 247.0, 523.0, 1320.0, 3520.0])
def test_a_pitch_is_kept(hertz: float) -> None:
    time = torch.arange(2 * 44100) / 44100
    tone = sum(0.2 / n * torch.sin(2 * math.pi * n * hertz * time) for n in (1, 2, 3))
    made = CODEC.decode(CODEC.encode(tone.expand(1, 2, -1))[0])[0, 0, 22050:66150].double()
    spectrum = torch.fft.rfft(made * torch.hann_window(len(made), dtype=torch.float64)).abs()
    assert float(spectrum.argmax()) == pytest.approx(hertz, rel=0.01)


def test_width_is_kept() -> None:
    common, own = noise(2.0, seed=1), noise(2.0, seed=2)[:, :1]
    widths = []
    for share in (0.0, 0.5, 1.0):
        sound = common.clone()
        sound[:, :1] = (1 - share) ** 0.5 * common[:, :1] + share**0.5 * own
        made = CODEC.decode(CODEC.encode(sound)[0])[0]
        was, now = (float(interaural_cues(one, 44100).iacc.mean()) for one in (sound[0], made))
        assert now == pytest.approx(was, abs=0.15)
        widths.append(now)
    assert widths[0] > widths[1] > widths[2]


def test_equal_ears_and_silence_are_in_front() -> None:
    for sound in (noise().expand(1, 2, -1)[:, :1].expand(1, 2, -1), torch.zeros(1, 2, 44100)):
        latent = CODEC.encode(sound)[0]
        torch.testing.assert_close(latent[:, 0], latent[:, 1], atol=1e-4, rtol=0)
        assert not latent[..., SHARED:].any()
        torch.testing.assert_close(latent[..., SHARED - LIKENESSES : SHARED], torch.ones_like(latent[..., :LIKENESSES]))
        made = CODEC.decode(latent)
        torch.testing.assert_close(made[:, 0], made[:, 1], atol=1e-6, rtol=0)
    assert float(made.abs().max()) < 1e-4


def test_one_channel_is_what_both_ears_hear() -> None:
    mono = noise(ears=1)
    latent = CODEC.encode(mono)[0]
    both = CODEC.encode(mono.expand(1, 2, -1))[0]
    torch.testing.assert_close(latent[:, 0], both[:, 0], atol=1e-4, rtol=0)
    torch.testing.assert_close(CODEC.decode(latent)[:, 0], CODEC.decode(both)[:, 0], atol=1e-6, rtol=1e-4)


def test_clips_of_a_batch_do_not_touch_each_other() -> None:
    several = torch.cat([noise(seed=seed, lead=seed) for seed in range(3)])
    together = CODEC.encode(several)[0]
    for index in range(3):
        alone = CODEC.encode(several[index : index + 1])[0]
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-4, rtol=0)
        torch.testing.assert_close(CODEC.decode(together)[index], CODEC.decode(alone)[0], atol=1e-6, rtol=1e-4)


@pytest.fixture
def videos(clips: Path) -> dict[str, Path]:
    return {"left": clips / "clip0.mp4", "right": clips / "clip1.mp4"}


def test_conditions_have_the_shapes_of_the_network(videos: dict[str, Path]) -> None:
    config, wanted = CONFIGS["tiny"], lengths(2.0)
    made = BuiltInConditioners().encode(videos["left"], "a bell", start=0.0, duration=2.0)
    assert made.clip.shape == (1, wanted.clip, config.clip_dim)
    assert made.sync.shape == (1, wanted.sync, config.sync_dim)
    assert made.text.shape == (1, config.text_tokens, config.text_dim)
    assert made.spatial is not None
    assert made.spatial.shape == (1, wanted.clip, config.spatial_grid, config.spatial_grid, config.spatial_dim)


def test_only_the_places_say_where_it_moves(videos: dict[str, Path]) -> None:
    """A mirrored video has mirrored places, and the same sync tokens: they say that something moves, not where."""
    encoded = {side: BuiltInConditioners().encode(videos[side], None, start=0.0, duration=2.0) for side in videos}
    left, right = encoded["left"], encoded["right"]
    torch.testing.assert_close(left.sync, right.sync, atol=0.05, rtol=0)
    assert left.spatial is not None
    assert right.spatial is not None
    motion = {
        side: one.spatial[0, ..., 24:28].mean((0, 1, 3)) for side, one in encoded.items() if one.spatial is not None
    }
    assert motion["left"][:2].sum() > 5 * motion["left"][4:].sum()
    torch.testing.assert_close(motion["left"], motion["right"].flip(0), atol=0.05, rtol=0)


def test_words_are_told_apart_and_their_spelling_is_all_that_counts() -> None:
    encode = BuiltInConditioners().encode_text
    bell, drum = encode("a bell"), encode("a drum")
    assert torch.equal(bell, encode("A Bell!"))
    assert torch.equal(bell[0], drum[0])
    assert not torch.equal(bell[1], drum[1])
    assert not encode("").any()
    assert encode(" ".join(["word"] * 40)).shape == encode("").shape


def test_a_window_is_cut_out_of_a_longer_video(videos: dict[str, Path]) -> None:
    whole = BuiltInConditioners().encode(videos["left"], None, start=0.0, duration=2.0)
    later = BuiltInConditioners().encode(videos["left"], None, start=1.0, duration=1.0)
    torch.testing.assert_close(later.clip[:, 2:], whole.clip[:, 10:], atol=1e-4, rtol=0)


def test_a_video_may_end_a_little_early_and_no_more(videos: dict[str, Path]) -> None:
    BuiltInConditioners().encode(videos["left"], None, start=0.0, duration=2.2)
    with pytest.raises(ClipError, match=r"shows 2\.00 s .* --duration 2") as told:
        BuiltInConditioners().encode(videos["left"], None, start=0.0, duration=2.5)
    assert told.value.reason == "short"


def test_every_condition_is_bounded_and_a_still_picture_is_none_that_moves(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    shown = {
        "black": np.zeros((50, 64, 64, 3)),
        "grey": np.full((50, 64, 64, 3), 128),
        "flicker": np.tile(np.array([0, 255]).repeat(2), 13)[:50, None, None, None] * np.ones((50, 64, 64, 3)),
        "noise": generator.integers(0, 255, (50, 64, 64, 3)),
    }
    for name, pictures in shown.items():
        write_video(tmp_path / f"{name}.mp4", pictures.astype(np.uint8), 25)
        made = BuiltInConditioners().encode(tmp_path / f"{name}.mp4", None, start=0.0, duration=2.0)
        assert made.spatial is not None
        for part in (made.clip, made.sync, made.spatial):
            assert bool(torch.isfinite(part).all()), name
            assert float(part.abs().max()) <= 4, name
        if name in ("black", "grey"):
            assert float(made.sync.abs().max()) < 0.05
            assert float(made.spatial[..., 16:].abs().max()) < 0.05


def test_a_sync_token_says_when(tmp_path: Path) -> None:
    pictures = np.full((50, 64, 64, 3), 90, np.uint8)
    for frame in (12, 32):  # a square that swells at once and shrinks again
        for later, half in enumerate((12, 9, 6, 4)):
            pictures[frame + later, 32 - half : 32 + half, 20 - half : 20 + half] = 220
    write_video(tmp_path / "beats.mp4", pictures, 25, crf=18)
    tokens = BuiltInConditioners().encode(tmp_path / "beats.mp4", None, start=0.0, duration=2.0).sync[0]
    # of each segment of 16 frames, 8 behind the one before, the first half is new: (frames, 16)
    frames = tokens.view(-1, 8, 2, 16)[:, :4].flatten(0, 2)
    peaks = frames[:, 5].nonzero()[:, 0].tolist()
    assert peaks == [12, 32]
