"""Names that other packages add, and folders of outputs, in a run of two suites."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import visaudio_bench.registry
from visaudio_bench.bench.evaluation.generation import made_sounds
from visaudio_bench.suites.media import read_sound, write_audio

PLUGIN = """
from visaudio_bench.baselines.trivial import Swapped
from visaudio_bench.bench.evaluation.family import Family, binaural
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.metrics.quantity import Quantity
from dataclasses import replace


class Louder(Swapped):
    card = replace(Swapped.card, name="louder", title="Louder", anchor=False)

    def make(self, clip, clips, rng):
        return super().make(clip, clips, rng)[::-1] * 2


class Level(Family):
    name = "level"
    metrics = (replace(
        METRICS["side_mid"], key="level", title="Level", family="their_plugin", quantities=("level",),
        aggregate=aggregate.mean("level"), better="higher",
    ),)

    def quantities(self, inputs):
        own, true = (abs(one.ears.samples).max() for one in (inputs.prediction, inputs.reference))
        return binaural({"level": Quantity(float(own / true))})


LEVEL = Level()
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_plugin", raising=False)
    points = {
        "visaudio_bench.systems": [EntryPoint("louder", "their_plugin:Louder", "visaudio_bench.systems")],
        "visaudio_bench.metrics": [EntryPoint("level", "their_plugin:LEVEL", "visaudio_bench.metrics")],
    }
    monkeypatch.setattr(visaudio_bench.registry, "entry_points", lambda group: points.get(group, []))


def test_a_plug_ins_sound_is_made_again_when_its_code_changes(
    bench: Callable, plugin: None, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    asked = ("run", "--suite", f"folder:{clips}", "--system", "louder", "--metric", "side_mid")
    made = []
    for text in (PLUGIN, PLUGIN, PLUGIN.replace("[::-1] * 2", "[::-1] / 2")):
        sys.modules.pop("their_plugin", None)
        (tmp_path / "their_plugin.py").write_text(text)
        assert bench(*asked, "--limit", 2, "--workers", 1, "--out", tmp_path / "run").code == 0
        (path,) = (tmp_path / "run" / "audio").glob("*/louder/clip0.wav")
        made.append((path.stat().st_mtime_ns, path.read_bytes()))
    assert made[0] == made[1]
    assert made[1][1] != made[2][1]


def test_plug_ins_and_outputs_stand_in_the_table_like_anything_else(
    bench: Callable, plugin: None, clips: Path, tmp_path: Path
) -> None:
    outputs = tmp_path / "mine"
    for path in clips.glob("*.wav"):
        write_audio(outputs / path.name, read_sound(path).samples / 2, 44100)
    other = tmp_path / "other"
    write_audio(other / "one.wav", read_sound(clips / "clip0.wav").samples, 44100)
    write_audio(other / "two.wav", read_sound(clips / "clip1.wav").samples, 44100)
    told = bench(
        "run", "--suite", f"folder:{clips},folder:{other}", "--system", f"louder,outputs:ours={outputs}",
        "--metric", "level,LR-Acc", "--out", tmp_path / "run", "--workers", 1, "--allow-missing", 2,
    )  # fmt: skip
    assert told.code == 0, told.err
    assert "6 of its files belong to no clip of the suite" in told.err  # of the second suite
    with (tmp_path / "run" / "results.csv").open() as file:
        found = {(r["suite"], r["system"], r["metric"]): r["value"] for r in csv.DictReader(file)}
    assert float(found["clips", "louder", "level"]) == pytest.approx(2)
    assert float(found["clips", "ours", "level"]) == pytest.approx(0.5)
    assert found["clips", "ours", "lr_acc"] == "100.0"
    assert found["other", "ours", "lr_acc"] == ""
    assert found["other", "louder", "lr_acc"] == "100.0"
    assert made_sounds(tmp_path / "run" / "audio" / "clips" / "ours")["clip3"] == outputs / "clip3.wav"
    for table in json.loads(bench("leaderboard", tmp_path / "run", "--format", "json").out):
        assert "level" in [column["key"] for column in table["columns"]]
    assert "level" in bench("list", "metrics").out
    assert "their_plugin:Louder" in bench("list", "systems", "-v").out


def test_a_broken_plug_in_is_only_the_trouble_of_who_asks_for_it(
    bench: Callable, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint("broken", "no_such_package:System", "visaudio_bench.systems")
    monkeypatch.setattr(visaudio_bench.registry, "entry_points", lambda group: [broken] if "systems" in group else [])
    common = ("run", "--suite", f"folder:{clips}", "--out", tmp_path / "run", "--workers", 1, "--limit", 2)
    assert bench(*common, "--system", "noise").code == 0
    told = bench(*common, "--system", "broken")
    assert told.code == 2
    assert "no_such_package:System, which does not import" in told.err
