"""Run folders of strangers, damaged or made up: who reads them says file, row and field, and ends well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from visaudio_bench import read_run
from visaudio_bench.errors import UsageError

Damage = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A finished run of two clips."""
    from visaudio_bench import score
    from visaudio_bench.suites.media import write_audio

    from ...conftest import lateral_noise

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISAUDIO_BENCH_CACHE", str(shared_cache))
        folder = tmp_path_factory.mktemp("theirs")
        for name in ("a", "b"):
            for place in ("references", "ours"):
                write_audio(folder / place / f"{name}.wav", lateral_noise(1.2, seed=ord(name)), 44100)
        score(folder / "ours", folder / "references", metrics=["side_mid", "delta_ild"], out=folder / "run", workers=1)
    return folder / "run"


def test_all_commands_read_it_as_it_is(bench: Callable, finished: Path) -> None:
    for call in (("report", finished), ("leaderboard", finished), ("diff", finished, finished)):
        assert bench(*call).code == 0


BODIES: dict[str, tuple[Damage, str]] = {
    "a text for a number": (
        lambda b: b["results"][0].update(n="x"),
        "results[0].n is 'x', a whole number was",
    ),
    "a number for a text": (lambda b: b["results"][1].update(reason=5), "results[1].reason is 5, a text was expected"),
    "no number": (lambda b: b["results"][0].update(value=float("nan")), "results[0].value is nan, a finite number"),
    "beyond all numbers": (lambda b: b["results"][0].update(low=10**400), "results[0].low is 1000000"),
    "a list for an object": (lambda b: b.update(suites=[[]]), "suites[0] is [], an object was expected"),
    "no suites": (lambda b: b.pop("suites"), "suites is missing"),
    "no name": (lambda b: b["suites"][0]["info"].pop("name"), "suites[0].info.name is missing"),
    "a name that leaves": (lambda b: b["suites"][0]["systems"][0].update(name="../x"), "'../x' cannot name a file"),
    "twice": (lambda b: b["results"].append(b["results"][0]), "is there twice"),
    "systems twice": (lambda b: b["suites"][0]["systems"].append(b["suites"][0]["systems"][0]), "'reference' is there"),
    "of nobody": (lambda b: b["results"][0].update(system="who"), "results[0] is of 'references' and 'who'"),
    "another protocol": (
        lambda b: b["provenance"]["protocol"].update(name="mine"),
        "protocol.name is 'mine'",
    ),
    "half a character": (lambda b: b["suites"][0]["info"].update(title="\ud800"), "suites[0].info.title is '\\ud800'"),
    "an unknown metric": (lambda b: b["suites"][0].update(metrics=["guess"]), 'unknown metric "guess"'),
    "a group of metrics": (lambda b: b["suites"][0].update(metrics=["default"]), '"default" stands for'),
    "a field of its own": (lambda b: b["results"][0].update(note="x"), "results[0].note is not a field"),
}


@pytest.mark.parametrize("case", BODIES)
def test_results_are_checked_first(bench: Callable, finished: Path, tmp_path: Path, case: str) -> None:
    damage, told = BODIES[case]
    run = shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("audio"))
    body = json.loads((run / "results.json").read_text())
    damage(body)
    (run / "results.json").write_text(json.dumps(body))
    done = bench("report", run)
    assert (done.code, told in done.err) == (2, True), done.err
    assert "Traceback" not in done.err
    for call in (("leaderboard", run), ("diff", run, finished), ("diff", finished, run)):
        assert bench(*call).code in (0, 2)


@pytest.mark.parametrize("name", ["results.json", "clips.csv"])
@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe\x00", b"\x80\x81", b"[" * 100_000, b"\0" * 64, b"PK\x03\x04", b"1" * 6000]
)
def test_other_bytes_are_refused(bench: Callable, finished: Path, tmp_path: Path, name: str, data: bytes) -> None:
    run = shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("audio"))
    (run / name).write_bytes(data)
    for call in (("report", run), ("diff", run, finished)):
        done = bench(*call)
        assert (done.code, str(run / name) in done.err) == (2, True), done.err


def test_rows_that_are_there_twice_are_refused(bench: Callable, finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("audio"))
    header, *rows = (run / "clips.csv").read_text().splitlines(keepends=True)
    (run / "clips.csv").write_text("".join([header, *rows, rows[0]]))
    done = bench("report", run)
    assert done.code == 2
    assert f"line {len(rows) + 2}, says again what line 2 says" in done.err
    (run / "clips.csv").write_text("".join([header, *20 * rows]))
    assert bench("report", run).code == 2


def test_failures_are_checked_too(finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("audio"))
    (run / "failures.jsonl").write_text('{"suite": "s", "system": 5}\n')
    with pytest.raises(UsageError, match=r"failures.jsonl:1: .*system is 5, a text was expected"):
        read_run(run)


def test_a_run_that_was_begun_is_told_from_no_run(bench: Callable, finished: Path, tmp_path: Path) -> None:
    """`plan.json` says that a run was begun; what it holds is for people, and damage to it does no harm."""
    shutil.copytree(finished, tmp_path / "run")
    for damage in ("", "[" * 100_000, '{"suites": 5}', "\ud800".encode("utf-8", "surrogatepass")):
        (tmp_path / "run" / "plan.json").write_bytes(damage if isinstance(damage, bytes) else damage.encode())
        for call in (("report", tmp_path / "run"), ("diff", tmp_path / "run", finished)):
            assert bench(*call).code == 0
    (tmp_path / "run" / "results.json").unlink()
    told = bench("report", tmp_path / "run")
    assert (told.code, "was begun and has not ended. The command that began it goes on" in told.err) == (2, True)
    (tmp_path / "run" / "plan.json").unlink()
    told = bench("report", tmp_path / "run")
    assert (told.code, "expected the folder of a finished run" in told.err) == (2, True)
