"""`bench systems`: list, show, install, check, remove; and `bench run` with systems that are here and that are not."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from visaudio_bench.baselines.published import install as installer
from visaudio_bench.baselines.published.card import AuthorsSource, Card, Extra, Weights, read_card
from visaudio_bench.baselines.published.contract_check import static_checks
from visaudio_bench.baselines.published.installed import find_card, home_of, installation, read_state, why_unavailable
from visaudio_bench.baselines.published.machine import lacking
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.suites.media import write_audio

PAPERS_FOUR = ("thinksound", "audiox", "visage", "see2sound")


def test_the_list_names_every_system_with_its_licences(bench: Callable, doubles: Path) -> None:
    told = bench("systems", "list", "--format", "json")
    assert told.code == 0
    (table,) = json.loads(told.out)
    rows = {row["name"]: row["cells"] for row in table["rows"]}
    assert rows.keys() >= {*PAPERS_FOUR, "mmaudio", "visual-sound-25d", "sep-stereo", "pseudo-binaural", "test-double"}
    assert rows["mmaudio"]["state"]["text"] == "not installed"
    assert rows["mmaudio"]["licence of weights"]["text"] == "CC-BY-NC-4.0"
    shown = bench("systems", "show", "mmaudio").out
    for words in ("974010a026c731054592d8f777218bd9d85a6c24", "bench systems install mmaudio", "option steps", "25"):
        assert words in shown
    assert 'Did you mean "mmaudio"?' in bench("systems", "show", "mmaudo").err


def test_nothing_is_installed_without_a_yes_to_its_licences(bench: Callable, doubles: Path) -> None:
    told = bench("systems", "install", "test-double", "--python", sys.executable)
    assert told.code == 2
    assert "licence of the code: Apache-2.0" in told.err
    assert "lives in the tests only" in told.err
    assert "--accept-licence" in told.err
    assert not home_of(find_card("test-double")).exists()


def test_install_check_remove(bench: Callable, doubles: Path, source: Path) -> None:
    asked = ("systems", "install", "test-double", "--source", source, "--python", sys.executable, "--accept-licence")
    before = bench("systems", "check", "test-double")
    assert before.code == 1
    assert "Install it: bench systems install test-double" in before.out
    assert "test-double cannot be tried here, and its folder is as it should be." in before.err
    assert "is not installed" in before.err and "contract" not in before.err
    assert bench(*asked).code == 0
    checked = bench("systems", "check", "test-double", "--device", "cpu", "--format", "json")
    assert checked.code == 0, checked.out + checked.err
    (table,) = json.loads(checked.out)
    state = {row["check"]: row["cells"]["state"]["text"] for row in table["rows"]}
    assert set(state.values()) == {"ok"}
    assert state.keys() == {
        "card", "lock", "runner", "postprocess", "machine", "installed", "first clip", "second clip", "seed",
        "opened files",
    }  # fmt: skip
    (source / "load-fails").touch()
    broken = bench("systems", "check", "test-double", "--device", "cpu")
    assert broken.code == 1
    assert "the weights are of another network" in broken.out
    assert bench("systems", "remove", "test-double").code == 0
    assert source.is_dir()
    assert not home_of(find_card("test-double")).exists()
    assert "nothing was installed" in bench("systems", "remove", "test-double").err


def test_a_dry_run_says_what_would_be_done_and_does_nothing(bench: Callable, own_cache: Path) -> None:
    told = bench("systems", "install", "see2sound", "--dry-run")
    assert told.code == 0, told.err
    for said in (
        "clone https://github.com/see2sound/see2sound at 4cf1d94a29d3aaf9070bd1cfd4fb8e657e1e0167; Apache-2.0",
        "Python 3.10, 106 packages of requirements.lock, wheels, built from source: pyroomacoustics, wget",
        "sam_vit_h_4b8939.pth: not here; 2,565 MB; Apache-2.0; bench systems fetch see2sound",
        "licence of the weights",
    ):
        assert said in told.err
    assert "bench weights fetch synchformer" in bench("systems", "install", "thinksound", "--dry-run").err
    assert bench("systems", "install", "mmaudio", "--dry-run", "--random-weights").err.count("weights: ") == 1
    assert not home_of(find_card("see2sound")).exists()
    none = bench("systems", "install", "soundreactor", "--dry-run")
    assert none.code == 2
    assert "--system outputs:soundreactor=DIR" in none.err


def test_what_the_machine_lacks_is_told_before_anything_is_done_and_by_check(
    bench: Callable, doubles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "systems" / "test_double"
    shutil.copytree(doubles / "test_double", folder)
    needs = """programs = ["{program}"]
[[environment.libraries]]
name = "a library of nobody's"
any_of = ["libnobody.so.1", "{library}"]
get = "Nobody has it."
"""
    text = (folder / "card.toml").read_text()
    monkeypatch.setenv("VISAUDIO_BENCH_SYSTEMS", str(folder.parent))
    install = ("systems", "install", "test-double", "--python", sys.executable, "--accept-licence")
    for program, library, said in (
        ("no-such-program", "libc.so.6", "needs no-such-program, which is not on this machine's PATH"),
        ("git", "libnobody.so.2", "needs a library of nobody's: none of libnobody.so.1, libnobody.so.2 can be loaded"),
    ):
        need = needs.format(program=program, library=library)
        (folder / "card.toml").write_text(text.replace("timeout_seconds = 20\n", "timeout_seconds = 20\n" + need))
        told = bench(*install)
        assert told.code == 2
        assert said in told.err
        assert "licence" not in told.err, "nobody is asked first"
        checked = bench("systems", "check", "test-double", "--device", "cpu", "--format", "json")
        assert checked.code == 1
        (state,) = [row["cells"] for row in json.loads(checked.out)[0]["rows"] if row["check"] == "machine"]
        assert state["state"]["text"] == "PROBLEM"
        assert said in state["detail"]["text"]
    need = needs.format(program="git", library="libc.so.6")
    (folder / "card.toml").write_text(text.replace("timeout_seconds = 20\n", "timeout_seconds = 20\n" + need))
    assert list(lacking(find_card("test-double"))) == []


def test_an_environment_is_made_of_wheels_but_for_what_the_card_names(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    ran = installer._run

    def spy(command: list[str], folder: Path) -> str:
        commands.append(list(command))
        return ran(command, folder)

    monkeypatch.setattr(installer, "_run", spy)
    list(installer.install(replace(card, built=("wget",)), installer.Wishes()))
    (command,) = [command for command in commands if "--requirement" in command]
    assert command[command.index("--only-binary") :][:4] == ["--only-binary", ":all:", "--no-binary", "wget"]
    assert [one.detail for one in static_checks(replace(card, built=("wget",))) if not one.fine] == [
        "wget is to be built from source and is not pinned"
    ]


@pytest.fixture
def repository(tmp_path: Path) -> AuthorsSource:
    """A repository with two commits; the card pins the first."""
    folder = tmp_path / "repository"
    folder.mkdir()

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "--quiet")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    (folder / "code.py").write_text("first")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    pinned = git("rev-parse", "HEAD")
    (folder / "code.py").write_text("second")
    git("commit", "--quiet", "--all", "--message", "second")
    return AuthorsSource(folder.as_uri(), pinned, "MIT")


@pytest.fixture
def card(doubles: Path, repository: AuthorsSource) -> Card:
    extra = Extra(repository.repository, repository.commit)
    return replace(read_card(doubles / "test_double"), source=repository, extras=(extra,), python="3.11")


def test_code_comes_at_the_pinned_commit_into_an_environment_of_its_own(card: Card) -> None:
    list(installer.install(card, installer.Wishes()))
    here = installation(card)
    assert (here.source / "code.py").read_text() == "first"
    assert [path.name for path in here.extras] == ["repository"]
    code = "import sys; print(sys.prefix != sys.base_prefix, sys.prefix)"
    own, prefix = subprocess.run([here.python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert own == "True"
    assert Path(prefix).is_relative_to(here.home)
    found = subprocess.run([here.python, "-c", "import numpy"], capture_output=True, check=False)
    assert found.returncode == 1, "our packages are not there"
    times = {path: path.stat().st_mtime_ns for path in (here.source / "code.py", here.python.parent)}
    list(installer.install(card, installer.Wishes()))
    assert times == {path: path.stat().st_mtime_ns for path in times}, "a second time does nothing"


def test_an_interrupted_installation_goes_on_and_a_moved_card_asks_for_another(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = installer.install(card, installer.Wishes(python=Path(sys.executable)))
    assert [next(steps), next(steps)] == ["test-double: code", "test-double: extras"]
    steps.close()
    assert "installed in part" in why_unavailable(card)
    cloned = read_state(card)["source"]
    (Path(cloned) / "mark").touch()
    list(installer.install(card, installer.Wishes(python=Path(sys.executable))))
    assert why_unavailable(card) == ""
    assert (Path(cloned) / "mark").exists(), "what was done is not done again"
    recorded = home_of(card) / "install.json"
    damaged = json.loads(recorded.read_text()) | {"python": "x" * 5000}  # no file can have such a name
    recorded.write_text(json.dumps(damaged))
    assert "is not there any more" in why_unavailable(card)
    assert card.source is not None
    moved = replace(card, source=replace(card.source, commit="f" * 40))
    assert "its card asks for ffffffffff" in why_unavailable(moved)


def test_what_a_user_brings_is_named_when_it_is_not_there(card: Card, tmp_path: Path) -> None:
    python = Path(sys.executable)
    for wishes, said in (
        (installer.Wishes(source=tmp_path / "nowhere"), "is not a folder"),
        (installer.Wishes(python=tmp_path), "failed|not a Python"),
        (installer.Wishes(python=tmp_path / "python"), "is not a Python interpreter"),
    ):
        with pytest.raises(BenchError, match=said):
            list(installer.install(card, wishes))
    needy = replace(card, weights=(Weights("net.pth", "its authors", sha256="0" * 64), Weights("more.pth", "x")))
    with pytest.raises(UsageError, match=r"net.pth from its authors; more.pth from x.*test-double --weights DIR"):
        list(installer.install(needy, installer.Wishes(python=python)))
    known = replace(card, weights=(Weights("v1-44.pth", "x", registry="mmaudio-vae-44k"),))
    with pytest.raises(UsageError, match=r"Get them: bench weights fetch mmaudio-vae-44k"):
        list(installer.install(known, installer.Wishes(python=python)))
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("net.pth", "more.pth"):
        (folder / name).write_text("weights")
    with pytest.raises(UsageError, match=r"net.pth is not the published"):
        list(installer.install(needy, installer.Wishes(python=python, weights=folder)))
    right = replace(card, weights=(Weights("net.pth", "x"), Weights("rare.pth", "x", optional=True)))
    list(installer.install(right, installer.Wishes(python=python, weights=folder)))
    here = installation(right)
    assert here.weights is not None
    assert (here.weights / "net.pth").read_text() == "weights"
    assert read_state(right)["weights"].keys() == {"net.pth"}
    list(installer.install(right, installer.Wishes(python=python, random_weights=True)))
    assert installation(right).is_random


def test_every_fault_of_a_folder_is_named(doubles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "test_double"
    shutil.copytree(doubles / "test_double", folder)
    good = read_card(folder)
    assert all(one.fine for one in static_checks(good))

    def problem(card: Card) -> str:
        return "; ".join(one.detail for one in static_checks(card) if not one.fine)

    good.lock.write_text("numpy>=2\n")
    assert '"numpy>=2" is not an exact pin' in problem(good)
    good.lock.write_text("pack @ git+ssh://there/pack\n")
    assert "is not an exact pin" in problem(good)
    good.lock.write_text("numpy==2.0.0 ; python_version >= '3.9'\n")
    assert problem(good) == ""
    runner = good.runner.read_text()
    for text, said in (
        ("import numpy\n" + runner, "--help needs packages"),
        ("from visaudio_bench.suites.media import read_sound\n" + runner, "imports visaudio_bench"),
        (runner + "\nmatch 1:\n    case 1:\n        pass\n", "is not Python 3.8"),
    ):
        good.runner.write_text(text)
        assert said in problem(good)
    good.runner.write_text(runner)
    assert "known are" in problem(replace(good, postprocess="nothing"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('status = "runnable"', 'status = "maybe"|status "maybe" is none of runnable, outputs_only'),
        ('commit = "0000000000000000000000000000000000000000"', 'commit = "main"|40 hexadecimal digits'),
        ('layout = "stereo"', 'layout = "quad"|native.layout "quad" is none of'),
        ('given = ["video", "caption"]', 'given = ["smell"]|input.given "smell" is none of'),
        ('title = "Test double"', "titel = \"Test double\"|'title' is missing"),
        ('paper = "none"', 'paper = "none"\ncolour = "red"|unknown field colour'),
        ('default = "white"', 'default = "red"|options.tone.default "red" is none of white, dull'),
        ('tone = "dull"', 'pitch = "dull"|variants.dull "pitch" is none of gain, tone'),
        ('name = "test-double"', 'name = "other"|must be the folder'),
    ],
)
def test_a_card_that_is_wrong_names_the_field(doubles: Path, tmp_path: Path, change: str, said: str) -> None:
    folder = tmp_path / "test_double"
    shutil.copytree(doubles / "test_double", folder)
    new, _, expected = said.partition("|")
    text = (folder / "card.toml").read_text()
    assert change in text
    (folder / "card.toml").write_text(text.replace(change, new, 1))
    with pytest.raises(UsageError) as error:
        read_card(folder)
    assert expected in str(error.value)


def rows(run: Path, system: str) -> list[dict[str, str]]:
    with (run / "results.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["system"] == system]


def test_systems_that_are_not_here_are_rows_that_say_so(
    bench: Callable, clips: Path, own_cache: Path, tmp_path: Path
) -> None:
    asked = ("run", "--suite", f"folder:{clips}", "--system", "motion-pan," + ",".join(PAPERS_FOUR), "--workers", 1)
    plan = bench(*asked, "--out", tmp_path / "run", "--dry-run")
    assert plan.code == 0
    for name in PAPERS_FOUR:
        (line,) = [line for line in plan.err.splitlines() if f" {name}: " in line]
        assert f"bench systems install {name}" in line
        assert "missing" in line
    told = bench(*asked, "--out", tmp_path / "run")
    assert told.code == 0, told.err
    for name in PAPERS_FOUR:
        found = rows(tmp_path / "run", name)
        assert {(row["status"], row["value"]) for row in found} == {("missing", "")}
        assert all(f"bench systems install {name}" in row["reason"] for row in found)
    assert any(row["value"] for row in rows(tmp_path / "run", "motion-pan"))
    for title in ("ThinkSound (missing)", "AudioX (missing)", "ViSAGe (missing)", "See2Sound"):
        assert title in told.out
    assert "bench systems install thinksound" in told.out
    assert (tmp_path / "run" / "failures.jsonl").read_text() == ""
    assert "thinksound" not in (tmp_path / "run" / "clips.csv").read_text()
    again = bench("report", tmp_path / "run", "--format", "md")
    assert again.out == (tmp_path / "run" / "leaderboard.md").read_text()
    assert "not those of" not in again.err
    assert bench("generate", "--system", "thinksound", "--suite", f"folder:{clips}", "--out", tmp_path / "g").code == 1


def test_a_run_makes_scores_and_keeps_the_sounds_of_a_published_system(
    bench: Callable, doubles: Path, source: Path, clips: Path, tmp_path: Path
) -> None:
    install = ("systems", "install", "test-double", "--source", source, "--python", sys.executable, "--accept-licence")
    assert bench(*install).code == 0
    run = ("run", "--suite", f"folder:{clips}", "--system", "test-double", "--workers", 1, "--out", tmp_path / "run")
    told = bench(*run)
    assert told.code == 0, told.err
    assert "Test double" in told.out
    folder = next((tmp_path / "run" / "audio").rglob("test-double"))
    made = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(made) == 12
    record = json.loads((folder / "clip0.json").read_text())
    assert record["provenance"]["postprocess"] == "two_channels"
    assert record["provenance"]["worker"]["seed"] == record["seed"] % 2**31
    assert {"step": "fit", "padded": 0, "cut": 0, "sample_rate": 16000} in record["provenance"]["steps"]
    told = bench(*run)
    assert told.code == 0
    assert made == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}, "nothing is made again"
    write_audio(folder / "clip3.wav", 0.1 * __import__("numpy").ones((2, 88200), dtype="float32"), 44100)
    (source / "code.py").write_text("changed")
    assert "6 to make" in bench(*run, "--dry-run").err, "other code makes other sounds"


def test_what_a_worker_fails_at_is_counted_and_the_rest_is_scored(
    bench: Callable, doubles: Path, source: Path, clips: Path, tmp_path: Path
) -> None:
    for suffix in (".wav", ".mp4"):
        (clips / f"clip1{suffix}").rename(clips / f"crash1{suffix}")
        (clips / f"clip2{suffix}").rename(clips / f"zeros2{suffix}")
    install = ("systems", "install", "test-double", "--source", source, "--python", sys.executable, "--accept-licence")
    assert bench(*install).code == 0
    told = bench(
        "run", "--suite", f"folder:{clips}", "--system", "test-double", "--workers", 1, "--out", tmp_path / "run"
    )
    assert told.code == 1
    assert "--allow-missing 2" in told.err
    failures = [json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines()]
    assert {(one["clip"], one["system"], one["reason"]) for one in failures} == {
        ("crash1", "test-double", "crash"), ("zeros2", "test-double", "silent"),
    }  # fmt: skip


def test_a_killed_run_goes_on_with_the_clips_that_are_not_made(
    bench: Callable, doubles: Path, source: Path, clips: Path, tmp_path: Path
) -> None:
    for path in clips.iterdir():
        path.rename(path.with_name(path.name.replace("clip", "slow")))
    install = ("systems", "install", "test-double", "--source", source, "--python", sys.executable, "--accept-licence")
    assert bench(*install).code == 0
    run = ("run", "--suite", f"folder:{clips}", "--system", "test-double", "--workers", "1", "--out", tmp_path / "run")
    code = "from visaudio_bench.bench.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, run)], stderr=subprocess.DEVNULL)

    def made() -> dict[str, int]:
        found = (tmp_path / "run" / "audio").rglob("test-double/slow*.json")
        return {path.name: path.stat().st_mtime_ns for path in found}

    while len(made()) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = made()
    assert 2 <= len(before) < 6, "the run ended before it was killed"
    told = bench(*run)
    assert told.code == 0, told.err
    assert f"test-double: {6 - len(before)} to make" in told.err
    assert before.items() <= made().items()
    assert len(made()) == 6
