"""Mel spectrogram, VAE and vocoder against the authors' numbers, and what must hold of any weights."""

import csv
import math
import re
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn.utils import parametrizations

from visaudio_bench.errors import BenchError
from visaudio_bench.models import weight_checks
from visaudio_bench.models.backbones import bigvgan, mel, mmaudio_codec, vae
from visaudio_bench.models.weight_loading import fill, load

from ...rounding import close_to_rounding

small_vae = partial(vae.Vae, width=8, bands=128, latent=40)
small_vocoder = partial(bigvgan.BigVgan, width=64)
BIGVGAN = "bigvgan_v2_44khz_128band_512x"


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def architecture(golden):
    return golden.parent / "architecture"


def close(found, expected, of_maximum):
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= of_maximum * float(expected.abs().max())


def keys_of(folder, name):
    with (folder / f"{name}.tsv").open() as file:
        return {row["key"]: row["shape"] for row in csv.DictReader(file, delimiter="\t")}


def listing(network):
    return {key: "x".join(map(str, value.shape)) or "scalar" for key, value in network.state_dict().items()}


def part_of(filled, make, prefix):
    """A part of a network, filled as if its parameters' names began with `prefix`."""
    holder = torch.nn.Module()
    holder.add_module(prefix, make())
    holder.load_state_dict(filled(lambda: holder))
    return holder.get_submodule(prefix)


def on_meta(make):
    with torch.device("meta"):
        return make()


# --- mel -------------------------------------------------------------------------------------------------------------


@pytest.mark.golden
def test_mel_is_the_authors(architecture):
    stored = load_file(architecture / "mel_44k.safetensors")
    close_to_rounding(mel.Mel44k(), stored["in.waveform"], expected=stored["out.mel"])


@pytest.mark.golden
def test_mel_filters_are_the_authors(architecture):
    stored, network = load_file(architecture / "mel_44k_basis.safetensors"), mel.Mel44k()
    assert listing(network) == keys_of(architecture, "mel_44k_keys")
    assert float((network.mel_basis - stored["mel_basis"]).abs().max()) < 1e-7
    assert float((network.hann_window - stored["hann_window"]).abs().max()) < 1e-6  # a cosine, of angles up to 2 pi


def test_mel_of_silence_is_the_floor_everywhere():
    torch.testing.assert_close(mel.Mel44k()(torch.zeros(1, 4096)), torch.full((1, 128, 8), math.log(1e-5)))


@given(place=st.integers(100, 900), amplitude=st.floats(0.05, 1.0))
def test_mel_of_a_tone_on_a_bin(place, amplitude):
    """A Hann window shows a sine on bin k at k with a quarter of its height times the length, half that beside it."""
    network = mel.Mel44k()
    time = torch.arange(8192, dtype=torch.float64)
    tone = amplitude * torch.sin(2 * math.pi * place * time / 2048)
    magnitude = torch.zeros(1025)
    magnitude[place - 1 : place + 2] = amplitude * 2048 * torch.tensor([0.125, 0.25, 0.125])
    expected = torch.log((network.mel_basis @ magnitude).clamp(min=1e-5))
    inside = network(tone.float()[None])[0, :, 4:-4]
    heard = expected > expected.max() - 4
    torch.testing.assert_close(inside[heard], expected[heard, None].expand_as(inside[heard]), atol=0.02, rtol=0)


@given(samples=st.integers(1024, 6000), rows=st.integers(1, 3))
def test_mel_has_a_frame_every_512_samples_and_clips(samples, rows):
    network, sound = mel.Mel44k(), torch.randn(rows, samples)
    found = network(sound)
    assert found.shape == (rows, 128, samples // 512)
    torch.testing.assert_close(found, network(sound.clamp(-1, 1)), atol=1e-3, rtol=0)
    torch.testing.assert_close(network(sound[0]), found[0], atol=1e-3, rtol=0)


# --- VAE -------------------------------------------------------------------------------------------------------------


def test_vae_state_dict_is_the_public_one(architecture):
    network = on_meta(vae.Vae)
    assert listing(network) == keys_of(architecture, "vae_44k_keys")
    assert sum(parameter.numel() for parameter in network.parameters()) == 305_479_682
    assert sum(parameter.numel() for parameter in network.encoder.parameters()) == 129_138_689


LAYERS = {
    "resnet_same": partial(vae._Block, 24, 24), "resnet_up": partial(vae._Block, 24, 40),
    "attn": partial(vae._Attention, 24), "up": partial(vae._Double, 24), "down": partial(vae._Halve, 24),
}  # fmt: skip


@pytest.mark.golden
@pytest.mark.parametrize("name", LAYERS)
def test_vae_layer_is_the_authors(architecture, filled, name):
    stored = load_file(architecture / "vae_44k.safetensors")
    layer = part_of(filled, LAYERS[name], f"vae_{name}")
    for module in layer.modules():
        if isinstance(module, vae._Conv):
            module.fold()
    close(layer(stored["in.small_x"]), stored[f"out.small.{name}"], 2e-5)


@pytest.mark.full_size
@pytest.mark.golden
def test_full_size_vae_is_the_authors(architecture, filled):
    stored = load_file(architecture / "vae_44k.safetensors")
    network = on_meta(vae.Vae)
    state = filled(vae.Vae)
    state |= {f"data_{name}": stored[f"const.data_{name}"].reshape(1, -1, 1) for name in ("mean", "std")}
    network.load_state_dict(state, assign=True)
    del state  # weights are folded one after the other, so that 1.2 GB are all that is needed
    network.fold()
    mean, std = (moment.transpose(1, 2) for moment in network.encode(stored["in.mel"]))
    close(mean, stored["out.mean"], 2e-5)
    close(std, stored["out.std"], 2e-5)
    close(2 * std.log(), stored["out.logvar"], 2e-5)
    close(network.decode(stored["in.z"].transpose(1, 2)), stored["out.decoded_from_z"], 2e-5)
    close(network.decode(stored["out.mean"].transpose(1, 2)), stored["out.decoded_from_mean"], 2e-5)
    # the statistics of the bands are all that lies between a mel and what the first convolution sees
    undone = stored["in.mel"] * network.data_std + network.data_mean
    close(network.encode(undone)[0].transpose(1, 2), stored["out.encoded_unnormalized_input"], 2e-5)


@pytest.fixture(scope="module")
def small(filled):
    network = small_vae()
    fill(network, filled(small_vae) | {"data_std": torch.rand(1, 128, 1) + 1}, "filled weights")
    return network.eval()


@settings(max_examples=8)
@given(frames=st.integers(2, 40), rows=st.integers(1, 3))
def test_vae_halves_and_doubles_time(small, frames, rows):
    mean, std = small.encode(torch.randn(rows, 128, frames))
    assert mean.shape == std.shape == (rows, frames // 2, 40)
    assert bool((std > 0).all())
    assert small.decode(mean).shape == (rows, 128, 2 * (frames // 2))


def test_vae_rows_do_not_know_of_each_other(small):
    mels = 4 * torch.randn(3, 128, 20)
    together = small.encode(mels)[0]
    torch.testing.assert_close(together, torch.cat([small.encode(one)[0] for one in mels.split(1)]))
    torch.testing.assert_close(small.decode(together)[1:2], small.decode(together[1:2]), atol=1e-4, rtol=1e-4)


def test_folding_makes_rows_of_norm_one_whatever_their_size(filled):
    first, second = small_vae(), small_vae()
    state = filled(small_vae)
    first.load_state_dict(state)
    second.load_state_dict(
        {key: 7 * value if value.ndim == 3 and "conv" in key else value for key, value in state.items()}
    )
    first.fold()
    second.fold()
    row = second.decoder.conv_in.weight[0]
    before = 7 * state["decoder.conv_in.weight"][0]
    size = math.sqrt(row.numel())
    torch.testing.assert_close(row, before / (1e-4 * size + before.norm()))
    torch.testing.assert_close(first.decoder.conv_in.weight[0], row, atol=1e-3, rtol=0)


def test_a_vae_is_folded_once_and_only_once(tmp_path, filled):
    network = small_vae()
    with pytest.raises(RuntimeError, match="call fold"):
        network.encode(torch.zeros(1, 128, 4))
    with pytest.raises(RuntimeError, match="call fold"):
        network.decode(torch.zeros(1, 4, 40))
    network.load_state_dict(filled(small_vae))
    network.fold()
    with pytest.raises(RuntimeError, match="folded already"):
        network.fold()
    torch.save(network.state_dict(), tmp_path / "folded.pth")
    with pytest.raises(BenchError, match=r"folded already.*bench weights list"):
        load(small_vae, tmp_path / "folded.pth")


def test_a_decoder_comes_from_the_whole_file(tmp_path, filled):
    torch.save(filled(small_vae), tmp_path / "vae.pth")
    whole, half = (load(partial(small_vae, encoder=encoder), tmp_path / "vae.pth") for encoder in (True, False))
    latent = torch.randn(1, 5, 40)
    assert torch.equal(whole.decode(latent), half.decode(latent))
    assert not any(key.startswith("encoder.") for key in half.state_dict())
    with pytest.raises(RuntimeError, match="without its encoder"):
        half.encode(torch.zeros(1, 128, 4))


def test_vae_in_bfloat16_is_near_and_keeps_its_statistics(tmp_path, filled):
    torch.save(filled(small_vae) | {"data_mean": torch.full((1, 128, 1), -5.123)}, tmp_path / "vae.pth")
    exact, near = (load(small_vae, tmp_path / "vae.pth", dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    assert near.decoder.conv_in.weight.dtype == torch.bfloat16
    assert torch.equal(near.data_mean, exact.data_mean)
    latent = torch.randn(1, 16, 40)
    assert near.decode(latent).dtype == torch.float32
    close(near.decode(latent), exact.decode(latent), 0.05)


# --- vocoder ---------------------------------------------------------------------------------------------------------


def test_vocoder_state_dicts_are_the_public_ones(architecture):
    network = on_meta(bigvgan.BigVgan)
    assert listing(network) == keys_of(architecture, f"{BIGVGAN}_keys_weightnorm")
    network.fold()
    assert listing(network) == keys_of(architecture, f"{BIGVGAN}_keys_plain")
    assert sum(parameter.numel() for parameter in network.parameters()) == 122_152_752


@pytest.mark.golden
def test_vocoder_activation_is_the_authors(architecture, filled):
    stored = load_file(architecture / "bigvgan_v2_44k.safetensors")
    torch.testing.assert_close(bigvgan.lowpass(), stored["const.up_filter"], atol=1e-7, rtol=0)
    torch.testing.assert_close(bigvgan.lowpass(), stored["const.down_filter"], atol=1e-7, rtol=0)
    activation = part_of(filled, partial(bigvgan._Activation, 5), "act")
    for buffer in activation.buffers():
        buffer.copy_(bigvgan.lowpass())
    close(activation(stored["in.act"]), stored["out.act"], 5e-5)


def with_filters(state):
    return {key: bigvgan.lowpass() if key.endswith("filter") else value for key, value in state.items()}


@pytest.mark.full_size
@pytest.mark.golden
def test_full_size_vocoder_is_the_authors(architecture, filled):
    stored = load_file(architecture / "bigvgan_v2_44k.safetensors")
    network, state = on_meta(bigvgan.BigVgan), with_filters(filled(bigvgan.BigVgan))
    state["conv_post.weight_g"] *= 0.01
    fill(network, state, "filled weights")
    seen = {}
    for name in ("conv_pre", "ups.0.0", "resblocks.0", "conv_post"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out.clone()})
        )
    sound = network(stored["in.mel"])
    close(sound[:, None], stored["out.wav"], 5e-5)
    close(seen["conv_post"], stored["out.before_clamp"], 5e-5)
    close(seen["conv_pre"], stored["out.conv_pre"], 5e-5)
    close(seen["ups.0.0"], stored["out.ups0"], 5e-5)
    close(seen["resblocks.0"][:, :32], stored["out.resblock0_first32ch"], 5e-5)


@pytest.fixture(scope="module")
def small_vocoder_state(filled):
    state = with_filters(filled(small_vocoder))
    state["conv_post.weight_g"] *= 0.02
    return state


@pytest.fixture(scope="module")
def vocoder(small_vocoder_state):
    network = small_vocoder()
    fill(network, small_vocoder_state, "filled weights")
    return network.eval()


def test_three_ways_to_write_the_weights_are_one(tmp_path, small_vocoder_state, vocoder):
    newer = {
        key.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): value
        for key, value in small_vocoder_state.items()
    }
    assert sum("parametrizations" in key for key in newer) == 2 * (1 + 6 + 6 * 3 * 6 + 1)
    x = torch.randn(1, 128, 2)
    expected = vocoder(x)
    assert 0.01 < float(expected.abs().max()) < 1
    for state in (small_vocoder_state, newer, vocoder.state_dict()):
        torch.save({"generator": state}, tmp_path / "bigvgan.pt")
        assert torch.equal(load(small_vocoder, tmp_path / "bigvgan.pt")(x), expected)


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (bigvgan._Conv(3, 5, 7, 2), torch.nn.Conv1d(3, 5, 7, padding=6, dilation=2)),
        (bigvgan._Transposed(6, 3, 8, 4), torch.nn.ConvTranspose1d(6, 3, 8, stride=4, padding=2)),
    ],
)
def test_folding_is_torchs_weight_normalisation(ours, torchs):
    torchs = parametrizations.weight_norm(torchs)
    torchs.parametrizations.weight.original0.uniform_(0.5, 2)
    ours.weight_g.copy_(torchs.parametrizations.weight.original0)
    ours.weight_v.copy_(torchs.parametrizations.weight.original1)
    ours.bias.copy_(torchs.bias)
    bigvgan._fold(ours)
    x = torch.randn(2, ours.in_channels, 40)
    torch.testing.assert_close(ours(x), torchs(x))


def test_vocoder_in_bfloat16_is_near(tmp_path, small_vocoder_state, vocoder):
    torch.save(small_vocoder_state, tmp_path / "bigvgan.pt")
    near = load(small_vocoder, tmp_path / "bigvgan.pt", dtype=torch.bfloat16)
    x = torch.randn(1, 128, 6)
    assert near(x).dtype == torch.float32
    close(near(x), vocoder(x), 0.1)


def test_a_vocoder_is_folded_once_and_only_once():
    network = small_vocoder()
    with pytest.raises(RuntimeError, match="call fold"):
        network(torch.zeros(1, 128, 2))
    network.fold()
    with pytest.raises(RuntimeError, match="folded already"):
        network.fold()


def test_stretches_of_time_are_seamless(monkeypatch):
    activation = bigvgan._Activation(6)
    for values in activation.act.values():
        values.normal_()
    x = torch.randn(2, 6, 1000)
    whole = activation._apply_whole(x)
    for cached in (12 * 24, 12 * 101, 12 * 999):
        monkeypatch.setattr(bigvgan, "_CACHED", cached)
        torch.testing.assert_close(activation(x), whole, atol=1e-6, rtol=1e-6)


def test_a_slow_wave_passes_the_two_changes_of_rate():
    """With a huge alpha and beta nothing is added to the signal: what is left is up and down again."""
    activation = bigvgan._Activation(1)
    activation.act["beta"].fill_(60.0)
    x = torch.sin(torch.arange(400) / 10)[None, None]
    torch.testing.assert_close(activation(x)[..., 20:-20], x[..., 20:-20], atol=2e-3, rtol=0)


@settings(max_examples=4)
@given(frames=st.integers(1, 12), rows=st.integers(1, 2))
def test_vocoder_makes_512_samples_a_frame_within_full_scale(vocoder, frames, rows):
    sound = vocoder(8 * torch.randn(rows, 128, frames))
    assert sound.shape == (rows, 512 * frames)
    assert float(sound.abs().max()) <= 1


# --- both ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(small, vocoder):
    return mmaudio_codec.Codec44k(small, vocoder).eval()


@settings(max_examples=6)
@given(samples=st.integers(1024, 9000))
def test_latents_cover_the_sound_with_zeros_behind(both, samples):
    sound = torch.randn(1, samples)
    mean, std = both.encode(sound)
    n = math.ceil(samples / 1024)
    assert mean.shape == std.shape == (1, n, 40)
    padded = torch.cat([sound, torch.zeros(1, 1024 * n - samples)], dim=1)
    assert torch.equal(both.encode(padded)[0], mean)
    assert both.decode(mean).shape == (1, 1024 * n)


def test_eight_seconds_are_345_latents(both):
    assert both.encode(torch.zeros(2, 352_800))[0].shape == (2, 345, 40)


def test_the_codec_is_its_parts_and_hears_each_ear_alone(both):
    ears = torch.rand(2, 4096) - 0.5
    mean, _ = both.encode(ears)
    torch.testing.assert_close(mean, both.vae.encode(both.mel(ears))[0])
    torch.testing.assert_close(both.encode(ears.flip(0))[0], mean.flip(0), atol=1e-5, rtol=1e-5)
    sound = both.decode(mean)
    torch.testing.assert_close(sound, both.vocoder(both.vae.decode(mean)))
    torch.testing.assert_close(both.decode(mean.flip(0)), sound.flip(0), atol=1e-5, rtol=1e-5)


def test_the_codec_comes_from_two_files(tmp_path, monkeypatch, filled, small_vocoder_state):
    monkeypatch.setattr(mmaudio_codec, "Vae", small_vae)
    monkeypatch.setattr(mmaudio_codec, "BigVgan", small_vocoder)
    torch.save(filled(small_vae), tmp_path / "vae.pth")
    torch.save({"generator": small_vocoder_state}, tmp_path / "vocoder.pt")
    sound = torch.rand(1, 5000) - 0.5
    whole = mmaudio_codec.load_codec(tmp_path / "vae.pth", tmp_path / "vocoder.pt")
    half = mmaudio_codec.load_codec(tmp_path / "vae.pth", tmp_path / "vocoder.pt", encoder=False)
    latent = whole.encode(sound)[0]
    assert torch.equal(whole.decode(latent), half.decode(latent))
    assert not whole.training and not any(parameter.requires_grad for parameter in whole.parameters())


# --- wrong files -----------------------------------------------------------------------------------------------------


WRONG = {
    "the vocoder": (vae.Vae, {"conv_pre.weight_g": (1536, 1, 1), "activation_post.act.alpha": (24,)}, "BigVGAN"),
    "another rate": (vae.Vae, {"data_mean": (1, 80, 1)}, "MMAudio's VAE for sound at 16 kHz"),
    "the flow network": (vae.Vae, {"audio_input_proj.0.weight": (896, 40, 7)}, "MMAudio's flow network, medium_44k"),
    "the VAE": (bigvgan.BigVgan, {"data_mean": (1, 128, 1)}, "MMAudio's VAE (44.1 kHz)"),
    "fewer bands": (bigvgan.BigVgan, {"conv_pre.weight_v": (1536, 80, 7)}, "BigVGAN for 80 mel bands"),
    "fewer bands, folded": (bigvgan.BigVgan, {"conv_pre.weight": (1536, 100, 7)}, "BigVGAN for 100 mel bands"),
    "shorter frames": (bigvgan.BigVgan, {"ups.0.0.weight_v": (1536, 768, 8)}, "BigVGAN with 256 samples a frame"),
    "its ancestor": (bigvgan.BigVgan, {"conv_pre.weight_g": (512, 1, 1)}, "a HiFi-GAN vocoder"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_named(tmp_path, case):
    network, shapes, looks = WRONG[case]
    torch.save({key: torch.zeros(shape) for key, shape in shapes.items()}, tmp_path / "file.pth")
    with pytest.raises(BenchError) as error:
        load(network, tmp_path / "file.pth")
    message = str(error.value)
    assert f"does not hold the weights of {network.title}: " in message
    assert f"It looks like {looks}." in message
    assert re.search(r"\d+ of \d+ keys are missing \((\S+ x\d+, )+", message)
    assert len(message) < 700


def test_another_size_of_the_same_model_is_named(tmp_path, filled):
    torch.save(filled(partial(vae.Vae, width=4)), tmp_path / "file.pth")
    with pytest.raises(
        BenchError,
        match=r"53 of 57 keys have another shape .*is \(4, 128, 3\), expected \(8, 128, 3\)\. It looks like MMAudio's",
    ):
        load(small_vae, tmp_path / "file.pth")


def test_checks_of_files(tmp_path, monkeypatch, filled, small_vocoder_state):
    monkeypatch.setattr(weight_checks, "Vae", small_vae)
    monkeypatch.setattr(weight_checks, "BigVgan", small_vocoder)
    path = tmp_path / "file.pth"

    def saved(state):
        torch.save(state, path)
        return path

    state = filled(small_vae) | {"data_std": torch.ones(1, 128, 1)}
    weight_checks.vae(saved(state))
    with pytest.raises(BenchError, match="deviation of a mel band is not positive"):
        weight_checks.vae(saved(state | {"data_std": torch.zeros(1, 128, 1)}))
    with pytest.raises(BenchError, match="learnable_gain has values that are not numbers"):
        weight_checks.vae(saved(state | {"decoder.learnable_gain": torch.tensor(torch.nan)}))
    weight_checks.bigvgan(saved(small_vocoder_state))
    key = "activation_post.upsample.filter"
    with pytest.raises(BenchError, match=f"not the published BigVGAN-v2: {key} is another filter"):
        weight_checks.bigvgan(saved(small_vocoder_state | {key: torch.ones(1, 1, 12) / 12}))
