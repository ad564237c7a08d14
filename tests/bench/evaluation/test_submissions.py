"""`bench validate` and `bench verify`: a run passes, and each way of tampering with one is caught by one of them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.score import score
from visaudio_bench.bench.evaluation import merging
from visaudio_bench.files import file_sha256
from visaudio_bench.suites.media import write_audio

from ...conftest import ROOT, Bench, lateral_noise

CLIPS = 6
SYSTEMS = 6  # two, and four anchors


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Iterator[Path]:
    """A run of two systems on six clips, with its sounds beside it."""
    root = tmp_path_factory.mktemp("submitted")
    for index in range(CLIPS):
        side = ("left", "right")[index % 2]
        for place, name in enumerate(("references", "good", "bad")):
            sound = lateral_noise(1.1, side="left" if name == "bad" else side, seed=100 * place + index)
            write_audio(root / name / f"clip{index}.wav", sound, 44100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISAUDIO_BENCH_CACHE", str(shared_cache))
        told = CliRunner().invoke(
            score,
            ["--predictions", str(root / "good"), "--predictions", str(root / "bad"), "--references",
             str(root / "references"), "--metric", "default,fcd", "--workers", "1", "--out", str(root / "run")],
        )  # fmt: skip
    assert told.exit_code == 0, told.output
    yield root / "run"


@pytest.fixture
def copy(judged: Path, tmp_path: Path) -> Path:
    """A copy of it that may be spoilt; its sounds and references are copies too."""
    shutil.copytree(judged.parent, tmp_path / "all")
    run = tmp_path / "all" / "run"
    for record in run.glob("audio/*/*/*.json"):
        told = json.loads(record.read_text())
        told["file"] = told["file"].replace(str(judged.parent), str(tmp_path / "all"))
        record.write_text(json.dumps(told))
    media = (run / "media.json").read_text().replace(str(judged.parent), str(tmp_path / "all"))
    (run / "media.json").write_text(media)
    return run


def _checked(bench: Bench, command: str, run: Path, *options: object) -> tuple[int, str]:
    told = bench(command, run, *options, *(("--workers", 1) if command == "verify" else ()))
    return told.code, told.out + told.err


def test_a_run_as_it_was_made_passes_both(bench: Bench, copy: Path) -> None:
    code, told = _checked(bench, "validate", copy)
    assert code == 0, told
    code, told = _checked(bench, "verify", copy, "--clips", CLIPS)
    assert code == 0, told
    assert f"from {CLIPS} clips" in told
    assert "media.json names" in told, "whose references they are is told"
    table = json.loads(bench("verify", copy, "--clips", 2, "--workers", 1, "--format", "json").out)[0]
    assert {row["check"]: row["cells"]["wrong"]["text"] for row in table["rows"]} == {
        "aggregates": "ok",
        "scores": "ok",
    }


def _edit(path: Path, change: Callable[[str], str], run: Path | None = None) -> None:
    before = path.read_text()
    after = change(before)
    assert after != before
    path.write_text(after)
    if run is not None:  # somebody who knows of the hashes makes them again
        results = json.loads((run / "results.json").read_text())
        results["files"] = {name: file_sha256(run / name) for name in results["files"]}
        (run / "results.json").write_text(json.dumps(results))


def _first_value(run: Path, change: Callable[[float], object]) -> None:
    """Change the value of the first system's first metric in results.json."""
    results = json.loads((run / "results.json").read_text())
    row = next(row for row in results["results"] if row["system"] == "good" and row["value"])
    row["value"] = change(row["value"])
    (run / "results.json").write_text(json.dumps(results))


def _clip_row(run: Path, change: Callable[[list[str]], list[list[str]]], *, sealed: bool) -> None:
    """Replace the row of good's level difference of a clip."""
    lines = (run / "clips.csv").read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if ",good,clip3,delta_ild," in line)
    new = [",".join(fields) for fields in change(lines[place].split(","))]
    text = "\n".join([*lines[:place], *new, *lines[place + 1 :]]) + "\n"
    _edit(run / "clips.csv", lambda _: text, run if sealed else None)


def _value(text: str) -> Callable[[list[str]], list[list[str]]]:
    return lambda fields: [[*fields[:5], text, *fields[6:]]]


TAMPERED = {
    "value in results.json": ("validate", lambda run: _first_value(run, lambda v: v * 1.01), "results.csv: line"),
    "value in results.csv": (
        "validate", lambda run: _edit(run / "results.csv", lambda text: text.replace(",6,measured", ",7,measured", 1)),
        "results.csv: line",
    ),
    "value in clips.csv": ("validate", lambda run: _clip_row(run, _value("0.5"), sealed=False), "SHA-256 is another"),
    "value in clips.csv, hashes made again": (
        "verify", lambda run: _clip_row(run, _value("0.5"), sealed=True), "aggregates: ",
    ),
    "impossible value": ("validate", lambda run: _clip_row(run, _value("-3"), sealed=True), "outside of 0 to"),
    "dropped row": ("validate", lambda run: _clip_row(run, lambda _: [], sealed=True), 'no row of clip "clip3"'),
    "dropped clip": (
        "validate",
        lambda run: _edit(
            run / "clips.csv",
            lambda text: "".join(line for line in text.splitlines(keepends=True) if ",clip3," not in line), run,
        ),
        'no row of clip "clip3"',
    ),
    "NaN in clips.csv": ("validate", lambda run: _clip_row(run, _value("nan"), sealed=True), "'nan' is no number"),
    "NaN in results.json": ("validate", lambda run: _first_value(run, lambda _: float("nan")), "schema: "),
    "other unit": (
        "validate", lambda run: _edit(run / "results.json", lambda text: text.replace('"unit": "dB"', '"unit": "B"')),
        'unit is "B", here it is "dB"',
    ),
    "counted failures": (
        "validate",
        lambda run: _edit(run / "results.json", lambda text: text.replace('"failures": 0', '"failures": 1')),
        "counts 1 failures",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_what_is_changed_is_caught(bench: Bench, copy: Path, what: str) -> None:
    command, tamper, words = TAMPERED[what]
    tamper(copy)
    code, told = _checked(bench, command, copy, *(("--clips", 0) if command == "verify" else ()))
    assert code == 1, told
    assert words in told


def _reseal(run: Path) -> None:
    """Give every record the hash of the sound that lies there now."""
    for record in run.glob("audio/*/*/*.json"):
        told = json.loads(record.read_text())
        told["sha256"] = file_sha256(Path(record.parent / told["file"]))
        record.write_text(json.dumps(told))


def test_a_swapped_sound_is_caught(bench: Bench, copy: Path) -> None:
    shutil.copyfile(copy.parent / "good" / "clip0.wav", copy.parent / "good" / "clip1.wav")
    code, told = _checked(bench, "validate", copy)
    assert code == 1 and "good / clip1: clip1.wav is not the sound that was judged" in told
    _reseal(copy)
    assert _checked(bench, "validate", copy)[0] == 0, "the hashes agree again"
    code, told = _checked(bench, "verify", copy, "--clips", CLIPS)
    assert code == 1 and "good / clip1 / delta_ild" in told


def test_clips_are_drawn_by_the_seed(bench: Bench, copy: Path) -> None:
    shutil.copyfile(copy.parent / "good" / "clip0.wav", copy.parent / "good" / "clip1.wav")
    codes = {_checked(bench, "verify", copy, "--clips", 1, "--seed", seed)[0] for seed in range(5)}
    assert codes == {0, 1}
    assert len({_checked(bench, "verify", copy, "--clips", 1, "--seed", 3) for _ in range(2)}) == 1


def test_one_sound_for_all_clips_and_the_reference_itself_are_degenerate(bench: Bench, copy: Path) -> None:
    root = copy.parent
    for index in range(CLIPS):
        (root / "constant").mkdir(exist_ok=True)
        shutil.copyfile(root / "good" / "clip0.wav", root / "constant" / f"clip{index}.wav")
    shutil.copytree(root / "references", root / "leak")
    told = bench(
        "score", "--predictions", root / "constant", "--predictions", root / "leak", "--workers", 1,
        "--references", root / "references", "--metric", "default", "--out", root / "second",
    )  # fmt: skip
    assert told.code == 0, told.err
    code, said = _checked(bench, "validate", root / "second")
    assert code == 1
    assert "constant on references has one and the same sound for 6 of 6 clips" in said
    assert "leak on references has the errors of the reference itself" in said
    assert "2 things are wrong" in said


def test_without_sounds_the_aggregates_alone_are_verified(bench: Bench, copy: Path) -> None:
    shutil.rmtree(copy / "audio")
    code, told = _checked(bench, "verify", copy)
    assert code == 2 and "--clips 0" in told
    assert _checked(bench, "verify", copy, "--clips", 0)[0] == 0
    assert _checked(bench, "validate", copy)[0] == 0


def test_own_references_are_used_where_the_suite_is_named(bench: Bench, copy: Path) -> None:
    (copy / "media.json").write_text((copy / "media.json").read_text().replace("/references/", "/elsewhere/"))
    code, told = _checked(bench, "verify", copy)
    assert code == 2 and "--suite" in told
    code, told = _checked(bench, "verify", copy, "--suite", f"folder:{copy.parent / 'references'}")
    assert code == 0, told
    write_audio(copy.parent / "references" / "clip9.wav", lateral_noise(1.1), 44100)
    code, told = _checked(bench, "validate", copy, "--suite", f"folder:{copy.parent / 'references'}")
    assert code == 1 and "other clips of references" in told


def test_what_is_no_run_is_said(bench: Bench, tmp_path: Path) -> None:
    for command in ("validate", "verify"):
        code, told = _checked(bench, command, tmp_path)
        assert code == 2 and "expected the folder of a finished run" in told


def test_a_run_that_lacks_a_clip_in_a_distance_between_sets_is_read_again(bench: Bench, copy: Path) -> None:
    root = copy.parent
    shutil.copytree(root / "good", root / "short")
    (root / "short" / "clip1.wav").unlink()
    told = bench(
        "score", "--predictions", root / "short", "--references", root / "references", "--metric", "delta_ild,fcd",
        "--workers", 1, "--allow-missing", 1, "--out", root / "second",
    )  # fmt: skip
    assert told.code == 0, told.err
    code, said = _checked(bench, "validate", root / "second")
    assert code == 0, said
    code, said = _checked(bench, "verify", root / "second")
    assert code == 0, said
    valued = ("[],binaural,,failed,missing", "[],binaural,1,measured,")
    _edit(root / "second" / "clips.csv", lambda text: text.replace(*valued))
    code, said = _checked(bench, "validate", root / "second")
    assert code == 1 and "'cue_vector[]' is no name of a quantity" in said


def _steps(page: Path) -> list[str]:
    """The commands of the workflow that a page shows, but for what installs the program."""
    (workflow,) = re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    steps = re.findall(r"^ +- run: (.*)$", workflow, re.MULTILINE)
    return [step for step in steps if not step.startswith("pip ")]


def _carried_out(bench: Bench, step: str, folder: Path) -> list[int]:
    """The exit codes of a step's commands, as a shell that stops at the first failure runs them."""
    loop = re.fullmatch(r"for result in results/\*/; do (.*); done", step)
    results = sorted(map(str, (folder / "results").iterdir()))
    lines = [(loop[1].replace('"$result"', result)) for result in results] if loop else [
        step.replace("results/*/", " ".join(results)).replace(" site", f" {folder / 'site'}")
    ]  # fmt: skip
    codes: list[int] = []
    for line in lines:
        program, *arguments = shlex.split(line.replace("$GITHUB_RUN_NUMBER", "7"))
        assert program == "bench"
        codes.append(bench(*arguments).code)
        if codes[-1]:
            break
    return codes


def test_a_merge_that_is_stopped_leaves_nothing_and_can_be_made_again(
    bench: Bench, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(merging, "write_run", stopped)
        assert bench("merge", copy, "--out", tmp_path / "new" / "merged").code != 0
    assert list((tmp_path / "new").iterdir()) == []
    assert bench("merge", copy, "--out", tmp_path / "new" / "merged").code == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["merged"]
    assert "Leaderboard of merged" in (tmp_path / "new" / "merged" / "leaderboard.html").read_text()


def test_the_workflow_of_the_manual_checks_and_builds(bench: Bench, copy: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert bench("merge", copy, "--out", tmp_path / "results" / name).code == 0
    steps = _steps(ROOT / "docs" / "public-leaderboard.md")
    assert [_carried_out(bench, step, tmp_path) for step in steps] == [[0, 0], [0, 0], [0]]
    told = (tmp_path / "site" / "data" / "run.js").read_text(encoding="utf-8")
    assert "good (one)" in told and "good (two)" in told
    _clip_row(tmp_path / "results" / "one", _value("0.5"), sealed=True)
    assert [_carried_out(bench, step, tmp_path) for step in steps[:2]] == [[0, 0], [1]]


def _told(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change what `results.json` says."""

    def tamper(run: Path) -> None:
        path = run / "results.json"
        told = json.loads(path.read_text())
        change(told)
        path.write_text(json.dumps(told))

    return tamper


def _pipe(name: str) -> Callable[[Path], None]:
    def tamper(run: Path) -> None:
        path = next(run.glob(name))
        path.unlink()
        os.mkfifo(path)

    return tamper


def _deep(depth: int) -> list[Any]:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    return deep


RECORD = "audio/*/good/clip3.json"
Change = Callable[[Path], object]


def _provenance(name: str, value: object) -> Change:
    return _told(lambda told: told["provenance"].update({name: value}))


def _body(name: str, value: object) -> Change:
    return _told(lambda told: told.update({name: value}))


def _record(value: object) -> Change:
    return lambda run: next(run.glob(RECORD)).write_text(json.dumps(value))


def _media(key: str, value: object) -> Change:
    """A change of what `media.json` says of every clip."""

    def change(run: Path) -> None:
        told = json.loads((run / "media.json").read_text())
        told = {suite: [{**clip, key: value} for clip in clips] for suite, clips in told.items()}
        (run / "media.json").write_text(json.dumps(told))

    return change


# Which command fell over it, what is changed, and what the command must say.
HOSTILE: dict[str, tuple[str, Change, str]] = {
    "weights are no object": ("validate", _provenance("weights", 5), "provenance.weights is 5"),
    "earlier runs are no list": ("merge", _provenance("earlier", 5), "provenance.earlier is 5"),
    "precision of another kind": ("verify", _provenance("dtype", ["x"]), "provenance.dtype is"),
    "files are no object": ("validate", _body("files", [5]), "files is [5]"),
    "a file with NUL in its name": ("validate", _body("files", {"a\0b": "x"}), "is not in the folder"),
    "a file with a long name": ("validate", _body("files", {"x" * 5000: "x"}), "is not in the folder"),
    "a file elsewhere": ("validate", _body("files", {"../../x": "x"}), "is not in the folder"),
    "no command": ("report", _told(lambda told: told["provenance"].pop("command")), "a command that was not kept"),
    "no failures": ("report", _told(lambda told: told.pop("failures")), "good"),
    "nested deeply": ("diff", _provenance("packages", _deep(900)), "nested too deeply"),
    "no clips of the suite": ("verify", lambda run: (run / "media.json").write_text("{}"), "names no clip of"),
    "a reference with a long name": ("verify", _media("audio", f"/{'x' * 5000}.wav"), "x.wav"),
    "a record that is no object": ("merge", _record(5), "does not say which file it is"),
    "a hash that is no text": ("validate", _record({"sha256": [5], "file": "x.wav"}), "sounds"),
    "a record in no text": ("merge", lambda run: next(run.glob(RECORD)).write_bytes(b"\xff\0"), "does not say which"),
    "results.csv in no text": ("validate", lambda run: (run / "results.csv").write_bytes(b"\xff\0"), "cannot be read"),
    "results.csv in a pipe": ("validate", _pipe("results.csv"), "cannot be read"),
    "a record in a pipe": ("merge", _pipe(RECORD), "does not say which file it is"),
    "features in no archive": (
        "merge", lambda run: next(run.glob("features/*/good.npz")).write_bytes(b"PK\3\4" * 9), "does not hold features",
    ),
}  # fmt: skip

GOES_ON = {"no command", "no failures", "a hash that is no text", *(what for what in HOSTILE if "a record" in what)}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_submission_is_answered_in_a_sentence(bench: Bench, copy: Path, tmp_path: Path, what: str) -> None:
    command, change, words = HOSTILE[what]
    more = {"verify": ("--workers", 1, "--clips", 1), "merge": ("--out", tmp_path / "merged"), "report": ("--summary",),
            "diff": (copy,)}  # fmt: skip
    if "features" in what:
        path = copy / "features" / "references" / "good.npz"
        path.parent.mkdir(parents=True)
        path.touch()
    change(copy)
    told = bench(command, copy, *more.get(command, ()))
    assert words in told.out + told.err
    assert told.code == (1 if command == "validate" else 2) or (what in GOES_ON and told.code == 0)


@pytest.mark.parametrize("link", [False, True], ids=["by its record", "by a link"])
def test_merging_copies_no_file_that_the_run_was_not_made_of(
    bench: Bench, copy: Path, tmp_path: Path, link: bool
) -> None:
    """A record may name any file of the machine on which somebody merges a stranger's run with their own."""
    secret = tmp_path / "secret"
    secret.write_text("of the maintainer")
    record = next(copy.glob(RECORD))
    if link:
        record.with_suffix(".wav").symlink_to(secret)
    else:
        told = json.loads(record.read_text())
        record.write_text(json.dumps(told | {"file": str(secret)}))
    told = bench("merge", copy, "--out", tmp_path / "merged")
    assert told.code == 0
    assert f"a sound is left out: {record.with_suffix('.wav') if link else secret} is not in {copy}" in told.err
    others = [path for path in (tmp_path / "merged").rglob("*") if path.is_file()]
    assert len([path for path in others if path.suffix == ".wav"]) == SYSTEMS * CLIPS - 1
    assert not [path for path in others if b"of the maintainer" in path.read_bytes()]
