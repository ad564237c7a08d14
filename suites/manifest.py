"""The one form in which every data set is known to the benchmark: a manifest, one row a clip.

A manifest is `manifest.parquet` or `manifest.jsonl`; both hold the same columns and the same header (version of the
form, name of the suite, root folder). Paths are relative to the root, so that a data set can be moved; a root that is
not given is the manifest's own folder. Media stay where the user has them.

| column | what |
|---|---|
| `clip_id` | unique, safe as a file name |
| `split` | `train`, `val`, `test`; `all` where the data set is one piece |
| `group_id` | source video: clips of one group never lie on both sides of a split |
| `video`, `audio` | paths relative to the root, null where there is none; both may be the same file |
| `start_s`, `duration_s` | the window from the file's own start, seconds |
| `caption` | the text that a system is given, without labels |
| `visible`, `invisible` | what is heard and seen, what is heard and not seen, where the data set says |
| `source_rate`, `channels` | of the sound file: Hz, count |
| `licence` | of this clip |
| `labels` | path of its direction labels relative to the root (`suites.direction_labels`), null where there are none |
| `meta` | an object: what only some data sets know, and what preparation measured |
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from visaudio_bench.errors import UsageError
from visaudio_bench.files import atomic_path, digest, write_text
from visaudio_bench.names import fault
from visaudio_bench.shapes import require
from visaudio_bench.sheets import read_objects

VERSION = 1
NAMES = ("manifest.parquet", "manifest.jsonl")
# Beyond what no name may hold: what only some file systems take, for a data set goes from one to another.
_PORTABLE = re.compile(r"[^:*?\"|]{1,200}")


@dataclass(frozen=True)
class Entry:
    """One row: see the module's table. `meta` is JSON-able."""

    clip_id: str
    split: str
    group_id: str
    video: str | None
    audio: str | None
    start_s: float = 0.0
    duration_s: float = 8.0
    caption: str | None = None
    visible: str | None = None
    invisible: str | None = None
    source_rate: int | None = None
    channels: int | None = None
    licence: str = "unknown"
    meta: Mapping[str, Any] = field(default_factory=dict)
    labels: str | None = None


COLUMNS = tuple(column.name for column in fields(Entry))
_NUMBERS = {"start_s", "duration_s"}
_WHOLE_OR_NULL = {"source_rate", "channels"}
_HEADER = {"manifest": int, "suite?": str, "root?": (str, None)}
LONGEST_WINDOW = 1e6  # s, eleven days: a number that is larger is not of a clip


@dataclass(frozen=True)
class Manifest:
    """The rows of one suite and the folder that their paths are relative to."""

    suite: str
    root: Path
    entries: tuple[Entry, ...]

    def path(self, relative: str | None) -> Path | None:
        """Where a file of a row lies."""
        return None if relative is None else self.root / relative

    def hashes(self) -> dict[str, str]:
        """SHA-256 of the clips of each split."""
        splits = sorted({entry.split for entry in self.entries})
        return {split: digest(identity([entry for entry in self.entries if entry.split == split])) for split in splits}


def identity(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """What makes clips the same on every machine, wherever their files lie: ids, windows, captions, contents."""
    return [
        {
            "id": entry.clip_id,
            "start": entry.start_s,
            "duration": entry.duration_s,
            "caption": entry.caption,
            "content": entry.meta.get("content"),
        }
        for entry in entries
    ]


def find_manifest(folder: Path) -> Path | None:
    """The manifest of a folder, None if it has none."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write `.parquet` or `.jsonl`, atomically. A root that is the file's own folder is left out.

    Args:
        path: `.parquet` or `.jsonl`.
        manifest: what is written.

    Raises:
        UsageError: the rows are not a valid manifest (see `validate`).
    """
    validate(manifest.entries, path)
    root = None if manifest.root.resolve() == path.parent.resolve() else str(manifest.root.resolve())
    header = {"manifest": VERSION, "suite": manifest.suite, "root": root}
    rows = [asdict(entry) for entry in manifest.entries]
    if path.suffix == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in (header, *rows)]
        write_text(path, "\n".join(lines) + "\n")
    elif path.suffix == ".parquet":
        _write_parquet(path, header, rows)
    else:
        raise UsageError(f"{path}: a manifest is called {' or '.join(NAMES)}.")


def read_manifest(path: Path) -> Manifest:
    """Read and validate a manifest.

    Raises:
        UsageError: the file is missing, damaged, of a newer form, or its rows are not valid.
    """
    if not path.is_file():
        raise UsageError(f"{path} does not exist, or is not a file; a manifest was expected there.")
    try:
        header, rows = _read_parquet(path) if path.suffix == ".parquet" else _read_jsonl(path)
        require(header, _HEADER, "the header")
        if "\0" in (header.get("root") or ""):
            raise ValueError("the header's root holds a NUL character")
    except Exception as error:  # readers of parquet raise whatever comes to them of damaged bytes
        why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise UsageError(f"{path} cannot be read as a manifest: {why}. Make it again: bench data prepare") from error
    if header["manifest"] != VERSION:
        raise UsageError(
            f"{path} is a manifest of form {header.get('manifest')}, this version reads form {VERSION}. "
            "Make it again: bench data prepare"
        )
    entries = tuple(_entry(row, path, number) for number, row in enumerate(rows, 1))
    validate(entries, path)
    root = header.get("root")
    return Manifest(str(header.get("suite", "")), Path(root) if root else path.parent, entries)


def fault_of_id(clip_id: str) -> str:
    """Why a clip's id cannot name files on every system; empty if it can."""
    return fault(clip_id) or ("" if _PORTABLE.fullmatch(clip_id) else 'it holds one of : * ? " |, or is too long')


def validate(entries: Sequence[Entry], path: Path) -> None:
    """Refuse rows that would be mistaken for one another or lead outside the root.

    Args:
        entries: the rows.
        path: of the manifest, for the message.

    Raises:
        UsageError: an id that is used twice or cannot name a file, an absolute path or one with `..`, a window
            without length, or one source video on both sides of a split.
    """
    seen: set[str] = set()
    for entry in entries:
        why = fault_of_id(entry.clip_id)
        if why:
            raise UsageError(f"{path}: the clip id {entry.clip_id!a} cannot name a file: {why}.")
        if entry.clip_id in seen:
            raise UsageError(f"{path}: the clip id {entry.clip_id} occurs twice.")
        seen.add(entry.clip_id)
        for relative in (entry.video, entry.audio, entry.labels, entry.meta.get("right")):
            if relative is not None and not _below_the_root(relative):
                raise UsageError(f"{path}: {entry.clip_id} points to {relative!a}; paths are relative to the root.")
        if not (0 < entry.duration_s <= LONGEST_WINDOW and 0 <= entry.start_s <= LONGEST_WINDOW):
            raise UsageError(f"{path}: {entry.clip_id} has the window {entry.start_s:g} s + {entry.duration_s:g} s.")
    leaks = leaking_groups(entries)
    if leaks:
        raise UsageError(
            f"{path}: {len(leaks)} source videos lie on both sides of the split, first {sorted(leaks)[0]}. "
            "Clips of one video belong to one split, else the test set is not unseen."
        )


def _below_the_root(relative: object) -> bool:
    """Whether a path of a row is one, and leads to no other folder."""
    if not isinstance(relative, str) or "\0" in relative:
        return False
    return not (Path(relative).is_absolute() or ".." in Path(relative).parts)


def leaking_groups(entries: Iterable[Entry]) -> frozenset[str]:
    """Source videos that occur both in `train` and in `test` or `val`."""
    sides: dict[str, set[bool]] = {}
    for entry in entries:
        if entry.split in {"train", "val", "test"}:
            sides.setdefault(entry.group_id, set()).add(entry.split == "train")
    return frozenset(group for group, both in sides.items() if len(both) == 2)


def _entry(row: Mapping[str, Any], path: Path, number: int) -> Entry:
    unknown = set(row) - set(COLUMNS)
    if unknown:
        raise UsageError(f"{path}, row {number}: unknown column {sorted(unknown)[0]!r}. Known: {', '.join(COLUMNS)}")
    try:
        require(row, Entry)
    except ValueError as error:
        raise UsageError(f"{path}, row {number}: {error}.") from error
    entry = Entry(**row)
    for name in ("split", "group_id", "licence"):
        if not getattr(entry, name):
            raise UsageError(f"{path}, row {number}: {name} is empty.")
    return entry


def _read_jsonl(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rows = read_lines(path)
    if not rows:
        raise ValueError("it holds no rows")
    return rows[0], rows[1:]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a jsonl file.

    Raises:
        UsageError: it cannot be read, or a line is no object.
    """
    return [row for _, row in read_objects(path)]


def _write_parquet(path: Path, header: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"meta": pa.string()} | dict.fromkeys(_NUMBERS, pa.float64()) | dict.fromkeys(_WHOLE_OR_NULL, pa.int64())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    packed = [{**row, "meta": json.dumps(row["meta"], ensure_ascii=False, allow_nan=False)} for row in rows]
    table = pa.Table.from_pylist(packed, schema).replace_schema_metadata({"visaudio_bench": json.dumps(header)})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def _read_parquet(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    header = json.loads((table.schema.metadata or {}).get(b"visaudio_bench", b"{}"))
    return header, [{**row, "meta": json.loads(row.get("meta") or "{}")} for row in table.to_pylist()]
