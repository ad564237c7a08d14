"""Runs into one folder add up, runs of several folders are merged, and what does not compare is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from visaudio_bench.bench.evaluation.run_media import read_media
from visaudio_bench.suites.media import write_audio

from ...conftest import Bench, lateral_noise

CLIPS = 12


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """References, and three systems of which two are alike and one is mirrored on a third of the clips."""
    for index in range(CLIPS):
        side = ("left", "right")[index % 2]
        other = ("left", "right")[(index + (index % 3 == 0)) % 2]
        for name, where, seed in (("references", side, 0), ("good", side, 1), ("twin", side, 2), ("bad", other, 3)):
            sound = lateral_noise(1.1, side=where, seed=100 * seed + index)
            write_audio(tmp_path / name / f"clip{index:02d}.wav", sound, 44100)
    return tmp_path


def _score(bench: Bench, sounds: Path, *systems: str, out: str = "run", metric: str = "default", **more: object) -> int:
    options = [part for name in systems for part in ("--predictions", sounds / name)]
    extra = [part for key, value in more.items() for part in (f"--{key}", value)]
    told = bench(
        "score", *options, "--references", sounds / "references", "--out", sounds / out, "--workers", 1,
        "--metric", metric, *extra,
    )  # fmt: skip
    assert told.code == 0, told.err
    return told.code


def _results(folder: Path) -> dict[str, set[str]]:
    body = json.loads((folder / "results.json").read_text())
    return {
        name: {row["metric"] for row in body["results"] if row["system"] == name and row["value"] is not None}
        for name in {row["system"] for row in body["results"]}
    }


def test_runs_into_one_folder_add_up_to_the_run_of_everything(bench: Bench, sounds: Path) -> None:
    _score(bench, sounds, "good", metric="lr_acc,lat_ccc")
    _score(bench, sounds, "bad", metric="lr_acc,lat_ccc")
    assert _results(sounds / "run")["good"] == {"lr_acc", "lat_ccc"}
    _score(bench, sounds, "good", "bad", out="whole", metric="lr_acc,lat_ccc")
    assert (sounds / "run" / "results.csv").read_bytes() == (sounds / "whole" / "results.csv").read_bytes()
    again = (sounds / "whole" / "results.csv").read_bytes()
    _score(bench, sounds, "good", "bad", out="whole", metric="lr_acc,lat_ccc")
    assert (sounds / "whole" / "results.csv").read_bytes() == again

    _score(bench, sounds, "good", metric="delta_ild")  # a metric more, of one system
    found = _results(sounds / "run")
    assert found["good"] == {"lr_acc", "lat_ccc", "delta_ild"} and found["bad"] == {"lr_acc", "lat_ccc"}
    rows = json.loads((sounds / "run" / "results.json").read_text())
    (empty,) = (r for r in rows["results"] if (r["system"], r["metric"]) == ("bad", "delta_ild"))
    assert empty["status"] == "missing" and "not computed" in empty["reason"]
    assert len(rows["provenance"]["earlier"]) == 2
    told = bench("report", sounds / "run")
    assert told.code == 0 and "these numbers are not" not in told.err

    summary = bench("report", sounds / "run", "--summary", "--format", "json")
    (table,) = json.loads(summary.out)
    held = {row["system"]: row["cells"]["metrics"]["text"] for row in table["rows"]}
    assert held["good"] == "lr_acc, lat_ccc, delta_ild" and held["bad"] == "lr_acc, lat_ccc"


def test_what_does_not_compare_is_refused_before_any_work_or_replaced(bench: Bench, sounds: Path) -> None:
    _score(bench, sounds, "good", metric="lr_acc")
    before = (sounds / "run" / "results.csv").read_bytes()
    common = ("score", "--predictions", sounds / "bad", "--references", sounds / "references", "--workers", 1)
    for options, why in (
        (("--seed", 3), "seed 0 and 3"),
        (("--compat", "av-benchmark"), "protocol visaudio-bench and av-benchmark"),
        (("--duration", 1), "manifest"),
    ):
        told = bench(*common, "--out", sounds / "run", "--metric", "lr_acc", *options)
        assert told.code == 2 and why in told.err and "--replace" in told.err and "--out" in told.err
    assert (sounds / "run" / "results.csv").read_bytes() == before
    told = bench(*common, "--out", sounds / "run", "--metric", "lr_acc", "--seed", 3, "--replace")
    assert told.code == 0 and "good" not in _results(sounds / "run")


def test_runs_of_several_folders_are_one_leaderboard_or_refused(bench: Bench, sounds: Path) -> None:
    _score(bench, sounds, "good", out="a", metric="lr_acc,delta_ild")
    _score(bench, sounds, "bad", out="b", metric="lr_acc,delta_ild")
    _score(bench, sounds, "twin", out="c", metric="lr_acc,delta_ild", seed=5)
    told = bench("leaderboard", sounds / "a", sounds / "b", "--format", "json")
    assert told.code == 0, told.err
    (table,) = json.loads(told.out)
    assert [column["key"] for column in table["columns"]] == ["lr_acc", "delta_ild"]
    assert [row["system"] for row in table["rows"]][-2:] == ["good", "bad"]
    assert all(cell["value"] is not None for row in table["rows"] for cell in row["cells"].values())
    told = bench("leaderboard", sounds / "a", sounds / "c")
    assert told.code == 2 and "seed 0 and 5" in told.err and "bench diff" in told.err


def test_diff_pairs_renamed_systems_and_is_silent_on_what_neither_has(bench: Bench, sounds: Path) -> None:
    _score(bench, sounds, "good", out="a", metric="lr_acc")
    (sounds / "good").rename(sounds / "renamed")
    _score(bench, sounds, "renamed", out="b", metric="lr_acc")
    told = bench("diff", sounds / "a", sounds / "b", "--format", "json")
    assert told.code == 0, told.err
    made, results, clips = json.loads(told.out)
    assert any("good" in row["what"] and "renamed" in row["what"] for row in made["rows"])
    assert not results["rows"] and not clips["rows"]
    _score(bench, sounds, "bad", out="b", metric="lr_acc")
    told = json.loads(bench("diff", sounds / "a", sounds / "b", "--format", "json").out)[0]
    (earlier,) = (row["cells"]["second"]["text"] for row in told["rows"] if row["what"] == "earlier")
    assert earlier.startswith("bench score") and "{" not in earlier


def test_two_systems_are_compared_by_metric_and_by_clip(bench: Bench, sounds: Path) -> None:
    _score(bench, sounds, "good", "bad", metric="default")
    _score(bench, sounds, "twin", out="other")
    told = bench("compare", "good", "bad", "--run", sounds / "run", "--format", "json")
    assert told.code == 0, told.err
    metrics, clips = json.loads(told.out)
    rows = {row["metric"]: {key: cell["value"] for key, cell in row["cells"].items()} for row in metrics["rows"]}
    sides = rows["LR-Acc ↑"]
    assert sides["difference"] == pytest.approx(100 / 3) and sides["low"] < 100 / 3 < sides["high"]
    assert (sides["wins"], sides["ties"], sides["losses"], sides["n"]) == (4, 8, 0, 12)
    assert sides["p"] <= sides["p_holm"] and sides["needed"] >= 10
    assert rows["LatCCC ↑"]["difference"] > 0 and rows["LatCCC ↑"]["wins"] is None
    better = [row["clip"] for row in clips["rows"] if row["group"] == "good better"]
    assert {"clip00", "clip03", "clip06", "clip09"} <= set(better[:4])
    # the pairs of competing systems are in results.json too, with the same numbers
    stored = json.loads((sounds / "run" / "results.json").read_text())["comparisons"]
    (pair,) = (one for one in stored if one["metric"] == "lr_acc")
    assert (pair["first"], pair["second"], pair["n"]) == ("good", "bad", 12)
    assert pair["difference"] == pytest.approx(sides["difference"]) and pair["low"] == pytest.approx(sides["low"])

    for form, mark in (("text", "better"), ("md", "|"), ("tex", r"\toprule"), ("csv", "difference")):
        told = bench("compare", f"{sounds / 'run'}:good", sounds / "other", "--format", form)
        assert told.code == 0 and mark in told.out
    told = bench("compare", sounds / "good", sounds / "bad", "--references", sounds / "references", "--format", "json")
    assert told.code == 0, told.err
    again = {row["metric"]: row["cells"]["difference"]["value"] for row in json.loads(told.out)[0]["rows"]}
    assert again["LR-Acc ↑"] == pytest.approx(100 / 3)


def test_what_cannot_be_compared_says_why(bench: Bench, sounds: Path) -> None:
    _score(bench, sounds, "good", "bad", metric="lr_acc")
    _score(bench, sounds, "twin", out="other", metric="lr_acc")
    _score(bench, sounds, "twin", out="seeded", metric="lr_acc", seed=4)
    for arguments, says in (
        (("run", "run"), "nothing to compare"),
        (("run", "other"), "say which"),
        (("nowhere", "other"), "no folder"),
        (("run:gooood", "other"), 'Did you mean "good"'),
        (("run:good", "seeded"), "do not compare: seed 0 and 4"),
    ):
        told = bench("compare", *(sounds / name for name in arguments))
        assert told.code == 2 and says in told.err


def test_the_clips_of_every_suite_of_a_folder_are_found_again(bench: Bench, sounds: Path) -> None:
    """A report shows the clips of all suites, whichever run they came with."""
    for suite in ("references", "good"):
        call = ("run", "--suite", f"folder:{sounds / suite}", "--system", "noise", "--limit", 2, "--workers", 1)
        told = bench(*call, "--out", sounds / "run", "--metric", "lr_acc")
        assert told.code == 0, told.err
    media = read_media(sounds / "run")
    assert {suite: [clip.audio for clip in clips] for suite, clips in media.items()} == {
        suite: [sounds / suite / f"clip{index:02d}.wav" for index in range(2)] for suite in ("references", "good")
    }


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_runs_of_several_machines_become_one_and_stay_as_they_are(bench: Bench, sounds: Path) -> None:
    _score(bench, sounds, "good", out="a", metric="lr_acc,w1_ild")
    _score(bench, sounds, "bad", out="b", metric="lr_acc,w1_ild,delta_ild")
    before = _contents(sounds / "a"), _contents(sounds / "b")
    told = bench("merge", sounds / "a", sounds / "b", "--out", sounds / "all", "--format", "csv")
    assert told.code == 0, told.err
    assert (_contents(sounds / "a"), _contents(sounds / "b")) == before
    assert _results(sounds / "all")["bad"] == {"lr_acc", "w1_ild", "delta_ild"}
    assert _results(sounds / "all")["good"] == {"lr_acc", "w1_ild"}
    _score(bench, sounds, "good", "bad", out="whole", metric="lr_acc,w1_ild")
    whole = (sounds / "whole" / "results.csv").read_text().splitlines()
    merged = (sounds / "all" / "results.csv").read_text().splitlines()
    assert set(whole) <= set(merged), "the numbers are those of one run of everything"
    provenance = json.loads((sounds / "all" / "results.json").read_text())["provenance"]
    assert [part["command"].split("--out ")[1].split()[0] for part in provenance["earlier"]] == [
        str(sounds / "a"), str(sounds / "b")
    ]  # fmt: skip

    (sounds / "good").rename(sounds / "gone")  # the sounds are in the folder
    for command in (("validate",), ("verify", "--clips", 2, "--workers", 1)):
        told = bench(*command[:1], sounds / "all", *command[1:])
        assert told.code == 0, told.out + told.err
    (sounds / "gone").rename(sounds / "good")
    _score(bench, sounds, "twin", out="all", metric="lr_acc")  # and it is a run like any other
    assert _results(sounds / "all")["twin"] == {"lr_acc"}


def test_what_cannot_be_merged_is_refused_with_the_reason(bench: Bench, sounds: Path) -> None:
    _score(bench, sounds, "good", out="a", metric="lr_acc")
    _score(bench, sounds, "bad", out="other-seed", metric="lr_acc", seed=1)
    (sounds / "good").rename(sounds / "first")
    (sounds / "bad").rename(sounds / "good")
    _score(bench, sounds, "good", out="b", metric="delta_ild")
    for runs, out, why in (
        (("a", "other-seed"), "new", "seed 0 and 1"),
        (("a", "b"), "new", "both have good on references, and not the same one: "),
        (("a",), "a", "not empty"),
        (("a",), "a/inside", "stays as it is"),
    ):
        told = bench("merge", *(sounds / run for run in runs), "--out", sounds / out)
        assert told.code == 2, told.out
        assert why in told.err
        assert not (sounds / "new").exists()


def test_a_leaderboard_has_every_metric_of_its_runs_direction_labels_too(bench: Bench, sounds: Path) -> None:
    rows = [f"clip{index:02d},{t / 10:.1f},{(45, -45)[index % 2]}" for index in range(CLIPS) for t in range(11)]
    (sounds / "labels.csv").write_text("\n".join(["clip,t,azimuth_deg", *rows]) + "\n")
    _score(bench, sounds, "good", out="a", metric="lr_acc", labels=sounds / "labels.csv")
    _score(bench, sounds, "bad", out="b", metric="direction", labels=sounds / "labels.csv")
    (alone,) = json.loads(bench("leaderboard", sounds / "b", "--format", "json").out)
    assert [alone] == json.loads(bench("report", sounds / "b", "--format", "json").out)
    columns = [column["key"] for column in alone["columns"]]
    assert {"label_side", "label_err", "label_ccc", "label_share"} < set(columns)
    (table,) = json.loads(bench("leaderboard", sounds / "a", sounds / "b", "--format", "json").out)
    assert [column["key"] for column in table["columns"]] == ["lr_acc", *columns]
    reference = next(row for row in table["rows"] if row["system"] == alone["rows"][0]["system"])
    assert reference["cells"]["label_side"] == alone["rows"][0]["cells"]["label_side"], "the second run's alone"
    assert reference["cells"]["lr_acc"]["value"] == 100
