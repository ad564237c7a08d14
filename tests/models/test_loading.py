"""Weight files into networks: strictly, and with errors that say what the file is."""

import re

import numpy as np
import pytest
import torch

from visaudio_bench.errors import BenchError
from visaudio_bench.models.backbones.imagebind import ImageBind
from visaudio_bench.models.backbones.panns import Cnn14
from visaudio_bench.models.backbones.synchformer import MotionFormer
from visaudio_bench.models.backbones.vggish import Vggish
from visaudio_bench.models.weight_loading import load, looks_like, narrow, read_state


def tiny_vggish():
    return Vggish(channels=(2, 2, 2, 2, 2, 2), hidden=8)


def tiny_cnn14():
    return Cnn14(channels=(2, 2, 2, 2, 2, 2), classes=5)


@pytest.fixture
def file(tmp_path):
    def save(value, name="weights.pth", **options):
        torch.save(value, tmp_path / name, **options)
        return tmp_path / name

    return save


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_a_state_dict_comes_back_bare_or_wrapped_in_new_and_old_files(file, wrapper, options):
    original = tiny_vggish()
    state = original.state_dict()
    path = file({wrapper: state, "iteration": 3} if wrapper else state, **options)
    loaded = load(tiny_vggish, path)
    assert same(loaded.state_dict(), state)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_loading_does_not_initialise_or_consume_random_numbers(file):
    path = file(tiny_vggish().state_dict())
    before = torch.get_rng_state()
    load(tiny_vggish, path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_with_numpy_arrays_beside_the_weights(file):
    """As Cnn14's, whose sampler state is stored along."""
    sampler = {"pointer": 7, "indexes": np.arange(5), "mean": np.float64(0.5)}
    original = tiny_cnn14()
    path = file({"iteration": 1, "model": original.state_dict(), "sampler": sampler})
    assert same(load(tiny_cnn14, path).state_dict(), original.state_dict())


def test_the_transform_of_cnn14_comes_from_the_file(file):
    state = {key: value.clone() for key, value in tiny_cnn14().state_dict().items()}
    state["logmel_extractor.melW"] *= 2
    x = torch.randn(1, 16000)
    louder = load(tiny_cnn14, file(state)).log_mel(x) - tiny_cnn14().log_mel(x)
    torch.testing.assert_close(louder, torch.full_like(louder, 10 * np.log10(2)), atol=1e-3, rtol=0)


def test_other_parts_of_a_larger_public_model_are_left_alone(file):
    sizes = {"audio": (16, 1, 2), "vision": (16, 1, 2)}
    state = ImageBind(**sizes).state_dict()
    extra = {"modality_trunks.text.blocks.0.attn.in_proj_weight": torch.zeros(3)}
    assert same(load(lambda: ImageBind(**sizes), file({**state, **extra})).state_dict(), state)
    with pytest.raises(BenchError, match=r"1 of \d+ keys are unexpected \(modality_trunks.smell.weight\)"):
        load(lambda: ImageBind(**sizes), file({**state, "modality_trunks.smell.weight": torch.zeros(3)}))


def test_another_model_is_named(file):
    path = file(tiny_cnn14().state_dict())
    with pytest.raises(BenchError) as error:
        load(tiny_vggish, path)
    message = str(error.value)
    assert "does not hold the weights of VGGish" in message
    assert "18 of 18 keys are missing (features.*.weight x6, features.*.bias x6" in message
    assert "It looks like PANNs Cnn14." in message
    assert "bench weights list" in message


def test_another_size_is_named(file):
    with pytest.raises(BenchError, match=re.escape("features.0.weight is (3, 1, 3, 3), expected (2, 1, 3, 3)")):
        load(tiny_vggish, file(Vggish(channels=(3,) * 6, hidden=8).state_dict()))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_half_a_file_is_named(file, share):
    path = file(tiny_vggish().state_dict())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(BenchError, match="not an intact PyTorch file"):
        read_state(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>not found</html>", "is not a weight file but a web page"),
        (b"", "is empty"),
        (b"\x80\x02}q\x00.", "is a pickle, and not one that torch.save wrote"),
    ],
)
def test_something_else_is_named(tmp_path, content, said):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=f"weights.pth {said}"):
        read_state(path)


def test_a_file_that_runs_code_is_refused(tmp_path):
    import os
    import pickle

    class Attack:
        def __reduce__(self):
            return (os.system, ("echo owned > " + str(tmp_path / "owned"),))

    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"features.0.weight": Attack()}, protocol=2))
    with pytest.raises(BenchError):
        read_state(path)
    assert not (tmp_path / "owned").exists()


def test_no_file_and_no_state_dict(tmp_path, file):
    with pytest.raises(BenchError, match="there is no weight file"):
        read_state(tmp_path / "absent.pth")
    with pytest.raises(BenchError, match=r"holds no state dict.*got list"):
        read_state(file([1, 2]))


def test_types(file):
    path = file(tiny_vggish().state_dict())
    assert load(tiny_vggish, path, dtype=torch.bfloat16).features[0].weight.dtype == torch.bfloat16


def test_what_a_network_names_exact_keeps_its_numbers():
    network = narrow(Cnn14(channels=(2, 2, 2, 2, 2, 2)), torch.bfloat16)
    kept = {name.partition(".")[0] for name, value in network.state_dict().items() if value.dtype == torch.float32}
    assert kept == {"spectrogram_extractor", "logmel_extractor", "bn0"}
    assert network.fc1.weight.dtype == torch.bfloat16
    assert network.conv_block1.bn1.running_var.dtype == torch.bfloat16


def test_signatures_are_those_of_the_networks():
    with torch.device("meta"):
        assert looks_like(Vggish().state_dict()) == "VGGish"
        assert looks_like(Cnn14().state_dict()) == "PANNs Cnn14"
        assert (
            looks_like({f"vfeat_extractor.{key}": v for key, v in MotionFormer().state_dict().items()}) == "Synchformer"
        )
        assert looks_like(ImageBind().state_dict()) == "ImageBind"
    assert looks_like({"a": torch.zeros(1)}) == ""


def test_a_file_that_holds_itself_comes_to_an_end(file):
    inside = {}
    inside["model"] = inside
    with pytest.raises(BenchError, match="holds no state dict"):
        read_state(file(inside))
    deep = {"w": torch.zeros(1)}
    for _ in range(3):
        deep = {"model": deep}
    assert list(read_state(file(deep))) == ["w"]
