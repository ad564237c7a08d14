"""The feature store: what training reads instead of videos, sounds and frozen networks.

```
DIR/
  meta.json               what made it: conditioners, codec, storage; a store holds features of one kind only
  shard-<hash>.safetensors  some 16 clips each, with the rows that describe them in the file's own header
  index.parquet           those rows of all shards; made again from the shards whenever it does not fit them
```
A shard is written whole and never changed, and its name is a hash of what it holds. So any number of processes may
write into one folder without knowing of each other, a killed one leaves nothing half written, and stores are merged by
putting their shards into one folder. Tensors of a clip are called `<clip>/<key>`; keys are `mean` and `std`
`(2, n, C)` float32 (latents of the left and the right ear), `clip`, `sync`, `text`, `spatial` and, for 8-bit storage,
its scales. A clip without video or caption lacks those keys. Of two rows with one clip id the later one counts.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import atomic_path, digest, parse_json, read_json, write_json
from visaudio_bench.models.formats import parse_header
from visaudio_bench.models.tensor_files import content_hash, memory_of, written_safely
from visaudio_bench.models.visaudio.feature_formats import Storage
from visaudio_bench.shapes import require

FORMAT = 1
_META = {"conditioners": {str: object}, "codec": {str: object}, "storage": {str: object}, "duration": float}
CLIPS_PER_SHARD = 16
DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "I16": torch.int16,
}


@dataclass(frozen=True)
class FeatureRow:
    """One clip of a store.

    Attributes:
        clip: its id, unique within the store. source: the suite it comes from, which weights of sampling refer to.
        origin: hash of what the features were made from (files, window, caption).
        sha256: of the clip's tensors. written: seconds since 1970. shard: file name, empty inside the shard itself.
        latent: number of latent tokens, 0 where nothing is encoded.
    """

    clip: str
    source: str
    origin: str
    sha256: str
    written: float
    latent: int
    shard: str = ""


@dataclass(frozen=True)
class Kind:
    """What makes features comparable: who made them and how they are kept. Stores of two kinds are never mixed.

    `conditioners` and `codec` are the identities that those objects give of themselves (names, hashes of weights,
    versions of preprocessing).
    """

    conditioners: Mapping[str, Any]
    codec: Mapping[str, Any]
    storage: Storage
    duration: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, as `meta.json` has it."""
        plain = {"conditioners": dict(self.conditioners), "codec": dict(self.codec)}
        made = {"format": FORMAT, **plain, "storage": self.storage.to_dict(), "duration": self.duration}
        parsed: dict[str, Any] = json.loads(json.dumps(made))
        return parsed

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Kind:
        """The kind that `to_dict` wrote."""
        storage = Storage(**values["storage"])
        return cls(values["conditioners"], values["codec"], storage, values["duration"])


class FeatureStore:
    """A store that is there already.

    Raises:
        UsageError: there is none in `folder`, or it is empty.
        BenchError: it is damaged.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.kind = read_kind(folder)
        self.rows = newest(_indexed_rows(folder))
        if not self.rows:
            raise UsageError(f"the feature store {folder} is empty. Fill it: bench features build --out {folder}")

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def manifest_hash(self) -> str:
        """Identity of the contents: kind, clips, and hashes of their features."""
        return digest([self.kind.to_dict(), [[row.clip, row.sha256] for row in self.rows]])

    def about(self) -> dict[str, Any]:
        """What made it, JSON-able."""
        return self.kind.to_dict()

    def describe(self, index: int) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
        """Format and shape of each tensor of a clip."""
        row = self.rows[index]
        return {key: (part.dtype, part.shape) for key, part in _parts_in(self.folder / row.shard, row.clip).items()}

    def read(self, index: int, into: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The tensors of a clip as they are kept, read straight into those of `into` where given.

        Raises:
            BenchError: a tensor has not the shape of the one it should go into, or the file is damaged.
        """
        row = self.rows[index]
        path = self.folder / row.shard
        read: dict[str, Tensor] = {}
        for key, part in _parts_in(path, row.clip).items():
            out = into.get(key) if into is not None else None
            target = torch.empty(part.shape, dtype=part.dtype) if out is None else out
            if (target.dtype, tuple(target.shape)) != (part.dtype, part.shape):
                raise BenchError(
                    f"{row.clip}/{key} in {self.folder} is {tuple(part.shape)} {part.dtype}, and other clips of the "
                    f"batch are {tuple(target.shape)} {target.dtype}: clips of one batch must be equally long."
                )
            _read_exactly(path, part.offset, target)
            read[key] = target
        return read

    def read_rows(self, index: int, key: str, first: int, count: int) -> Tensor:
        """Some rows, along the first axis, of one of a clip's tensors.

        Raises:
            BenchError: it has no such tensor or too few rows, or the file is damaged.
        """
        row = self.rows[index]
        path = self.folder / row.shard
        part = _parts_in(path, row.clip).get(key)
        if part is None or first < 0 or first + count > part.shape[0]:
            raise BenchError(f"{row.clip} in {self.folder} has not the rows {first} to {first + count} of {key}")
        target = torch.empty((count, *part.shape[1:]), dtype=part.dtype)
        _read_exactly(path, part.offset + first * math.prod(part.shape[1:]) * part.dtype.itemsize, target)
        return target

    def check(self) -> Iterator[tuple[str, str]]:
        """Every clip's id with what is wrong with its features, an empty string if nothing is."""
        for index, row in enumerate(self.rows):
            try:
                tensors = self.read(index)
            except BenchError as error:
                yield row.clip, str(error)
            else:
                yield row.clip, "" if content_hash(tensors) == row.sha256 else "its bytes are not those once written"


def read_kind(folder: Path) -> Kind:
    """What kind of features a store holds.

    Raises:
        UsageError: there is no store, or one that a newer version made.
    """
    try:
        meta = read_json(folder / "meta.json")
        require(meta, {"format": int})
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{folder} is no feature store: it has no readable meta.json. "
            f"Make one: bench features build --suite NAME --out {folder}"
        ) from error
    if meta["format"] != FORMAT:
        raise UsageError(f"{folder} has format {meta['format']}, this version reads {FORMAT}: make it again.")
    try:
        require(meta, _META)
        return Kind.from_dict(meta)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{folder / 'meta.json'} is damaged: {error}. Make the store again.") from error


def claim(folder: Path, kind: Kind) -> None:
    """Make a store of this kind, or see that the one in `folder` is.

    Args:
        folder: of the store.
        kind: what it is to hold.

    Raises:
        UsageError: it holds features of another kind; says what differs.
    """
    # What nothing has come into yet is nobody's: a first try with a wrong duration must not decide on the second.
    if (folder / "meta.json").exists() and any(folder.glob("shard-*.safetensors")):
        require_same(kind, read_kind(folder), str(folder))
    else:
        write_json(folder / "meta.json", kind.to_dict())


def require_same(wanted: Kind, present: Kind, where: str) -> None:
    """Refuse to mix features of two kinds.

    Args:
        wanted: the kind that is to be added.
        present: the kind that the store has.
        where: the store, for the message.

    Raises:
        UsageError: the kinds differ; says in what.
    """
    differing = [
        f"{part}.{key} is {theirs.get(key)!r} there and {ours.get(key)!r} here"
        for part, ours, theirs in _parts(wanted, present)
        for key in sorted({*ours, *theirs})
        if ours.get(key) != theirs.get(key)
    ]
    if differing:
        raise UsageError(
            f"the feature store {where} was made by other means: {'; '.join(differing)}. "
            "Features of two kinds cannot be mixed: choose another folder, or the same extractors."
        )


def _parts(wanted: Kind, present: Kind) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    ours, theirs = wanted.to_dict(), present.to_dict()
    for part in ("conditioners", "codec", "storage"):
        yield part, ours[part], theirs[part]
    yield "clips", {"duration": ours["duration"]}, {"duration": theirs["duration"]}


def write_shard(folder: Path, clips: Sequence[tuple[FeatureRow, Mapping[str, Tensor]]]) -> tuple[FeatureRow, ...]:
    """Write some clips as one shard.

    Args:
        folder: of the store.
        clips: rows with their packed tensors.

    Returns:
        The rows with hashes and times filled in.

    Raises:
        BenchError: the file cannot be written, most often because the disk is full.
    """
    from safetensors.torch import save_file

    now = time.time()
    rows = [
        FeatureRow(row.clip, row.source, row.origin, content_hash(tensors), now, _tokens(tensors))
        for row, tensors in clips
    ]
    contents = _apart({f"{row.clip}/{key}": tensor for row, tensors in clips for key, tensor in tensors.items()})
    name = f"shard-{digest([[row.clip, row.sha256, row.origin] for row in rows])[:16]}.safetensors"
    told = {"rows": json.dumps([asdict(row) for row in rows])}
    with written_safely(folder / name) as temporary:
        save_file(contents, temporary, metadata=told)
    return tuple(_in_shard(row, name) for row in rows)


def _tokens(tensors: Mapping[str, Tensor]) -> int:
    return tensors["mean"].shape[-2] if "mean" in tensors else 0


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in memory of their own: clips with one caption may share its features, and files must not."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        shared = storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes
        seen.add(storage.data_ptr())
        apart[name] = tensor.clone(memory_format=torch.contiguous_format) if shared else tensor
    return apart


def merge(folder: Path, others: Iterable[Path]) -> int:
    """Add the clips of other stores of the same kind, as links to their shards where possible.

    Args:
        folder: of the store that grows, or begins.
        others: folders of the others.

    Returns:
        How many clips it has then.

    Raises:
        UsageError: one of them is no store, or of another kind.
    """
    stores = [FeatureStore(other) for other in others]
    for number, store in enumerate(stores):
        if number:  # nothing has come into a new folder yet, and the first decides for all
            require_same(store.kind, read_kind(folder), str(folder))
        else:
            claim(folder, store.kind)
    for store in stores:
        for name in sorted({row.shard for row in store.rows}):
            if not (folder / name).exists():
                _link_or_copy(store.folder / name, folder / name)
    return len(FeatureStore(folder))


def _link_or_copy(source: Path, target: Path) -> None:
    import shutil

    try:
        target.hardlink_to(source)
    except OSError:  # another file system
        with written_safely(target) as temporary:
            shutil.copyfile(source, temporary)


def newest(rows: Iterable[FeatureRow]) -> tuple[FeatureRow, ...]:
    """One row a clip, the one written last, in the order of clip ids."""
    latest: dict[str, FeatureRow] = {}
    for row in rows:
        if row.clip not in latest or row.written > latest[row.clip].written:
            latest[row.clip] = row
    return tuple(latest[clip] for clip in sorted(latest))


def present(folder: Path) -> dict[str, FeatureRow]:
    """What a store holds by clip id; nothing where there is no store yet."""
    return {row.clip: row for row in newest(_indexed_rows(folder))} if folder.is_dir() else {}


def _indexed_rows(folder: Path) -> list[FeatureRow]:
    """Rows of all shards: from the index, and from the headers of shards that it does not know."""
    shards = {path.name for path in folder.glob("shard-*.safetensors")}
    known = [row for row in _read_index(folder) if row.shard in shards]
    new = sorted(shards - {row.shard for row in known})
    rows = known + [_in_shard(row, name) for name in new for row in _header(folder / name).rows]
    if new:
        _write_index(folder, rows)
    return rows


def _read_index(folder: Path) -> list[FeatureRow]:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(folder / "index.parquet", page_checksum_verification=True)
        return [FeatureRow(**values) for values in table.to_pylist()]
    except Exception:  # none yet, damaged, or not one of ours: the shards know
        return []


def _write_index(folder: Path, rows: Sequence[FeatureRow]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with atomic_path(folder / "index.parquet") as temporary:
            pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows]), temporary, write_page_checksum=True)
    except OSError:
        return  # a folder that may only be read; the headers are read again next time


def _in_shard(row: FeatureRow, name: str) -> FeatureRow:
    return FeatureRow(**{**asdict(row), "shard": name})


@dataclass(frozen=True)
class _Part:
    """Where a tensor lies in its file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class _Header:
    rows: tuple[FeatureRow, ...]
    parts: Mapping[str, Mapping[str, _Part]]


def _parts_in(path: Path, clip: str) -> Mapping[str, _Part]:
    parts = _header(path).parts.get(clip)
    if parts is None:
        raise BenchError(_damaged(path, f"it does not hold {clip}, which the index says of it"))
    return parts


@lru_cache(maxsize=1 << 16)
def _header(path: Path) -> _Header:
    """Where each tensor of a shard lies.

    By the file's header and not by the library, because the tensors are then read straight into the memory of a batch:
    no map of the file, no second copy.
    """
    try:
        header = parse_header(path)
        rows = tuple(FeatureRow(**row) for row in parse_json(header.metadata["rows"]))
        parts: dict[str, dict[str, _Part]] = {row.clip: {} for row in rows}
        for name, told in header.tensors.items():
            clip, _, key = name.rpartition("/")
            begin, end = told["data_offsets"]
            dtype, shape = DTYPES[told["dtype"]], tuple(told["shape"])
            if end - begin != math.prod(shape) * dtype.itemsize or min(shape, default=0) < 0:
                raise ValueError(f"{name} has not the size that it says")
            parts[clip][key] = _Part(dtype, shape, header.begin + begin)
    except Exception as error:  # whatever comes of damaged bytes
        raise BenchError(_damaged(path, repr(error))) from error
    return _Header(rows, parts)


def _damaged(path: Path, why: str) -> str:
    return (
        f"the shard {path} is damaged ({why}). Remove that file and run the same `bench features build` again: "
        "only its clips are made anew."
    )


def _read_exactly(path: Path, offset: int, target: Tensor) -> None:
    view = memory_of(target)
    try:
        with path.open("rb", buffering=0) as file:
            while view:
                count = os.preadv(file.fileno(), [view], offset)
                if count <= 0:
                    raise BenchError(_damaged(path, "it ends too early"))
                view, offset = view[count:], offset + count
    except OSError as error:
        raise BenchError(_damaged(path, error.strerror or repr(error))) from error
