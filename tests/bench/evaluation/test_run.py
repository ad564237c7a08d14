"""`bench run` through the command line: what it prints, leaves behind, repeats and notices."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from visaudio_bench.suites.media import read_sound, write_audio

COLUMNS = {
    "results.csv": "suite,system,metric,view,value,low,high,n,status,reason",
    "clips.csv": "suite,system,clip,metric,view,value,status,reason",
}
# One draws from the seed, one looks at pictures; the network that ships has tests of its own.
SYSTEMS = "noise,motion-pan"
TABLES = ("results.csv", "clips.csv", "leaderboard.md", "leaderboard.tex", "leaderboard.csv", "failures.jsonl")


def results(run: Path) -> dict[tuple[str, str], float | None]:
    with (run / "results.csv").open() as file:
        return {(r["system"], r["metric"]): float(r["value"]) if r["value"] else None for r in csv.DictReader(file)}


def audio_state(run: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in run.rglob("*") if "audio" in path.parts and path.is_file()}


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run over the embedded suite lies."""
    return tmp_path_factory.mktemp("mini") / "run"


def test_the_embedded_suite_makes_a_leaderboard_that_makes_sense(bench: Callable, mini: Path) -> None:
    told = bench("run", "--suite", "simroom-mini", "--system", SYSTEMS, "--out", mini, "--metric", "all")
    assert told.code == 0, told.err
    assert "plan" in told.err
    assert "simroom-mini: 12 clips" in told.err
    for title in ("LR-Acc", "LatErr", "LatCCC", "ΔILD", "ΔITD", "ΔIACC", "S/M", "STFT", "ENV"):
        assert title in told.out
    value = results(mini)
    for metric in ("lat_err", "delta_ild", "delta_itd", "delta_iacc", "stft", "env", "w1_ild", "w1_itd", "w1_iacc"):
        assert value["reference", metric] == 0
    for metric in ("lr_acc", "flip_pref"):
        assert (value["reference", metric], value["mono", metric], value["swapped", metric]) == (100, 50, 0)
    assert value["reference", "lat_ccc"] == pytest.approx(1)
    assert value["mono", "lat_ccc"] == pytest.approx(0, abs=1e-9)
    assert value["swapped", "lat_ccc"] < -0.5  # type: ignore[operator]
    assert value["mono", "mono_rate"] == 100
    assert value["mono", "lr_acc"] < value["motion-pan", "lr_acc"] < 100  # type: ignore[operator]
    assert value["mono", "lat_ccc"] < value["motion-pan", "lat_ccc"] < 1  # type: ignore[operator]
    assert [value[system, "label_side"] for system in ("reference", "mono", "swapped")] == [100, 50, 0]
    assert value["reference", "label_err"] < value["mono", "label_err"] < value["swapped", "label_err"]  # type: ignore[operator]
    assert value["reference", "label_ccc"] == pytest.approx(-value["swapped", "label_ccc"], abs=0.05)  # type: ignore[operator]
    assert value["noise", "mean_abs_itd"] > 2 * value["reference", "mean_abs_itd"], "wide is not right"  # type: ignore[operator]
    assert value["noise", "mean_iacc"] < 0.1 < value["reference", "mean_iacc"]  # type: ignore[operator]
    assert value["noise", "delta_itd"] == max(v for (s, m), v in value.items() if m == "delta_itd" and v is not None)


def test_the_run_folder_keeps_its_promises(mini: Path) -> None:
    for name, header in COLUMNS.items():
        assert (mini / name).read_text().splitlines()[0] == header
    body = json.loads((mini / "results.json").read_text())
    assert body["provenance"].keys() >= {
        "command",
        "code",
        "packages",
        "seed",
        "device",
        "dtype",
        "resampler",
        "decoder",
    }
    assert {r["status"] for r in body["results"] if r["value"] is not None} == {"synthetic"}
    assert json.loads((mini / "plan.json").read_text())["suites"][0]["clips"] == 12
    wavs = sorted((mini / "audio" / "simroom-mini" / "mono").glob("*.wav"))
    assert len(wavs) == 12
    record = json.loads(wavs[0].with_suffix(".json").read_text())
    assert record.keys() >= {"key", "system", "revision", "clip", "seed", "seconds"}
    assert (mini / "failures.jsonl").read_text() == ""
    stored = pq.read_table(mini / "clips.parquet").to_pylist()
    with (mini / "clips.csv").open() as file:
        listed = list(csv.DictReader(file))
    assert [{**row, "value": "" if row["value"] is None else repr(row["value"])} for row in stored] == listed


def test_means_can_be_recomputed_from_the_clips_by_anyone(mini: Path) -> None:
    value = results(mini)
    with (mini / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    for metric in ("lr_acc", "lat_err", "delta_ild", "side_mid", "stft"):
        for system in ("mono", "motion-pan"):
            own = [float(r["value"]) for r in rows if (r["system"], r["metric"]) == (system, metric) and r["value"]]
            assert value[system, metric] == pytest.approx(statistics.fmean(own), rel=1e-12)


def test_report_recomputes_the_same_tables(bench: Callable, mini: Path) -> None:
    told = bench("report", mini, "--format", "md")
    assert told.code == 0
    assert told.out == (mini / "leaderboard.md").read_text()
    assert "not those of" not in told.err


def run_clips(bench: Callable, clips: Path, out: Path, *more: object, workers: int = 1) -> None:
    asked = ("--suite", f"folder:{clips}", "--system", SYSTEMS, "--out", out, "--workers", workers)
    told = bench("run", *asked, *more)
    assert told.code == 0, told.err


def test_the_same_seed_gives_the_same_files_and_another_seed_does_not(
    bench: Callable, clips: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run_clips(bench, clips, tmp_path / name, "--seed", seed)
    for table in TABLES:
        assert (tmp_path / "a" / table).read_bytes() == (tmp_path / "b" / table).read_bytes(), table
    assert (tmp_path / "a" / "clips.csv").read_bytes() != (tmp_path / "c" / "clips.csv").read_bytes()


def test_workers_change_nothing(bench: Callable, clips: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        run_clips(bench, clips, tmp_path / str(workers), workers=workers)
    for table in TABLES:
        assert (tmp_path / "1" / table).read_bytes() == (tmp_path / "2" / table).read_bytes(), table


def test_a_second_run_makes_nothing_anew_and_a_changed_input_is_noticed(
    bench: Callable, clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run_clips(bench, clips, out)
    before, table = audio_state(out), (out / "results.csv").read_bytes()
    run_clips(bench, clips, out)
    assert audio_state(out) == before
    assert (out / "results.csv").read_bytes() == table
    write_audio(clips / "clip3.wav", read_sound(clips / "clip3.wav").samples[::-1], 44100)
    run_clips(bench, clips, out)
    changed = {Path(name).name for name, time in audio_state(out).items() if before[name] != time}
    assert {"clip3.wav", "clip3.json"} <= changed
    assert "clip2.wav" not in changed
    assert (out / "results.csv").read_bytes() != table


def test_a_sound_that_was_changed_in_the_run_folder_is_made_again(bench: Callable, clips: Path, tmp_path: Path) -> None:
    run_clips(bench, clips, tmp_path / "run")
    table = (tmp_path / "run" / "results.csv").read_bytes()
    victim = next((tmp_path / "run" / "audio").rglob("swapped/clip0.wav"))
    write_audio(victim, read_sound(victim).samples[::-1], 44100)
    run_clips(bench, clips, tmp_path / "run")
    assert (tmp_path / "run" / "results.csv").read_bytes() == table


def test_dry_run_writes_nothing(bench: Callable, clips: Path, tmp_path: Path) -> None:
    told = bench("run", "--suite", f"folder:{clips}", "--out", tmp_path / "run", "--dry-run")
    assert (told.code, told.out) == (0, "")
    assert "clips: 6 clips, ready" in told.err
    assert not (tmp_path / "run").exists()


def test_limit_takes_the_first_clips_and_does_not_change_their_sounds(
    bench: Callable, clips: Path, tmp_path: Path
) -> None:
    run_clips(bench, clips, tmp_path / "all")
    run_clips(bench, clips, tmp_path / "some", "--limit", 2)
    some = {p.relative_to(tmp_path / "some"): p.read_bytes() for p in (tmp_path / "some" / "audio").rglob("*.wav")}
    assert {path.name for path in some} == {"clip0.wav", "clip1.wav"}
    assert all((tmp_path / "all" / path).read_bytes() == data for path, data in some.items())


def test_motion_pan_hears_where_the_picture_moves(bench: Callable, clips: Path, tmp_path: Path) -> None:
    run_clips(bench, clips, tmp_path / "run")
    assert results(tmp_path / "run")["motion-pan", "lr_acc"] == 100


def test_diff_names_what_changed(bench: Callable, clips: Path, tmp_path: Path) -> None:
    run_clips(bench, clips, tmp_path / "a")
    write_audio(clips / "clip3.wav", read_sound(clips / "clip3.wav").samples[::-1, :80000], 44100)
    run_clips(bench, clips, tmp_path / "b", "--seed", 7)
    told = bench("diff", tmp_path / "a", tmp_path / "b")
    assert told.code == 0
    for word in ("seed", "manifest", "clips / noise / clip0", "clips / motion-pan / clip3"):
        assert word in told.out, word
    same = bench("diff", tmp_path / "a", tmp_path / "a")
    assert "Both runs were made in the same way" in same.out


@pytest.mark.parametrize("form", ["text", "md", "tex", "csv", "json"])
def test_stdout_holds_the_table_and_nothing_else(bench: Callable, clips: Path, tmp_path: Path, form: str) -> None:
    asked = ("--suite", f"folder:{clips}", "--system", "noise", "--workers", 1, "--limit", 2, "--format", form)
    told = bench("run", *asked, "--out", tmp_path / "r")
    assert told.code == 0
    if form == "json":
        assert json.loads(told.out)[0]["rows"]
    elif form != "text":
        assert told.out == (tmp_path / "r" / f"leaderboard.{form}").read_text()
