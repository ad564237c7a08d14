"""`bench train visaudio` from end to end, on features made of noise and a network of a few thousand weights."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from visaudio_bench.files import digest
from visaudio_bench.models.formats import STATE_FORMAT
from visaudio_bench.models.visaudio.checkpoint_notes import read_notes
from visaudio_bench.models.visaudio.checkpoints import load_network, save_network
from visaudio_bench.models.visaudio.config import CONFIGS, lengths
from visaudio_bench.models.visaudio.feature_formats import Storage, pack
from visaudio_bench.models.visaudio.feature_store import FeatureRow, Kind, claim, write_shard
from visaudio_bench.models.visaudio.network import build
from visaudio_bench.models.visaudio.tiny.conditioners import BuiltInConditioners
from visaudio_bench.models.visaudio.tiny.vocoder import Vocoder

from .trainings import call_options, command, environment, killed_at_work, losses

SECONDS = 1.2
KIND = Kind(BuiltInConditioners().identity, Vocoder().identity, Storage(spatial="int8"), SECONDS)
MICRO = ("network.hidden=16", "network.heads=1", "network.depth=2", "batch=4", "log_every=1", "warmup=2", "threads=2")


def fill(folder: Path, count: int, *, seed: int = 0, source: str = "suite") -> Path:
    """A store of clips whose latents follow their conditions a little."""
    config, long = CONFIGS["tiny"], lengths(SECONDS, CONFIGS["tiny"].text_tokens)
    claim(folder, KIND)
    clips = []
    for index in range(count):
        generator = torch.Generator().manual_seed(1000 * seed + index)
        side = 2 * float(torch.rand((), generator=generator)) - 1
        mean = torch.randn(2, long.latent, config.latent_dim, generator=generator) / 2 + side
        grid = config.spatial_grid
        made = {
            "mean": mean,
            "std": torch.full_like(mean, 0.1),
            "clip": torch.randn(long.clip, config.clip_dim, generator=generator) + side,
            "sync": torch.randn(long.sync, config.sync_dim, generator=generator),
            "text": torch.randn(long.text, config.text_dim, generator=generator),
            "spatial": torch.randn(long.clip, grid, grid, config.spatial_dim, generator=generator) + side,
        }
        clips.append((FeatureRow(f"clip{index:02d}", source, "", "", 0.0, 0), pack(made, KIND.storage)))
    write_shard(folder, clips)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("data"), 10)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("watched"), 2, seed=7)


@pytest.fixture
def train(bench, data: Path, tmp_path: Path) -> Callable[..., object]:
    """`bench train visaudio` in this process, into `out`, with `settings`."""

    def call(out: str, *options: object, settings: tuple[str, ...] = (), learnt: Path = data):
        return bench("train", "visaudio", *call_options(learnt, tmp_path / out, *settings), *options)

    return call


def state(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "state.safetensors")


def test_a_training_leaves_what_the_manual_says(train, watched, tmp_path):
    told = train(
        "run", "--validation", watched, settings=(*MICRO, "steps=24", "validate_every=12", "learning_rate=1e-3")
    )
    assert told.code == 0, told.err
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {
        "training.json", "metrics.jsonl", "state.safetensors", "last.safetensors", "best.safetensors"
    }  # fmt: skip
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == list(range(1, 25))
    assert sum(row["loss"] for row in steps[-5:]) < 0.93 * sum(row["loss"] for row in steps[:5])
    assert all(row["loss"] == pytest.approx(row["loss_left"] + row["loss_right"]) for row in steps)
    assert steps[0]["lr"] == pytest.approx(1e-3 / 3)
    seen = [row for row in rows if "validation/loss" in row]
    assert [row["step"] for row in seen] == [12, 24]
    assert {"validation/lat_r", "validation/lr_acc", "validation/loss_left"} <= seen[0].keys()
    network = load_network(run / "best.safetensors")
    assert network.config.hidden == 16
    assert json.loads(read_notes(run / "best.safetensors")["conditioners"]) == dict(KIND.conditioners)
    assert float(read_notes(run / "best.safetensors")["duration"]) == KIND.duration
    assert "validation after step 12" in told.err
    assert "samples/s" in told.err or "step 24" in told.err
    plan = json.loads((run / "training.json").read_text())
    assert (plan["preset"], plan["data"]["clips"], plan["recipe"]["batch"]) == ("tiny", 10, 4)


def test_a_training_in_two_halves_is_the_one_in_one(train, tmp_path):
    assert train("whole", settings=(*MICRO, "steps=8")).code == 0
    assert train("halves", settings=(*MICRO, "steps=4")).code == 0
    assert train("halves", "--resume", settings=("steps=8",)).code == 0
    assert losses(tmp_path / "whole") == losses(tmp_path / "halves")
    one, other = state(tmp_path / "whole"), state(tmp_path / "halves")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_parts_of_a_batch_one_after_the_other_are_the_batch(train, tmp_path):
    train("whole", settings=(*MICRO, "steps=4"))
    train("parts", settings=(*MICRO, "steps=4", "accumulate=2", "checkpoint=true"))
    whole, parts = losses(tmp_path / "whole"), losses(tmp_path / "parts")
    assert list(parts.values()) == pytest.approx(list(whole.values()), rel=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_with_the_same_losses(train, data, tmp_path):
    settings = (*MICRO, "steps=400", "save_every=7")
    out = tmp_path / "killed"
    with killed_at_work(out, "visaudio", *call_options(data, out, *settings), steps=16) as process:
        second = train("killed", "--resume")
        refusal = f"in use: bench train visaudio is at work there (process {process.pid} on"
        assert (second.code, refusal in second.err) == (2, True)
    done = max(losses(out)) + 10
    assert train("killed", "--resume", settings=(f"steps={done}",)).code == 0
    assert train("undisturbed", settings=(*settings, f"steps={done}")).code == 0
    assert losses(out) == losses(tmp_path / "undisturbed")
    assert len(losses(out)) == done


def test_what_was_changed_on_a_continuation_stays_changed(bench, train, tmp_path):
    assert train("run", settings=(*MICRO, "steps=2")).code == 0
    assert train("run", "--resume", settings=("steps=4", "learning_rate=1e-5")).code == 0
    told = bench("train", "visaudio", "--out", tmp_path / "run", "--resume", "--device", "cpu", "--set", "steps=5")
    assert told.code == 0, told.err
    assert told.out == "", "only the embedded default has a leaderboard"
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["lr"] for row in rows][2:] == [1e-5] * 3


def test_what_is_no_row_of_the_log_is_left_out_where_a_training_goes_on(train, tmp_path):
    assert train("run", settings=(*MICRO, "steps=2")).code == 0
    log = tmp_path / "run" / "metrics.jsonl"
    whole = log.read_text()
    log.write_bytes(whole.encode() + b'5\n{}\n{"step": "x"}\n' + b"[" * 2000 + b'\n\xff\n{"step": 2, "lo')
    told = train("run", "--resume", settings=("steps=3",))
    assert told.code == 0, told.err
    assert log.read_text().startswith(whole)
    assert len(log.read_text().splitlines()) == len(whole.splitlines()) + 1


@pytest.mark.parametrize("network", ["foleyspace", "geometry-aware"])
def test_the_training_of_another_network_is_not_gone_on_with(bench, train, tmp_path, network):
    assert train("run", settings=(*MICRO, "steps=1")).code == 0
    told = bench("train", network, "--out", tmp_path / "run", "--resume", "--device", "cpu")
    assert told.code == 2, told.err
    assert f"is not a training of {network}" in told.err


@pytest.mark.parametrize(
    ("plan", "told"),
    [({}, "preset is missing"), ({"preset": "tiny", "recipe": {}, "data": {"folder": 5}}, "data.folder is 5")],
    ids=["empty", "no text"],
)
def test_a_state_whose_plan_is_none_is_refused(bench, tmp_path, plan, told):
    """Somebody else's: its checksum is right."""
    progress = json.dumps({"step": 1, "best": 0.5, "best_step": 0, "processes": 1, "plan": plan})
    (tmp_path / "run").mkdir()
    safetensors.torch.save_file(
        {"x": torch.zeros(1)}, tmp_path / "run" / "state.safetensors",
        {"format": STATE_FORMAT, "progress": progress, "tensors": "0", "header": digest([progress, "0"])},
    )  # fmt: skip
    said = bench("train", "visaudio", "--out", tmp_path / "run", "--resume", "--device", "cpu")
    assert said.code == 2, said.err
    assert told in said.err


def test_told_to_stop_it_saves_and_says_so_by_its_exit_code(train, tmp_path):
    out = tmp_path / "run"

    def stop_soon() -> None:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and not ((out / "metrics.jsonl").exists() and losses(out)):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    # what is told to stop when it is not at work any more is this test, which then fails
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("nobody listened"))
    other = threading.Thread(target=stop_soon)
    other.start()
    try:
        told = train("run", settings=(*MICRO, "steps=100000", "save_every=100000"))
        other.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told.code == 75, told.err
    assert "--resume" in told.err
    assert "Traceback" not in told.err
    done = max(losses(out))
    assert train("run", "--resume", settings=(f"steps={done + 2}",)).code == 0
    assert sorted(losses(out)) == list(range(1, done + 3))


@pytest.mark.slow
def test_two_processes_do_what_one_does_and_one_goes_on_from_there(bench, train, data, watched, tmp_path, monkeypatch):
    """This process is the first of the two, as a launcher other than torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    settings = (*MICRO, "steps=4", "parallel=ddp", "accumulate=2")
    asked = (*call_options(data, tmp_path / "two", *settings), "--validation", watched)
    second = subprocess.Popen(
        command("visaudio", *asked), env={**environment(), **told, "RANK": "1"}, stderr=subprocess.PIPE, text=True
    )
    with monkeypatch.context() as patch:
        for name, value in {**told, "RANK": "0"}.items():
            patch.setenv(name, value)
        first = bench("train", "visaudio", *asked)
    _, said = second.communicate(timeout=600)
    assert (first.code, second.returncode) == (0, 0), first.err + said[-3000:]
    goes_on_alone_as_one_does(train, watched, tmp_path)


WAITING = """
import time
from datetime import timedelta
from visaudio_bench.models.training import distributed
distributed.PATIENCE = timedelta(seconds=2)
world = distributed.join("cpu")
if world.main:
    time.sleep(6)
print(f"{world.gather([world.rank])} {world.neighbours}\\n", end="", flush=True)
world.wait()
distributed.leave()
"""


@pytest.mark.slow
def test_one_process_may_render_for_as_long_as_it_takes(tmp_path):
    """The others wait longer than for any step of a training."""
    (tmp_path / "waiting.py").write_text(WAITING)
    both = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(tmp_path / "waiting.py")]
    done = subprocess.run(both, env=environment(), check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == 2 * "[0, 1] 2\n"


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_of_torchrun_do_what_one_does(parallel, train, data, watched, tmp_path):
    settings = (*MICRO, "steps=4", f"parallel={parallel}", "accumulate=2")
    both = command("visaudio", *call_options(data, tmp_path / "two", *settings), "--validation", watched, processes=2)
    done = subprocess.run(both, env=environment(), check=False, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-3000:]
    goes_on_alone_as_one_does(train, watched, tmp_path)


def goes_on_alone_as_one_does(train, watched, tmp_path):
    """What two processes left in `two` is what one does, and one goes on from there."""
    assert train("one", "--validation", watched, settings=(*MICRO, "steps=6")).code == 0
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert [two[step] for step in range(1, 5)] == pytest.approx([one[step] for step in range(1, 5)], rel=1e-5)
    told = train("two", "--resume", settings=("steps=6", "parallel=ddp", "accumulate=1"))
    assert told.code == 0, told.err
    assert "2 processes and goes on with 1" in told.err
    assert list(losses(tmp_path / "two").values()) == pytest.approx(list(one.values()), rel=1e-4)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(train, tmp_path):
    good = fill(tmp_path / "data", 9)
    assert train("run", learnt=good, settings=(*MICRO, "steps=2")).code == 0
    config, long = CONFIGS["tiny"], lengths(SECONDS, 16)
    broken = {
        "mean": torch.full((2, long.latent, config.latent_dim), float("nan")),
        "std": torch.zeros(2, long.latent, config.latent_dim),
    }
    other = fill(tmp_path / "other", 9)
    write_shard(other, [(FeatureRow("poisoned", "suite", "", "", 0.0, 0), broken)])
    told = train("bad", learnt=other, settings=(*MICRO, "steps=20", "save_every=1", "seed=3"))
    assert told.code == 1
    assert "not a number for poisoned" in told.err
    step = int(told.err.split("loss of step ")[1].split()[0])
    assert "Traceback" not in told.err
    if step > 1:
        with safe_open(tmp_path / "bad" / "state.safetensors", "pt") as file:
            assert json.loads(file.metadata()["progress"])["step"] == step - 1
            assert all(torch.isfinite(file.get_tensor(name)).all() for name in file.keys())  # noqa: SIM118 (no mapping)


def test_a_full_disk_is_told_and_the_state_before_it_is_kept(train, tmp_path, monkeypatch):
    assert train("run", settings=(*MICRO, "steps=2")).code == 0
    before = (tmp_path / "run" / "state.safetensors").read_bytes()

    def full(*arguments: object, **named: object) -> None:
        raise SafetensorError("IoError: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    told = train("run", "--resume", settings=("steps=4",))
    assert told.code == 1
    assert "No space left" in told.err
    assert "Traceback" not in told.err
    assert (tmp_path / "run" / "state.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("bach=4",), 'Did you mean "batch"'),
        (("network.hidden=17",), "even number of channels"),
        (("network.latent_dim=20",), "choose the preset that fits"),
        (("batch=64",), "an epoch has 10 samples"),
        (("batch=3", "accumulate=2"), "--set batch=4"),
        (("parallel=fsdp",), "torchrun"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(train, settings, said):
    told = train("run", settings=(*MICRO, *settings))
    assert told.code == 2
    assert said in told.err
    assert "Traceback" not in told.err


def test_only_the_same_training_is_resumed(train, tmp_path):
    assert "holds no training" in train("none", "--resume").err
    assert train("run", settings=(*MICRO, "steps=2")).code == 0
    assert "--resume" in train("run", settings=MICRO).err
    for option in ("batch=2", "seed=1", "network.hidden=32"):
        assert "cannot change" in train("run", "--resume", settings=(option,)).err
    other = fill(tmp_path / "other", 10, seed=5)
    told = train("run", "--resume", learnt=other)
    assert told.code == 2
    assert "other features now" in told.err
    assert "is a training of tiny" in train("run", "--resume", "--preset", "small_44k").err


def test_a_training_does_not_go_on_from_a_damaged_state(train, tmp_path):
    assert train("run", settings=(*MICRO, "steps=2")).code == 0
    path = tmp_path / "run" / "state.safetensors"
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    step = whole.index(b'step\\": 2')
    tensors = "tensors are not those"
    places = {5: "not an intact", step + 8: "header is not the one", length + 900: tensors, len(whole) - 1: tensors}
    for place, told in places.items():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        said = train("run", "--resume", settings=("steps=3",))
        assert (said.code, told in said.err, "Traceback" in said.err) == (1, True, False), said.err
        assert "--from" in said.err
    path.write_bytes(b"short")
    assert "not an intact state" in train("run", "--resume").err
    path.write_bytes(whole)
    assert train("run", "--resume", settings=("steps=3",)).code == 0


def test_the_file_to_begin_with_is_looked_at_before_scenes_are_rendered(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    for file in (tmp_path / "none.pth", tmp_path / "weights.pth"):
        told = bench("train", "visaudio", "--from", file, "--out", tmp_path / "run")
        assert told.code in (1, 2)
        assert str(file) in told.err
    assert not (tmp_path / "cache").exists()


def test_without_data_only_the_embedded_default_can_be_trained(bench, train, tmp_path):
    assert "bench features build" in bench("train", "visaudio", "--preset", "large_44k_v2").err
    assert 'Did you mean "large_44k_v2"' in bench("train", "visaudio", "--preset", "large_44k_v3").err
    assert "is no feature store" in train("run", learnt=tmp_path).err


def test_it_begins_with_given_weights(train, data, tmp_path):
    from dataclasses import replace

    config = replace(CONFIGS["tiny"], hidden=16, heads=1, depth=2)
    mono = build(config.mono)
    for value in mono.parameters():
        torch.nn.init.normal_(value, std=0.02)
    torch.save(mono.state_dict(), tmp_path / "mmaudio.pth")
    start = ("--from", tmp_path / "mmaudio.pth")
    told = train("run", *start, settings=(*MICRO, "steps=1", "learning_rate=0"))
    assert told.code == 0, told.err
    assert "copied for one ear each" in told.err
    trained = load_network(tmp_path / "run" / "last.safetensors").state_dict()
    for key in ("joint_blocks.0.latent_block.attn.qkv.weight", "latent_mean"):
        torch.testing.assert_close(trained[key], mono.state_dict()[key])
    torch.testing.assert_close(
        trained["single_blocks_r.0.linear1.bias"], mono.state_dict()["fused_blocks.0.linear1.bias"]
    )
    assert train("more", "--from", tmp_path / "run" / "last.safetensors", settings=(*MICRO, "steps=1")).code == 0
    save_network(build(config.dual_only), tmp_path / "dual.safetensors")
    told = train("other", "--from", tmp_path / "dual.safetensors", settings=(*MICRO, "steps=1"))
    assert (told.code, "holds another network" in told.err) == (2, True)


@pytest.mark.parametrize("change", [("network.spacetime=false",), ("network.spacetime=false", "network.dual=false")])
def test_the_rows_of_the_ablation_are_trained_by_the_same_command(change, train, watched, tmp_path):
    told = train("run", "--validation", watched, settings=(*MICRO, *change, "steps=3"))
    assert told.code == 0, told.err
    assert load_network(tmp_path / "run" / "last.safetensors").config.dual == (len(change) == 1)


def test_missing_video_and_words_are_learnt_as_nothing(train, tmp_path):
    store = fill(tmp_path / "data", 6)
    config, long = CONFIGS["tiny"], lengths(SECONDS, 16)
    sound = {name: torch.randn(2, long.latent, config.latent_dim) for name in ("mean", "std")}
    write_shard(store, [(FeatureRow("sound only", "suite", "", "", 0.0, 0), sound)])
    told = train("run", learnt=store, settings=(*MICRO, "steps=4"))
    assert told.code == 0, told.err
