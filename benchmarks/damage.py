"""Thousands of damaged files through the readers of the benchmark: each is read or refused, and nothing else.

    python benchmarks/damage.py                       20,000 mutations, with their counts
    python benchmarks/damage.py --kinds state --count 500 --seed 7

Bytes are flipped, cut out, doubled, put in and cut off; numbers and words of text files are replaced by such as no
reader expects. What carries a checksum must be refused or made again, or come out unchanged. Ends with exit code 1, and
with the damaged files kept, where anything but a refusal is raised, a reader takes too long, or a change goes unseen.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from click import ClickException

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "bench" / "mos"))

from benchmarks import damaged_lists, damaged_work
from benchmarks.mutation import FileKind, bench, mutate
from visaudio_bench.errors import BenchError

BUSY = 30  # s of the processor that a reader may take
LONGEST = 600  # s that it may take, on a machine that does much else


def runs(folder: Path) -> FileKind:
    """A finished run, through tables, comparison and recomputation."""
    from visaudio_bench import score
    from visaudio_bench.bench.evaluation.recomputation import recompute
    from visaudio_bench.bench.evaluation.run_differences import compare
    from visaudio_bench.leaderboards.beside_published import comparison_tables
    from visaudio_bench.leaderboards.html_page import page
    from visaudio_bench.leaderboards.schema import read_failures, read_results
    from visaudio_bench.leaderboards.tables import FORMATS, render
    from visaudio_bench.suites.media import write_audio

    noise = np.random.default_rng(0).standard_normal((2, 50_000)).astype(np.float32) / 10
    for name in ("a", "b"):
        write_audio(folder / "ours" / f"{name}.wav", noise, 44100)
    score(folder / "ours", metrics=["side_mid"], out=folder / "whole", workers=1, allow_missing=2)
    whole = folder / "kept"
    shutil.copytree(folder / "whole", whole)

    def look(run: Path) -> object:
        found = read_results(run)
        read_failures(run / "failures.jsonl")
        tables = [*comparison_tables([("theirs", found)], []), *compare(run, whole), *recompute(run)[0]]
        return [page(tables, "theirs"), *(render(tables, form) for form in FORMATS)]

    names = ("results.json", "clips.csv", "failures.jsonl")
    return FileKind(folder / "whole", tuple(folder / "whole" / name for name in names), look, share=4)


def set_features(folder: Path) -> FileKind:
    """The features that distances between sets are computed from."""
    from visaudio_bench.leaderboards.feature_distances import read_features

    path = folder / "set.npz"
    rows = np.random.default_rng(0).standard_normal((4, 3, 8)).astype(np.float32)
    np.savez(path, clips=np.array(["a", "b"]), net=rows, net_clip=np.array([0, 0, 1, 1]))
    return FileKind(folder, (path,), lambda here: read_features(here / "set.npz", "net"))


def opinions(folder: Path) -> FileKind:
    """A `mos.json` beside a table."""
    from visaudio_bench.leaderboards.opinion_tables import read_opinions, with_opinions
    from visaudio_bench.leaderboards.tables import FORMATS, Cell, Column, Table, TableRow, render

    ratings = folder / "responses.csv"
    _write_ratings(ratings)
    bench("mos", "--ratings", ratings, "--out", folder / "study")
    table = Table("t", (Column("a", "A"),), (TableRow("ours", (Cell("1", 1.0),)),))

    def look(here: Path) -> object:
        return [render([with_opinions(table, read_opinions(here / "mos.json"))], form) for form in FORMATS]

    return FileKind(folder / "study", (folder / "study" / "mos.json",), look)


def ratings(folder: Path) -> FileKind:
    """Responses of a listening test, up to the votes."""
    from visaudio_bench.bench.mos.questions import SCALE
    from visaudio_bench.bench.mos.reading import read_responses
    from visaudio_bench.bench.mos.responses import ResponseRules
    from visaudio_bench.bench.mos.study import studies

    _write_ratings(folder / "responses.csv")
    rules = ResponseRules(SCALE, ("SI",))

    def look(here: Path) -> object:
        return studies([read_responses(here / "responses.csv", "auto", rules, "SI", None)], rules)

    return FileKind(folder, (folder / "responses.csv",), look, share=2)


def _write_ratings(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["rater_id", "clip_id", "system", "dimension", "rating"])
        for rater in range(6):
            for clip in range(4):
                writer.writerows(
                    [f"r{rater}", f"c{clip}", system, "SI", draw.randint(2, 5)] for system in ("ours", "b")
                )


def posts(folder: Path) -> FileKind:
    """A session of each design that is posted to the questionnaire's server: refused, or kept, exported, and read."""
    from sessions import whole_session

    from visaudio_bench.bench.mos import server
    from visaudio_bench.bench.mos.questions import DESIGNS
    from visaudio_bench.bench.mos.session import RefusedError, check_session

    asked = {}
    for design in DESIGNS:
        (folder / "asked" / design).mkdir(parents=True)
        asked[design] = _write_survey(folder / "asked" / design, design)
        (folder / f"{design}.json").write_text(json.dumps(whole_session(folder / "asked" / design, "R01")))

    def look(here: Path) -> object:
        (path,) = here.iterdir()
        connection = server.connect(here / "r.sqlite")
        connection.execute("PRAGMA synchronous=OFF")
        try:
            server.store(connection, check_session(path.read_bytes(), asked[path.stem]))
        except RefusedError as refused:
            raise BenchError(str(refused)) from refused
        finally:
            connection.close()
        return _read_answers(here, folder / "asked" / path.stem / "r.key.csv")

    return FileKind(folder, tuple(folder.glob("*.json")), look, share=2, alone=True)


def surveys(folder: Path) -> FileKind:
    """A questionnaire's folder that is served, and a whole session posted to it."""
    from sessions import whole_session

    from visaudio_bench.bench.mos import server
    from visaudio_bench.bench.mos.session import RefusedError, check_session

    _write_survey(folder)
    body = json.dumps(whole_session(folder, "R01")).encode()

    def look(here: Path) -> object:
        server.application(here, here / "r.sqlite", "127.0.0.1")
        try:
            return check_session(body, server.read_survey(here))
        except RefusedError as refused:
            return refused

    return FileKind(folder, (folder / "survey.json",), look)


def databases(folder: Path) -> FileKind:
    """Answers that a server kept, and their key, exported in every way and read to votes."""
    from sessions import whole_session

    from visaudio_bench.bench.mos import server
    from visaudio_bench.bench.mos.session import check_session

    survey = _write_survey(folder)
    connection = server.connect(folder / "r.sqlite")
    for rater in range(3):
        server.store(connection, check_session(json.dumps(whole_session(folder, f"R{rater}")).encode(), survey))
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    return FileKind(
        folder, (folder / "r.sqlite", folder / "r.key.csv"), lambda here: _read_answers(here, here / "r.key.csv")
    )


def _write_survey(folder: Path, design: str = "rating") -> dict[str, Any]:
    """A questionnaire without media, and its key."""
    from visaudio_bench.bench.mos.page_data import Design, Wording, page_data

    groups = [
        {"id": f"G{group:02d}", "clip": f"c{group}", "caption": None, "reference": None,
         "samples": [f"s{group:03d}{sample:03d}" for sample in range(2)]}
        for group in range(2)
    ]  # fmt: skip
    survey = page_data(groups, None, Wording("t"), "study", Design(design), 2, "suite")
    (folder / "survey.json").write_text(json.dumps(survey))
    with (folder / "r.key.csv").open("w", newline="") as file:
        key = csv.writer(file)
        key.writerow(["code", "clip_id", "system", "suite", "role", "expected"])
        for group in groups:
            key.writerows(
                [code, group["clip"], system, "suite", "test", ""]
                for code, system in zip(group["samples"], ("ours", "b"), strict=True)
            )
    return survey


def _read_answers(here: Path, key: Path) -> object:
    """Every way out of a database: three exports, the long one read again, and the database itself."""
    from visaudio_bench.bench.mos.questions import SCALE
    from visaudio_bench.bench.mos.reading import read_responses
    from visaudio_bench.bench.mos.response_export import export_text
    from visaudio_bench.bench.mos.responses import ResponseRules
    from visaudio_bench.bench.mos.study import studies

    rules = ResponseRules(SCALE, ("SI", "SC", "TA", "SA", "AR"))
    (here / "r.csv").write_text(export_text(here / "r.sqlite", "long").text)
    read = [read_responses(here / name, "auto", rules, "SI", key) for name in ("r.sqlite", "r.csv")]
    if "SI" not in read[0].get("dimension"):  # a design that asks one question
        return read
    for target in ("sureal", "p808"):
        export_text(here / "r.sqlite", target, "SI")
    return [studies([responses], rules) for responses in read]


def manifests(folder: Path) -> FileKind:
    """Manifests in both forms."""
    from visaudio_bench.suites.manifest import NAMES, Entry, Manifest, read_manifest, write_manifest

    entries = tuple(
        Entry(f"c{n}", "test", f"g{n}", f"v/{n}.mp4", None, 0.5 * n, 8.0, "words", meta={"content": "0" * 40})
        for n in range(5)
    )
    for name in NAMES:
        write_manifest(folder / name, Manifest("biaudio", folder, entries))

    def look(here: Path) -> object:
        found = []
        for name in NAMES:
            manifest = read_manifest(here / name)
            found.append((manifest.hashes(), [str(manifest.path(one.video)) for one in manifest.entries]))
        return found

    return FileKind(folder, tuple(folder / name for name in NAMES), look, share=4)


def caches(folder: Path) -> FileKind:
    """A segment of the store of answers: whatever happens to it, an answer is right or is not there."""
    from visaudio_bench.bench.evaluation.answer_store import AnswerStore

    entries = {bytes([number]) * 32: bytes([number]) * (100 + number) for number in range(5)}
    store = AnswerStore(folder / "store")
    for key, data in entries.items():
        store.put(key, data)
    (segment,) = (folder / "store").iterdir()
    for name in ("index", "data"):
        shutil.copy(segment / name, folder)

    def look(here: Path) -> object:
        place = here / "opened" / segment.name
        shutil.rmtree(here / "opened", ignore_errors=True)
        place.mkdir(parents=True)
        for name in ("index", "data"):
            shutil.copy(here / name, place)
        damaged = AnswerStore(here / "opened")
        for key, data in entries.items():
            if damaged.get(key) is None:
                damaged.put(key, data)
        return [damaged.get(key) for key in entries]

    return FileKind(folder, (folder / "index", folder / "data"), look, sealed=True, share=4)


def states(folder: Path) -> FileKind:
    """The state of a training."""
    import torch

    from visaudio_bench.models.training import state

    network: Any = torch.nn.Linear(6, 4)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.ones(2, 6)).sum().backward()
    optimiser.step()

    class Average:
        updates = 0

        def __init__(self) -> None:
            self.weights = {name: value.detach().clone() for name, value in network.named_parameters()}

    class Alone:
        main = True

        def gather(self, told: list[str]) -> list[str]:
            return told

    trained = state.TrainedState(network, Average(), optimiser)  # type: ignore[arg-type]
    plan = {"preset": "tiny", "data": {"folder": "x", "clips": 3}}
    state.save(trained, state.Progress(3, 0.5, 2, 1, plan), folder / "state.safetensors", Alone())  # type: ignore[arg-type]

    def look(here: Path) -> object:
        progress = state.read_progress(here / "state.safetensors")
        state.restore(trained, here / "state.safetensors", progress.step)
        return progress, {name: value.tolist() for name, value in trained.tensors().items()}

    return FileKind(folder, (folder / "state.safetensors",), look, sealed=True, share=3)


def shards(folder: Path) -> FileKind:
    """A feature store, as `bench features check` reads it."""
    import torch

    from visaudio_bench.models.visaudio import feature_store as stores
    from visaudio_bench.models.visaudio.feature_formats import Storage

    stores.claim(folder, stores.Kind({"conditioners": "test"}, {"codec": "test"}, Storage(spatial="float32"), 2.0))
    tensors = {"mean": torch.arange(12.0).reshape(2, 3, 2), "std": torch.ones(2, 3, 2)}
    stores.write_shard(folder, [(stores.FeatureRow("a", "suite", "o", "", 0.0, 0), tensors)])
    stores.FeatureStore(folder)  # writes the index
    (path,) = folder.glob("shard-*")

    def look(here: Path) -> object:
        stores._header.cache_clear()
        store = stores.FeatureStore(here)
        wrong = [said for _, said in store.check() if said]
        if wrong:
            raise BenchError(wrong[0])
        return {name: value.tolist() for name, value in store.read(0).items()}

    files = (path, folder / "index.parquet")
    return FileKind(folder, files, look, sealed=True, share=2, beside=(folder / "meta.json",))


def records(folder: Path) -> FileKind:
    """The record beside a sound: one that is not ours has the sound made again."""
    from visaudio_bench.baselines import open_system
    from visaudio_bench.bench.evaluation.generation import generate, recorded
    from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
    from visaudio_bench.suites import open_suite

    job = SuiteJob(open_suite(f"folder:{folder.parent / 'runs' / 'ours'}"), (open_system("mono"),))
    made = folder / "made"
    list(generate(Plan((job,), None, made, workers=1, sounds=made), job, job.systems[0], ["a"]))

    def look(here: Path) -> object:
        return sorted(recorded(Plan((job,), None, here, sounds=here), job, job.systems[0]))

    return FileKind(made, (made / "a.json",), look, beside=(made / "a.wav",))


def shown_runs(folder: Path) -> FileKind:
    """What a report reads of a run besides its tables: which files its clips are, its sounds' records, the truth."""
    from visaudio_bench.bench.evaluation.generation import made_sounds
    from visaudio_bench.bench.evaluation.run_media import NAME, read_media
    from visaudio_bench.files import write_json
    from visaudio_bench.suites.simulated import committed_scenes
    from visaudio_bench.suites.simulator.truth import read_truth, truth_of

    scene = committed_scenes("simroom-mini")[0]
    write_json(folder / "truth.json", truth_of(scene, [np.zeros(1)] * len(scene.sources), "x"))
    clip = {"id": "a", "video": "a.mp4", "audio": None, "truth": "truth.json", "start": 0.0, "duration": 2.0}
    write_json(folder / NAME, {"s": [{**clip, "caption": "words"}, {**clip, "id": "b", "caption": None}]})
    write_json(folder / "a.json", {"key": "0" * 40, "file": "a.wav", "system": "x", "clip": "a"})

    def look(here: Path) -> object:
        (here / "sounds").mkdir()
        shutil.copy(here / "a.json", here / "sounds")
        made_sounds(here / "sounds")
        read_truth(here / "truth.json")
        return read_media(here)

    return FileKind(folder, tuple(folder / name for name in (NAME, "a.json", "truth.json")), look)


def checkpoints(folder: Path) -> FileKind:
    """Weights of a network of ours, as safetensors and as PyTorch writes them."""
    import torch

    from visaudio_bench.models.visaudio.checkpoint_notes import config_in, notes_of
    from visaudio_bench.models.visaudio.checkpoints import save_network
    from visaudio_bench.models.visaudio.config import CONFIGS
    from visaudio_bench.models.visaudio.network import build
    from visaudio_bench.models.visaudio.parts import kind_of
    from visaudio_bench.models.weight_loading import open_weights

    network = build(replace(CONFIGS["tiny"], hidden=16, heads=1, depth=2, fused_depth=1))
    save_network(network, folder / "ours.safetensors", {"conditioners": '{"conditioners": "built-in"}'})
    torch.save({"state_dict": network.state_dict(), "args": {"lr": 0.1}}, folder / "theirs.pth")

    def look(here: Path) -> object:
        notes = notes_of(here / "ours.safetensors")  # nothing, where it is no longer ours
        if notes:
            kind_of(notes)
            config_in(notes)
        return [open_weights(path).state for path in (here / "ours.safetensors", here / "theirs.pth")]

    return FileKind(folder, (folder / "ours.safetensors", folder / "theirs.pth"), look)


def media(folder: Path) -> FileKind:
    """Sounds and videos, in a process of their own as preparation reads them."""
    from visaudio_bench.isolation import map_isolated
    from visaudio_bench.suites.media import write_audio, write_clip, write_video

    noise = np.random.default_rng(0).standard_normal((2, 22_050)).astype(np.float32) / 10
    for suffix in (".wav", ".flac"):
        write_audio(folder / f"x{suffix}", noise, 44100)
    pictures = [np.full((32, 32, 3), 9 * n, np.uint8) for n in range(12)]
    write_video(folder / "pictures.mp4", pictures, 24)
    write_clip(folder / "x.mp4", folder / "pictures.mp4", noise, 44100)

    def look(here: Path) -> object:
        (path,) = here.glob("x.*")
        (outcome,) = map_isolated(read_media, [path], 1, timeout=LONGEST)
        return outcome.result()

    files = tuple(folder / f"x{suffix}" for suffix in (".wav", ".flac", ".mp4"))
    return FileKind(folder, files, look, share=2, alone=True)


def read_media(path: Path) -> str:
    """Every way in which a file is read; whatever is no refusal comes out."""
    from visaudio_bench.errors import ClipError
    from visaudio_bench.suites.media import probe, read_frames, read_sound

    refused = []
    for way in (
        lambda: probe(path),
        lambda: read_sound(path, sample_rate=44100),
        lambda: read_frames(path, fps=10, duration=0.4),
    ):
        try:
            way()
        except ClipError as error:
            refused.append(error)
    if len(refused) > 2 - (path.suffix == ".mp4"):
        raise refused[-1]
    return "read"


KINDS: dict[str, Callable[[Path], FileKind]] = {
    "runs": runs,
    "features": set_features,
    "opinions": opinions,
    "ratings": ratings,
    "posts": posts,
    "surveys": surveys,
    "answers": databases,
    "manifests": manifests,
    "cache": caches,
    "state": states,
    "store": shards,
    "records": records,
    "shown": shown_runs,
    "weights": checkpoints,
    "media": media,
    **damaged_lists.KINDS,
    **damaged_work.KINDS,
}


class TooLongError(Exception):
    """A reader that does not come to an end."""


def _too_long(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TooLongError


def outcomes(name: str, kind: FileKind, count: int, draw: random.Random, keep: Path) -> Iterator[str]:
    """What becomes of `count` damaged folders: `read`, `refused`, `same`, or what must not be; such are kept."""
    if kind.sealed:
        right = repr(kind.look(kind.folder))
    contents = {path: path.read_bytes() for path in kind.files}
    with tempfile.TemporaryDirectory() as work:
        for number in range(count):
            path = draw.choice(kind.files)
            here = Path(work) / str(number)
            here.mkdir()
            for other in (path,) if kind.alone else kind.files:
                data = contents[other]
                (here / other.name).write_bytes(mutate(data, draw, other.suffix) if other == path else data)
            for other in kind.beside:
                shutil.copy(other, here)
            signal.setitimer(signal.ITIMER_PROF, BUSY)
            signal.setitimer(signal.ITIMER_REAL, LONGEST)
            try:
                with redirect_stderr(io.StringIO()):
                    found = repr(kind.look(here)) if kind.sealed else kind.look(here)
                outcome = "read" if not kind.sealed else "same" if found == right else "CHANGED"
            except (BenchError, ClickException) as error:
                known = getattr(error, "reason", "") not in ("internal", "timeout")
                outcome = "refused" if known else "TRACEBACK"
            except TooLongError:
                outcome = "HANG"
            except Exception:
                outcome = "TRACEBACK"
                if not (keep / name).exists():
                    traceback.print_exc()
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.setitimer(signal.ITIMER_REAL, 0)
            if outcome.isupper():
                shutil.copytree(here, keep / name / str(number), dirs_exist_ok=True)
            shutil.rmtree(here)
            yield outcome


def main() -> None:
    """Damage, read, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(KINDS), help="which files, by comma")
    parser.add_argument("--count", type=int, default=20_000, help="mutations in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("damaged"), help="where files go that were not refused")
    given = parser.parse_args()
    names = given.kinds.split(",")
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _too_long)
    np.seterr(all="ignore")
    bad = 0
    with tempfile.TemporaryDirectory() as work:
        import os

        os.environ["VISAUDIO_BENCH_CACHE"] = f"{work}/.cache"
        kinds = {}
        for name in dict.fromkeys([*(["runs"] if "records" in names else []), *names]):
            (Path(work) / name).mkdir()
            kinds[name] = KINDS[name](Path(work) / name)
        whole = sum(kinds[name].share for name in names)
        for name in names:
            began = time.process_time()
            count = round(given.count * kinds[name].share / whole)
            # Each kind has its own numbers, so that the others may change without it.
            draw = random.Random(f"{given.seed} {name}")
            found = Counter(outcomes(name, kinds[name], count, draw, given.keep))
            told = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(found.items()))
            print(f"{name:10} {count:6,} damaged: {told}  ({time.process_time() - began:.0f} s)", flush=True)
            bad += sum(number for outcome, number in found.items() if outcome.isupper())
    print(json.dumps({"seed": given.seed, "mutations": given.count, "bad": bad}))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
