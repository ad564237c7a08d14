"""Sound networks against values that av-benchmark computed, and what must hold for any sound."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.models.backbones import imagebind, layers, panns, passt, synchformer, vggish, waveform

from ...rounding import close_to_rounding

SOUNDS = ("w1_44k_8s", "w2_16k_5s", "w3_48k_10s4")


def but_slow(*names, quick, marks=()):
    """Of a network of full size one sound is asked always, or as `marks` say, the others by `make test-all`."""
    return [pytest.param(name, marks=marks if name == quick else pytest.mark.slow) for name in names]


FULL = pytest.mark.full_size


# Whole networks: with every operation wrong by an ulp (two draws each) VGGish moves by 1.3e-6 of its largest value,
# from a sound at 44.1 kHz on, and the others by 0.2e-6 to 0.7e-6. Fifteen times the largest is allowed.
OF_MAXIMUM = 2e-5


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def sounds_16k(waves):
    """What VGGish and PANNs hear of each sound: the mix without its mean, 8 s at most."""
    return {
        name: waveform.to_16k(sound.mean(0, keepdim=True), rate, 8.0, remove_mean=True)
        for name, (sound, rate) in waves.items()
    }


@pytest.fixture(scope="module")
def vggish_network(build):
    return build(vggish.Vggish)


@pytest.fixture(scope="module")
def cnn14(build):
    return build(panns.Cnn14)


def archive(golden: Path, name: str):
    return np.load(golden / f"{name}.npz")


def close(found, expected, tolerance=None):
    expected = np.asarray(expected)
    tolerance = OF_MAXIMUM * np.abs(expected).max() if tolerance is None else tolerance
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=tolerance)


def keys_of(golden: Path, name: str):
    with (golden / f"{name}_keys.tsv").open() as file:
        return {row["key"]: (row["shape"], row["dtype"]) for row in csv.DictReader(file, delimiter="\t")}


def listing(network):
    with torch.device("meta"):
        state = network().state_dict()
    return {k: ("x".join(map(str, v.shape)) or "scalar", str(v.dtype).removeprefix("torch.")) for k, v in state.items()}


@pytest.mark.parametrize(
    ("name", "network"),
    [("vggish", vggish.Vggish), ("panns_cnn14_16k", panns.Cnn14), ("synchformer", synchformer.Synchformer)],
)
def test_state_dict_is_the_public_one(golden, name, network):
    assert listing(network) == keys_of(golden, name)


def test_passt_state_dict_is_the_public_one_without_the_classes_of_the_distillation_token(golden):
    public = keys_of(golden, "passt")
    mine = listing(passt.Passt)
    assert mine == {key: value for key, value in public.items() if not key.startswith(passt.Passt.ignored)}
    assert len(public) == len(mine) + 2


def test_imagebind_state_dict_is_the_audio_and_vision_part_of_the_public_one(golden):
    public = keys_of(golden, "imagebind_huge")
    mine = listing(imagebind.ImageBind)
    assert len(mine) == 569
    assert mine == {key: value for key, value in public.items() if key.split(".")[1] in ("audio", "vision")}
    assert all(key in mine or key.startswith(imagebind.ImageBind.ignored) for key in public)


@pytest.mark.golden
@pytest.mark.parametrize("name", SOUNDS)
def test_sound_at_16k_is_the_references(golden, waves, name):
    sound, rate = waves[name]
    stored = archive(golden, "audio_16k")[f"{name}.panns_vggish_16k.head"]
    prepared = partial(waveform.to_16k, sample_rate=rate, duration=8.0, remove_mean=True)
    close_to_rounding(prepared, sound.mean(0), expected=stored, stored=lambda made: made[: len(stored)])


@pytest.mark.golden
def test_the_mean_goes_before_resampling_and_before_the_cut(golden, waves):
    sound, rate = waves["w1_44k_8s"]
    stored = archive(golden, "audio_16k")["w1_44k_8s.sync_16k.head"]
    with_mean = partial(waveform.to_16k, sample_rate=rate, duration=8.0)
    close_to_rounding(with_mean, sound.mean(0), expected=stored, stored=lambda made: made[:16000])
    long, rate = waves["w3_48k_10s4"]
    mix = long.mean(0)
    cut_first = waveform.to_16k(mix[: 8 * rate], rate, 8.0, remove_mean=True)
    assert (waveform.to_16k(mix, rate, 8.0, remove_mean=True) - cut_first).abs().max() > 1e-5


def test_nothing_is_padded():
    assert waveform.to_16k(torch.zeros(1, 44100), 44100, 8.0).shape == (1, 16000)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([8000, 11025, 22050, 32000, 44100, 48000]), st.integers(1, 4000))
def test_resampled_length_is_the_ceiling(rate, n):
    assert waveform.resample(torch.zeros(2, n), rate, 16000).shape == (2, -(-n * 16000 // rate))


def test_resampling_keeps_a_tone(waves):
    t = torch.arange(44100) / 44100
    tone = torch.sin(2 * torch.pi * 1000 * t)
    expected = torch.sin(2 * torch.pi * 1000 * torch.arange(16000) / 16000)
    torch.testing.assert_close(waveform.resample(tone, 44100, 16000)[100:-100], expected[100:-100], atol=2e-3, rtol=0)


def test_resampling_equals_torchaudio(waves):
    torchaudio = pytest.importorskip("torchaudio")
    for name in ("w1_44k_8s", "w3_48k_10s4"):
        sound, rate = waves[name]
        for dtype, theirs in (
            (torch.float64, torchaudio.transforms.Resample(rate, 16000)),
            (torch.float32, partial(torchaudio.functional.resample, orig_freq=rate, new_freq=16000)),
        ):
            ours = partial(waveform.resample, source_rate=rate, target_rate=16000, kernel_dtype=dtype)
            close_to_rounding(ours, sound, expected=theirs(sound))


def test_kaldi_log_mel_equals_torchaudio(waves):
    kaldi = pytest.importorskip("torchaudio.compliance.kaldi")
    sound = waves["w2_16k_5s"][0][:1]
    expected = kaldi.fbank(
        sound, htk_compat=True, sample_frequency=16000, use_energy=False, window_type="hanning", num_mel_bins=128,
        dither=0.0, frame_shift=10,
    )  # fmt: skip
    close_to_rounding(waveform.kaldi_log_mel, sound[0], expected=expected)


def test_views_are_the_mean_and_both_ears():
    sound = torch.tensor([[1.0, 0.5], [0.0, -0.5]])
    assert torch.equal(waveform.views(sound), torch.tensor([[0.5, 0.0], [1.0, 0.5], [0.0, -0.5]]))
    with pytest.raises(ValueError, match=r"\(2, n\), got \(1, 3\)"):
        waveform.views(torch.zeros(1, 3))


@pytest.mark.golden
def test_vggish_examples(golden, sounds_16k):
    stored = archive(golden, "vggish")["w1_44k_8s.examples"]
    assert stored.shape == (8, 96, 64)
    close_to_rounding(vggish.log_mel_examples, sounds_16k["w1_44k_8s"], expected=stored[None])


@pytest.mark.golden
@pytest.mark.parametrize("name", but_slow(*SOUNDS, quick="w2_16k_5s"))
def test_vggish_features(golden, sounds_16k, vggish_network, name):
    close(vggish_network.embed(sounds_16k[name])[0], archive(golden, "vggish")[f"{name}.embedding"])


def test_vggish_features_go_below_zero(sounds_16k, vggish_network):
    assert (vggish_network.embed(sounds_16k["w1_44k_8s"]) < 0).any()  # the last ReLU is left out


@pytest.mark.golden
def test_cnn14_log_mel(golden, sounds_16k, cnn14):
    close(cnn14.logmel_extractor.melW, archive(golden, "panns")["melW"], 1e-7)
    stored = archive(golden, "panns")["w1_44k_8s.logmel_db"]
    close_to_rounding(cnn14.log_mel, sounds_16k["w1_44k_8s"], expected=stored[None])


@pytest.mark.golden
@pytest.mark.parametrize("name", but_slow(*SOUNDS, quick="w2_16k_5s"))
def test_cnn14_features_and_logits(golden, sounds_16k, cnn14, name):
    output = cnn14(sounds_16k[name])
    close(output.features[0], archive(golden, "panns")[f"{name}.embedding_2048"])
    close(output.logits[0], archive(golden, "panns")[f"{name}.logits"])
    assert (output.features >= 0).all()  # after the ReLU


@pytest.mark.slow
def test_a_batch_gives_what_its_clips_give(sounds_16k, vggish_network, cnn14):
    both = torch.cat([sounds_16k["w1_44k_8s"], sounds_16k["w3_48k_10s4"]])
    single = [cnn14(x[None]) for x in both]
    close(cnn14(both).features, torch.cat([one.features for one in single]))
    close(vggish_network.embed(both), torch.cat([vggish_network.embed(x[None]) for x in both]))


def test_batches_are_bounded_inside(monkeypatch):
    """Memory does not grow with the number of clips given, and nothing changes with it."""
    torch.manual_seed(0)
    x = torch.randn(5, 16000)
    loud = vggish.Vggish((4,) * 6, hidden=8), panns.Cnn14((4,) * 6, classes=3)
    bind = imagebind.ImageBind(audio=(32, 1, 2), vision=(32, 1, 2)).eval()
    clips = torch.randn(5, 3, 1, 128, 204)
    whole = loud[0].embed(x), loud[1](x).logits, bind.embed_audio(clips)
    monkeypatch.setattr(vggish, "_EXAMPLES_AT_ONCE", 2)
    monkeypatch.setattr(panns, "_CLIPS_AT_ONCE", 2)
    monkeypatch.setattr(imagebind, "_AUDIO_AT_ONCE", 4)
    split = loud[0].embed(x), loud[1](x).logits, bind.embed_audio(clips)
    for a, b in zip(whole, split, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def heard_by_passt(waves, name):
    """The mix at 32 kHz, of its whole length: one sound is longer than the 10 s that are heard."""
    sound, rate = waves[name]
    return waveform.to_rate(sound.mean(0, keepdim=True), rate, passt.RATE, remove_mean=True)


@pytest.mark.golden
def test_passt_log_mel(golden, waves):
    sound, rate = waves["w1_44k_8s"]

    def from_the_file(mix):
        heard = waveform.to_rate(mix, rate, passt.RATE, remove_mean=True)
        return passt.log_mel(torch.nn.functional.pad(heard, (0, 2 * passt.RATE)))

    mix, expected = sound.mean(0, keepdim=True), archive(golden, "passt")["w1_44k_8s.log_mel_every4th_10th"]
    assert from_the_file(mix).shape == (1, 128, 1000)
    close_to_rounding(from_the_file, mix, expected=expected, stored=lambda made: made[0, ::4, ::10])


@pytest.fixture(scope="module")
def small_passt(build):
    return build(partial(passt.Passt, width=96, depth=2, heads=4, classes=20))


@pytest.mark.golden
@pytest.mark.parametrize("name", ["w1_44k_8s", "w2_16k_5s", "w3_48k_10s4", "w4_16k_1s5"])
def test_passt_features_and_logits(golden, waves, small_passt, name):
    output = small_passt(heard_by_passt(waves, name))
    close(output.features[0], archive(golden, "passt")[f"{name}.small_embedding"])
    close(output.logits[0], archive(golden, "passt")[f"{name}.small_logits"])


@pytest.mark.slow
@pytest.mark.golden
def test_passt_in_full_size(golden, waves, build):
    output = build(passt.Passt)(heard_by_passt(waves, "w1_44k_8s"))
    close(output.features[0], archive(golden, "passt")["w1_44k_8s.embedding_768"])
    close(output.logits[0], archive(golden, "passt")["w1_44k_8s.logits"])


@pytest.mark.golden
@pytest.mark.parametrize("name", ["w1_44k_8s", "w2_16k_5s", "w3_48k_10s4", "w4_16k_1s5"])
def test_imagebind_clips(golden, waves, name):
    sound, rate = waves[name]
    stored, clips = archive(golden, "imagebind_audio"), partial(imagebind.audio_clips, sample_rate=rate)
    if f"{name}.mel_clips" in stored:
        close_to_rounding(clips, sound, expected=stored[f"{name}.mel_clips"])
    else:
        every = stored[f"{name}.mel_clips_every4th"]
        close_to_rounding(clips, sound, expected=every, stored=lambda made: made[:, :, ::4, ::4])


def test_imagebind_clips_leave_the_input_alone(waves):
    for name in ("w4_16k_1s5", "w1_mono_float"):
        sound, rate = waves[name]
        before = sound.clone()
        imagebind.audio_clips(sound, rate)
        imagebind.audio_clips(sound[:1], 16000)
        assert torch.equal(sound, before)


def test_imagebind_hears_the_left_channel_of_a_stereo_file(waves):
    sound, rate = waves["w1_44k_8s"]
    stereo, left = imagebind.audio_clips(sound, rate), imagebind.audio_clips(sound[:1], rate)
    close(stereo, left, 1e-3)
    assert (stereo - imagebind.audio_clips(sound[1:], rate)).abs().max() > 0.1


def test_imagebind_clip_starts_reach_the_end():
    """A click at 7 s is in the third clip (6 to 8 s), not in that of pytorchvideo 0.1.5 (4 to 6 s)."""
    sound = torch.zeros(1, 128000)
    sound[0, 112000] = 1.0
    heard = imagebind.audio_clips(sound, 16000)[..., :198].amax((1, 2, 3)) > 0  # the last six frames are padding
    assert heard.tolist() == [False, False, True]
    assert not (imagebind.audio_clips(sound, 16000, "pytorchvideo_0.1.5")[..., :198] > 0).any()


@pytest.mark.golden
def test_synchformer_log_mel(golden, waves):
    sound, rate = waves["w1_44k_8s"]
    heard = waveform.to_16k(sound.mean(0, keepdim=True), rate, 8.0)
    assert synchformer.segment_log_mel(heard).shape == (1, 24, 128, 66)
    expected = archive(golden, "synchformer_audio")["w1_44k_8s.spec_segments_0_11_23"]
    close_to_rounding(synchformer.segment_log_mel, heard, expected=expected, stored=lambda made: made[0, [0, 11, 23]])


@pytest.mark.parametrize(
    ("function", "least"),
    [(vggish.log_mel_examples, 15600), (synchformer.segment_log_mel, 10240), (panns.Cnn14((1,) * 6).eval(), 4960)],
)
def test_sound_that_is_too_short_is_named(function, least):
    function(torch.zeros(1, least))
    with pytest.raises(ValueError, match=f"at least {least} samples.*got {least - 1}"):
        function(torch.zeros(1, least - 1))


def test_fast_paths_compute_what_torch_does():
    x, weight, bias = torch.randn(3, 5, 64), torch.randn(96, 64), torch.randn(96)
    plain = torch.nn.functional.linear(x, weight, bias)
    torch.testing.assert_close(layers.linear(x, weight, bias), plain, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(
        layers.linear(x, weight, bias, "gelu"), torch.nn.functional.gelu(plain), atol=1e-4, rtol=1e-5
    )
    convolution, maps = layers.Conv3x3(16, 256, bias=True), torch.randn(1, 16, 5, 7)
    torch.testing.assert_close(convolution(maps), torch.nn.Conv2d.forward(convolution, maps), atol=1e-5, rtol=1e-5)


def test_gradients_take_torchs_own_path():
    layer, convolution = layers.Linear(8, 4), layers.Conv3x3(2, 64)
    with torch.enable_grad():
        (layer(torch.randn(2, 8), "gelu").sum() + convolution(torch.randn(1, 2, 2, 2)).sum()).backward()
    assert layer.weight.grad is not None and convolution.weight.grad is not None


def test_networks_print_and_write_nothing(capfd, tmp_path, monkeypatch, vggish_network):
    monkeypatch.chdir(tmp_path)
    vggish_network.embed(torch.zeros(2, 16000))
    small = imagebind.ImageBind(audio=(32, 1, 2), vision=(32, 1, 2))
    small.embed_audio(imagebind.audio_clips(torch.zeros(1, 48000), 16000)[None])
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.golden
@pytest.mark.parametrize("name", but_slow(*SOUNDS, quick="w2_16k_5s", marks=FULL))
def test_synchformer_audio_features(golden, waves, build, name):
    length, step = (5.0 if name == "w2_16k_5s" else 8.0), (4 if name == "w1_44k_8s" else 7)
    sound, rate = waves[name]
    segments = synchformer.segment_log_mel(waveform.to_16k(sound.mean(0, keepdim=True), rate, length))
    key = f"{name}.features_every4th" if step == 4 else f"{name}.features"
    found = build(synchformer.Synchformer).encode_audio(segments)[0, ::step]
    close(found, archive(golden, "synchformer_audio")[key])


@pytest.fixture(scope="module")
def imagebind_audio(build):
    """The audio half in full, the vision half small."""
    return build(partial(imagebind.ImageBind, vision=(32, 1, 2)))


@pytest.mark.golden
@pytest.mark.parametrize("name", but_slow(*SOUNDS, "w4_16k_1s5", "w1_mono_float", quick="w4_16k_1s5", marks=FULL))
def test_imagebind_audio_features(golden, waves, imagebind_audio, name):
    stored = archive(golden, "imagebind_audio")
    clips = imagebind.audio_clips(*waves[name])
    close(imagebind_audio.embed_audio(clips[None])[0], stored[f"{name}.embedding"])
    if name == "w1_44k_8s":
        per_clip = imagebind_audio.embed_audio(clips[:, None])
        close(per_clip, stored["w1_44k_8s.embedding_per_clip"])
        torch.testing.assert_close(per_clip.norm(dim=1), torch.full((3,), 20.0))


@pytest.mark.golden
@pytest.mark.parametrize("index", but_slow(0, 3, quick=3, marks=FULL))
def test_imagebind_features_of_stereo_and_mono_files(golden, end_to_end_sound, imagebind_audio, index):
    stored = archive(golden, "end_to_end_features")
    samples, rate = end_to_end_sound(index)["prediction"]
    sound = torch.from_numpy(samples.astype(np.float32) / 32768)
    mix = sound.mean(0, keepdim=True)
    both = torch.stack([imagebind.audio_clips(sound, rate), imagebind.audio_clips(mix, rate)])
    stereo_file, mono_file = imagebind_audio.embed_audio(both)
    close(stereo_file, stored["ib_audio_stereo_file"][index])
    close(mono_file, stored["ib_audio_mono_file"][index])


@pytest.mark.golden
@pytest.mark.parametrize("index", but_slow(*range(6), quick=3, marks=FULL))
def test_features_of_the_end_to_end_clips(golden, end_to_end_sound, vggish_network, cnn14, index):
    """All three views in one batch; clip 3 changes its rate between reference and prediction, clip 4 is too long."""
    stored = archive(golden, "end_to_end_features")
    for side, name in (("reference", "gt"), ("prediction", "pred")):
        samples, rate = end_to_end_sound(index)[side]
        sound = torch.from_numpy(samples.astype(np.float32) / 32768)
        heard = waveform.to_16k(waveform.views(sound), rate, 8.0, remove_mean=True)
        output, rows = cnn14(heard), vggish_network.embed(heard)
        for row, view in enumerate(("mix", "left", "right")):
            close(output.features[row], stored[f"{name}_{view}.panns_2048"][index])
            close(output.logits[row], stored[f"{name}_{view}.panns_logits"][index])
            close(rows[row], stored[f"{name}_{view}.vggish"][index])
