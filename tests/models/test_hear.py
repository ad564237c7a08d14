"""The HEAR API in both directions, and the validator on modules that break it."""

import sys
import types

import pytest
import torch

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.models import hear_modules
from visaudio_bench.models.backbones.waveform import resample


class Toy(torch.nn.Module):
    sample_rate = 22050
    scene_embedding_size = 3
    timestamp_embedding_size = 3


def scene(audio, model):
    return torch.stack([audio.mean(1), audio.std(1), audio.amax(1)], 1)


def timestamps(audio, model, hop=512):
    frames = audio.unfold(1, hop, hop)
    times = torch.arange(frames.shape[1]) * 1000.0 * hop / model.sample_rate
    return torch.stack([frames.mean(2), frames.std(2), frames.amax(2)], 2), times.expand(len(audio), -1)


@pytest.fixture
def toy(monkeypatch):
    def make(**changes):
        module = types.ModuleType("toy_hear")
        module.__file__ = __file__  # what it makes is told by its source
        parts = {
            "load_model": lambda path="": Toy(),
            "get_scene_embeddings": scene,
            "get_timestamp_embeddings": timestamps,
        }
        for name, part in {**parts, **changes}.items():
            if part is not None:
                setattr(module, name, part)
        monkeypatch.setitem(sys.modules, "toy_hear", module)

    return make


def texts(findings, level):
    return " / ".join(finding.text for finding in findings if finding.level == level)


def test_a_module_that_follows_the_api(toy):
    toy()
    assert hear_modules.validate("toy_hear") == []


def with_attributes(**attributes):
    model = Toy()
    for name, value in attributes.items():
        setattr(model, name, value)
    return lambda path="": model


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"load_model": lambda path="": object()}, "error", "load_model returns builtins.object"),
        ({"load_model": with_attributes(sample_rate=8000)}, "error", "sample_rate is 8000"),
        ({"load_model": with_attributes(scene_embedding_size=3.0)}, "error", "scene_embedding_size is 3.0"),
        ({"load_model": with_attributes(timestamp_embedding_size=4)}, "error", "width 3, not 4"),
        ({"get_scene_embeddings": lambda a, m: scene(a, m)[:, :2]}, "error", r"shape (4, 2), expected (4, 3)"),
        ({"get_scene_embeddings": lambda a, m: scene(a, m).double()}, "error", "torch.float64"),
        ({"get_scene_embeddings": lambda a, m: scene(a, m) * torch.nan}, "error", "not numbers"),
        ({"get_scene_embeddings": lambda a, m: 1 / 0}, "error", "failed on scenes: ZeroDivisionError"),
        ({"get_timestamp_embeddings": lambda a, m: (scene(a, m), timestamps(a, m)[1])}, "error", "2 and 2 dimensions"),
        ({"get_timestamp_embeddings": lambda a, m: (timestamps(a, m)[0][:1], timestamps(a, m)[1])}, "error", "fit 2"),
        ({"get_timestamp_embeddings": lambda a, m: (timestamps(a, m)[0], timestamps(a, m)[1] ** 1.1)}, "error", "hops"),
        ({"get_timestamp_embeddings": lambda a, m: timestamps(a, m, 4096)}, "warning", "186 ms apart"),
        (
            {"get_timestamp_embeddings": lambda a, m: (timestamps(a, m)[0], timestamps(a, m)[1] + 99)},
            "warning",
            "at 99 ms",
        ),
    ],
)
def test_what_breaks_the_api_is_found(toy, changes, level, words):
    toy(**changes)
    assert words in texts(hear_modules.validate("toy_hear"), level)


def test_a_module_without_the_functions_or_that_does_not_import(toy):
    toy(get_scene_embeddings=None)
    with pytest.raises(UsageError, match="toy_hear is not a HEAR module: it has no get_scene_embeddings"):
        hear_modules.validate("toy_hear")
    with pytest.raises(UsageError, match="no_such_hear does not import"):
        hear_modules.HearBackbone("hear:no_such_hear")


@pytest.mark.parametrize("name", ["vggish", "hear:", "hear:#w"])
def test_a_wrong_name(name):
    with pytest.raises(UsageError, match="hear:MODULE#WEIGHTS"):
        hear_modules.HearBackbone(name)


def test_a_backbone_resamples_prints_elsewhere_and_knows_its_weights(toy, capsys, tmp_path):
    def load_model(path):
        print("loading", path)
        return Toy()

    toy(load_model=load_model)
    weights = tmp_path / "w.bin"
    weights.write_bytes(b"abc")
    backbone = hear_modules.HearBackbone(f"hear:toy_hear#{weights}")
    assert capsys.readouterr() == ("", f"loading {weights}\n")
    assert backbone.identity["weights"].startswith("ba7816bf")
    sound = torch.randn(2, 44100)
    assert torch.equal(backbone.embed(sound, 44100), scene(resample(sound, 44100, 22050), None))


def test_a_backbone_that_breaks_its_promise_is_named(toy):
    toy(get_scene_embeddings=lambda a, m: scene(a, m)[:, :2])
    with pytest.raises(BenchError, match=r"hear:toy_hear returned \(1, 2\), expected \(1, 3\)"):
        hear_modules.HearBackbone("hear:toy_hear").embed(torch.zeros(1, 4000), 16000)
    toy(load_model=lambda path="": object())
    with pytest.raises(UsageError, match="does not follow the HEAR API: load_model returns"):
        hear_modules.HearBackbone("hear:toy_hear")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vggish", "panns", "imagebind_audio"])
def test_our_backbones_follow_the_api(name):
    assert hear_modules.validate(f"visaudio_bench.models.hear_api.{name}", "random") == []


def test_a_scene_of_our_vggish_is_the_mean_of_its_rows(waves):
    backbone = hear_modules.HearBackbone("hear:visaudio_bench.models.hear_api.vggish#random")
    sound = waves["w2_16k_5s"][0]
    expected = backbone._model.network.embed(sound).mean(1)
    torch.testing.assert_close(backbone.embed(sound, 16000), expected)
