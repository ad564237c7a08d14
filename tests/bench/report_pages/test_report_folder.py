"""The folder of a report: what lies in it, what is made again, and what it does not touch."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.bench.report_pages.paired import paired_differences
from visaudio_bench.bench.report_pages.pictures import SPECTRUM_ROWS, WAVE_ROWS, WIDTH, picture, spectra, thumbnail
from visaudio_bench.plotly_script import copy_plotly, plotly_script
from visaudio_bench.suites.media import read_sound, write_audio

from .conftest import BELL, CAPTION, CLIPS, RATE


def data_of(path: Path) -> dict:
    """What a script with data hands over."""
    told = re.fullmatch(r'REPORT\.add\("[\w-]+", (\{.*\})\);\n', path.read_text("utf-8"), re.DOTALL)
    assert told
    return json.loads(told[1])


def stamps(pages: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (pages / "media").rglob("*") if path.is_file()}


def test_tables_are_those_of_the_terminal(pages: Path, finished: Path, bench: Callable) -> None:
    assert data_of(pages / "data" / "run.js")["tables"] == json.loads(bench("report", finished, "--format", "json").out)


def test_scores_are_those_of_the_run(pages: Path) -> None:
    scores = data_of(pages / "data" / "scores-0.js")
    assert [clip["id"] for clip in scores["clips"]] == sorted(CLIPS)
    assert [clip["caption"] for clip in scores["clips"]].count(CAPTION) == 1
    number = [metric["key"] for metric in scores["metrics"]].index("delta_ild")
    assert scores["values"]["reference"][number] == [0, 0, 0]
    without = scores["values"]["other"][number]
    assert without[[clip["id"] for clip in scores["clips"]].index(CLIPS[1])] is None
    assert sum(value is not None for value in without) == 2
    assert "lat_ccc" not in [metric["key"] for metric in scores["metrics"]], "it is pooled, no clip has one"


def test_a_sound_is_what_was_judged_and_every_file_is_there(pages: Path, finished: Path) -> None:
    clips = data_of(pages / "data" / "scores-0.js")["clips"]
    for clip in clips:
        folder = pages / "media" / clip["key"]
        content = data_of(folder / "clip.js")
        assert (folder / content["video"]["file"]).is_file()
        assert next(iter(content["sounds"])) == "reference"
        for sound in content["sounds"].values():
            assert (folder / sound["picture"]).is_file()
            assert len(sound["cues"]["ild"]) == len(sound["cues"]["side"]) > 5
        made = read_sound(folder / content["sounds"]["ours"]["file"]).samples
        true = read_sound(finished.parent / "ours" / f"{clip['id']}.wav").samples
        assert np.abs(made - true).max() < 2**-15


def clip_of(pages: Path, name: str) -> tuple[Path, dict]:
    keys = {clip["id"]: clip["key"] for clip in data_of(pages / "data" / "scores-0.js")["clips"]}
    folder = pages / "media" / keys[name]
    return folder, data_of(folder / "clip.js")


def test_labelled_directions_lie_under_the_segments_in_which_the_source_sounds(pages: Path) -> None:
    _, content = clip_of(pages, CLIPS[0])
    (source,) = content["labels"]
    assert source["words"] == BELL
    assert len(source["side"]) == len(content["sounds"]["ours"]["cues"]["side"])
    assert source["side"][0] is None and source["side"][-1] == pytest.approx(0.5, abs=1e-3)
    assert clip_of(pages, CLIPS[1])[1]["labels"] == []


def test_a_run_ends_with_pages_without_sounds(finished: Path, tmp_path: Path, bench: Callable) -> None:
    assert (finished / "pages" / "index.html").is_file()
    scores = data_of(finished / "pages" / "data" / "scores-0.js")
    assert {"key", "thumbnail"}.isdisjoint(name for clip in scores["clips"] for name in clip)
    assert scores["pairs"]
    assert list((finished / "pages" / "media").iterdir()) == []


def test_two_runs_stand_side_by_side_with_what_changed(two: Path, finished: Path) -> None:
    run = data_of(two / "data" / "run.js")
    assert run["title"] == "run and run2"
    assert [entry["name"] for entry in run["runs"]] == ["run", "run2"]
    names = [system["name"] for system in data_of(two / "data" / "scores-0.js")["systems"]]
    assert len(names) == len(set(names))
    assert {"ours (run)", "ours (run2)", "other", "reference"} < set(names)
    assert len({card["title"] for card in run["cards"]}) == len(names) == len(run["cards"])
    (change,) = run["changes"]
    assert (change["first"], change["second"]) == ("run", "run2")
    _, results, clips = change["tables"]
    assert any("ours" in row["value"] and "delta_ild" in row["value"] for row in results["rows"])
    assert not any("reference" in row["value"] for row in (*results["rows"], *clips["rows"]))
    folder, content = clip_of(two, CLIPS[0])
    files = {system: sound["file"] for system, sound in content["sounds"].items()}
    assert files["ours (run)"] != files["ours (run2)"]
    sounds = [path.read_bytes() for path in sorted(folder.glob("*.flac"))]
    assert len(sounds) == len(set(sounds)) == len(set(files.values())), "no sound is there twice"
    before = read_sound(folder / files["ours (run)"]).samples
    assert np.array_equal(read_sound(folder / files["ours (run2)"]).samples, before[::-1])


def test_runs_that_do_not_compare_are_refused(finished: Path, tmp_path: Path, bench: Callable) -> None:
    shutil.copytree(finished, tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    results["provenance"]["seed"] = 7
    (tmp_path / "run" / "results.json").write_text(json.dumps(results), "utf-8")
    told = bench("report", finished, tmp_path / "run", "--html", tmp_path / "pages")
    assert told.code == 2 and "seed 0 and 7" in told.err
    assert not (tmp_path / "pages").exists()


def test_made_again_is_only_what_changed(pages: Path, finished: Path, tmp_path: Path, bench: Callable) -> None:
    copy = tmp_path / "pages"
    shutil.copytree(pages, copy)
    before = stamps(copy)
    assert bench("report", finished, "--html", copy, "--workers", "1").code == 0
    assert stamps(copy) == before
    key = data_of(copy / "data" / "scores-0.js")["clips"][0]["key"]
    (copy / "media" / key / "clip.js").unlink()  # as after a kill
    told = bench("report", finished, "--html", copy, "--workers", "1")
    assert told.code == 0, told.err
    after = stamps(copy)
    assert after.keys() == before.keys()
    assert {path for path in after if after[path] != before[path]} == {path for path in after if key in path}


def test_a_clip_whose_files_are_gone_costs_itself(finished: Path, tmp_path: Path, bench: Callable) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    media = json.loads((run / "media.json").read_text("utf-8"))
    (clips,) = media.values()
    clips[0] |= {"video": str(tmp_path / "gone.mp4")}
    (run / "media.json").write_text(json.dumps(dict.fromkeys(media, clips[:1])), "utf-8")
    told = bench("report", run, "--html", tmp_path / "pages", "--workers", "1")
    assert told.code == 0, told.err
    (clip,) = data_of(tmp_path / "pages" / "data" / "scores-0.js")["clips"]
    content = data_of(tmp_path / "pages" / "media" / clip["key"] / "clip.js")
    assert content["video"] is None
    assert "gone.mp4" in " ".join(content["problems"])
    assert "ours" in content["sounds"]


def test_a_folder_of_something_else_is_refused(finished: Path, tmp_path: Path, bench: Callable) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    told = bench("report", finished, "--html", tmp_path)
    assert told.code == 2
    assert "is not a report" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_without_the_library_of_charts_runs_go_on_and_reports_say_what_to_install(
    finished: Path, tmp_path: Path, bench: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visaudio_bench.plotly_script.find_spec", lambda name: None)
    told = bench("report", finished, "--html", tmp_path / "pages")
    assert (told.code, told.out) == (2, "")
    assert "plotly, which is not installed" in told.err and 'pip install "visaudio-bench[report]"' in told.err
    assert not (tmp_path / "pages").exists()
    told = bench(
        "score", "--predictions", finished.parent / "ours", "--references", finished.parent / "clips",
        "--metric", "delta_ild", "--out", tmp_path / "run", "--workers", "1",
    )  # fmt: skip
    assert told.code == 0, told.err
    (line,) = [line for line in told.err.splitlines() if "no pages" in line]
    assert 'pip install "visaudio-bench[report]"' in line
    assert not (tmp_path / "run" / "pages").exists()


def test_the_script_of_charts_is_the_package_s_and_is_copied_once(pages: Path, finished: Path, bench: Callable) -> None:
    script = pages / "plotly.min.js"
    assert script.read_bytes() == plotly_script().read_bytes()
    assert "plotly" not in (pages / "index.html").read_text("utf-8"), "only pages with charts load it"
    before = script.stat().st_mtime_ns
    copy_plotly(pages)
    assert script.stat().st_mtime_ns == before
    script.write_text("of an older release")
    copy_plotly(pages)
    assert script.read_bytes() == plotly_script().read_bytes()


def test_a_run_of_an_older_version_is_told_what_it_lacks(finished: Path, tmp_path: Path, bench: Callable) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "media.json").unlink()
    told = bench("report", tmp_path / "run", "--html", tmp_path / "pages")
    assert told.code == 2
    assert "media.json is not there" in told.err


def test_a_tone_is_drawn_at_its_height_and_in_its_ear() -> None:
    time = np.arange(2 * RATE) / RATE
    sound = np.stack([np.sin(2 * np.pi * 1000 * time), np.zeros_like(time)]).astype(np.float32)
    levels = spectra(sound, RATE)
    assert levels.shape == (2, SPECTRUM_ROWS, WIDTH)
    row = int(levels[0, :, WIDTH // 2].argmax())
    expected = SPECTRUM_ROWS * (1 - np.log(1000 / 60) / np.log(16000 / 60))
    assert abs(row - expected) <= 1
    drawn = picture(sound, levels, float(levels.max()), 1.0)
    assert drawn.shape == (2 * (SPECTRUM_ROWS + WAVE_ROWS), WIDTH)
    assert drawn[row, WIDTH // 2] == 0
    left, right = np.split(drawn, 2)
    assert (right[WAVE_ROWS:] == 255).all(), "silence is white"
    assert (left[SPECTRUM_ROWS:] < 255).mean() > 0.9, "a full wave fills its height"


def test_a_thumbnail_keeps_the_shape_and_the_mean() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (360, 640, 3), dtype=np.uint8)
    small = thumbnail(frame)
    assert small.shape == (90, 160, 3)
    assert abs(float(small.mean()) - float(frame.mean())) < 1


def test_pairs_say_which_system_is_ahead_and_whether_it_may_be_chance() -> None:
    rng = np.random.default_rng(0)
    base = rng.standard_normal(40)
    rows = {"a": base + 1 + 0.1 * rng.standard_normal(40), "b": base, "c": np.full(40, np.nan)}
    scores = {system: row[None] for system, row in rows.items()}
    (pair,) = paired_differences(scores, seed=0)
    assert (pair["first"], pair["second"], pair["metric"]) == ("a", "b", 0)
    assert pair["low"] < 1 < pair["high"]
    assert pair["mean"] == pytest.approx(1, abs=0.05)
    assert pair["p"] < 0.001
    assert pair["effect"] > 5


def test_what_is_too_loud_for_16_bits_is_turned_down_and_told(finished: Path, tmp_path: Path, bench: Callable) -> None:
    loud = tmp_path / "sounds" / "plain.wav"
    samples = read_sound(finished.parent / "clips" / "plain.wav").samples
    write_audio(loud, samples * np.float32(2 / np.abs(samples).max()), RATE)
    told = bench(
        "score", "--predictions", f"loud={loud.parent}", "--references", finished.parent / "clips",
        "--metric", "delta_ild", "--out", tmp_path / "run", "--workers", "1", "--allow-missing", "9",
    )  # fmt: skip
    assert told.code == 0, told.err
    told = bench("report", tmp_path / "run", "--html", tmp_path / "pages", "--workers", "1")
    assert told.code == 0, told.err
    scores = data_of(tmp_path / "pages" / "data" / "scores-0.js")
    keys = {clip["id"]: clip["key"] for clip in scores["clips"]}
    sounds = data_of(tmp_path / "pages" / "media" / keys["plain"] / "clip.js")["sounds"]
    assert sounds["loud"]["turned_down"] == pytest.approx(6.0, abs=0.05)
    assert sounds["reference"]["turned_down"] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda clips: clips[0].update(id="../../x"), "the name '../../x' cannot name a file"),
        (lambda clips: clips.append(clips[0]), "is there twice"),
        (lambda clips: clips[0].update(start=-1), "has the window -1 s"),
        (lambda clips: clips[0].update(duration=0), "has the window 0 s + 0 s"),
        (lambda clips: clips[0].update(duration=1e400), "duration is inf, a finite number was expected"),
        (lambda clips: clips[0].update(video=5), "video is 5, a text was expected"),
    ],
)
def test_the_clips_of_a_strangers_run_are_checked_first(
    finished: Path, tmp_path: Path, bench: Callable, change: Callable, said: str
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    told = json.loads((finished / "media.json").read_text("utf-8"))
    (clips,) = told.values()
    change(clips)
    (tmp_path / "run" / "media.json").write_text(json.dumps(told), "utf-8")
    answer = bench("report", tmp_path / "run", "--html", tmp_path / "pages", "--workers", 1)
    assert (answer.code, said in answer.err) == (2, True), answer.err
    assert not (tmp_path / "pages").exists()


def test_a_record_that_names_no_file_costs_its_sound(finished: Path, tmp_path: Path) -> None:
    from visaudio_bench.bench.evaluation.generation import made_sounds

    for name, text in (
        ("a", "[]"),
        ("b", "{"),
        ("c", '{"file": 5}'),
        ("d", '{"file": "d.flac"}'),
        ("e", "[" * 100_000),
    ):
        (tmp_path / f"{name}.json").write_text(text)
    assert made_sounds(tmp_path) == {"d": tmp_path / "d.flac"}


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminance, as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def blend(colour: str, ground: str, opacity: float) -> str:
    """A colour that lets some of the ground through."""
    one, other = (code[1:] if len(code) == 7 else "".join(2 * digit for digit in code[1:]) for code in (colour, ground))
    pairs = ((int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (0, 2, 4))
    return "#" + "".join(f"{round(opacity * own + (1 - opacity) * under):02x}" for own, under in pairs)


def test_colours_can_be_told_apart_by_light_and_in_the_dark(pages: Path) -> None:
    style = (pages / "report.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    (opacity,) = re.findall(r"DOTS = \{[^}]*opacity: ([.\d]+)", (pages / "charts.js").read_text("utf-8"))
    for block in (light, dark):
        colour = dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)", block))
        for text in ("ink", "quiet", "accent"):
            for ground in ("paper", "soft"):
                assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
        assert contrast(colour["paper"], colour["accent"]) >= 4.5, "the page that is open, and pressed buttons"
        for mark in ("own", "reference", "true", "head", "edge"):
            assert contrast(colour[mark], colour["paper"]) >= 3, mark
        assert contrast(blend(colour["own"], colour["paper"], float(opacity)), colour["paper"]) >= 3, "dots"


def test_columns_have_a_meaning_a_kind_and_a_manual_page(pages: Path) -> None:
    run = data_of(pages / "data" / "run.js")
    shown = {column["key"] for table in run["tables"] for column in table["columns"]}
    assert shown <= run["columns"].keys()
    assert {run["columns"][key]["group"] for key in shown} == {
        table["title"].split(" · ")[-1] for table in run["tables"]
    }
    for key in shown:
        assert len(run["manual"][run["columns"][key]["page"]]) > 300, key
