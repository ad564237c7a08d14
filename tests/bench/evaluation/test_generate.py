"""`bench generate`, and flow networks as systems, with networks whose weights mean nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from visaudio_bench.baselines import open_system
from visaudio_bench.baselines.visaudio import FlowSystem
from visaudio_bench.bench.evaluation import generation
from visaudio_bench.models.visaudio.checkpoints import save_network
from visaudio_bench.models.visaudio.config import CONFIGS, Config
from visaudio_bench.models.visaudio.network import build
from visaudio_bench.models.visaudio.parts import open_parts
from visaudio_bench.models.visaudio.tiny.vocoder import Vocoder
from visaudio_bench.pool import Needs
from visaudio_bench.suites.media import probe, read_sound, write_video

MICRO = replace(CONFIGS["tiny"], hidden=16, heads=2, depth=2, fused_depth=1)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A file for each row of the ablation; the last layer is shaken, because a fresh network's flow is nothing."""
    folder = tmp_path_factory.mktemp("checkpoints")
    notes = {**open_parts("built-in").notes(), "sampling_steps": "2"}
    for name, config in (("full", MICRO), ("dual", MICRO.dual_only), ("mono", MICRO.mono)):
        torch.manual_seed(0)
        network = build(config)
        for key, tensor in network.named_parameters():
            if "final_layer" in key or "adaLN" in key:
                torch.nn.init.normal_(tensor.data, std=0.3)
        save_network(network, folder / f"{name}.safetensors", notes)
    return {name: folder / f"{name}.safetensors" for name in ("full", "dual", "mono")}


def test_a_video_gets_its_sound_and_its_provenance(
    bench: Callable, checkpoints: Mapping[str, Path], recording: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = ("--weights", checkpoints["full"], "--video", recording.video, "--caption", "a bell", "--duration", 2)
    done = bench("generate", *asked, "--steps", 3, "--mux", "--out", out)
    assert (done.code, done.out) == (0, "")
    sound = read_sound(out / "fairplay_000001.wav")
    assert sound.samples.shape == (2, 88200)
    assert sound.sample_rate == 44100
    assert not np.array_equal(*sound.samples)
    record = json.loads((out / "fairplay_000001.json").read_text())
    assert record["system"] == "visaudio-tiny"
    made = record["provenance"]
    assert made["settings"]["steps"] == 3
    assert made["caption"] == "a bell"
    assert made["conditioners"]["conditioners"] == "built-in"
    assert len(made["weights"]["sha256"]) == 64
    muxed = probe(out / "fairplay_000001.mp4")
    assert muxed.picture == pytest.approx(2.0)
    # This network's latents are far beyond any that it was trained with; what is heard of them is not.
    assert np.abs(sound.samples).max() <= 1
    assert made["gain"] == 1
    np.testing.assert_allclose(read_sound(out / "fairplay_000001.mp4").samples, sound.samples, atol=3.2e-5)


def test_what_generate_leaves_is_scored_as_it_lies(
    bench: Callable, checkpoints: Mapping[str, Path], clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    (clips / "clip0.mp4").rename(folder / "2024-01-01T10:30:00.mp4")
    monkeypatch.chdir(folder)
    asked = ("--weights", checkpoints["full"], "--video", "2024-01-01T10:30:00.mp4", "--duration", 2, "--steps", 1)
    done = bench("generate", *asked, "--mux", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    made = read_sound(tmp_path / "out" / "2024-01-01T10:30:00.wav").samples
    shown = read_sound(tmp_path / "out" / "2024-01-01T10:30:00.mp4").samples
    assert _difference(shown) == pytest.approx(_difference(made), abs=0.01)
    call = ("--predictions", tmp_path / "out", "--videos", folder, "--metric", "side_mid", "--workers", 1)
    done = bench("score", *call, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert done.err.count("1 clip with a sound file and a video: the sound file is taken") == 1
    assert "not read" not in done.err


def _difference(ears: np.ndarray) -> float:
    """Left over right, dB."""
    left, right = (ears.astype(np.float64) ** 2).mean(axis=1)
    return float(10 * np.log10(left / right))


def test_a_second_call_makes_nothing_and_another_setting_makes_it_again(
    bench: Callable, checkpoints: Mapping[str, Path], clips: Path, tmp_path: Path
) -> None:
    call = (
        "generate",
        "--weights",
        checkpoints["full"],
        "--video",
        clips / "clip0.mp4",
        "--duration",
        1,
        "--out",
        tmp_path,
    )
    assert bench(*call, "--steps", 2).code == 0
    first = (tmp_path / "clip0.wav").stat().st_mtime_ns
    assert bench(*call, "--steps", 2, "--batch", 3).code == 0
    assert (tmp_path / "clip0.wav").stat().st_mtime_ns == first
    for change in (("--steps", 3), ("--steps", 2, "--seed", 1), ("--steps", 2, "--negative", "wind")):
        before = (tmp_path / "clip0.wav").read_bytes()
        assert bench(*call, *change).code == 0
        assert (tmp_path / "clip0.wav").read_bytes() != before


def test_batches_order_and_neighbours_do_not_change_a_clip(
    bench: Callable,
    checkpoints: Mapping[str, Path],
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made_here: None,
) -> None:
    decode, latents, codecs = Vocoder.decode, [], []

    def listening(codec: Vocoder, latent: torch.Tensor) -> torch.Tensor:
        latents.append(latent)
        codecs.append(codec)
        return decode(codec, latent)

    monkeypatch.setattr(Vocoder, "decode", listening)
    videos = [clips / f"clip{index}.mp4" for index in range(3)]
    common = ("generate", "--weights", checkpoints["full"], "--steps", 2, "--duration", 1)
    for name, order, batch in (("a", videos, 1), ("b", videos[::-1], 2), ("c", videos[1:2], 8)):
        asked = [word for video in order for word in ("--video", video)]
        assert bench(*common, *asked, "--batch", batch, "--out", tmp_path / name).code == 0
    assert len(latents) == 7
    alone, beside, single = latents[1], latents[4], latents[6]
    for latent in (beside, single):
        torch.testing.assert_close(latent, alone, atol=2e-4 * float(alone.abs().max()), rtol=0)
    for name, latent in zip("abc", (alone, beside, single), strict=True):  # nothing but its latent decides a sound
        sound = read_sound(tmp_path / name / "clip1.wav").samples
        of_latent = decode(codecs[1], latent)[0].numpy()[:, : sound.shape[1]]
        np.testing.assert_allclose(sound, of_latent, rtol=0, atol=2.0**-15)
    # A pitch that differs in its last digit runs out of phase: until then samples agree, and levels are as near as
    # those of what differs from the latent by as much at random.
    rounded = float(max((latent - alone).abs().max() for latent in (beside, single)))
    decoded = decode(codecs[1], alone)[0].numpy()
    draw = torch.Generator().manual_seed(0)
    latents_drawn = [alone + rounded * (2 * torch.rand(alone.shape, generator=draw) - 1) for _ in range(8)]
    drawn = [decode(codecs[1], latent)[0].numpy() for latent in latents_drawn]
    moved = max(np.abs(_levels(sound) - _levels(decoded)).max() for sound in drawn)
    swayed = max(np.abs(sound - decoded)[:, :2048].max() for sound in drawn)
    for other in "bc":
        one, two = (read_sound(tmp_path / name / "clip1.wav").samples for name in ("a", other))
        np.testing.assert_allclose(one[:, :2048], two[:, :2048], rtol=0, atol=2.0**-15 + 2 * float(swayed))
        assert _levels(one) == pytest.approx(_levels(two), abs=0.05 + 2 * moved)
        assert np.mean(_levels(one)) == pytest.approx(np.mean(_levels(two)), abs=0.2)


@pytest.mark.parametrize("second", ["", pytest.param("+motion-pan", marks=pytest.mark.slow)])
def test_cards_share_the_clips_and_make_what_one_makes(
    bench: Callable,
    checkpoints: Mapping[str, Path],
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    second: str,
) -> None:
    common = ("generate", "--system", f"visaudio:{checkpoints['full']}{second}", "--suite", f"folder:{clips}")
    common = (*common, "--device", "cpu")
    one_at_a_time, two_at_a_time = ((), ()) if second else (("--batch", 1), ("--batch", 2))
    assert bench(*common, *one_at_a_time, "--workers", 1, "--out", tmp_path / "one").code == 0
    asked, several = [], generation.map_unordered

    def noted(function: Callable, items: Sequence, workers: int, needs: Needs) -> Iterator:
        asked.append((function.args[-1], workers))
        return several(function, items, workers, needs)

    monkeypatch.setattr(generation, "map_unordered", noted)
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "another cache"))
    monkeypatch.setattr(FlowSystem, "shared_by_processes", lambda self, device: False)  # as on a card
    with monkeypatch.context() as two_cards:
        two_cards.setattr(generation, "_cards", lambda device: (device,) * 2)
        assert bench(*common, *two_at_a_time, "--workers", 1, "--out", tmp_path / "two").code == 0
    assert asked == [(("cpu", "cpu"), 2)]
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.wav")} for name in ("one", "two"))
    assert len(one) > 2 and two == one
    told = bench(*common, *two_at_a_time, "--out", tmp_path / "two")
    assert told.code == 0 and f"({len(one)} were there)" in told.err


def _levels(ears: np.ndarray) -> np.ndarray:
    """Of each ear in every 50 ms, dB."""
    frames = ears[:, : ears.shape[1] // 2205 * 2205].reshape(2, -1, 2205).astype(np.float64)
    return 10 * np.log10((frames**2).mean(axis=2) + 1e-9).ravel()


@pytest.mark.parametrize(
    ("system", "file"), [pytest.param("visaudio-dual", "dual", marks=pytest.mark.slow), ("mmaudio-dup", "mono")]
)
def test_rows_of_the_ablation_run_on_a_suite(
    bench: Callable, checkpoints: Mapping[str, Path], tmp_path: Path, system: str, file: str
) -> None:
    call = ("generate", "--system", system, "--weights", checkpoints[file], "--suite", "simroom-mini", "--limit", 2)
    done = bench(*call, "--steps", 2, "--out", tmp_path)
    assert done.code == 0
    sounds = sorted((tmp_path / "simroom-mini").glob("*.wav"))
    assert [path.stem for path in sounds] == ["simroom-mini-000", "simroom-mini-001"]
    left, right = read_sound(sounds[0]).samples
    assert np.array_equal(left, right) == (file == "mono")


def test_a_run_scores_them_under_names_of_their_own(
    bench: Callable, checkpoints: Mapping[str, Path], tmp_path: Path
) -> None:
    systems = f"visaudio:{checkpoints['full']},mmaudio-dup:ours={checkpoints['mono']}"
    done = bench("run", "--suite", "simroom-mini", "--limit", 2, "--system", systems, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    cards = json.loads((tmp_path / "run" / "results.json").read_text())["suites"][0]["cards"]
    titles = {card["name"]: card["title"] for card in cards}
    assert titles["visaudio-tiny"] == "ViSAudio (open), tiny, built-in conditioners"
    assert titles["ours"] == "ours"


def test_what_cannot_be_made_is_said_and_the_rest_is_made(
    bench: Callable, checkpoints: Mapping[str, Path], clips: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    videos = ("--video", broken, "--video", clips / "clip0.mp4", "--video", clips / "clip1.wav")
    done = bench(
        "generate", "--weights", checkpoints["full"], *videos, "--steps", 1, "--duration", 2, "--out", tmp_path
    )
    assert done.code == 1
    assert "not made: broken:" in done.err
    assert "clip1.wav has no pictures" in done.err
    assert "2 of 3 clips could not be made" in done.err
    assert (tmp_path / "clip0.wav").is_file()
    later = ("--video", clips / "clip1.mp4", "--steps", 1, "--duration", 2, "--out", tmp_path)
    assert bench("generate", "--weights", checkpoints["full"], *later).code == 0
    left = [json.loads(line)["clip"] for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert left == ["broken"], "clip1 is there now; of the other nobody asked again"


def test_a_video_shorter_than_the_sound(
    bench: Callable, checkpoints: Mapping[str, Path], clips: Path, tmp_path: Path
) -> None:
    asked = ("--video", clips / "clip0.mp4", "--duration", 8, "--out", tmp_path)
    done = bench("generate", "--weights", checkpoints["full"], *asked)
    assert done.code == 1
    assert "shows 2.00 s from 0 s on, and 8 s of sound were asked for. Ask for what there is: --duration 2" in done.err


def test_unasked_a_sound_is_as_long_as_its_video_and_no_longer_than_eight_seconds(
    bench: Callable, checkpoints: Mapping[str, Path], tmp_path: Path
) -> None:
    lengths = {"blink": 0.5, "short": 1.3, "longer": 3.1, "long": 9.6}
    grey = [np.full((64, 64, 3), 90, np.uint8)]
    for name, seconds in lengths.items():
        write_video(tmp_path / f"{name}.mp4", grey * round(10 * seconds), 10)
    videos = [word for name in lengths for word in ("--video", tmp_path / f"{name}.mp4")]
    done = bench("generate", "--weights", checkpoints["full"], *videos, "--steps", 1, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    made = {name: read_sound(tmp_path / "out" / f"{name}.wav").samples.shape[1] / 44100 for name in lengths}
    assert made == pytest.approx({"blink": 0.7, "short": 1.3, "longer": 3.1, "long": 8.0}, abs=1e-3)
    told = f"{tmp_path / 'long.mp4'} lasts 9.6 s: sound is made for its first 8 s. For all of it: --duration 9.6"
    assert told in " ".join(done.err.split())
    assert "lasts" not in done.err.replace("lasts 9.6", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--system", "visaudio", "--video", "x.mp4"), 'system "visaudio" needs a checkpoint, for its authors'),
        (("--video", "x.mp4"), "there is no file x.mp4"),
        (("--system", "visaudio-tiny:x", "--video", "x.mp4"), "write: --system visaudio:x"),
        (("--video", "x.mp4", "--guidance", "nan"), "nan is not a finite number"),
        (("--video", "x.mp4", "--duration", "inf"), "inf is not a finite number"),
        (("--video", "x.mp4", "--suite", "simroom"), "--video and --suite are both given"),
        (("--weights", "no.safetensors", "--video", "x.mp4"), "there is no file no.safetensors"),
        (("--weights", "{mono}", "--video", "x.mp4"), "holds the network of mmaudio-dup"),
        (("--weights", "{full}", "--video", "x.mp4"), "there is no file x.mp4"),
        (("--weights", "{full}"), "give either --video FILE or --suite NAME"),
        (("--weights", "{full}", "--suite", "simroom-mini", "--caption", "wind"), "--caption is for --video"),
        (("--system", "noise", "--suite", "simroom-mini", "--steps", "3"), 'system "noise" has no --steps'),
        (("--system", "motion-pan", "--video", "{video}"), "motion-pan is given the sound of a reference, and no clip"),
    ],
)  # fmt: skip
def test_wrong_requests(
    bench: Callable,
    checkpoints: Mapping[str, Path],
    recording: Any,
    tmp_path: Path,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    files = {**checkpoints, "video": recording.video}
    done = bench("generate", *(word.format(**files) for word in arguments), "--out", tmp_path / "out")
    assert done.code == 2
    assert sentence in done.err
    assert not (tmp_path / "out").exists()


def test_a_sound_whose_record_cannot_be_written_does_not_stay(
    bench: Callable, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_here: None
) -> None:
    def full(path: Path, _: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    call = ("generate", "--system", "noise", "--suite", f"folder:{clips}", "--limit", 1, "--out", tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr("visaudio_bench.bench.evaluation.generation.write_json", full)
        done = bench(*call)
    assert done.code == 1 and "No space left on device" in done.err
    assert not list((tmp_path / "out").rglob("*.wav"))
    assert bench(*call).code == 0  # nothing lies there that would not be overwritten
    assert len(list((tmp_path / "out").rglob("*.wav"))) == 1


def test_weights_that_are_not_here_are_named_with_the_command(bench: Callable, clips: Path, tmp_path: Path) -> None:
    done = bench("generate", "--system", "mmaudio-dup", "--video", clips / "clip0.mp4", "--out", tmp_path)
    assert done.code == 1
    assert "Get them: bench weights fetch mmaudio-large-44k-v2" in done.err


def test_running_out_of_memory_offers_a_smaller_batch(
    bench: Callable, checkpoints: Mapping[str, Path], clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("visaudio_bench.models.visaudio.pipeline.sample", full)
    videos = [word for index in range(4) for word in ("--video", clips / f"clip{index}.mp4")]
    done = bench(
        "generate", "--weights", checkpoints["full"], *videos, "--batch", 4, "--duration", 1, "--out", tmp_path
    )
    assert done.code == 1
    assert "cpu ran out of memory with 4 clips of 1 s at once. Try --batch 2." in done.err


def test_a_checkpoint_is_not_run_with_other_parts(
    checkpoints: Mapping[str, Path], tmp_path: Path, bench: Callable, clips: Path
) -> None:
    notes = {**open_parts("built-in").notes(), "codec": json.dumps({"codec": "noise-vocoder", "version": "0"})}
    save_network(build(MICRO), tmp_path / "old.safetensors", notes)
    done = bench(
        "generate",
        "--weights",
        tmp_path / "old.safetensors",
        "--video",
        clips / "clip0.mp4",
        "--duration",
        1,
        "--out",
        tmp_path,
    )
    assert done.code == 1
    assert "was trained with the codec" in done.err


def test_a_checkpoint_of_published_size_is_called_what_it_is(tmp_path: Path) -> None:
    config = Config("large_44k_v2", latent_dim=8, hidden=16, heads=2, depth=2, fused_depth=1)
    save_network(build(config), tmp_path / "large.safetensors")
    assert open_system(f"visaudio:{tmp_path / 'large.safetensors'}").card.name == "visaudio"


def test_bfloat16_is_close_and_recorded(
    bench: Callable, checkpoints: Mapping[str, Path], clips: Path, tmp_path: Path
) -> None:
    call = ("generate", "--weights", checkpoints["full"], "--video", clips / "clip0.mp4", "--duration", 1, "--steps", 2)
    for dtype in ("float32", "bfloat16"):
        assert bench(*call, "--dtype", dtype, "--out", tmp_path / dtype).code == 0
        record = json.loads((tmp_path / dtype / "clip0.json").read_text())
        assert record["provenance"]["settings"]["precision"] == dtype
    exact, rounded = (read_sound(tmp_path / dtype / "clip0.wav").samples for dtype in ("float32", "bfloat16"))
    assert not np.array_equal(exact, rounded)
    assert 20 * np.log10(rounded.std(axis=1) / exact.std(axis=1)) == pytest.approx([0, 0], abs=1.0)
