"""`bench features`, and the embedded default of `bench train visaudio` on a handful of scenes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.bench.training import training_run
from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.suites.media import write_audio


def build(bench, source: object, out: Path, *options: object):
    return bench(
        "features", "build", "--suite", source, "--out", out, "--parts", "built-in", "--duration", "1.5",
        "--device", "cpu", "--workers", "1", *options,
    )  # fmt: skip


def test_features_of_a_folder_are_built_once_and_again_where_files_changed(bench, clips, tmp_path):
    out = tmp_path / "features"
    told = build(bench, f"folder:{clips}", out)
    assert told.code == 0, told.err
    store = FeatureStore(out)
    assert [row.clip for row in store.rows] == [f"clip{index}" for index in range(6)]
    assert {row.source for row in store.rows} == {"clips"}
    assert store.kind.conditioners["conditioners"] == "built-in"
    assert store.describe(0)["mean"][1] == (2, 65, 57)
    assert set(store.describe(0)) >= {"mean", "std", "clip", "sync", "spatial"}
    shards = {path.name: path.stat().st_mtime_ns for path in out.glob("shard-*")}
    assert build(bench, f"folder:{clips}", out).code == 0
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("shard-*")} == shards, "nothing is made twice"
    before = store.manifest_hash
    louder = 0.1 * np.random.default_rng(9).standard_normal((2, 90000)).astype(np.float32)
    write_audio(clips / "clip3.wav", louder, 44100)
    assert build(bench, f"folder:{clips}", out).code == 0
    after = FeatureStore(out)
    assert (len(after), after.manifest_hash != before) == (6, True)
    changed = [a.clip for a, b in zip(store.rows, after.rows, strict=True) if a.sha256 != b.sha256]
    assert changed == ["clip3"]


def test_stores_are_merged_checked_and_never_mixed(bench, clips, tmp_path):
    for name in ("one", "two"):
        assert build(bench, f"folder:{clips}", tmp_path / name).code == 0
    assert bench("features", "merge", tmp_path / "all", tmp_path / "one", tmp_path / "two").code == 0
    told = bench("features", "check", tmp_path / "all")
    assert told.code == 0
    assert "6 clips, all as written" in told.err
    told = build(bench, f"folder:{clips}", tmp_path / "one", "--spatial", "int8")
    assert (told.code, "storage.spatial" in told.err) == (2, True)
    (shard,) = (tmp_path / "one").glob("shard-*")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    told = bench("features", "check", tmp_path / "one")
    assert (told.code, "are damaged" in told.err) == (1, True)


def test_clips_that_cannot_be_learnt_from_are_listed(bench, clips, tmp_path):
    write_audio(clips / "clip1.wav", np.zeros((2, 90000), dtype=np.float32), 44100)
    out = tmp_path / "features"
    told = build(bench, f"folder:{clips}", out)
    assert told.code == 1
    assert "--allow-missing 1" in told.err
    (failure,) = (json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines())
    assert (failure["clip"], failure["reason"]) == ("clip1", "silent")
    (out / "failures.jsonl").unlink()  # as a killed run leaves it, whose clips are there and whose list is not
    assert build(bench, f"folder:{clips}", out, "--allow-missing", "1").code == 0
    assert [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()] == [failure]
    assert len(FeatureStore(out)) == 5
    told = build(bench, "simroom-mini", tmp_path / "other", "--split", "train")
    assert (told.code, 'is the split "test"' in told.err) == (2, True)


@pytest.mark.slow
def test_the_embedded_default_ends_with_its_leaderboard(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "TRAINING_SUITE", "simroom-filmed:6")
    monkeypatch.setattr(training_run, "VALIDATION_SUITE", "simroom-validation:1")
    monkeypatch.setattr(training_run, "EVALUATION_SUITE", "simroom-mini")
    options = ("--out", tmp_path / "run", "--device", "cpu", "--workers", "1", "--format", "csv")
    told = bench("train", "visaudio", *options, "--set", "steps=2", "--set", "batch=2", "--set", "network.hidden=16",
                 "--set", "network.heads=1")  # fmt: skip
    assert told.code == 0, told.err
    rows = {row["row"] for row in csv.DictReader(told.out.splitlines()) if row["column"] != "note"}
    assert rows == {"Reference", "Mono", "Swapped", "ViSAudio (open), tiny, built-in conditioners"}
    assert (tmp_path / "run" / "evaluation" / "clips.csv").exists()
    again = bench("train", "visaudio", *options, "--resume")
    assert again.code == 0, again.err
    assert again.out == told.out, "a finished training is only judged again"
