"""`--backbone hear:MODULE#WEIGHTS`: a stranger's module measures distances through the command line."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from visaudio_bench.files import CACHE_VARIABLE
from visaudio_bench.metrics.frechet import frechet_distance
from visaudio_bench.metrics.kernel_distance import kernel_distance
from visaudio_bench.models import serving
from visaudio_bench.models.backbones.vggish import Vggish
from visaudio_bench.models.backbones.waveform import resample
from visaudio_bench.suites.media import read_sound

from ..cluster.doubles import conduct

MODULE = """
import torch

class Model(torch.nn.Module):
    sample_rate = 16000
    scene_embedding_size = timestamp_embedding_size = 3

def load_model(path=""):
    print("a stranger talks")
    return Model()

def get_scene_embeddings(audio, model):
    return torch.stack([audio.std(1), audio.abs().mean(1), audio.amax(1)], 1)

def get_timestamp_embeddings(audio, model):
    raise NotImplementedError
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Write a HEAR module where Python finds it, as a new version each time."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(text: str = MODULE, name: str = "stranger_toy") -> Path:
        sys.modules.pop(name, None)
        path = folder / f"{name}.py"
        path.write_text(text)
        return path

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def run(bench: Callable, clips: Path, out: Path, *more: object) -> object:
    return bench("run", "--suite", f"folder:{clips}", "--system", "mono", "--workers", 1, "--out", out, *more)


def values(folder: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return {(row["system"], row["metric"], row["view"]): row for row in csv.DictReader(file)}


def test_the_distances_are_those_of_the_modules_own_rows(
    bench: Callable, module: Callable, clips: Path, tmp_path: Path
) -> None:
    module()
    folder = tmp_path / "run"
    told = run(bench, clips, folder, "--metric", "lr_acc", "--backbone", "hear:stranger_toy")
    assert told.code == 0, told.err
    assert "FD-stranger_toy mix" in told.out
    assert "a stranger talks" not in told.out
    found = values(folder)
    sound = [torch.from_numpy(np.array(read_sound(clips / f"clip{index}.wav").samples)) for index in range(6)]
    heard = [resample(samples, 44100, 16000) for samples in sound]
    rows = torch.stack([torch.stack([x.std(1), x.abs().mean(1), x.amax(1)], 1) for x in heard]).double().numpy()
    left, right = rows[:, 0], rows[:, 1]
    for view, (own, true) in {"left": (right, left), "right": (left, right)}.items():  # of the swapped anchor
        distance = frechet_distance(own, true).value
        assert float(found["swapped", "fd_hear_stranger_toy", view]["value"]) == pytest.approx(distance, rel=1e-4)
        kernel = kernel_distance(own, true).value
        assert float(found["swapped", "kad_hear_stranger_toy", view]["value"]) == pytest.approx(kernel, rel=1e-4)
    assert float(found["swapped", "fd_hear_stranger_toy", "mix"]["value"]) == pytest.approx(0, abs=1e-9)
    row = found["swapped", "fd_hear_stranger_toy", "left"]
    assert "N = 6 rows of 6 clips, d = 3" in row["reason"]
    origin = json.loads((folder / "results.json").read_text())["provenance"]
    assert origin["backbones"]["hear_stranger_toy"]["module"] == "stranger_toy"


def test_a_report_needs_the_run_and_not_the_module(
    bench: Callable, module: Callable, clips: Path, tmp_path: Path
) -> None:
    path = module()
    assert run(bench, clips, tmp_path / "run", "--backbone", "hear:stranger_toy").code == 0
    path.unlink()
    del sys.modules["stranger_toy"]
    told = bench("report", tmp_path / "run", "--format", "md")
    assert told.out == (tmp_path / "run" / "leaderboard.md").read_text()
    assert "FD-stranger" in told.out


def test_what_a_module_said_is_kept_until_the_module_changes(
    bench: Callable, module: Callable, clips: Path, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    counting = (
        MODULE
        + f"""
embed = get_scene_embeddings
def get_scene_embeddings(audio, model):
    with open({str(calls)!r}, "a") as file:
        file.write("x")
    return embed(audio, model)
"""
    )
    found = []
    for text in (counting, counting, counting.replace("audio.amax(1)", "audio.amin(1)")):
        module(text)
        calls.write_text("")
        asked = ("--metric", "lr_acc", "--limit", 2, "--backbone", "hear:stranger_toy")
        assert run(bench, clips, tmp_path / "run", *asked).code == 0
        value = values(tmp_path / "run")["swapped", "fd_hear_stranger_toy", "left"]["value"]
        found.append((len(calls.read_text()), value))
    # One call to try it; then three views of two clips' reference, mono and swapped, and of the third clip's sound.
    assert [count for count, _ in found] == [1 + 3 * 7, 1, 1 + 3 * 7]
    assert found[0][1] == found[1][1] != found[2][1]


@pytest.fixture
def rows_of(bench: Callable, module: Callable, clips: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """The features that a run on two clips leaves of each system, when nothing has been asked before."""
    module()

    def features(out: Path, *more: object) -> dict[str, list[float]]:
        monkeypatch.setenv(CACHE_VARIABLE, str(out / "cache"))
        asked = ("--metric", "lr_acc", "--limit", 2, "--backbone", "hear:stranger_toy", *more)
        told = run(bench, clips, out / "run", *asked)
        assert told.code == 0, told.err
        paths = (out / "run" / "features").rglob("*.npz")
        return {path.stem: np.load(path)["hear_stranger_toy"].tolist() for path in paths}

    return features


@pytest.mark.slow
def test_workers_ask_a_module_for_one_view_at_a_time(
    rows_of: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = rows_of(tmp_path / "one")
    plain, asked = serving._Server._launch, []
    monkeypatch.setattr(serving._Server, "_launch", lambda *given: (asked.append(len(given[1])), plain(*given))[1])
    monkeypatch.setattr(serving, "AT_ONCE", {"cpu": 16})
    assert rows_of(tmp_path / "two", "--workers", 2) == one
    assert set(asked) == {1} and len(asked) >= 3 * 7  # two workers may ask about the same sound at a time


def test_a_cluster_asks_a_module_where_its_workers_are(
    rows_of: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = rows_of(tmp_path / "one")
    cluster = conduct(monkeypatch)
    assert rows_of(tmp_path / "many", "--ray", "auto") == one
    assert "_listen_alone" in {getattr(function, "func", function).__name__ for function, _ in cluster.asked}


def test_fewer_clips_than_dimensions_is_said(bench: Callable, module: Callable, clips: Path, tmp_path: Path) -> None:
    module()
    asked = ("--metric", "lr_acc", "--limit", 2, "--backbone", "hear:stranger_toy")
    assert run(bench, clips, tmp_path / "run", *asked).code == 0
    assert "2 clips are too few" in values(tmp_path / "run")["mono", "fd_hear_stranger_toy", "left"]["reason"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("def get_scene_embeddings", "def get_scenes"), "it has no get_scene_embeddings"),
        (("import torch", "import torch, no_such_package"), "does not import: ModuleNotFoundError"),
        (("return Model()", "return None"), "does not follow the HEAR API: load_model returns builtins.NoneType"),
        (("return Model()", "raise OSError('gone')"), 'load_model("") failed: OSError'),
        (("audio.amax(1)], 1)", "audio.amax(1)], 1)[:, :2]"), "scene embeddings have shape (4, 2), expected (4, 3)"),
        (("audio.amax(1)], 1)", "audio.amax(1)], 1) / 0"), "hold values that are not numbers"),
        (("audio.std(1)", "audio.nonsense(1)"), "failed on scenes: AttributeError"),
    ],
)
def test_a_module_that_breaks_the_api_is_refused_before_any_work(
    bench: Callable, module: Callable, clips: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    module(MODULE.replace(*change))
    told = run(bench, clips, tmp_path / "run", "--backbone", "hear:stranger_toy")
    assert (told.code, told.out) == (2, "")
    assert message in told.err
    assert "Traceback" not in told.err
    assert not (tmp_path / "run").exists()


def test_requests_that_cannot_be_met(bench: Callable, module: Callable, clips: Path, tmp_path: Path) -> None:
    module()
    for requests, message in (
        (["stranger_toy"], "not of the form hear:MODULE#WEIGHTS"),
        (["hear:no_such_hear"], "the HEAR module no_such_hear does not import"),
        (["hear:stranger_toy", "hear:stranger_toy#other"], "would both be called hear_stranger_toy"),
    ):
        told = run(bench, clips, tmp_path / "run", *(word for name in requests for word in ("--backbone", name)))
        assert (told.code, told.out) == (2, "")
        assert message in told.err
    for path in clips.glob("*.mp4"):
        path.unlink()
    alone = bench("score", "--predictions", clips, "--backbone", "hear:stranger_toy", "--out", tmp_path / "run")
    assert alone.code == 2
    assert "there are no references" in alone.err


class Small(Vggish):
    """Of the published one's shapes, with few channels."""

    def __init__(self) -> None:
        super().__init__((4,) * 6, hidden=8)


def test_our_own_vggish_serves_through_the_api(
    bench: Callable, filled: Callable, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visaudio_bench.models.hear_api.vggish.Vggish", Small)
    weights = tmp_path / "vggish.pth"
    torch.save(filled(Small), weights)
    asked = ("--metric", "lr_acc", "--limit", 2, "--backbone", f"hear:visaudio_bench.models.hear_api.vggish#{weights}")
    told = run(bench, clips, tmp_path / "run", *asked)
    assert told.code == 0, told.err
    assert "FD-vggish mix" in told.out
    features = tmp_path / "run" / "features" / "clips"
    with np.load(features / "swapped.npz") as own, np.load(features / "@reference.npz") as true:
        np.testing.assert_allclose(own["hear_vggish"][:, 1], true["hear_vggish"][:, 2], rtol=1e-5)
        assert true["hear_vggish"].shape == (2, 3, 128)
    assert float(values(tmp_path / "run")["swapped", "fd_hear_vggish", "left"]["value"]) > 0
