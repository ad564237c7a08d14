"""`kill -9` at random instants of every long command, then the same command again: the same files, nothing left over.

    python benchmarks/kill.py                         90 kills, seeded, with their counts
    python benchmarks/kill.py --commands run,train --kills 10 --seed 7

The questionnaire's server is killed while raters answer: what it said that it had received is exported, each session
once, and nothing else.

Each other command is first carried out undisturbed, which also says how long it takes. Then it is killed at instants
drawn from that length, always in the folder that the kill before left, until its kills are used up; then it ends by
itself. What it made must be the same to the bit, and no temporary file or lock may be left in its folder or in the
cache.

Not among them are commands that only read and print, those that use the network, `train foleyspace`, which trains as
`train geometry-aware` does, and `data build starss23`, which works as `data build biaudio` does.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Thread

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench" / "mos")]

BENCH = (sys.executable, "-c", "from visaudio_bench.bench.cli import main; main()")
MICRO = ("network.hidden=16", "network.heads=1", "network.depth=2", "batch=4", "steps=40", "warmup=2", "threads=1",
         "save_every=5", "validate_every=20")  # fmt: skip
MICRO_WINDOWS = ("network.trunk=8", "network.audio=8", "batch=4", "steps=20", "save_every=2")
Contents = dict[str, str]


@dataclass(frozen=True)
class Command:
    """A command line for a folder, and what it made there that must be the same.

    `after` names the command that must come before; `code` is how it ends.
    """

    words: Callable[[Path], Sequence[object]]
    made: Callable[[Path], Contents]
    after: str = ""
    code: int = 0


def bytes_of(*patterns: str) -> Callable[[Path], Contents]:
    """The hashes of the files that match."""

    def made(folder: Path) -> Contents:
        found = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in found
            if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        }

    return made


def store_of(folder: Path) -> Contents:
    """What a feature store holds; into how many shards it is divided depends on when it was filled."""
    from visaudio_bench.models.visaudio.feature_store import FeatureStore

    return {"manifest": FeatureStore(folder).manifest_hash, **bytes_of("meta.json", "failures.jsonl")(folder)}


def tensors_of(folder: Path) -> Contents:
    """Tensors and notes of each file: safetensors puts the notes in an order that is drawn anew each time."""
    from safetensors import safe_open

    from visaudio_bench.files import digest
    from visaudio_bench.models.visaudio.feature_store import content_hash

    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            found[path.name] = digest(
                [file.metadata(), content_hash({n: file.get_tensor(n) for n in sorted(file.keys())})]
            )
    return found


def commands(data: Path) -> dict[str, Command]:
    """Every long command on small data, which is made below `data`."""
    from visaudio_bench.suites.media import write_audio, write_video

    for number in range(8):
        noise = np.random.default_rng(number).standard_normal((2, 88_200)).astype(np.float32) / 10
        pictures = [np.full((32, 32, 3), 20 * (n % 12), np.uint8) for n in range(20)]
        write_audio(data / "clips" / f"c{number}.wav", noise, 44100)
        write_video(data / "clips" / f"c{number}.mp4", pictures, 10)
    (data / "clips" / "empty.wav").touch()  # a clip that cannot be used is listed each time
    panoramas(data / "panoramas")
    listed(data / "listed")
    store(data / "store")
    windows(data / "windows", 0)
    windows(data / "other", 8)
    suite = f"folder:{data / 'clips'}"
    scored = ("--metric", "side_mid,delta_ild,delta_itd", "--allow-missing", 1, "--workers", 2)
    learnt = ("--parts", "built-in", "--duration", 2, "--allow-missing", 1, "--workers", 2)
    rendered = ("--suite", "simroom-mini", "--height", 64, "--workers", 2)
    built = ("--size", 64, "--seconds", 2, "--workers", 2)
    asked = ("mos", "page", "--videos", data / "clips", "--clips", 7, "--training", "none")
    asked += tuple(word for name in ("a", "b", "c") for word in ("--system", f"{name}={data / 'clips'}"))
    trained = ("train", "visaudio", "--data", data / "store", "--device", "cpu")
    trained += tuple(word for setting in MICRO for word in ("--set", setting))
    heard = ("train", "geometry-aware", "--data", data / "windows", "--device", "cpu", "--workers", 1)
    heard += tuple(word for setting in MICRO_WINDOWS for word in ("--set", setting))
    tables = bytes_of("results.csv", "clips.csv", "leaderboard.*", "failures.jsonl", "audio/**/*.wav")
    return {
        "run": Command(lambda out: ("run", "--suite", suite, "--system", "noise", *scored, "--out", out), tables),
        "score": Command(lambda out: ("score", "--predictions", data / "clips", *scored, "--out", out), tables),
        "generate": Command(
            lambda out: ("generate", "--system", "noise+foleyspace-like", "--suite", suite, "--mux", "--out", out),
            bytes_of("**/*.wav", "**/*.mp4", "**/failures.jsonl"),
            code=1,  # for the clip that cannot be used
        ),
        "features": Command(lambda out: ("features", "build", "--suite", suite, *learnt, "--out", out), store_of),
        "twin": Command(lambda out: ("data", "build", "twin", *rendered, "--out", out), bytes_of("**/*")),
        "biaudio": Command(
            lambda out: ("data", "build", "biaudio", "--from", data / "panoramas", *built, "--out", out),
            bytes_of("**/*"),
        ),
        # Into `VISAUDIO_BENCH_DATA`, which is the folder of each command.
        "prepare": Command(
            lambda _: ("data", "prepare", "biaudio", "--from", data / "listed", "--workers", 2),
            bytes_of("*/manifest.*", "*/rejects.jsonl", "*/summary.json"),  # the journal is in the order of work
        ),
        "report": Command(
            lambda out: ("report", data / "run", "--html", out, "--workers", 2), bytes_of("**/*"), after="run"
        ),
        "export": Command(lambda out: ("export", suite, "--workers", 2, "--out", out), bytes_of("**/*"), code=1),
        "join": Command(
            lambda out: ("features", "merge", out, data / "windows", data / "other"),
            store_of,
        ),
        # These two make a new folder and no other, and that appears whole.
        "merge": Command(
            lambda out: ("--version",) if out.exists() else ("merge", data / "run", "--out", out), tables, after="run"
        ),
        "page": Command(lambda out: ("--version",) if out.exists() else (*asked, "--out", out), bytes_of("**/*")),
        "train": Command(
            lambda out: (*trained, *(("--resume",) if (out / "training.json").exists() else ()), "--out", out),
            tensors_of,
        ),
        "geometry": Command(
            lambda out: (*heard, *(("--resume",) if (out / "training.json").exists() else ()), "--out", out),
            tensors_of,
        ),
    }


def panoramas(folder: Path) -> None:
    """A few seconds of 360-degree video with ambisonics."""
    from visaudio_bench.suites.media import write_audio, write_video

    for number in range(6):
        field = np.random.default_rng(number).standard_normal((4, 96_000)).astype(np.float32) / 10
        pictures = [np.full((64, 128, 3), 20 * (n % 12), np.uint8) for n in range(20)]
        write_audio(folder / f"video{number}_0.flac", field, 48000)
        write_video(folder / f"video{number}_0.mp4", pictures, 10)
    names = [f"video{number}_0\n" for number in range(6)]
    (folder / "train.txt").write_text("".join(names[:4]))
    (folder / "test.txt").write_text("".join(names[4:]))


def listed(folder: Path) -> None:
    """Clips as a data set has them, with captions."""
    from visaudio_bench.suites.media import write_audio, write_video

    lines = ["clip_id,caption"]
    for number in range(12):
        name = f"{number:02d}aaaaaaaaa_10"
        noise = np.random.default_rng(number).standard_normal((2, 360_000)).astype(np.float32) / 10
        write_video(
            folder / "video" / f"{name}.mp4", [np.full((32, 32, 3), 9 * (n % 24), np.uint8) for n in range(82)], 10
        )
        write_audio(folder / "audio" / f"{name}.wav", noise, 44100)
        lines.append(f"{name},somebody plays {number}")
    (folder / "test.csv").write_text("\n".join(lines) + "\n")


def store(folder: Path) -> None:
    """Features of noise that the tiny network can learn from."""
    import torch

    from visaudio_bench.models.visaudio.config import CONFIGS, lengths
    from visaudio_bench.models.visaudio.feature_formats import Storage, pack
    from visaudio_bench.models.visaudio.feature_store import FeatureRow, Kind, claim, write_shard
    from visaudio_bench.models.visaudio.tiny.conditioners import BuiltInConditioners
    from visaudio_bench.models.visaudio.tiny.vocoder import Vocoder

    kind = Kind(BuiltInConditioners().identity, Vocoder().identity, Storage(spatial="int8"), 1.2)
    config, long = CONFIGS["tiny"], lengths(1.2, CONFIGS["tiny"].text_tokens)
    shapes = {
        "mean": (2, long.latent, config.latent_dim),
        "std": (2, long.latent, config.latent_dim),
        "clip": (long.clip, config.clip_dim),
        "sync": (long.sync, config.sync_dim),
        "text": (long.text, config.text_dim),
        "spatial": (long.clip, config.spatial_grid, config.spatial_grid, config.spatial_dim),
    }
    draw = torch.Generator().manual_seed(0)
    claim(folder, kind)
    write_shard(
        folder,
        [
            (
                FeatureRow(f"clip{number:02d}", "suite", "", "", 0.0, 0),
                pack({name: torch.rand(shape, generator=draw) for name, shape in shapes.items()}, kind.storage),
            )
            for number in range(8)
        ],
    )


def windows(folder: Path, first: int) -> None:
    """Noise with pictures and responses, that a tiny binauraliser can learn from; names begin at `first`."""
    import torch

    from visaudio_bench.models.geometry_aware.clip_windows import identity
    from visaudio_bench.models.geometry_aware.config import CONFIGS, SAMPLE_RATE
    from visaudio_bench.models.visaudio.feature_formats import Storage
    from visaudio_bench.models.visaudio.feature_store import FeatureRow, Kind, claim, write_shard

    seconds = 1.2
    draw = torch.Generator().manual_seed(first)
    claim(folder, Kind(*identity("windows-tiny"), Storage(), seconds))
    for number in range(first, first + 8):
        tensors = {
            "sound": torch.randint(-9000, 9000, (round(seconds * SAMPLE_RATE), 2), generator=draw, dtype=torch.int16),
            "frames": torch.randint(0, 256, (12, 3, *CONFIGS["tiny"].stored), generator=draw, dtype=torch.uint8),
            "responses": torch.rand(3, 2, 64, 64, generator=draw).half(),
            "seconds": torch.full((3,), 0.4),
        }
        write_shard(folder, [(FeatureRow(f"clip{number:02d}", "suite", "", "", 0.0, 0), tensors)])


def start(words: Sequence[object], out: Path, cached: Path, log: Path) -> subprocess.Popen[bytes]:
    """The command, in a group of its own."""
    environment = {**os.environ, "VISAUDIO_BENCH_CACHE": str(cached), "OMP_NUM_THREADS": "1"}
    environment["VISAUDIO_BENCH_DATA"] = str(out)
    with log.open("ab") as file:
        return subprocess.Popen(
            [*BENCH, *map(str, words)], env=environment, stdout=file, stderr=file, start_new_session=True
        )


def finish(command: Command, out: Path, cached: Path, log: Path) -> float:
    """Carry the command out; seconds that it took."""
    began = time.monotonic()
    code = start(command.words(out), out, cached, log).wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    if code != command.code or "Traceback" in text:
        raise SystemExit(f"exit code {code}:\n{text[-3000:]}")
    return time.monotonic() - began


def left_over(*folders: Path) -> list[str]:
    """Temporary files and locks."""
    return [str(path) for folder in folders for path in folder.rglob(".*")]


def disturbed(command: Command, whole: Path, seconds: float, kills: int, draw: random.Random, work: Path) -> str:
    """Kill the command so often, let it end, and compare; what is wrong, else an empty text."""
    out, cached, log = work / whole.name, work / "cache", work / "log"  # the folder's name is on the page
    for _ in range(kills):
        process = start(command.words(out), out, cached, log)
        until = time.monotonic() + draw.uniform(0.1, 1.0) * seconds
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        if process.poll() is None:
            # The parent alone: its pools and workers have to notice by themselves.
            process.send_signal(signal.SIGKILL)
        process.wait()
    finish(command, out, cached, log)
    made, right = command.made(out), command.made(whole)
    other = sorted(name for name in made.keys() | right.keys() if made.get(name) != right.get(name))
    left = left_over(out, cached)
    return "; ".join([*(f"{name} differs" for name in other[:5]), *(f"{name} is left" for name in left[:5])])


def served(survey: Path, kills: int, draw: random.Random, work: Path) -> str:
    """Kill the server so often while a rater after another answers; what is wrong, else an empty text."""
    from sessions import whole_session

    database, log, exported = work / "r.sqlite", work / "log", work / "r.csv"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("mos", "serve", survey, "--port", port, "--database", database)
    stop, answered = Event(), []

    def rate() -> None:
        number = 0
        while not stop.is_set():
            body = json.dumps(whole_session(survey, f"R{number}")).encode()
            while not told(body) and not stop.is_set():
                time.sleep(0.02)
            answered.append(f"R{number}")
            number += 1

    def told(body: bytes) -> bool:
        """Whether the server says that it has this session."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/responses", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bool(answer.status == 201)
        except urllib.error.HTTPError as error:
            with error:
                return error.code == 409  # the answer to the first post was lost
        except OSError:
            return False

    rater = Thread(target=rate)
    rater.start()
    for _ in range(kills):
        process, before = start(words, work, work / "cache", log), len(answered)
        while len(answered) == before:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
    process, before = start(words, work, work / "cache", log), len(answered)
    while len(answered) == before:
        time.sleep(0.01)
    stop.set()
    rater.join()
    process.terminate()
    process.wait()
    finish(Command(lambda _: ("mos", "export", database, "--out", exported), bytes_of()), work, work / "cache", log)
    with exported.open(newline="") as file:
        kept = Counter(row["rater_id"] for row in csv.DictReader(file))
    votes = len(whole_session(survey, "x")["rows"])
    other = sorted(name for name in {*answered, *kept} if kept[name] != votes * answered.count(name))
    left = left_over(work)
    return "; ".join(
        [*(f"the votes of {name} differ" for name in other[:5]), *(f"{name} is left" for name in left[:5])]
    )


def main() -> None:
    """Kill, finish, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = "features,join,run,score,generate,export,prepare,biaudio,twin,train,geometry,report,merge,page,serve"
    parser.add_argument("--commands", default=names, help="by comma")
    parser.add_argument("--kills", type=int, default=90, help="in all")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command begins anew")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names = given.commands.split(",")
    bad = killed = 0
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        known = commands(data)

        @cache
        def whole(name: str) -> float:
            """What a command makes undisturbed, once; seconds that it took."""
            if known[name].after:
                whole(known[name].after)
            return finish(known[name], data / name, Path(folder) / "cache", Path(folder) / "log")

        for name in names:
            seconds = whole("page" if name == "serve" else name)
            draw = random.Random(f"{given.seed} {name}")
            times = max(1, round(given.kills / len(names) / given.rounds))
            wrong = []
            for number in range(given.rounds):
                work = Path(folder) / f"{name}-{number}"
                work.mkdir()
                wrong.append(
                    served(data / "page", times, draw, work)
                    if name == "serve"
                    else disturbed(known[name], data / name, seconds, times, draw, work)
                )
                killed += times
                shutil.rmtree(work)
            said = "; ".join(filter(None, wrong)) or "the same files, nothing left"
            print(f"{name:9} {seconds:5.1f} s, killed {given.rounds} x {times}: {said}", flush=True)
            bad += sum(map(bool, wrong))
    print(json.dumps({"seed": given.seed, "kills": killed, "bad": bad}))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
