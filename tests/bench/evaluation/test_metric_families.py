"""Families of metrics: a module of ours and a plug-in of others, from `bench weights list` to the column of a table."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import visaudio_bench.registry
from visaudio_bench.bench.evaluation import families, frozen_networks
from visaudio_bench.bench.evaluation.family_registry import built_in
from visaudio_bench.bench.evaluation.frozen_networks import Hearing, Seeing
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.models.backbones.waveform import to_16k
from visaudio_bench.models.weights import WEIGHTS, WEIGHTS_VARIABLE
from visaudio_bench.suites.media import read_sound

MANUAL = Path(__file__).resolve().parents[3] / "docs" / "add-a-metric.md"
EXAMPLES = {
    re.search(r"name = \"(\w+)\"", text)[1]: text
    for text in re.findall(r"```python\n(.*?)```", MANUAL.read_text(), flags=re.S)
}
GROUP = "visaudio_bench.metrics"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the manual's network, not yet where it belongs; what families bring is forgotten again."""
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "weights"))
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("visaudio_bench.models.weights.WEIGHTS", dict(WEIGHTS))
    path = tmp_path / "download" / "toy_net.safetensors"
    path.parent.mkdir()
    random = np.random.default_rng(1).standard_normal((257, 8)).astype(np.float32)
    save_file({"projection": torch.from_numpy(random)}, path)
    return path


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> Callable[..., None]:
    """Install modules of others, each behind an entry point of its name."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    points: list[EntryPoint] = []
    monkeypatch.setattr(visaudio_bench.registry, "entry_points", lambda group: points if group == GROUP else [])

    def install(name: str, text: str, entry: str = "") -> None:
        (tmp_path / f"their_{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, f"their_{name}", raising=False)
        points.append(EntryPoint(entry or name, f"their_{name}:FAMILY", GROUP))

    return install


@pytest.fixture
def as_plug_in(plug_in: Callable[..., None]) -> None:
    plug_in("toy", EXAMPLES["toy"])


@pytest.fixture
def as_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    folder = tmp_path / "families"
    folder.mkdir()
    (folder / "toy.py").write_text(EXAMPLES["toy"])
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(folder)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, f"{families.__name__}.toy", raising=False)


@pytest.fixture
def three(clips: Path) -> Path:
    for path in clips.glob("clip[3-5].*"):
        path.unlink()
    return clips


def run(bench: Callable, clips: Path, out: Path, *more: object) -> Any:
    return bench("run", "--suite", f"folder:{clips}", "--system", "noise", "--out", out, "--workers", 1, *more)


def rows(run: Path, name: str = "results.csv") -> dict[tuple[str, ...], dict[str, str]]:
    keys = ("system", "metric", "view") if name == "results.csv" else ("system", "clip", "metric", "view")
    with (run / name).open() as file:
        return {tuple(row[key] for key in keys): row for row in csv.DictReader(file)}


def failures(run: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (run / "failures.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("way", ["as_ours", "as_plug_in"])
def test_the_manuals_network_from_its_weights_to_its_column(
    bench: Callable, three: Path, tmp_path: Path, weights: Path, way: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(way)
    listed = bench("weights", "list", "--format", "md").out
    assert re.search(r"toy-net .*Toy-Sim, FD-Toy.*missing.*CC0-1.0", listed)
    assert "toy_sim" in bench("list", "metrics", "--format", "csv").out

    told = run(bench, three, tmp_path / "run", "--metric", "toy,lat_err")
    assert told.code == 0, told.err
    assert "left out: Toy-Sim, FD-Toy: weights are not here (toy-net 0 MB CC0-1.0)" in told.err
    assert [line for line in told.err.splitlines() if line.endswith("bench weights fetch toy-net")]
    for key in (("noise", "toy_sim", "left"), ("noise", "fd_toy", "mix")):
        row = rows(tmp_path / "run")[key]
        assert (row["value"], row["status"]) == ("", "missing")
        assert row["reason"].endswith("Get them: bench weights fetch toy-net")
    assert float(rows(tmp_path / "run")["noise", "lat_err", "binaural"]["value"]) > 0

    assert bench("weights", "fetch", "toy-net", "--from", weights).code == 0
    told = run(bench, three, tmp_path / "run", "--metric", "Toy-Sim,fd_toy,lat_err")
    assert told.code == 0, told.err
    assert "Toy-Sim ↑" in told.out and "FD-Toy mix ↓" in told.out
    found = rows(tmp_path / "run")
    per_clip = rows(tmp_path / "run", "clips.csv")
    matrix = torch.from_numpy(np.random.default_rng(1).standard_normal((257, 8)).astype(np.float32))
    noise = tmp_path / "run" / "audio" / "clips" / "noise" / "clip1.wav"
    own, true = (_embedding(path, matrix) for path in (noise, three / "clip1.wav"))
    expected = torch.nn.functional.cosine_similarity(own, true, dim=0)
    assert float(per_clip["noise", "clip1", "toy_sim", "left"]["value"]) == pytest.approx(float(expected), abs=1e-4)
    assert float(found["reference", "toy_sim", "mix"]["value"]) == pytest.approx(1, abs=1e-6)
    assert float(found["reference", "fd_toy", "mix"]["value"]) == pytest.approx(0, abs=1e-4)
    assert float(found["noise", "fd_toy", "mix"]["value"]) > float(found["reference", "fd_toy", "mix"]["value"])
    assert "N = 3 rows of 3 clips, d = 8" in found["noise", "fd_toy", "mix"]["reason"]
    provenance = json.loads((tmp_path / "run" / "results.json").read_text())["provenance"]
    assert list(provenance["weights"]) == ["toy-net"]
    assert bench("report", tmp_path / "run", "--format", "md").out == (tmp_path / "run" / "leaderboard.md").read_text()


def _embedding(path: Path, matrix: torch.Tensor) -> torch.Tensor:
    """Of the left ear."""
    sound = read_sound(path)
    row = to_16k(torch.from_numpy(sound.samples[:1].copy()), sound.source_rate, 2.0)
    spectrum = torch.stft(row, 512, window=torch.hann_window(512), return_complex=True).abs().mean(-1)
    return (spectrum @ matrix)[0]


def test_answers_are_kept_until_code_or_weights_change(
    bench: Callable, three: Path, tmp_path: Path, weights: Path, plug_in: Callable[..., None]
) -> None:
    text = EXAMPLES["toy"]
    plug_in("toy", text.replace("        import torch\n", "        import torch\n\n        print('embedded')\n"))
    bench("weights", "fetch", "toy-net", "--from", weights)
    asked = ("--metric", "toy_sim", "--limit", 1)
    # Of the reference, which is also the first anchor's sound, and of the four other systems.
    assert [run(bench, three, tmp_path / "run", *asked).out.count("embedded") for _ in range(2)] == [5, 0]
    sys.modules.pop("their_toy")
    changed = text.replace("        import torch\n", "        import torch\n\n        print('embedded', 'anew')\n")
    (tmp_path / "their_toy.py").write_text(changed)
    assert run(bench, three, tmp_path / "run", *asked).out.count("embedded anew") == 5


def test_the_manuals_signal_metric(bench: Callable, three: Path, tmp_path: Path, plug_in: Callable[..., None]) -> None:
    plug_in("peak", EXAMPLES["peak"])
    assert run(bench, three, tmp_path / "run", "--metric", "Peak").code == 0
    assert float(rows(tmp_path / "run")["swapped", "peak_ratio", "binaural"]["value"]) == pytest.approx(1)


BROKEN = {
    "metric": (EXAMPLES["peak"].replace("FAMILY = Peak()", "FAMILY = Peak.metrics[0]"), "expected an object of"),
    "renamed": (EXAMPLES["peak"], 'calls itself "peak"'),
    "taken": (
        EXAMPLES["peak"].replace('"peak"', '"taken"').replace('"peak_ratio"', '"lat_err"'),
        'both have the metric lat_err',
    ),
    "weightless": (
        EXAMPLES["toy"].replace('"toy"', '"weightless"').replace('weights=("toy-net",), views', "weights=(), views"),
        "needs the weights toy-net, and its metric toy_sim says none",
    ),
    "namesake": (
        EXAMPLES["toy"].replace('"toy"', '"namesake"').replace('"toy-net"', '"vggish"'),
        'two weight files are called "vggish"',
    ),
    "absent": ("import no_such_package", "does not import"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_plug_in_that_is_no_family_is_only_the_trouble_of_who_asks_for_it(
    bench: Callable, three: Path, tmp_path: Path, plug_in: Callable[..., None], name: str
) -> None:
    text, words = BROKEN[name]
    plug_in(name, text)
    told = run(bench, three, tmp_path / "run", "--metric", name, "--dry-run")
    assert (told.code, told.out) == (2, "")
    assert words in told.err
    assert words in bench("list", "metrics", "--format", "csv").out.replace('""', '"')
    listed = bench("weights", "list")
    assert listed.code == 0 and "imagebind" in listed.out and words in listed.err
    assert run(bench, three, tmp_path / "run", "--metric", "lat_err", "--dry-run").code == 0
    unknown = run(bench, three, tmp_path / "run", "--metric", "lat_er", "--dry-run")
    assert unknown.code == 2
    assert 'Did you mean "lat_err"?' in unknown.err and words in unknown.err


def test_two_plug_ins_with_one_name_are_not_run_together(
    bench: Callable, three: Path, tmp_path: Path, plug_in: Callable[..., None]
) -> None:
    plug_in("peak", EXAMPLES["peak"])
    plug_in("other", EXAMPLES["peak"].replace('"peak"', '"other"').replace('key="peak_ratio"', 'key="second"'))
    assert run(bench, three, tmp_path / "run", "--metric", "peak", "--dry-run").code == 0
    told = run(bench, three, tmp_path / "run", "--metric", "peak,other", "--dry-run")
    assert told.code == 2
    assert 'the metric family "other" and "peak" both have the quantity peak_ratio' in told.err


def test_what_a_clip_lacks_is_the_reason_of_an_empty_cell(
    bench: Callable, three: Path, tmp_path: Path, plug_in: Callable[..., None]
) -> None:
    line = "        own, true ="
    for name, asked in (("words", "inputs.caption"), ("seen", "inputs.pictures")):
        text = EXAMPLES["peak"].replace('"peak"', f'"{name}"').replace('"peak_ratio"', f'"{name}_ratio"')
        plug_in(name, text.replace(line, f"        {asked}\n{line}"))
    (three / "clip1.mp4").unlink()
    told = run(bench, three, tmp_path / "run", "--metric", "words_ratio,seen_ratio,lat_err")
    assert told.code == 0, told.err
    found = rows(tmp_path / "run", "clips.csv")
    said = {
        (clip, name): found["noise", clip, f"{name}_ratio", "binaural"]["reason"]
        for clip in ("clip0", "clip1")
        for name in ("words", "seen")
    }
    assert said == {
        ("clip0", "words"): "no_caption", ("clip1", "words"): "no_caption",
        ("clip0", "seen"): "", ("clip1", "seen"): "no_video",
    }  # fmt: skip
    assert rows(tmp_path / "run")["noise", "lat_err", "binaural"]["n"] == "3"
    alone = ("score", "--predictions", three, "--binauralised", "--metric", "stft", "--workers", 1)
    assert bench(*alone, "--out", tmp_path / "alone").code == 0
    assert rows(tmp_path / "alone")["clips", "stft", "binaural"]["reason"] == "no_reference"


WRONG = {
    "name": ('("toy_sim", view)', '("other", view)', 'returned the quantity "other"'),
    "key": ('("toy_sim", view)', "view", "returned 'mix': Quantity"),
    "features": ('{"toy": embedded', '{"toy2": embedded', 'returned the features "toy2"'),
    "shape": ("sound.native)[None]", "sound.native)", "returned features of shape (3, 8), expected (rows, 3, d)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_answer_that_is_not_as_promised_costs_its_family_alone(
    bench: Callable, three: Path, tmp_path: Path, weights: Path, plug_in: Callable[..., None], case: str
) -> None:
    before, after, words = WRONG[case]
    assert before in EXAMPLES["toy"]
    plug_in("toy", EXAMPLES["toy"].replace(before, after))
    bench("weights", "fetch", "toy-net", "--from", weights)
    told = run(bench, three, tmp_path / "run", "--metric", "toy,lat_err", "--limit", 2)
    assert told.code == 1
    assert "Traceback" not in told.err
    found = failures(tmp_path / "run")
    assert {(one["stage"], one["reason"]) for one in found} == {("networks", "wrong_answer")}
    assert all(words in one["message"] for one in found)
    row = rows(tmp_path / "run")["noise", "toy_sim", "mix"]
    assert (row["value"], row["reason"]) == ("", "wrong_answer")
    assert rows(tmp_path / "run")["noise", "lat_err", "binaural"]["n"] == "2"


def test_a_video_is_decoded_once_for_all_families(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, decoded = frozen_networks.read_sampled_frames, []
    monkeypatch.setattr(
        frozen_networks,
        "read_sampled_frames",
        lambda path, selects, **k: decoded.append(1) or decode(path, selects, **k),
    )
    seeing = Seeing(clips / "clip0.mp4", 0.0, 2.0, rates=(Fraction(5), Fraction(1)))
    shapes = [len(seeing.frames(Fraction(rate))[0]) for rate in (5, 1, 5)]
    assert (shapes, len(decoded)) == ([10, 2, 10], 1)
    assert (len(seeing.frames(Fraction(2))[0]), len(decoded)) == (4, 2)  # nobody said that it would be asked for


def test_answers_are_kept_by_the_code_that_reads_what_they_are_about(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A family need not know who takes frames and mixes views for it."""

    def digests() -> list[str]:
        return [
            Seeing(clips / "clip0.mp4", 0.0, 2.0).digest,
            Hearing(read_sound(clips / "clip0.wav"), 2.0).digest,
        ]

    before = digests()
    assert digests() == before
    monkeypatch.setattr(frozen_networks, "source_revision", lambda root: f"another {root.__name__}")
    assert all(now != then for now, then in zip(digests(), before, strict=True))


def test_every_metric_of_the_catalogue_has_one_family_and_none_is_heavy() -> None:
    owned = [metric.key for family in built_in() for metric in family.metrics]
    assert len(set(owned)) == len(owned)
    assert set(owned) >= set(METRICS)
    code = (
        "import sys; from visaudio_bench.bench.evaluation.metric_choice import find_metrics; find_metrics(['all'])\n"
        "assert not {'torch', 'av', 'soundfile'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
