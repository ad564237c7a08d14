"""The pip packages of the same networks, where they are installed (extra `reference`).

`import panns_inference` downloads into the home folder and leaves an empty class list behind when it cannot; its
network module is therefore imported under an empty package of the same name. `torchvggish` is harmless to import;
`torchvggish.vggish()` downloads, its network class does not.
"""

import importlib
import importlib.util
import sys
import types

import pytest
import torch

from visaudio_bench.models.backbones.panns import Cnn14
from visaudio_bench.models.backbones.vggish import Vggish, log_mel_examples
from visaudio_bench.models.backbones.waveform import to_16k
from visaudio_bench.models.weight_loading import fill

from ..rounding import close_to_rounding

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def panns_models(monkeypatch):
    spec = importlib.util.find_spec("panns_inference")
    if spec is None:
        pytest.skip("panns-inference is not installed")
    package = types.ModuleType("panns_inference")
    package.__path__ = list(spec.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "panns_inference", package)
    return importlib.import_module("panns_inference.models")


@pytest.fixture
def vggish_package():
    return pytest.importorskip("torchvggish.torchvggish"), pytest.importorskip("torchvggish.vggish_input")


@pytest.fixture
def sound(waves):
    samples, rate = waves["w1_44k_8s"]
    return to_16k(samples.mean(0, keepdim=True), rate, 8.0, remove_mean=True)


def test_importing_the_reference_touches_no_home(panns_models, tmp_path, monkeypatch):
    assert "panns_inference.config" not in sys.modules


def test_cnn14_of_panns_inference(panns_models, sound, build):
    theirs = panns_models.Cnn14(16000, 512, 160, 64, 50, 8000, 527)
    assert list(theirs.state_dict()) == list(Cnn14().state_dict())
    ours = build(Cnn14)
    constants = {k: v for k, v in theirs.state_dict().items() if "extractor" in k}
    for key, value in constants.items():
        torch.testing.assert_close(ours.state_dict()[key], value, atol=1e-6, rtol=0)
    theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        expected = theirs.eval()(sound)
        found = ours(sound)
        logits = theirs.fc_audioset(expected["embedding"])
    scale = float(expected["embedding"].abs().max())
    torch.testing.assert_close(found.features, expected["embedding"], atol=2e-6 * scale, rtol=0)
    torch.testing.assert_close(found.logits, logits, atol=2e-6, rtol=0)
    torch.testing.assert_close(found.logits.sigmoid(), expected["clipwise_output"], atol=1e-6, rtol=0)


def test_cnn14_through_torchs_own_operators_is_the_same(panns_models, sound, build, monkeypatch):
    monkeypatch.setattr("visaudio_bench.models.backbones.layers._onednn_applies", lambda x, weight: False)
    theirs, ours = panns_models.Cnn14(16000, 512, 160, 64, 50, 8000, 527), build(Cnn14)
    theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        expected = theirs.eval()(sound)["embedding"]
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
