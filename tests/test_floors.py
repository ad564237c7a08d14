"""The architecture's floors: a room imports only rooms below it, and every room through the one package."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "visaudio_bench"
FLOOR = {
    "suites": 0,
    "metrics": 0,
    "models": 1,
    "leaderboards": 1,
    "baselines": 2,
    "bench": 3,
}
# Higher floors may use lower ones, with these exceptions of the plan.
FORBIDDEN = {("models", "metrics"), ("leaderboards", "suites"), ("baselines", "metrics"), ("baselines", "leaderboards")}


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file names, in imports and in the `module:object` of registries."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and ":" in node.value:
            names.add(node.value.partition(":")[0])
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == PACKAGE and len(part) > 1} & FLOOR.keys()


@pytest.mark.parametrize("room", FLOOR)
def test_a_room_imports_only_lower_floors(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        for other in imported_rooms(path) - {room}:
            assert FLOOR[other] < FLOOR[room], f"{path.relative_to(ROOT)} imports {other}"
            assert (room, other) not in FORBIDDEN, f"{path.relative_to(ROOT)} imports {other}"


def test_files_beside_the_code_are_found_through_the_package() -> None:
    """`files("suites")` works in the repository alone: installed there is no such top-level package."""
    for room in (*FLOOR, PACKAGE):
        for path in (ROOT / room).rglob("*.py"):
            named = re.findall(r"\bfiles\(\"([\w.]+)\"\)", path.read_text(encoding="utf-8"))
            assert all(name.startswith((PACKAGE, "package")) for name in named), path.relative_to(ROOT)


# The modules that may use the decoders' libraries; the docstring of suites/media.py says what each of them does.
DECODERS = {"suites/containers.py", "suites/media.py", "suites/mono_pairs.py", "suites/yuv_pictures.py"}


def test_media_are_decoded_where_the_docstring_says() -> None:
    """All others read and write media through `suites/media.py`."""
    files = [path for room in FLOOR for path in (ROOT / room).rglob("*.py")]
    uses = re.compile(r"^\s*(?:import (?:av|soundfile)|from (?:av|soundfile) import)\b", re.MULTILINE)
    users = {path.relative_to(ROOT).as_posix() for path in files if uses.search(path.read_text(encoding="utf-8"))}
    assert users - {"baselines/published/stretch.py"} == DECODERS


# What of the ground may name a room: `python -m visaudio_bench`, and `from visaudio_bench import ...` at first use.
DOORS = {"__main__.py": {"bench"}, "__init__.py": {"bench"}}


def test_the_ground_imports_no_room() -> None:
    """All but the doors."""
    for path in (ROOT / PACKAGE).glob("*.py"):
        rooms = imported_rooms(path)
        assert rooms <= DOORS.get(path.name, set()), f"{path.relative_to(ROOT)} imports a room"


def test_the_package_opens_its_door_at_first_use() -> None:
    """At import only a checker of types goes through it; a test in bench/test_api.py looks at what is imported."""
    tree = ast.parse((ROOT / PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    for statement in tree.body:
        for_types = isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
        names = [node.module for node in ast.walk(statement) if isinstance(node, ast.ImportFrom)]
        assert for_types or not [name for name in names if (name or "").startswith(PACKAGE)]


@pytest.mark.parametrize("room", FLOOR)
def test_every_room_lies_in_the_package(room: str) -> None:
    assert (ROOT / PACKAGE / room).resolve() == ROOT / room
    module = __import__(f"{PACKAGE}.{room}", fromlist=["_"])
    assert Path(module.__file__ or "").resolve().is_relative_to(ROOT)


def test_the_picture_of_the_rooms_shows_their_imports() -> None:
    picture = (ROOT / "docs" / "images" / "rooms.svg").read_text(encoding="utf-8")
    drawn = set(re.findall(r"<title>(\w+) imports (\w+)</title>", picture))
    real = {
        (room, other)
        for room in FLOOR
        for path in (ROOT / room).rglob("*.py")
        for other in imported_rooms(path) - {room}
    }
    assert drawn == real


# Folders that are built alike, so that the path says which of their files is meant.
ALIKE = (
    r"models/(foleyspace|geometry_aware|visaudio)",  # networks of ours
    r"models/((foleyspace|geometry_aware|visaudio)/)?training",
    r"baselines/published/\w+",  # systems: a card, a lock and a runner each
    r"bench/evaluation/families|metrics",  # who computes what `metrics` defines
    r"bench/evaluation/families|models/backbones|models/hear_api",  # and of which network; HEAR's modules are its names
)
# Modules of bench/cli have the names of their commands.
NAMED_TWICE = {
    "catalogue.py": {"baselines", "metrics", "suites"},  # what may be asked for by name
    "weights.py": {"bench/cli", "models"},  # which plug-ins import
}
# Networks and readers of `ALIKE` folders; `worker_kit` is a program in other people's environments.
CLASSES_TWICE = {
    "Batch": {"models/training/loading.py", "models/visaudio/training/batches.py"},
    "Clip": {"baselines/published/worker_kit.py", "suites/clip.py"},
    "Config": {f"models/{network}/config.py" for network in ("foleyspace", "geometry_aware", "visaudio")},
    "Reader": {
        "models/training/loading.py",
        *(f"models/{network}/training/batches.py" for network in ("foleyspace", "geometry_aware", "visaudio")),
    },
    "SelfAttention": {"models/backbones/layers.py", "models/visaudio/blocks.py"},  # of other authors each
    "Sound": {"baselines/published/worker_kit.py", "suites/media.py"},
}


def modules() -> Iterator[Path]:
    """The modules of the rooms, of the ground, and of the benchmarks."""
    for room in (*FLOOR, "benchmarks"):
        yield from (ROOT / room).rglob("*.py")
    yield from (ROOT / PACKAGE).glob("*.py")


def test_a_file_has_a_name_of_its_own() -> None:
    """Who opens a file by its name opens the right one."""
    folders: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        folders[path.name].add(path.parent.relative_to(ROOT).as_posix())
    twice = {
        name: where
        for name, where in folders.items()
        if len(where) > 1
        and not name.startswith("__")
        and not any(all(re.fullmatch(alike, folder) for folder in where) for alike in ALIKE)
    }
    assert twice == NAMED_TWICE


def test_a_public_class_has_a_name_of_its_own() -> None:
    files: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        for name in re.findall(r"^class ([A-Z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE):
            files[name].add(path.relative_to(ROOT).as_posix())
    assert {name: where for name, where in files.items() if len(where) > 1} == CLASSES_TWICE
