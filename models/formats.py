"""What a file that is given as weights really is: by its bytes, never by its name.

People rename checkpoints, clone repositories without git-lfs, and save login pages as `.pth`. Whoever opens weights
asks here first (`locate`), and a message about a file says only what was seen in it. Nothing here needs torch.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from visaudio_bench.errors import BenchError
from visaudio_bench.files import parse_json, read_json
from visaudio_bench.names import fault
from visaudio_bench.shapes import require

Format = Literal["safetensors", "zip", "pickle"]

STATE_FORMAT = "visaudio-bench training 2"  # what our file says of itself that a training goes on from

_START = 1024
_LARGEST_HEADER = 100_000_000  # bytes: the limit of the safetensors format
_LFS = b"version https://git-lfs.github.com/spec/"
_ZIP = b"PK\x03\x04"
_INDEX = "weight_map"
_TENSOR = {"dtype": str, "shape": [int], "data_offsets": [int]}
# First bytes of what people have instead of weights, what it is, and what makes weights of it.
_ARCHIVES = (
    (b"\x1f\x8b", "a gzip archive", "gunzip"),
    (b"\xfd7zXZ\x00", "an xz archive", "unxz"),
    (b"BZh", "a bzip2 archive", "bunzip2"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive", "unzstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x"),
    (b"Rar!", "a rar archive", "unrar x"),
)
_OTHERS = (
    (b"GGUF", "a GGUF file, whose weights are stored for llama.cpp and its like"),
    (b"\x89HDF", "an HDF5 file, as Keras writes it"),
    (b"\x93NUMPY", "a NumPy array"),
)
# The files of a model in a folder, as hubs and libraries name them; the first that is there counts.
_INDEXES = ("model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.json",
            "pytorch_model.bin.index.json")  # fmt: skip
_SINGLE = ("model.safetensors", "diffusion_pytorch_model.safetensors", "pytorch_model.bin")
_ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")


def locate(path: Path) -> tuple[Path, ...]:
    """The files that hold the weights of `path`: itself, or of a folder or an index its one file or its shards.

    Raises:
        BenchError: there is no such file, or the folder does not say which of its files is meant.
    """
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise BenchError(f"there is no weight file {path}. See: bench weights list")
    shards = _shards(path)
    return tuple(path.parent / name for name in shards) if shards else (path,)


def find_format(path: Path) -> Format:
    """How the tensors of a file are stored.

    Raises:
        BenchError: it is not a weight file; says what it is.
    """
    wrong = refusal(path)
    if wrong:
        raise BenchError(f"{path} {wrong}")
    start = _start(path)
    if _is_safetensors(start):  # whose length may begin with any bytes
        return "safetensors"
    return "zip" if start.startswith(_ZIP) else "pickle"


def refusal(path: Path) -> str:
    """What a file is instead of weights and what to do, to be read after its name; empty where it may be weights."""
    start = _start(path)
    if _is_safetensors(start) or (start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        return ""
    if start.startswith(_ZIP):
        return _zip_refusal(path)
    return (
        _beginning_refusal(start)
        or _text_refusal(start)
        or _archive_refusal(start, path)
        or (
            f"is not a weight file: it begins with the bytes {start[:8].hex(' ')}, as no file of PyTorch or "
            "safetensors does. Get it again, or see: bench weights list"
        )
    )


def _beginning_refusal(start: bytes) -> str:
    if not start:
        return "is empty (0 bytes): the download or the copy has not begun. Get it again"
    if start.startswith(_LFS):
        return _pointer(start)
    return "" if any(start) else f"begins with {len(start)} zero bytes, not as a weight file does. Get it again"


def _archive_refusal(start: bytes, path: Path) -> str:
    for magic, name, command in _ARCHIVES:
        if start.startswith(magic):
            return f"is {name}, not a weight file. Unpack it: {command} {path}"
    if start[257:262] == b"ustar":
        return f"is a tar archive, not a weight file. Unpack it: tar -xf {path}"
    known = [name for magic, name in _OTHERS if start.startswith(magic)]
    return f"is {known[0]}, not a weight file of PyTorch or safetensors" if known else ""


def _pointer(start: bytes) -> str:
    size = re.search(rb"^size (\d+)", start, re.MULTILINE)
    stands = f" that stands for a file of {int(size[1]):,} bytes" if size else ""
    return (
        f"is a git-lfs pointer{stands}, not the weights themselves: the repository was cloned without git-lfs. Run in "
        "it: git lfs install && git lfs pull"
    )


def _text_refusal(start: bytes) -> str:
    text = _as_text(start)
    if not text:
        return ""
    shown = " ".join(text.split())[:80]
    lowered = text.lstrip("\ufeff \t\r\n").lower()
    if lowered.startswith(("<!doctype html", "<html", "<head", "<body")) or "<html" in lowered[:400]:
        title = re.search(r"<title[^>]*>([^<]+)", text, re.IGNORECASE)
        said = f', titled "{" ".join(title[1].split())[:80]}"' if title else f": {shown}"
        return (
            f"is not a weight file but a web page (HTML){said}. Download the file itself, logged in where its server "
            "asks for it"
        )
    kind = "JSON" if lowered.startswith(("{", "[")) else "XML" if lowered.startswith("<?xml") else "text"
    return f'is not a weight file but {kind} that begins "{shown}". Get the file itself, or see: bench weights list'


def _as_text(start: bytes) -> str:
    """The beginning of a file as text, or nothing where it is none."""
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4 or not error.start:
            return ""
        text = start[: error.start].decode("utf-8")
    return text if all(letter.isprintable() or letter.isspace() for letter in text.lstrip("\ufeff")) else ""


def _zip_refusal(path: Path) -> str:
    """PyTorch's files are zip archives with a `data.pkl`."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        if not zipfile.is_zipfile(path):
            return (
                f"is not an intact PyTorch file: it begins as one, and the directory that closes it is not there. Its "
                f"{size:,} bytes are cut short, or still being written. Get it again"
            )
        return f"is not an intact PyTorch file: the directory at the end of its {size:,} bytes is damaged. Get it again"
    tops = {name.partition("/")[2] for name in names}
    if "constants.pkl" in tops:
        return (
            "is a compiled program (TorchScript), such as those in which OpenAI published CLIP; a state dict is "
            "needed. See: bench weights list"
        )
    if "data.pkl" in tops:
        return ""
    return (
        f"is a zip archive of {len(names)} files ({', '.join(names[:3])}{', …' if len(names) > 3 else ''}), not a "
        f"weight file. Unpack it: unzip {path}"
    )


class SafetensorsHeader(NamedTuple):
    """What a safetensors file says of itself.

    Attributes:
        tensors: `dtype`, `shape` and `data_offsets` (of the first byte and behind the last) by name.
        metadata: texts that its author put in.
        begin: bytes before the tensors, from which their offsets count.
    """

    tensors: dict[str, dict[str, Any]]
    metadata: dict[str, str]
    begin: int


def read_header(path: Path) -> SafetensorsHeader:
    """The header of a safetensors file.

    Raises:
        BenchError: the file is damaged, or not as long as its header says.
    """
    try:
        return parse_header(path)
    except ValueError as error:
        raise BenchError(f"{path} is not an intact safetensors file: {error}. Get it again") from error


def parse_header(path: Path) -> SafetensorsHeader:
    """As `read_header`, for who knows better than to get the file again.

    Raises:
        ValueError: what is wrong with the file.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, _LARGEST_HEADER))
    if len(text) < length:
        raise ValueError(f"its header has {length:,} bytes, and the file {size:,}: it is cut short")
    try:
        tensors: dict[str, dict[str, Any]] = parse_json(text)
        metadata = tensors.pop("__metadata__", None) or {}
        require(metadata, {str: str})
        require(tensors, {str: _TENSOR})
        needed = 8 + length + max((told["data_offsets"][1] for told in tensors.values()), default=0)
    except (ValueError, AttributeError, TypeError, IndexError) as error:
        raise ValueError("its header is damaged") from error
    if size != needed:
        how = "it is cut short" if size < needed else "something was added to it"
        raise ValueError(f"it has {size:,} bytes, and its header speaks of {needed:,}: {how}")
    return SafetensorsHeader(tensors, metadata, 8 + length)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_START)


def _is_safetensors(start: bytes) -> bool:
    """The length of a header, and the header, which is JSON."""
    return start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") < _LARGEST_HEADER


def _shards(path: Path) -> Sequence[str]:
    """The files of a sharded model, where `path` is their index."""
    start = _start(path).lstrip()
    if not start.startswith(b"{") or path.stat().st_size > _LARGEST_HEADER:
        return ()
    try:
        told = read_json(path)
        require(told, {_INDEX: {str: str}})
    except ValueError:
        return ()
    names = sorted(set(told[_INDEX].values()))
    for name in names:
        if why := fault(name):
            raise BenchError(f"{path} names the file {name!a}, which does not lie beside it: {why}. Get it again")
    absent = [name for name in names if not (path.parent / name).is_file()]
    if absent:
        raise BenchError(
            f"{path} names {len(names)} files, and {len(absent)} of them are not beside it ({', '.join(absent[:3])}"
            f"{', …' if len(absent) > 3 else ''}). Put them there"
        )
    return names


def _in_folder(folder: Path) -> tuple[Path, ...]:
    for name in _INDEXES + _SINGLE:
        if (folder / name).is_file():
            return locate(folder / name)
    if (folder / ".metadata").is_file():
        raise BenchError(
            f"{folder} is a distributed checkpoint of PyTorch. Make one file of it: "
            f"python -m torch.distributed.checkpoint.format_utils dcp_to_torch {folder} weights.pth"
        )
    if (folder / "zero_to_fp32.py").is_file():
        raise BenchError(
            f"{folder} is a checkpoint of DeepSpeed. Make one file of it: "
            f"python {folder / 'zero_to_fp32.py'} {folder} weights.pth"
        )
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in _ENDINGS)
    if len(files) == 1:
        return (files[0],)
    names = ", ".join(path.name for path in files[:6]) + (", …" if len(files) > 6 else "")
    said = f"holds several files of weights ({names}); name the one that is meant" if files else "holds no weights"
    raise BenchError(f"{folder} is a folder that {said}. Expected a file, or a folder with one of {', '.join(_SINGLE)}")


def header_notes(path: Path) -> Mapping[str, str]:
    """What a weight file says of itself in its header, without reading the weights; nothing if it has no such header.

    Raises:
        BenchError: it is missing, damaged, or not a weight file.
    """
    (first, *others) = locate(path)
    if others or find_format(first) != "safetensors":
        return {}
    return read_header(first).metadata
