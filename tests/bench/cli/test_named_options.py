"""Sentences name commands and options that there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from visaudio_bench.bench.cli.commands import cli

from ...conftest import Bench
from ...options import command_of, named, options_of, parts_of, strange_options

ROOT = Path(__file__).resolve().parents[3]
ALONE = {"mos", "train"}  # groups that do something by themselves, so that prose may follow
NAMES = re.compile(r"--|\bbench\b")  # is in every sentence that names an option or a command
ROOMS = ("baselines", "bench", "leaderboards", "metrics", "models", "suites", "visaudio_bench")


def texts(tree: ast.AST) -> Iterator[str]:
    """Every string of a module, the parts of one sentence together; what is filled in is `{}`."""
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):  # what is inside another comes after it
        if isinstance(node, ast.JoinedStr):
            inside.update(ast.walk(node))
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.value


@cache
def sources() -> tuple[tuple[str, str], ...]:
    return tuple(_read())


def _read() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.is_relative_to(ROOT / "visaudio_bench") and path.resolve() != path:
                continue  # a room, through its link
            if path.parent.parent.name == "published" and path.name == "runner.py":
                continue  # the options of their authors' programs
            source = path.read_text(encoding="utf-8")
            if not NAMES.search(source):
                continue
            for text in filter(NAMES.search, texts(ast.parse(source))):
                yield f"{path.relative_to(ROOT)}: {text}", text


def test_every_command_that_is_named_is_there_and_has_the_options_behind_it() -> None:
    wrong = []
    for where, text in sources():
        for words in re.findall(r"\bbench ((?:[a-z][a-z-]*(?: |$|(?=[.,:;)])))+)", text):
            first, *rest = words.split()
            parts = parts_of(command_of((first,)))
            if rest and parts and first not in ALONE and rest[0] not in parts:
                wrong.append(f"bench {words}: {where}")
        wrong += [f"{option} of {command.name}: {where}" for command, option in named(text)
                  if command is not None and option not in options_of(command)]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_every_option_that_is_named_alone_is_one_of_some_command() -> None:
    known = options_of(cli)
    wrong = [f"{option}: {where}" for where, text in sources() for command, option in named(text)
             if command is None and option not in known and _is_sentence(text)]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def _is_sentence(text: str) -> bool:
    return " " in text.strip() and not re.search(r"\b(pip|git|uv|apt-get|conda|torchrun|ffmpeg)\b", text)


@pytest.mark.parametrize(
    ("own", "text", "strange"),
    [
        (["score"], "Write: --system outputs:NAME=DIR", ["--system (of bench score)"]),
        (["score"], "Or: bench run --system outputs:NAME=DIR. Give --out", []),
        (["score"], "Or: bench run --predictions DIR", ["--predictions (of bench run)"]),
        (["run"], "pip install --upgrade this; give --predictions", ["--predictions (of bench run)"]),
        (["data", "prepare"], "Give --from DIR, --for all.", ["--for (of bench prepare)"]),
    ],
)
def test_strange_options_are_seen(own: list[str], text: str, strange: list[str]) -> None:
    assert strange_options(text, own) == strange


@pytest.mark.parametrize("command", ["score", "run"])
def test_folders_of_one_name_are_told_of_in_the_words_of_the_command(
    bench: Bench, clips: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "a").symlink_to(clips)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a").symlink_to(clips)
    folders = [tmp_path / "a", tmp_path / "b" / "a"]
    given = [f"same={folder}" for folder in folders]
    asked = {
        "score": ["--references", clips, *(word for name in given for word in ("--predictions", name))],
        "run": ["--suite", f"folder:{clips}", *(word for name in given for word in ("--system", f"outputs:{name}"))],
    }
    told = bench(command, *asked[command], "--out", tmp_path / "run")  # which also looks at the options it names
    assert told.code == 2
    assert 'two systems are called "same"' in told.err and "write NAME=DIR in place of DIR" in told.err
