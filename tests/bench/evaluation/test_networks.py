"""Metrics by networks through the command line, with weights that exist in tests only."""

from __future__ import annotations

import copy
import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from visaudio_bench.bench.evaluation.families.imagebind import meaning
from visaudio_bench.bench.evaluation.families.synchformer import offsets
from visaudio_bench.bench.evaluation.families.vggish import embedded as vggish
from visaudio_bench.bench.evaluation.family_registry import registry
from visaudio_bench.bench.evaluation.frozen_networks import Hearing, Net, Seeing
from visaudio_bench.bench.evaluation.sound_classes import heard as panns
from visaudio_bench.files import CACHE_VARIABLE
from visaudio_bench.models.backbones import waveform
from visaudio_bench.models.backbones.imagebind import ImageBind
from visaudio_bench.models.backbones.panns import Cnn14, PannsOutput
from visaudio_bench.models.backbones.synchformer import Synchformer
from visaudio_bench.models.backbones.vggish import Vggish
from visaudio_bench.models.weight_loading import narrow
from visaudio_bench.models.weights import WEIGHTS, WEIGHTS_VARIABLE, Located
from visaudio_bench.suites.media import read_binaural

NETWORKS = {"vggish": Vggish, "panns": Cnn14, "synchformer": Synchformer, "imagebind": ImageBind}
CONTENT = "fd_vgg,fd_pann,kl_pann,desync,ib_score"


@pytest.fixture(scope="module")
def weight_files(tmp_path_factory: pytest.TempPathFactory, filled: Callable) -> Callable[..., Path]:
    """A folder of filled weight files under their published names, made as they are asked for."""
    folder = tmp_path_factory.mktemp("weights")

    def make(*names: str) -> Path:
        for name in names:
            path = folder / WEIGHTS[name].file
            if not path.exists():
                torch.save(filled(NETWORKS[name]), path)
        return folder

    return make


@pytest.fixture
def install(weight_files: Callable, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the registry take the filled files of these networks for the published ones."""

    def put(*names: str) -> None:
        folder = weight_files(*names)
        monkeypatch.setenv(WEIGHTS_VARIABLE, str(folder))
        for name in WEIGHTS:
            size = (folder / WEIGHTS[name].file).stat().st_size if name in names else WEIGHTS[name].size
            known = {"sha256": None, "md5": None} if name in names else {}
            monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], size=size, **known))

    return put


@pytest.fixture
def six_clips(tmp_path: Path, golden: Path, end_to_end_sound: Callable) -> Path:
    """The six clips of the reference's own end-to-end run: references, predictions, videos."""
    for index in range(6):
        for kind, (samples, rate) in end_to_end_sound(index).items():
            path = tmp_path / f"{kind}s" / f"clip_{index:02d}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, samples.T, rate, subtype="PCM_16")
    shutil.copytree(golden / "video", tmp_path / "videos")
    return tmp_path


@pytest.fixture
def known_answers(golden: Path, end_to_end_sound: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks of full size that know by heart what they have to say of the six clips; computing it takes minutes.

    What they say is the reference's own; that the networks compute it is shown by
    tests/models/backbones/test_backbones_sound.py, and from end to end by the slow test below.
    """
    stored = np.load(golden / "end_to_end_features.npz")
    heard, names = [], []
    for index in range(6):
        for side, name in (("reference", "gt"), ("prediction", "pred")):
            samples, rate = end_to_end_sound(index)[side]
            views = waveform.views(torch.from_numpy(samples.astype(np.float32) / 32768))
            heard.append(waveform.to_16k(views, rate, 8.0, remove_mean=True))
            names += [(f"{name}_{view}", index) for view in ("mix", "left", "right")]
    known = torch.cat(heard)

    def answer(x: torch.Tensor, kind: str) -> torch.Tensor:
        away = torch.cdist(x, known) / known.norm(dim=1)
        assert float(away.amin(1).max()) < 0.02, "a sound that is none of the six clips'"
        return torch.stack(
            [torch.from_numpy(stored[f"{names[k][0]}.{kind}"][names[k][1]]) for k in away.argmin(1).tolist()]
        )

    monkeypatch.setattr(Vggish, "embed", lambda self, x: answer(x, "vggish"))
    monkeypatch.setattr(
        Cnn14, "forward", lambda self, x: PannsOutput(answer(x, "panns_2048"), answer(x, "panns_logits"))
    )


def score(bench: Callable, folder: Path, *more: object) -> object:
    places = [word for kind in ("predictions", "references", "videos") for word in (f"--{kind}", folder / kind)]
    return bench("score", *places, "--duration", 8, "--out", folder / "run", "--workers", 1, *more)


def values(run: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    with (run / "results.csv").open() as file:
        return {(row["system"], row["metric"], row["view"]): row for row in csv.DictReader(file)}


def expected(golden: Path) -> dict[str, dict[str, float]]:
    return json.loads((golden / "end_to_end.json").read_text())


def number(run: Path, metric: str, view: str, system: str = "predictions") -> float:
    return float(values(run)[system, metric, view]["value"])


def test_the_references_own_scores_come_out_of_the_command_line(
    bench: Callable, install: Callable, six_clips: Path, golden: Path, known_answers: None
) -> None:
    install("vggish", "panns")
    told = score(bench, six_clips, "--metric", CONTENT, "--compat", "av-benchmark")
    assert told.code == 0, told.err
    run = six_clips / "run"
    compare_with_what_the_reference_prints(run, golden)
    for title in ("FD-VGG mix", "FD-VGG avg", "FD-PANN mix", "KL-PANN avg", "N = 48 rows of 6 clips, d = 128"):
        assert title in told.out
    for metric, view in (("fd_vgg", "mix"), ("kl_pann", "mix"), ("fd_pann", "avg")):
        assert number(run, metric, view, "reference") == pytest.approx(0, abs=1e-4)
        assert number(run, metric, view) > number(run, metric, view, "reference")
    missing = values(run)["predictions", "desync", "mix"]
    assert (missing["value"], missing["status"]) == ("", "missing")
    assert "bench weights fetch synchformer" in missing["reason"]
    assert "left out: DeSync, IB-Score: weights are not here" in told.err
    assert bench("report", run, "--format", "md").out == (run / "leaderboard.md").read_text()
    provenance = json.loads((run / "results.json").read_text())["provenance"]
    assert set(provenance["weights"]) == {"vggish", "panns"}
    assert provenance["protocol"]["name"] == "av-benchmark"


def compare_with_what_the_reference_prints(run: Path, golden: Path) -> None:
    """The reference sums distances and divergences in float32: to seven digits, less what differences lose."""
    printed = expected(golden)
    for view, source in (("mix", "stereo_files"), ("left", "left"), ("right", "right")):
        assert number(run, "fd_vgg", view) == pytest.approx(printed[source]["FD-VGG"], rel=2e-5)
        assert number(run, "fd_pann", view) == pytest.approx(printed[source]["FD-PANN"], rel=4e-5)
        assert number(run, "kl_pann", view) == pytest.approx(printed[source]["KL-PANNS-softmax"], abs=5e-6)
    for metric, column in (("fd_vgg", "FD_VGG_avg"), ("fd_pann", "FD_PANN_avg"), ("kl_pann", "KL_PANN_avg")):
        assert number(run, metric, "avg") == pytest.approx(printed["table2_columns"][column], rel=4e-5, abs=5e-6)


@pytest.mark.golden
@pytest.mark.slow
def test_all_of_the_references_columns_with_all_networks(
    bench: Callable, install: Callable, six_clips: Path, golden: Path
) -> None:
    install(*NETWORKS)
    told = score(bench, six_clips, "--metric", CONTENT, "--compat", "av-benchmark")
    assert told.code == 0, told.err
    printed, run = expected(golden)["table2_columns"], six_clips / "run"
    compare_with_what_the_reference_prints(run, golden)
    assert number(run, "desync", "mix") == pytest.approx(printed["DeSync_stereo_files"], abs=1e-6)
    assert number(run, "ib_score", "left") == pytest.approx(printed["IB_stereo_files_left_channel"], abs=1e-5)


def test_missing_weights_leave_the_column_out_and_say_what_to_do(
    bench: Callable, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "empty"))
    asked = ("--suite", f"folder:{clips}", "--system", "noise", "--workers", 1, "--limit", 2)
    told = bench("run", *asked, "--out", tmp_path / "run")
    assert told.code == 0
    assert "FD-VGG" not in told.out
    (line,) = [line for line in told.err.splitlines() if line.startswith("left out:")]
    assert "FD-VGG, FD-PANN, KL-PANN, DeSync, IB-Score: weights are not here" in line
    assert line.endswith("bench weights fetch vggish panns synchformer imagebind")
    row = values(tmp_path / "run")["mono", "fd_vgg", "mix"]
    assert (row["value"], row["n"], row["status"]) == ("", "0", "missing")
    assert "289 MB, Apache-2.0" in row["reason"]


def test_a_wrong_weight_file_is_refused_by_name(
    bench: Callable, install: Callable, weight_files: Callable, six_clips: Path
) -> None:
    install("vggish")
    path = weight_files("vggish") / WEIGHTS["vggish"].file
    kept = path.read_bytes()
    torch.save({"conv_block6.bn2.weight": torch.zeros(len(kept) // 4)}, path)
    try:
        told = score(bench, six_clips, "--metric", "fd_vgg")
    finally:
        path.write_bytes(kept)
    assert told.code == 1
    assert "does not hold the weights of VGGish" in told.err
    assert "It looks like PANNs Cnn14" in told.err


def test_what_was_embedded_is_not_embedded_again(
    bench: Callable, install: Callable, six_clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("vggish")
    small, embed = Vggish((4,) * 6, hidden=8).eval(), Vggish.embed  # of full size it answers as long as it is asked
    monkeypatch.setattr(Vggish, "embed", lambda self, x: embed(small, x))
    assert score(bench, six_clips, "--metric", "fd_vgg", "--duration", 2).code == 0
    before = (six_clips / "run" / "results.csv").read_bytes()
    monkeypatch.setattr(Vggish, "embed", lambda *_: pytest.fail("embedded again"))
    assert score(bench, six_clips, "--metric", "fd_vgg", "--duration", 2).code == 0
    assert (six_clips / "run" / "results.csv").read_bytes() == before
    samples, rate = soundfile.read(six_clips / "predictions" / "clip_02.wav", dtype="int16")
    soundfile.write(six_clips / "predictions" / "clip_02.wav", np.roll(samples, 4410, axis=0), rate)
    with pytest.raises(pytest.fail.Exception, match="embedded again"):
        score(bench, six_clips, "--metric", "fd_vgg", "--duration", 2)


def test_a_broken_sound_is_out_and_a_set_distance_is_refused_for_other_clips(
    bench: Callable, install: Callable, six_clips: Path
) -> None:
    install("vggish")
    samples, rate = soundfile.read(six_clips / "predictions" / "clip_04.wav", dtype="float32")
    samples[1000] = np.nan
    soundfile.write(six_clips / "predictions" / "clip_04.wav", samples, rate, subtype="FLOAT")
    told = score(bench, six_clips, "--metric", "fd_vgg,kad_vgg", "--allow-missing", 1)
    assert told.code == 0
    row = values(six_clips / "run")["predictions", "fd_vgg", "mix"]
    assert (row["value"], row["status"]) == ("", "failed")
    assert "scored on 5 of 6 clips" in row["reason"]
    # Unbiased, so that the mono row, whose mix is the reference's own, comes out around zero on either side.
    assert abs(number(six_clips / "run", "kad_vgg", "mix", "mono")) < 5


def test_bfloat16_is_asked_for_recorded_and_cached_by_itself(
    bench: Callable, install: Callable, six_clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("vggish", "panns")
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(six_clips / "cache"))  # where no other test's answers are
    for path in six_clips.glob("*s/clip_0[2-5].*"):
        path.unlink()
    heard: list[int] = []
    small = {"vggish": Vggish((4,) * 6, hidden=8), "panns": Cnn14((4, 4, 4, 4, 8, 2048))}
    near = {name: narrow(copy.deepcopy(network), torch.bfloat16) for name, network in small.items()}
    embed, forward = Vggish.embed, Cnn14.forward

    def stand_in(network: torch.nn.Module, name: str) -> torch.nn.Module:
        """A small network in the type that the one of full size was loaded in; in bfloat16 that takes minutes."""
        return (near if next(network.parameters()).dtype == torch.bfloat16 else small)[name].eval()

    monkeypatch.setattr(Vggish, "embed", lambda self, x: heard.append(len(x)) or embed(stand_in(self, "vggish"), x))
    monkeypatch.setattr(Cnn14, "forward", lambda self, x: forward(stand_in(self, "panns"), x))
    found: dict[str, list[float]] = {}
    for dtype in ("float32", "bfloat16", "float32"):
        heard.clear()
        told = score(
            bench, six_clips, "--metric", "fd_vgg,fd_pann,kl_pann", "--duration", 2, "--dtype", dtype, "--replace"
        )
        assert told.code == 0, told.err
        assert json.loads((six_clips / "run" / "results.json").read_text())["provenance"]["dtype"] == dtype
        assert len(heard) == (0 if dtype in found else 2 * 4)  # reference, mono, swapped, prediction of each clip
        now = [number(six_clips / "run", metric, "left") for metric in ("fd_vgg", "fd_pann", "kl_pann")]
        assert found.setdefault(dtype, now) == now
    assert found["float32"] != found["bfloat16"]


def test_every_network_answers_in_bfloat16(six_clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of the published shapes but small, behind the same preparation as the published ones."""
    monkeypatch.setenv(CACHE_VARIABLE, str(six_clips / "cache"))
    torch.manual_seed(0)
    small = {
        "vggish": Vggish(channels=(4, 4, 4, 4, 4, 4), hidden=8),
        "panns": Cnn14(channels=(4, 4, 4, 4, 8, 2048)),
        "synchformer": Synchformer(width=64, depth=1, heads=2),
        "imagebind": ImageBind(audio=(32, 1, 2), vision=(32, 1, 2)),
    }
    hearing = Hearing(read_binaural(six_clips / "references" / "clip_00.wav"), 5.0)
    seeing = Seeing(six_clips / "videos" / "clip_00.mp4", 0.0, 5.0)
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for dtype in ("float32", "bfloat16"):
        loaders = {name: registry().get(name).networks[0].load for name in small}
        nets = {name: Net(name, loaders[name], Located(six_clips, name), "cpu", dtype) for name in small}
        for name, net in nets.items():
            network = narrow(copy.deepcopy(small[name]), getattr(torch, dtype)).eval().requires_grad_(False)
            monkeypatch.setitem(net.__dict__, "module", network)
        found[dtype] = {
            "vggish": vggish(nets["vggish"], hearing),
            "panns": panns(nets["panns"], hearing),
            "synchformer": offsets(nets["synchformer"], hearing, seeing, "mix"),
            "imagebind": meaning(nets["imagebind"], hearing, seeing, "mix"),
        }
    for name, answer in found["float32"].items():
        for key, exact in answer.items():
            near = found["bfloat16"][name][key]
            assert near.dtype == exact.dtype
            if "held" not in key:
                assert 0 < np.abs(near - exact).max() < 0.1 * np.abs(exact).max(), (name, key)


def test_answers_of_one_kind_of_device_are_not_taken_for_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path))
    weights = Located(tmp_path / "none.pth", "0" * 64)

    def ask(device: str, value: float) -> float:
        answer = Net("toy", lambda *_: None, weights, device).answer("x", lambda: {"x": value}, "same")
        return float(answer["x"])

    assert (ask("cpu", 1.0), ask("cuda:0", 2.0), ask("cuda:1", 3.0), ask("cpu", 4.0)) == (1.0, 2.0, 2.0, 1.0)


def test_a_prediction_that_ends_a_little_early_is_filled_with_silence_and_says_so(
    bench: Callable, six_clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codecs leave out up to 80 ms; pictures and sound must have as many segments all the same."""
    monkeypatch.setenv(CACHE_VARIABLE, str(six_clips / "cache"))
    torch.manual_seed(0)
    network = Synchformer(width=64, depth=1, heads=2).eval().requires_grad_(False)
    monkeypatch.setattr(Net, "module", property(lambda self: network))
    monkeypatch.setattr("visaudio_bench.bench.evaluation.execution.require", lambda name: Located(six_clips, name))
    monkeypatch.setattr("visaudio_bench.bench.evaluation.plan.missing", lambda names: ())
    for path in six_clips.glob("*s/clip_0[45].*"):
        path.unlink()
    missing = {"clip_00": 0.0, "clip_01": 1e-4, "clip_02": 0.08, "clip_03": 0.3}
    for clip, seconds in missing.items():
        samples, rate = soundfile.read(six_clips / "predictions" / f"{clip}.wav", dtype="int16")
        soundfile.write(six_clips / "predictions" / f"{clip}.wav", samples[: round((8 - seconds) * rate)], rate)
    told = score(bench, six_clips, "--metric", "desync,lat_err", "--allow-missing", 1)
    assert told.code == 0, told.err
    failures = [json.loads(line) for line in (six_clips / "run" / "failures.jsonl").read_text().splitlines()]
    told_of = {one["clip"]: one["reason"] for one in failures if one["system"] == "predictions"}
    assert told_of == {"clip_01": "padded", "clip_02": "padded", "clip_03": "too_short"}
    assert "predictions on references: 2 sounds end before their clips do" in told.err
    with (six_clips / "run" / "clips.csv").open() as file:
        rows = {
            row["clip"]: (bool(row["value"]), row["reason"])
            for row in csv.DictReader(file)
            if (row["system"], row["metric"]) == ("predictions", "desync")
        }
    assert rows == {
        "clip_00": (True, ""), "clip_01": (True, "padded"), "clip_02": (True, "padded"), "clip_03": (False, "too_short")
    }  # fmt: skip
    assert values(six_clips / "run")["predictions", "desync", "mix"]["n"] == "3"
    assert score(bench, six_clips, "--metric", "desync").code == 1
