"""Picture networks and their preparation against values that av-benchmark computed, and invariants."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.models.backbones import frames as pictures
from visaudio_bench.models.backbones import imagebind, synchformer, waveform
from visaudio_bench.suites.frame_selection import fps_filter


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def sha256(array):
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.mark.parametrize("name", ["land", "port", "small", "big"])
def test_scaled_pictures_are_exact(golden, frames, name):
    wanted = json.loads((golden / "resize.json").read_text())[name]
    source = frames(wanted["seed"], wanted["n"], wanted["h"], wanted["w"])
    assert sha256(source) == wanted["sha256"]
    scaled = pictures.scale_short_side(source)
    assert list(scaled.shape) == wanted["resized_shape"]
    assert sha256(scaled.numpy()) == wanted["resized_sha256"]


@pytest.mark.parametrize("name", ["land", "port", "small", "big"])
def test_crops(golden, frames, name):
    wanted = json.loads((golden / "resize.json").read_text())[name]
    stored = np.load(golden / "resize.npz")
    source = frames(wanted["seed"], wanted["n"], wanted["h"], wanted["w"])
    sync = synchformer.normalise_frames(synchformer.prepare_frames(source))
    np.testing.assert_array_equal(sync[..., ::8, ::8], stored[f"{name}.sync_every8th"])
    crops = imagebind.normalise_crops(imagebind.video_crops(source)).expand(3, -1, -1, -1, -1)
    np.testing.assert_array_equal(crops[..., ::8, ::8], stored[f"{name}.ib_crops_every8th"])


@pytest.mark.golden
@pytest.mark.parametrize("index", range(6))
def test_what_the_networks_see_of_a_video_is_exact(golden, end_to_end_frames, index):
    wanted = json.loads((golden / "video.json").read_text())[f"clip_{index:02d}"]
    seldom, often = end_to_end_frames(index, Fraction(1, 2), 4), end_to_end_frames(index, 25, 200)
    assert sha256(seldom.transpose(0, 3, 1, 2)) == wanted["ib_rgb_sha256"]
    assert sha256(often.transpose(0, 3, 1, 2)) == wanted["sync_rgb_sha256"]
    crops = imagebind.normalise_crops(imagebind.video_crops(seldom)).expand(3, -1, -1, -1, -1)
    assert sha256(crops.numpy()) == wanted["ib_video_sha256"]
    assert (
        sha256(synchformer.normalise_frames(synchformer.prepare_frames(often)).numpy()) == wanted["sync_video_sha256"]
    )


def test_imagebind_sees_the_frames_before_odd_seconds():
    times = [Fraction(i, 25) for i in range(205)]
    assert fps_filter(times, imagebind.FRAME_RATE, 4) == ((24, 74, 124, 174), 0)
    times = [Fraction(i, 30) for i in range(246)]
    assert fps_filter(times, imagebind.FRAME_RATE, 4).indices == (29, 89, 149, 209)


def test_a_video_of_exactly_8_s_is_scored_and_recorded():
    """The reference's filter gives 199 frames here and drops the clip in silence."""
    selection = fps_filter([Fraction(i, 25) for i in range(200)], 25, 200)
    assert selection == (tuple(range(200)), 1)
    assert fps_filter([Fraction(i, 25) for i in range(201)], 25, 200).held == 0
    assert fps_filter([Fraction(i, 10) for i in range(80)], 25, 200).held == 2


def test_gaps_repeat_the_earlier_frame_and_a_full_slot_keeps_its_last():
    assert fps_filter([0.0, 0.04, 0.20, 0.24], 25, 6).indices == (0, 1, 1, 1, 1, 2)
    assert fps_filter([0.0, 0.005, 0.01, 0.04, 0.08], 25, 2).indices == (2, 3)
    with pytest.raises(ValueError, match="without frames"):
        fps_filter([], 25, 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 120), st.integers(1, 60), st.integers(1, 40), st.fractions(0, 5, max_denominator=1000))
def test_selection_is_monotonic_full_and_blind_to_a_common_shift(n, fps, count, shift):
    times = [Fraction(i, fps) for i in range(n)]
    selection = fps_filter(times, 25, count)
    assert len(selection.indices) == count
    assert list(selection.indices) == sorted(selection.indices)
    whole = Fraction(math.floor(shift * 25), 25)
    assert fps_filter([t + whole for t in times], 25, count) == selection


def test_pictures_that_may_not_be_written_are_only_read():
    source = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    source.flags.writeable = False
    assert pictures.scale_short_side(source, 16).shape == (2, 3, 16, 24)


def test_wrong_pictures_are_named():
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\) uint8, got \(3, 4, 4\)"):
        pictures.scale_short_side(np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"16 frames.*got 15"):
        synchformer.segment_frames(torch.zeros(15, 3, 8, 8))


def test_three_equal_crops_are_one_with_the_same_mean():
    network = imagebind.ImageBind(audio=(32, 1, 2), vision=(32, 2, 2)).eval()
    crops = imagebind.video_crops(np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))
    assert crops.shape == (1, 4, 3, 224, 224)
    alone, tripled = network.embed_video([crops]), network.embed_video([crops.repeat(3, 1, 1, 1, 1)], batch=2)
    torch.testing.assert_close(alone, tripled)


def test_a_single_frame_has_no_pair():
    network = imagebind.ImageBind(audio=(32, 1, 2), vision=(32, 1, 2)).eval()
    with pytest.raises(ValueError, match="at least two frames"):
        network.embed_video([torch.zeros(1, 1, 3, 224, 224, dtype=torch.uint8)])


def test_videos_of_different_shapes_share_a_batch():
    network = imagebind.ImageBind(audio=(32, 1, 2), vision=(32, 2, 2)).eval()
    random = np.random.default_rng(1)
    videos = [
        imagebind.video_crops(random.integers(0, 256, (4, *size, 3), dtype=np.uint8)) for size in ((64, 64), (48, 64))
    ]
    together = network.embed_video(videos)
    torch.testing.assert_close(together, torch.cat([network.embed_video([video]) for video in videos]))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return synchformer.Synchformer(width=64, heads=4, depth=2).eval()


def test_segments_do_not_depend_on_batches_or_neighbours(small):
    clip = torch.randint(0, 256, (40, 3, 224, 224), dtype=torch.uint8)
    features = small.encode_video(clip[None], batch=4)
    assert features.shape == (1, 4, 8, 64)
    torch.testing.assert_close(features, small.encode_video(clip[None], batch=1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features[:, 1:2], small.encode_video(clip[None, 8:24]), atol=1e-5, rtol=1e-5)


def test_divided_attention_against_a_loop_over_patches():
    """An independent form: every patch attends to the class token and to its own time line, or its own frame."""
    torch.manual_seed(0)
    for over_time in (True, False):
        block = synchformer._DividedAttention(8, 2, 3, 4, over_time=over_time)
        x = torch.randn(1, 13, 8)
        q, k, v = (t.view(13, 2, 4) for t in block.qkv(x)[0].chunk(3, -1))
        rows = []
        for i in range(13):
            seen = [
                j for j in range(1, 13) if ((j - 1) % 4 == (i - 1) % 4 if over_time else (j - 1) // 4 == (i - 1) // 4)
            ]
            seen = [0, *seen] if i else list(range(13))
            weights = torch.einsum("hd,jhd->hj", q[i], k[seen]).div(2.0).softmax(-1)
            rows.append(torch.einsum("hj,jhd->hd", weights, v[seen]).flatten())
        torch.testing.assert_close(block(x)[0], block.proj(torch.stack(rows)), atol=1e-5, rtol=1e-5)


def test_offset_logits_look_at_the_first_and_last_14_segments(small):
    video, audio = torch.randn(2, 24, 8, 64), torch.randn(2, 24, 6, 64)
    logits = small.offset_logits(video, audio)
    assert logits.shape == (2, 2, 21)
    torch.testing.assert_close(logits[:, 0], small.compare(video[:, :14], audio[:, :14]))
    torch.testing.assert_close(logits[:, 1], small.compare(video[:, 10:], audio[:, 10:]))
    with pytest.raises(ValueError, match=r"exactly 14 segments.*got 13 of video"):
        small.offset_logits(video[:, :13], audio[:, :13])
    with pytest.raises(ValueError, match="one length, got 24 segments of audio and 23 of video"):
        small.offset_logits(video[:, :23], audio)


def test_bfloat16_is_near(small):
    segments = synchformer.segment_log_mel(torch.randn(1, 16000))
    exact = small.encode_audio(segments)
    import copy

    near = copy.deepcopy(small).to(torch.bfloat16).encode_audio(segments)
    assert near.dtype == torch.float32
    assert 0 < (near - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.golden
@pytest.mark.slow
def test_synchformer_video_features_and_logits(golden, build, end_to_end_frames, end_to_end_sound):
    """Two of the six clips: the other four take a minute each and add nothing (all were run once)."""
    network = build(synchformer.Synchformer)
    video, logits = np.load(golden / "synchformer_video.npz"), np.load(golden / "synchformer_logits.npz")
    for index, key in ((0, "clip_00.features_every6th"), (1, "clip_01.features_every_6th_segment")):
        prepared = synchformer.prepare_frames(end_to_end_frames(index, 25, 200))
        seen = network.encode_video(prepared[None])
        np.testing.assert_allclose(seen[0, ::6], video[key], rtol=0, atol=2e-5 * np.abs(video[key]).max())
        samples, rate = end_to_end_sound(index)["prediction"]
        sound = torch.from_numpy(samples.astype(np.float32) / 32768).mean(0, keepdim=True)
        heard = network.encode_audio(synchformer.segment_log_mel(waveform.to_16k(sound, rate, 8.0)))
        for window, name in enumerate(("first14", "last14")):
            expected = logits[f"stereo_file.{name}"][index]
            found = network.offset_logits(seen, heard)[0, window]
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.golden
@pytest.mark.slow
def test_imagebind_video_features(golden, build, end_to_end_frames):
    network = build(imagebind.ImageBind)
    stored = np.load(golden / "end_to_end_features.npz")["ib_video"]
    for index, expected in enumerate(stored):
        crops = imagebind.video_crops(end_to_end_frames(index, imagebind.FRAME_RATE, imagebind.FRAMES))
        assert len(crops) == (1 if index == 4 else 3)
        found = network.embed_video([crops])[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
