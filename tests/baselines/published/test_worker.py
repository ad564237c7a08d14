"""One worker contract, whatever becomes of the worker: made, failed, crashed, hanging, out of memory, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.baselines.published.published_system import PublishedSystem
from visaudio_bench.baselines.system import Generation
from visaudio_bench.errors import UsageError
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import probe, read_sound, write_audio

Named = Callable[[Sequence[str]], list[Clip]]
Installed = Callable[..., PublishedSystem]


def run(system: PublishedSystem, clips: Sequence[Clip], out: Path, seed: int = 0) -> dict[str, Generation]:
    out.mkdir(exist_ok=True)
    made = list(system.generate(clips, out, only=[clip.id for clip in clips], seed=seed))
    assert sorted(one.clip for one in made) == sorted(clip.id for clip in clips), "every clip is told of once"
    return {one.clip: one for one in made}


def wavs(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in folder.glob("*.wav")}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 120
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_a_clip_is_made_as_asked_and_its_record_says_how(
    installed: Installed, clips_named: Named, tmp_path: Path
) -> None:
    made = run(installed(), clips_named(["fine"]), tmp_path / "out")["fine"]
    assert made.path == tmp_path / "out" / "fine.wav"
    samples = read_sound(made.path).samples
    assert samples.shape == (2, 22050)
    left, right = np.sqrt((samples**2).mean(axis=1))
    assert left / right == pytest.approx(2, rel=0.02)
    lags = range(-20, 21)
    inner = samples[:, 100:-100]
    heard = max(lags, key=lambda lag: float((inner[0] * np.roll(inner[1], -lag)).sum()))
    assert heard == pytest.approx(4 * 44100 / 16000, abs=1)
    kept = json.loads(json.dumps(made.provenance))
    assert kept["texts"]["caption"] == "caption of fine"
    assert kept["worker"]["remarks"] == ["was told: caption of fine"]
    assert kept["worker"]["memory"]["host"] > 0
    assert kept["worker"]["setting"]["python"] == sys.version.split()[0]
    assert kept["native"] == {"channels": 2, "sample_rate": 16000, "samples": 8000}
    assert kept["made_from"]["options"] == {"gain": 0.1, "tone": "white"}


@pytest.mark.parametrize("where", ["_given", "texts", "finish"])
def test_whatever_is_thrown_on_our_side_of_a_clip_the_others_are_made(
    installed: Installed, clips_named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    from visaudio_bench.baselines.published import published_system

    plain = getattr(published_system, where)

    def thrower(*arguments: object) -> object:
        if any(getattr(one, "id", getattr(one, "stem", "")) == "bad" for one in arguments):
            raise RuntimeError("thrown on purpose")
        return plain(*arguments)

    monkeypatch.setattr(published_system, where, thrower)
    made = run(installed(), clips_named(["one", "bad", "two"]), tmp_path / "out")
    assert {name for name, one in made.items() if one.path is None} == {"bad"}
    assert made["bad"].reason == "internal"
    assert "in thrower" in made["bad"].trace


@pytest.mark.parametrize("shards", [1, 2])
def test_whatever_a_clip_does_the_others_are_made(
    installed: Installed, clips_named: Named, tmp_path: Path, shards: int
) -> None:
    reasons = {
        "error": "error", "nan": "not_finite", "zeros": "silent", "mono": "channels", "short": "short",
        "rate": "wrong_rate", "nothing": "error", "crash": "crash", "killed": "killed", "exit": "crash",
        "partial": "crash", "memory": "out_of_memory",
    }  # fmt: skip
    good = ["fine1", "fine2", "garbage", "fine3", "memoryonce", "fine4", "fine5"]
    names = [name for pair in zip([*good, *good], reasons, strict=False) for name in pair]
    names = list(dict.fromkeys(names))
    made = run(installed(f"shards={shards}"), clips_named(names), tmp_path / "out")
    assert {name: one.reason for name, one in made.items() if one.path is None} == reasons
    assert set(wavs(tmp_path / "out")) == set(good), "no stand-in is ever written for a clip that failed"
    for name, said in {
        "error": "KeyError: 'no such thing' (runner.py:",
        "crash": "signal 11",
        "killed": "killed from outside; ",
        "partial": "exit code 9",
    }.items():
        assert said in made[name].message
        assert made[name].message.startswith("Test double: ")
    assert not list((tmp_path / "cache" / "published" / "jobs").glob("*/")), "nothing is left of the jobs"


def test_shards_order_and_neighbours_change_no_byte(installed: Installed, clips_named: Named, tmp_path: Path) -> None:
    names = [f"fine{index}" for index in range(5)]
    run(installed(), clips_named(names), tmp_path / "one")
    run(installed("shards=2"), clips_named(["crash", *reversed(names)]), tmp_path / "two")
    run(installed("shards=9"), clips_named(names[2:3]), tmp_path / "single")
    one = wavs(tmp_path / "one")
    assert len(set(one.values())) == 5
    assert wavs(tmp_path / "two") == one
    assert wavs(tmp_path / "single") == {"fine2": one["fine2"]}
    run(installed(), clips_named(names), tmp_path / "seed", seed=1)
    assert not set(wavs(tmp_path / "seed").values()) & set(one.values())


@pytest.mark.parametrize("mode", ["hang", "junk"])
def test_a_hanging_worker_is_ended_with_its_children(
    installed: Installed, clips_named: Named, tmp_path: Path, source: Path, mode: str
) -> None:
    system = installed()
    system.details = system.details.__class__(**{**vars(system.details), "timeout_seconds": 4.0})
    made = run(system, clips_named(["fine1", mode, "fine2"]), tmp_path / "out")
    assert made[mode].reason == "timeout"
    assert set(wavs(tmp_path / "out")) == {"fine1", "fine2"}
    assert gone(int((source / "child").read_text()))
    assert gone(int((source / "worker").read_text()))


def test_a_child_with_a_session_of_its_own_ends_with_the_run(
    installed: Installed, clips_named: Named, tmp_path: Path, source: Path
) -> None:
    run(installed(), clips_named(["session"]), tmp_path / "out")
    assert set(wavs(tmp_path / "out")) == {"session"}
    assert gone(int((source / "child").read_text()))


def test_a_worker_damages_neither_the_cache_nor_what_the_next_one_is_given(
    installed: Installed, clips_named: Named, tmp_path: Path, own_cache: Path
) -> None:
    clips = clips_named(["damages", "sees1", "sees2"])
    made = run(installed(), clips, tmp_path / "out")
    assert {name for name, one in made.items() if one.path is None} == {"damages"}, made
    (given,) = (own_cache / "published" / "inputs").glob("*.mp4")
    whole = given.read_bytes()
    assert b"damaged" not in whole
    assert not given.stat().st_mode & 0o222
    given.chmod(0o644)
    given.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    run(installed(), clips[1:], tmp_path / "again")
    assert given.read_bytes() == whole, "what something changed in the cache is made again"
    assert wavs(tmp_path / "again") == wavs(tmp_path / "out")


def test_a_log_does_not_grow_without_end(
    installed: Installed, clips_named: Named, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from visaudio_bench.baselines.published import worker_process

    monkeypatch.setattr(worker_process, "LOG_LIMIT", 100_000)
    monkeypatch.setattr(worker_process, "LOG_KEPT", 20_000)
    assert run(installed(), clips_named(["prints"]), tmp_path / "out")["prints"].path is not None
    assert int((source / "log").read_text()) < 150_000


def test_a_flood_of_events_costs_the_clip_that_it_comes_with(
    installed: Installed, clips_named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from visaudio_bench.baselines.published import worker_process

    monkeypatch.setattr(worker_process, "EVENTS_LIMIT", 3_000)
    made = run(installed(), clips_named(["junk", "fine"]), tmp_path / "out")
    assert (made["junk"].reason, made["fine"].reason) == ("flood", "")


def test_a_worker_that_does_not_leave_is_ended(
    installed: Installed, clips_named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from visaudio_bench.baselines.published import worker_process

    monkeypatch.setattr(worker_process, "LEAVE_SECONDS", 0.3)
    made = run(installed(), clips_named(["lingers", "fine"]), tmp_path / "out")
    assert all(one.path is not None for one in made.values())


@pytest.mark.parametrize(
    ("how", "said"), [("load-fails", "RuntimeError: the weights are of another network"), ("load-crashes", "signal 11")]
)
def test_a_model_that_does_not_load_is_tried_once(
    installed: Installed, clips_named: Named, tmp_path: Path, source: Path, how: str, said: str
) -> None:
    (source / how).touch()
    made = run(installed(), clips_named(["fine1", "fine2"]), tmp_path / "out")
    assert {one.reason for one in made.values()} == {"not_loaded"}
    assert all(said in one.message for one in made.values())


@pytest.mark.parametrize("way", ["kill", "stop listening"])
def test_no_worker_outlives_the_run(
    installed: Installed, clips_named: Named, tmp_path: Path, source: Path, way: str, own_cache: Path
) -> None:
    system = installed()
    if way == "stop listening":
        (tmp_path / "out").mkdir()
        made = system.generate(clips_named(["fine", "hang"]), tmp_path / "out", only=["fine", "hang"])
        assert next(made).clip == "fine"
        while not (source / "worker").exists():
            time.sleep(0.02)
        made.close()
    else:
        (clip,) = clips_named(["hang"])
        code = (
            "from pathlib import Path; from visaudio_bench.baselines import open_system; "
            "from visaudio_bench.suites.clip import Clip; "
            f"c = Clip('hang', Path({str(clip.video)!r}), None, 0.0, 0.5, None); "
            f"list(open_system('test-double').generate([c], Path({str(tmp_path)!r}), only=['hang']))"
        )
        process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
        while not (source / "worker").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert gone(int((source / "worker").read_text()))
    assert gone(int((source / "child").read_text()))
    run(system, clips_named(["fine"]), tmp_path / "again")
    assert not list((own_cache / "published" / "jobs").glob("*/")), "what a killed run leaves is cleared away"


def test_no_reference_is_reachable_from_a_job(
    installed: Installed, picture: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clip's video has its true sound in it; the worker gets a silent one and no path that leads to the other."""
    from visaudio_bench.suites.media import write_clip

    true = tmp_path / "references" / "clip.mp4"
    write_clip(true, picture, np.full((2, 22050), 0.1, dtype=np.float32), 44100)
    clip = Clip("fine", true, true, 0.0, 0.5, None)
    seen: list[Path] = []
    environments: list[dict[str, str]] = []
    from visaudio_bench.baselines.published import published_system as module

    original = module.worker_environment

    def spy(installation: object, folder: object, gpu: str) -> dict[str, str]:
        environment = original(installation, folder, gpu)  # type: ignore[arg-type]
        assert environment["CUDA_VISIBLE_DEVICES"] == gpu == ""
        seen.append(folder.path)  # type: ignore[attr-defined]
        environments.append(environment)
        text = (folder.path / "job.json").read_text()  # type: ignore[attr-defined]
        assert "references" not in text
        job = json.loads(text)
        assert job["clips"][0]["mono"] is None
        for path in folder.path.parent.parent.parent.rglob("*"):  # type: ignore[attr-defined]
            if path.suffix in {".mp4", ".wav"}:
                assert probe(path).sound is None, f"{path} can be heard"
        return environment

    monkeypatch.setattr(module, "worker_environment", spy)
    run(installed(), [clip], tmp_path / "out")
    assert seen
    for value in environments[0].values():
        assert "references" not in value
    assert not any(name.startswith("VISAUDIO") for name in environments[0])


def test_the_pictures_are_the_same_for_every_system(installed: Installed, own_cache: Path, tmp_path: Path) -> None:
    """30 frames/s become 25, each shown at its time, and the last is held 0.2 s longer."""
    import av

    from visaudio_bench.suites.media import write_video

    video = tmp_path / "thirty.mp4"
    write_video(video, [np.full((34, 34, 3), min(255, 8 * index), dtype=np.uint8) for index in range(30)], 30)
    run(installed(), [Clip("fine", video, None, 0.0, 1.0, None)], tmp_path / "out")
    (made,) = (own_cache / "published" / "inputs").glob("*.mp4")
    with av.open(str(made)) as container:
        levels = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 25
        assert not container.streams.audio
    assert len(levels) == 30
    assert levels[5] == pytest.approx(8 * 6, abs=4)
    assert np.ptp(levels[24:]) < 3


def test_a_clip_that_cannot_be_given_fails_and_the_others_are_made(
    installed: Installed, clips_named: Named, tmp_path: Path
) -> None:
    write_audio(tmp_path / "a.wav", np.zeros((2, 22050), dtype=np.float32), 44100)
    blind = Clip("blind", None, tmp_path / "a.wav", 0.0, 0.5, None)
    made = run(installed(), [blind, *clips_named(["fine"])], tmp_path / "out")
    assert made["blind"].reason == "no_video"
    assert made["fine"].path is not None


def test_options_make_rows_of_their_own(installed: Installed, clips_named: Named, tmp_path: Path) -> None:
    system = installed()
    louder, dull = installed("gain=0.2"), installed(variant="dull")
    assert [one.card.name for one in (system, louder, dull)] == [
        "test-double", "test-double@gain=0.2", "test-double-dull",
    ]  # fmt: skip
    assert installed("shards=4").card == system.card
    assert len({one.card.revision for one in (system, louder, dull)}) == 3
    for argument, said in (
        ("gian=1", 'no option "gian=1". Did you mean "gain"?'),
        ("gain=loud", "takes a float"),
        ("gain=0.2:gain=0.3", "given more than once"),
        ("tone=red", "one of white, dull"),
    ):
        with pytest.raises(UsageError, match=said.replace("?", r"\?")):
            installed(argument)
