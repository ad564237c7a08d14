"""Texts of strangers in a run folder: every command and every page that shows them shows texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest

from visaudio_bench.leaderboards.tables import FORMATS

from ...nasty import NASTY, Tags, harmless

TEXTS = [text for text in NASTY if "\ud800" not in text]  # half a character is refused


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A finished run with such texts wherever there may be any."""
    from visaudio_bench import score
    from visaudio_bench.leaderboards.schema import ClipRow, write_clip_rows
    from visaudio_bench.suites.media import write_audio

    from ...conftest import lateral_noise

    folder = tmp_path_factory.mktemp("theirs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISAUDIO_BENCH_CACHE", str(shared_cache))
        for name in ("a", "b"):
            for place in ("references", "ours"):
                write_audio(folder / place / f"{name}.wav", lateral_noise(1.2, seed=ord(name)), 44100)
        score(folder / "ours", folder / "references", metrics=["side_mid", "delta_ild"], out=folder / "run", workers=1)
    run, drawn = folder / "run", cycle(TEXTS)
    body = json.loads((run / "results.json").read_text())
    body["provenance"] |= {"command": TEXTS, "commit": next(drawn), "device": {text: text for text in TEXTS}}
    body["unavailable"] = dict(zip(body["metrics"], drawn, strict=False)) | {text: text for text in TEXTS}
    for suite in body["suites"]:
        suite["info"] |= {"title": next(drawn), "remarks": TEXTS}
        suite["manifest"] = next(drawn)
        for system in suite["systems"]:
            system |= {"title": next(drawn), "remarks": TEXTS, "missing": ""}
        for card in suite["cards"]:
            card |= {name: next(drawn) for name in ("title", "summary", "paper", "code_licence", "revision")}
    for result in body["results"]:
        result |= {"reason": next(drawn), "unit": next(drawn)}
    (run / "results.json").write_text(json.dumps(body))
    rows = [ClipRow("predictions", "ours", "a", "side_mid", "binaural", None, "failed", text) for text in TEXTS[:1]]
    rows += [
        ClipRow("references", system, f"c{number}", "delta_ild", "binaural", None, "failed", text)
        for number, text in enumerate(TEXTS)
        for system in ("reference", "ours")
    ]
    write_clip_rows(run, rows)
    failures = [
        {"suite": "references", "system": "ours", "clip": "a", "stage": text, "reason": text, "message": text}
        for text in TEXTS
    ]
    (run / "failures.jsonl").write_text("".join(json.dumps(failure) + "\n" for failure in failures))
    media = json.loads((run / "media.json").read_text())
    for clips in media.values():
        for clip, text in zip(clips, drawn, strict=False):
            clip["caption"] = text
    (run / "media.json").write_text(json.dumps(media))
    return run


@pytest.mark.parametrize("form", FORMATS)
def test_every_command_shows_texts(bench: Callable, theirs: Path, form: str) -> None:
    for call in (
        ("report", theirs),
        ("leaderboard", theirs),
        ("diff", theirs, theirs.parent / "run"),
        ("compare", "--run", theirs, "reference", "ours"),
    ):
        told = bench(*call, "--format", form)
        assert told.code == 0, told.err
        harmless(form, told.out)
        harmless("text", told.err)
    told = bench("report", theirs, "--summary", "--format", form)
    harmless(form, told.out)


def test_pages_hold_their_texts_as_data(bench: Callable, theirs: Path, tmp_path: Path) -> None:
    told = bench("report", theirs, "--html", tmp_path / "pages", "--workers", 1)
    assert told.code == 0, told.err
    harmless("text", told.err)
    scripts = [path for path in (tmp_path / "pages").rglob("*.js") if path.parent.name != "pages"]
    assert len(scripts) > 2
    for script in scripts:
        name, _, value = script.read_text("utf-8").removeprefix("REPORT.add(").removesuffix(");\n").partition(", ")
        assert json.loads(name)
        json.loads(value)
        assert "<" not in value
    run = (tmp_path / "pages" / "data" / "run.js").read_text("utf-8")
    assert "window.broken" in run
    page = (tmp_path / "pages" / "index.html").read_text("utf-8")
    assert {attribute for _, names in Tags(page).found for attribute in names if attribute.startswith("on")} == set()
    for source in (tmp_path / "pages").glob("*.js"):
        if source.name == "plotly.min.js":  # texts of data are not given to it
            continue
        assert not {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} & {
            word for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
            if word in source.read_text("utf-8")
        }  # fmt: skip
