"""The architecture's floors: a room imports only rooms below it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOOR = {
    "visaudio_bench": -1,
    "suites": 0,
    "metrics": 0,
    "models": 1,
    "leaderboards": 1,
    "baselines": 2,
    "bench": 3,
}
# Higher floors may use lower ones, with these exceptions of the plan.
FORBIDDEN = {("models", "metrics"), ("leaderboards", "suites"), ("baselines", "metrics"), ("baselines", "leaderboards")}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add((node.module or "").split(".")[0])
    return found & FLOOR.keys()


@pytest.mark.parametrize("room", FLOOR)
def test_a_room_imports_only_lower_floors(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    for path in files:
        for other in imports(path) - {room}:
            assert FLOOR[other] < FLOOR[room], f"{path.relative_to(ROOT)} imports {other}"
            assert (room, other) not in FORBIDDEN, f"{path.relative_to(ROOT)} imports {other}"


def test_the_rooms_are_ours() -> None:
    """Another package of the same name would be imported silently in an editable install."""
    for room in FLOOR:
        module = __import__(room)
        assert module.__file__ is None or Path(module.__file__).is_relative_to(ROOT)
