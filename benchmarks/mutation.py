"""How files are damaged: bytes, words and numbers of text files, and whole parts of JSON; and what is damaged."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NUMBERS = (
    b"1e400",
    b"-1",
    b"NaN",
    b"-0",
    b"9" * 30,
    b"1" + b"0" * 5000,
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'"5"',
    b"0003",
)
WORDS = (b'"\\ud800"', b'"../../x"', b'"\\u001b[2J"', b'""', b"null", b"5", b"[]", b'"\xff"', b'"' + b"x" * 300 + b'"')
TEXTS = frozenset({".json", ".jsonl", ".csv", ".toml", ".txt"})
JSON = frozenset({".json", ".jsonl"})
PARTS = (None, True, 0, -1, 5, 2**70, 0.5, "", "x", "../../x", "/etc/passwd", "a\0b", "\x1b[2J", [], [5], {}, {"a": 5})


@dataclass(frozen=True)
class FileKind:
    """Files, the reader of their folder, and whether a change must not go unseen.

    Attributes:
        folder: where the files are.
        files: one of which is damaged.
        look: reads a folder with copies of the files; what it returns is compared where the kind is `sealed`.
        sealed: a change that goes unseen is wrong.
        share: how often, in relation to the other kinds.
        alone: only the damaged file is in the folder.
        beside: files that are in the folder too, and whole.
    """

    folder: Path
    files: tuple[Path, ...]
    look: Callable[[Path], object]
    sealed: bool = False
    share: int = 1
    alone: bool = False
    beside: tuple[Path, ...] = ()


def mutate(data: bytes, draw: random.Random, suffix: str) -> bytes:
    """The bytes with one to four damages."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        if suffix in JSON and draw.random() < 0.4:
            data = _other_part(data, draw)
        elif suffix in TEXTS and draw.random() < 0.6:
            data = _other_token(data, draw)
        elif data:
            data = _other_bytes(data, draw)
    return data


def _other_token(data: bytes, draw: random.Random) -> bytes:
    pattern, others = draw.choice(((rb"-?\d+(\.\d+)?([eE]-?\d+)?", NUMBERS), (rb'"[^"\n]*"|[A-Za-z_]+', WORDS)))
    found = list(re.finditer(pattern, data))
    if not found:
        return data
    one = draw.choice(found)
    return data[: one.start()] + draw.choice(others) + data[one.end() :]


def _other_part(data: bytes, draw: random.Random) -> bytes:
    """JSON with something else in place of one of its parts, or without it, or with it twice."""
    lines = data.splitlines(keepends=True)
    number = draw.randrange(len(lines)) if len(lines) > 1 and lines[0].rstrip().endswith(b"}") else None
    try:
        value = json.loads(data if number is None else lines[number])
        holders = [one for one in _parts(value) if isinstance(one, dict | list) and one]
    except (ValueError, RecursionError):
        return _other_token(data, draw)
    if not holders or draw.random() < 0.05:
        value = draw.choice(PARTS)
    else:
        holder = draw.choice(holders)
        key = draw.choice(sorted(holder)) if isinstance(holder, dict) else draw.randrange(len(holder))
        what = draw.random()
        if what < 0.15:
            del holder[key]
        elif what < 0.25 and isinstance(holder, list):
            holder.append(holder[key])
        else:
            holder[key] = draw.choice((*PARTS, draw.choice(holders)) if what < 0.3 else PARTS)
    try:
        changed = json.dumps(value).encode()
    except ValueError:  # a part was put into itself
        return data
    return changed if number is None else b"".join([*lines[:number], changed, b"\n", *lines[number + 1 :]])


def _parts(value: Any) -> Iterator[Any]:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(inner)


def _other_bytes(data: bytes, draw: random.Random) -> bytes:
    # Headers are a small share of a file, and the most interesting one.
    place = draw.randrange(min(len(data), 600) if draw.random() < 0.4 else len(data))
    length = draw.choice((1, 1, 2, 8, 64, 1000))
    part, rest = data[place : place + length], data[place + length :]
    random_bytes = draw.randbytes(length)
    changed = {
        "flip": bytes([data[place] ^ (1 << draw.randrange(8))]) + data[place + 1 :],
        "set": draw.choice((b"\0", b"\xff", b"\x80", b"\n", b'"', b",")) * min(length, 8) + rest,
        "noise": random_bytes + rest,
        "cut": rest,
        "double": part + part + rest,
        "put": random_bytes + data[place:],
        "end": b"",
    }
    return data[:place] + changed[draw.choice(tuple(changed))]


def bench(*arguments: object) -> None:
    """Run a command in this process; what it prints is thrown away.

    Raises:
        BenchError: as the command does.
    """
    from visaudio_bench.bench.cli.commands import cli

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        cli([*map(str, arguments)], standalone_mode=False)
