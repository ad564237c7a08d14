"""Habits of other tools that change numbers in silence, each shown not to be ours."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from visaudio_bench.bench.evaluation.frozen_networks import Net
from visaudio_bench.models.backbones.panns import PannsOutput
from visaudio_bench.models.weights import WEIGHTS_VARIABLE, Located
from visaudio_bench.suites.media import read_sound, write_audio, write_video

SOUND = "lr_acc,lat_err,delta_ild,delta_itd"


@pytest.fixture(autouse=True)
def _no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "weights"))


@pytest.fixture
def folders(clips: Path, tmp_path: Path) -> Path:
    """References, videos and flawed predictions of six clips in folders of their own."""
    for path in sorted(clips.iterdir()):
        kind = "references" if path.suffix == ".wav" else "videos"
        (tmp_path / kind).mkdir(exist_ok=True)
        path.rename(tmp_path / kind / path.name)
    for index in range(6):
        samples = read_sound(tmp_path / "references" / f"clip{index}.wav").samples
        write_audio(tmp_path / "predictions" / f"clip{index}.wav", np.roll(samples, 4 * index, axis=1), 44100)
    return tmp_path


def score(bench: Callable, folder: Path, *more: object) -> Any:
    places = [word for kind in ("predictions", "references", "videos") for word in (f"--{kind}", folder / kind)]
    return bench("score", *places, "--out", folder / "run", "--workers", 1, *more)


def rows(folder: Path, table: str = "clips") -> list[dict[str, str]]:
    with (folder / "run" / f"{table}.csv").open() as file:
        return list(csv.DictReader(file))


def predicted(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["clip"], row["metric"]): row for row in rows(folder) if row["system"] == "predictions"}


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Networks of a few lines that say something about every sample they are given, and what they were asked."""
    asked: list[str] = []

    def told(name: str, shape: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
        def say(x: torch.Tensor) -> torch.Tensor:
            asked.append(name)
            return (x.float().square().mean() + torch.arange(np.prod(shape)).float()).reshape(shape)

        return say

    def classes(x: torch.Tensor) -> PannsOutput:
        asked.append("panns")
        return PannsOutput(x.square()[:, :2048], 100 * x.square()[:, :527])

    classes.sample_rate = 16000  # type: ignore[attr-defined]
    module = SimpleNamespace(
        encode_video=told("sync video", (1, 24, 8, 768)),
        encode_audio=told("sync audio", (1, 24, 6, 768)),
        offset_logits=lambda *_: torch.eye(21)[None, :2],
        embed_audio=told("imagebind audio", (1, 1024)),
        embed_video=lambda x: told("imagebind video", (1, 1024))(x[0]),
    )
    monkeypatch.setattr(Net, "module", property(lambda net: classes if net.name == "panns" else module))
    monkeypatch.setattr("visaudio_bench.bench.evaluation.plan.missing", lambda _: ())
    monkeypatch.setattr(
        "visaudio_bench.bench.evaluation.execution.require",
        lambda name: Located(Path(name), f"weights of tests/{name}"),
    )
    return asked


def test_a_clip_that_fails_is_not_replaced_by_its_neighbour(bench: Callable, folders: Path) -> None:
    assert score(bench, folders, "--metric", SOUND).code == 0
    whole = predicted(folders)
    (folders / "predictions" / "clip2.wav").write_bytes(b"RIFF but not a sound")
    assert score(bench, folders, "--metric", SOUND).code == 1
    broken = predicted(folders)
    assert broken.keys() == whole.keys()
    for (clip, metric), row in broken.items():
        if clip == "clip2":
            assert (row["value"], row["status"], row["reason"]) == ("", "failed", "unreadable")
        else:
            assert row == whole[clip, metric]


def test_what_does_not_pair_is_listed_and_counted(bench: Callable, folders: Path) -> None:
    """Two predictions are missing and one belongs to nothing: no mean over what is left without saying so."""
    for index in (1, 4):
        (folders / "predictions" / f"clip{index}.wav").unlink()
    shutil.copy(folders / "predictions" / "clip0.wav", folders / "predictions" / "stranger.wav")
    told = score(bench, folders, "--metric", "lat_err,fcd")
    assert told.code == 1
    assert "1 of its files belong to no clip of the suite: stranger" in told.err
    found = [json.loads(line) for line in (folders / "run" / "failures.jsonl").read_text().splitlines()]
    assert [(one["clip"], one["reason"]) for one in found] == [("clip1", "missing"), ("clip4", "missing")]
    results = {row["metric"]: row for row in rows(folders, "results") if row["system"] == "predictions"}
    assert results["lat_err"]["n"] == "4"
    assert results["fcd"]["value"] == ""
    assert "scored on 4 of 6 clips" in results["fcd"]["reason"]
    assert len({row["clip"] for row in rows(folders) if row["system"] == "predictions"}) == 6


def test_the_cache_knows_sounds_and_not_names(bench: Callable, folders: Path, networks: list[str]) -> None:
    def asked() -> tuple[int, dict[str, str]]:
        networks.clear()
        assert score(bench, folders, "--metric", "kl_pann").code == 0
        mix = [row for row in rows(folders) if (row["system"], row["view"]) == ("predictions", "left")]
        return networks.count("panns"), {row["clip"]: row["value"] for row in mix}

    _, first = asked()
    assert set(networks) == {"panns"}  # and no network was built that nothing was asked of
    assert len(set(first.values())) == 6
    one, other = (folders / "predictions" / f"clip{index}.wav" for index in (1, 3))
    for kind in ("predictions", "references"):  # same names, other contents
        for path in (folders / kind / one.name, folders / kind / other.name):
            path.rename(path.with_name(f"_{path.name}"))
        (folders / kind / f"_{one.name}").rename(folders / kind / other.name)
        (folders / kind / f"_{other.name}").rename(folders / kind / one.name)
    count, exchanged = asked()
    assert count == 0
    assert exchanged == {**first, "clip1": first["clip3"], "clip3": first["clip1"]}
    write_audio(one, 0.5 * read_sound(one).samples, 44100)  # same name and length, another sound
    count, louder = asked()
    assert count == 1
    assert louder["clip1"] != exchanged["clip1"]
    assert {**louder, "clip1": exchanged["clip1"]} == exchanged


def test_a_missing_value_is_empty_and_has_a_reason(bench: Callable, folders: Path) -> None:
    """Never 0 or -1, which a mean or a plot would take for a result."""
    (folders / "predictions" / "clip2.wav").write_bytes(b"RIFF but not a sound")
    for path in (folders / "references").iterdir():
        write_audio(path, np.repeat(read_sound(path).samples[:1], 2, axis=0), 44100)  # no direction to agree with
    assert score(bench, folders, "--metric", "lat_ccc,lat_r,motion_r,fcd,desync,lat_err").code == 1
    for row in (*rows(folders), *rows(folders, "results")):
        if row["status"] in ("missing", "failed"):
            assert row["value"] == ""
            assert row["reason"]
        else:
            assert np.isfinite(float(row["value"]))
    empty = {row["metric"] for row in rows(folders, "results") if row["system"] == "predictions" and not row["value"]}
    assert {"fcd", "desync", "motion_r"} <= empty


def test_nothing_is_written_beside_the_users_files(bench: Callable, folders: Path) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        kinds = ("predictions", "references", "videos")
        paths = [path for kind in kinds for path in ((folders / kind), *(folders / kind).rglob("*"))]
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}

    before = state()
    assert score(bench, folders, "--metric", "all").code == 0
    assert state() == before
    suite = folders / "videos"
    told = bench("run", "--suite", f"folder:{suite}", "--out", folders / "other", "--workers", 1, "--limit", 2)
    assert told.code == 0, told.err
    assert state() == before


@pytest.fixture
def eight_seconds(tmp_path: Path) -> Path:
    """Two clips of 8 s at 25 pictures a second: `exact` has the 200 of them, `longer` has 201."""
    picture = np.random.default_rng(0).integers(0, 256, (201, 32, 32, 3), dtype=np.uint8)
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 8 * 44100)).astype(np.float32)
    for name, count in (("exact", 200), ("longer", 201)):
        write_video(tmp_path / "videos" / f"{name}.mp4", picture[:count], 25)
        for kind in ("references", "predictions"):
            write_audio(tmp_path / kind / f"{name}.wav", noise, 44100)
    return tmp_path


def test_a_video_of_exactly_8_s_is_scored_and_says_so(
    bench: Callable, eight_seconds: Path, networks: list[str]
) -> None:
    """The reference's frame filter never emits the last frame, so that it drops such clips without a word."""
    asked = ("--metric", "desync,ib_score", "--duration", 8)
    told = score(bench, eight_seconds, *asked)
    assert told.code == 0, told.err
    found = {key: (row["status"], row["reason"]) for key, row in predicted(eight_seconds).items()}
    assert found["exact", "desync"] == ("measured", "last_frame_held")
    assert found["longer", "desync"] == found["longer", "ib_score"] == ("measured", "")
    assert found["exact", "ib_score"] == ("measured", "")  # looks at the frames before 1, 3, 5 and 7 s
    assert {row["n"] for row in rows(eight_seconds, "results") if row["system"] == "predictions"} == {"2"}
    assert score(bench, eight_seconds, *asked, "--compat", "av-benchmark", "--replace").code == 0
    for metric in ("desync", "ib_score"):
        dropped = predicted(eight_seconds)["exact", metric]
        assert (dropped["value"], dropped["status"], dropped["reason"]) == ("", "missing", "short_video")
        assert predicted(eight_seconds)["longer", metric]["status"] == "measured"
    counts = {row["metric"]: row["n"] for row in rows(eight_seconds, "results") if row["system"] == "predictions"}
    assert counts == {"desync": "1", "ib_score": "1"}


def test_stdout_holds_only_the_table_when_things_go_wrong(bench: Callable, folders: Path) -> None:
    """Progress, plan, remarks and failures are for people: they go to stderr."""
    (folders / "predictions" / "clip2.wav").write_bytes(b"RIFF but not a sound")
    told = score(bench, folders, "--format", "csv")
    assert told.code == 1
    assert told.out == (folders / "run" / "leaderboard.csv").read_text()
    assert "left out: references/clip2 predictions" in told.err
