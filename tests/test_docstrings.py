"""Docstrings say what goes in and what comes out, and names what they hold: pages of the modules are made of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# `metrics` demands more of its docstrings (tests/metrics/test_manual.py).
ROOMS = ("suites", "models", "baselines", "bench", "leaderboards", "visaudio_bench")
SECTION = re.compile(r"^(Args|Returns|Raises|Example):$", re.MULTILINE)
FRAGMENT = re.compile(r"^(?:Of|From|To|In|With|By|For|At) [^.:]*\.$")  # without a verb: "Of the weight file."


# They say where something comes from, or nothing.
VAGUE = {"found", "one", "heard", "there"}


@cache
def modules(room: str) -> tuple[tuple[Path, ast.Module], ...]:
    """The modules of a room; in the package are links to the rooms."""
    return tuple(
        (path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted((ROOT / room).rglob("*.py"))
        if room != "visaudio_bench" or path.parent == ROOT / room
    )


def functions(room: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The public functions at the top of a room's modules; commands are left out, for their users read `--help`."""
    for path, module in modules(room):
        for node in module.body:
            decorators = {
                ast.unparse(one).partition("(")[0].rpartition(".")[2] for one in getattr(node, "decorator_list", ())
            }
            if (
                isinstance(node, ast.FunctionDef)
                and not node.name.startswith("_")
                and not decorators & {"command", "group"}
            ):
                yield f"{path}:{node.name}", node


def sections(function: ast.FunctionDef) -> dict[str, str]:
    """The parts of a docstring by heading, "" for what comes before the first."""
    first, *rest = SECTION.split(ast.get_docstring(function) or "")
    return {"": first.strip()} | dict(zip(rest[::2], rest[1::2], strict=True))


@pytest.mark.parametrize("room", ROOMS)
def test_functions_say_what_they_take_and_return(room: str) -> None:
    """All of two or more arguments; what takes one says it in its sentence."""
    checked, faults = 0, []
    for name, function in functions(room):
        given = function.args
        taken = [
            one.arg for one in (*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg) if one
        ]
        parts = sections(function)
        if not parts[""] or FRAGMENT.match(parts[""]):
            faults.append(f"{name}: its docstring begins with no sentence")
        if len(taken) < 2:
            continue
        checked += 1
        if re.findall(r"^    (\w+):", parts.get("Args", ""), re.MULTILINE) != taken:
            faults.append(f"{name}: Args must name {taken}")
        manager = any(ast.unparse(one) == "contextmanager" for one in function.decorator_list)
        returns = function.returns is not None and ast.unparse(function.returns) != "None" and not manager
        if ("Returns" in parts) != returns:
            faults.append(f"{name}: Returns")
    assert not faults, "\n".join(faults)
    assert checked > 10


@pytest.mark.parametrize("room", ROOMS)
def test_locals_are_named_by_what_they_hold(room: str) -> None:
    faults = []
    for path, module in modules(room):
        bodies = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.Lambda)]
        inside = {node for body in bodies for node in ast.walk(body)}
        stored = {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        vague = VAGUE & (stored | {node.arg for node in inside if isinstance(node, ast.arg)})
        faults += [f"{path}: {name}" for name in sorted(vague)]
    assert not faults, "\n".join(faults)
