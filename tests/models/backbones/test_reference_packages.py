"""The pip packages of the same networks, where they are installed (extra `reference`).

`import panns_inference` downloads into the home folder and leaves an empty class list behind when it cannot; its
network module is therefore imported under an empty package of the same name. `torchvggish` is harmless to import;
`torchvggish.vggish()` downloads, its network class does not. `import imagebind` fails beside a current torchvision
(through pytorchvideo); its network module does not need that and is imported in the same way as PANNs'. Its code is
CC-BY-NC-SA 4.0, so no extra brings it: `pip install imagebind-unofficial==0.1.1 einops`.
"""

import importlib
import importlib.util
import sys
import types
from functools import partial

import numpy as np
import pytest
import torch

from visaudio_bench.models.backbones.imagebind import ImageBind, audio_clips, normalise_crops, video_crops
from visaudio_bench.models.backbones.panns import Cnn14
from visaudio_bench.models.backbones.vggish import Vggish, log_mel_examples
from visaudio_bench.models.backbones.waveform import to_16k
from visaudio_bench.models.weight_loading import fill

from ...rounding import close_to_rounding

pytestmark = pytest.mark.filterwarnings("ignore")


def without_init(monkeypatch, package: str, module: str, how: str) -> types.ModuleType:
    """A module of an installed package, imported without running the package's `__init__`."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed: {how}")
    empty = types.ModuleType(package)
    empty.__path__ = list(spec.submodule_search_locations)
    monkeypatch.setitem(sys.modules, package, empty)
    return importlib.import_module(f"{package}.{module}")


@pytest.fixture(scope="module")
def panns_models():
    with pytest.MonkeyPatch.context() as patch:
        yield without_init(patch, "panns_inference", "models", "it comes with the extra `reference`")


@pytest.fixture(scope="module")
def both_panns(panns_models, build):
    """Theirs and ours with the same filled weights, and the constants with which theirs begins."""
    theirs, ours = panns_models.Cnn14(16000, 512, 160, 64, 50, 8000, 527), build(Cnn14)
    constants = {key: value.clone() for key, value in theirs.state_dict().items() if "extractor" in key}
    theirs.load_state_dict(ours.state_dict())
    return theirs.eval(), ours, constants


@pytest.fixture
def imagebind_models(monkeypatch):
    how = "pip install imagebind-unofficial==0.1.1 einops (CC-BY-NC-SA 4.0, tests only)"
    return without_init(monkeypatch, "imagebind", "models.imagebind_model", how)


@pytest.fixture
def vggish_package():
    return pytest.importorskip("torchvggish.torchvggish"), pytest.importorskip("torchvggish.vggish_input")


@pytest.fixture
def sound(waves):
    samples, rate = waves["w1_44k_8s"]
    return to_16k(samples.mean(0, keepdim=True), rate, 2.0, remove_mean=True)


# What panns_inference imports (librosa, numba) takes ten seconds; the golden values of Cnn14 are in make test.
@pytest.mark.slow
def test_importing_the_reference_touches_no_home(panns_models, tmp_path, monkeypatch):
    assert "panns_inference.config" not in sys.modules


@pytest.mark.slow
def test_cnn14_of_panns_inference(both_panns, sound):
    theirs, ours, constants = both_panns
    assert list(theirs.state_dict()) == list(ours.state_dict())
    for key, value in constants.items():
        torch.testing.assert_close(ours.state_dict()[key], value, atol=1e-6, rtol=0)
    with torch.no_grad():
        expected = theirs(sound)
        found = ours(sound)
        logits = theirs.fc_audioset(expected["embedding"])
    scale = float(expected["embedding"].abs().max())
    torch.testing.assert_close(found.features, expected["embedding"], atol=2e-6 * scale, rtol=0)
    torch.testing.assert_close(found.logits, logits, atol=2e-6, rtol=0)
    torch.testing.assert_close(found.logits.sigmoid(), expected["clipwise_output"], atol=1e-6, rtol=0)


@pytest.mark.slow
def test_cnn14_through_torchs_own_operators_is_the_same(both_panns, sound, monkeypatch):
    monkeypatch.setattr("visaudio_bench.models.backbones.layers._onednn_applies", lambda x, weight: False)
    theirs, ours, _ = both_panns
    with torch.no_grad():
        expected = theirs(sound)["embedding"]
        torch.testing.assert_close(ours(sound).features, expected, atol=2e-6 * float(expected.max()), rtol=0)


def test_examples_of_torchvggish(vggish_package, sound):
    examples = vggish_package[1].waveform_to_examples(sound[0].double().numpy(), 16000)
    close_to_rounding(log_mel_examples, sound, expected=examples[None, :, 0].detach())


def test_network_of_torchvggish(vggish_package, sound, build, monkeypatch):
    theirs = vggish_package[0].VGG(vggish_package[0].make_layers(), False)
    ours = build(Vggish)
    fill(theirs, ours.state_dict(), "ours")
    examples = log_mel_examples(sound)
    with torch.no_grad():
        before_relu = theirs.embeddings[:-1]
        maps = theirs.features(examples[0][:, None]).permute(0, 2, 3, 1).flatten(1)
        expected = before_relu(maps)
        torch.testing.assert_close(ours(examples)[0], expected, atol=2e-6, rtol=0)
        torch.testing.assert_close(ours(examples)[0].relu(), theirs(examples[0][:, None]), atol=2e-6, rtol=0)
        monkeypatch.setattr("visaudio_bench.models.backbones.layers._onednn_applies", lambda x, weight: False)
        torch.testing.assert_close(ours(examples)[0], expected, atol=2e-6, rtol=0)


@pytest.fixture
def both_imagebinds(imagebind_models, build):
    """Theirs and ours with the same filled weights, three blocks deep; the modalities that we leave out are tiny."""
    ours = build(partial(ImageBind, audio=(96, 3, 4), vision=(80, 3, 4)))
    left_out = {
        f"{name}_{size}": 1 for name in ("text", "depth", "thermal", "imu") for size in ("num_blocks", "num_heads")
    }
    widths = {f"{name}_embed_dim": 8 for name in ("text", "depth", "thermal", "imu")}
    theirs = imagebind_models.ImageBindModel(
        out_embed_dim=1024, audio_embed_dim=96, audio_num_blocks=3, audio_num_heads=4, vision_embed_dim=80,
        vision_num_blocks=3, vision_num_heads=4, **left_out, **widths,
    )  # fmt: skip
    report = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert not report.unexpected_keys
    assert all(key.startswith(ImageBind.ignored) for key in report.missing_keys)
    return theirs.eval(), ours


def test_imagebind_audio(both_imagebinds, waves):
    theirs, ours = both_imagebinds
    clips = audio_clips(*waves["w1_44k_8s"])
    with torch.no_grad():
        expected = theirs({"audio": clips[None]})["audio"]
    torch.testing.assert_close(ours.embed_audio(clips[None]), expected, atol=2e-6, rtol=0)


def test_imagebind_vision(both_imagebinds):
    theirs, ours = both_imagebinds
    frames = np.random.default_rng(0).integers(0, 256, (4, 40, 60, 3), dtype=np.uint8)
    crops = video_crops(frames)
    pairs = [normalise_crops(crops[:, start : start + 2]).transpose(1, 2) for start in range(3)]
    with torch.no_grad():
        # crops and pairs as the clips of one video: each normalised, then the mean
        expected = theirs({"vision": torch.cat(pairs)[None]})["vision"]
    torch.testing.assert_close(ours.embed_video([crops]), expected, atol=1e-7, rtol=0)
