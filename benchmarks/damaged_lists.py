"""Lists of others that are damaged: of clips, captions and directions, answers of listening tests by whatever tool."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.mutation import FileKind, bench

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "bench" / "mos" / "fixtures"
# What `bench mos` must be told of an answer file, by the beginning of its name.
TOOLS: dict[str, tuple[str, ...]] = {
    "webmushra_mushra": ("--form", "webmushra", "--scale", "0-100"),
    "webmushra_lms": ("--form", "webmushra"),
    "pymushra": ("--form", "pymushra", "--scale", "0-100"),
    "one": ("--form", "beaqlejs", "--scale", "0-100"),
    "mushrajs": ("--form", "beaqlejs", "--scale", "0-100"),
    "clip01-SI-ratings": ("--form", "waet"),
    "golisten": ("--form", "golisten"),
    "p808_votes_per_worker": ("--form", "p808"),
    "reseval": ("--form", "reseval"),
    "sureal": ("--form", "sureal"),
    **dict.fromkeys(
        ("google_forms", "microsoft_forms", "qualtrics", "limesurvey", "mturk"),
        ("--codes", str(FIXTURES / "services" / "key.csv")),
    ),
    "key": ("--ratings", str(FIXTURES / "services" / "google_forms.csv")),
    "prolific": ("--ratings", str(FIXTURES / "golisten.csv"), "--form", "golisten"),
    "matching": (),
    "preference": (),
    "azimuths": (),
}
INSTEAD = {"key": "--codes", "prolific": "--recruited"}  # options that name the file, where it holds no answers


def tools(folder: Path) -> FileKind:
    """Answers as each tool and service writes them, their keys and lists of participants, up to the tables."""
    sources = [path for path in FIXTURES.rglob("*") if path.suffix in (".csv", ".json", ".txt")]
    for path in sources:
        if path.stem in TOOLS:
            shutil.copy(path, folder)
    draw = random.Random(0)
    votes = [(f"r{rater},c{clip}", system) for rater in range(6) for clip in range(4) for system in ("ours", "b")]
    lines = {
        "matching": ("expected", [f"{who},{system},FIT,{draw.choice((-1, 1))},1" for who, system in votes]),
        "preference": ("compared_with", [f"{who},ours,PREF,{draw.choice((-1, 0, 1))},b" for who, _ in votes[::2]]),
        "azimuths": ("expected", [f"{who},{system},AZ,{draw.randint(-60, 60)},20" for who, system in votes]),
    }
    for name, (last, rows) in lines.items():
        header = f"rater_id,clip_id,system,dimension,rating,{last}"
        (folder / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")

    def look(here: Path) -> object:
        (path,) = (path for path in here.iterdir() if path.is_file())
        named = (INSTEAD.get(path.stem, "--ratings"), path)
        bench("mos", *named, *TOOLS[path.stem], "--ci", "normal", "--allow-missing", 99, "--out", here / "out")
        return "read"

    return FileKind(folder, tuple(folder.glob("*.*")), look, share=2, alone=True)


def directions(folder: Path) -> FileKind:
    """Labels of directions in each format, true azimuths for a questionnaire, and what other programs saw and heard."""
    from visaudio_bench.bench.evaluation.clip_inputs import LackingError
    from visaudio_bench.bench.evaluation.companions import Companions
    from visaudio_bench.bench.mos.pointing import read_directions
    from visaudio_bench.errors import BenchError
    from visaudio_bench.suites.construction import starss23
    from visaudio_bench.suites.direction_labels import holds_labels, read_labels

    tenths = range(12)
    tables = {
        "tracks": ["clip,t,azimuth_deg,elevation_deg,source,class,visible",
                   *(f"a,{n / 10},{5 * n},0,{n % 2},dog,1" for n in tenths)],
        "stereo": ["frame,class,source,azimuth,distance,onscreen", *(f"{n},1,{n % 2},{n},120,1" for n in tenths)],
        "starss": [f"{n},1,{n % 2},{10 * n},-5,90" for n in tenths],
        "azimuths": ["clip,azimuth_deg", *(f"c{n},{n}" for n in tenths)],
        "events": [f"{n},1,{n}" for n in tenths],
        "boxes": [f"{n},1,0,0,{n},9" for n in tenths],
    }  # fmt: skip
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")

    def companion(path: Path) -> object:
        place = path.parent / "beside" / (("events/x/a.csv") if path.stem == "events" else "boxes/a.csv")
        place.parent.mkdir(parents=True)
        shutil.copy(path, place)
        beside = Companions(path.parent / "beside", "x", "a")
        try:
            return beside.events() if path.stem == "events" else beside.boxes()
        except LackingError as error:
            raise BenchError(str(error)) from error

    readers: dict[str, Callable[[Path], object]] = {
        "tracks": lambda path: (holds_labels(path), read_labels(path)),
        "stereo": read_labels,
        "starss": lambda path: starss23.read_recording(path, "a"),
        "azimuths": read_directions,
        "events": companion,
        "boxes": companion,
    }

    def look(here: Path) -> object:
        (path,) = here.iterdir()
        return readers[path.stem](path)

    return FileKind(folder, tuple(folder.iterdir()), look, share=2, alone=True)


def clip_lists(folder: Path) -> FileKind:
    """Lists of clips with captions, as a data set has them, and captions beside a folder of sounds."""
    from visaudio_bench.suites import open_suite
    from visaudio_bench.suites.biaudio import read_rows

    rows = [f'clip{n},"somebody plays {n}, loudly",{n}.5,true' for n in range(8)]
    (folder / "list.csv").write_text("\n".join(["clip_id,caption,start_s,visible", *rows]) + "\n")
    lines = [f'{{"clip_id": "clip{n}", "caption": "words", "start_s": {n}.5}}' for n in range(8)]
    (folder / "list.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "captions.csv").write_text("clip,caption\n" + "".join(f"c{n},a dog barks {n}\n" for n in range(4)))

    def look(here: Path) -> object:
        (path,) = here.iterdir()
        if path.stem != "captions":
            return read_rows(path)
        for number in range(4):
            (here / f"c{number}.wav").touch()
        return [clip.caption for clip in open_suite(f"folder:{here}").clips()]

    return FileKind(folder, tuple(folder.iterdir()), look, alone=True)


KINDS: dict[str, Callable[[Path], FileKind]] = {"tools": tools, "directions": directions, "lists": clip_lists}
