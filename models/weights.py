"""The files of weights that this project can use: what they are, where they must lie, whether they are whole.

Nothing is ever downloaded by using a metric or a model. A run asks `missing` what is not there, says so with size,
licence and command, and scores the rest; `bench weights fetch` (`models.download`) is the only thing that connects.

Files lie in `$VISAUDIO_BENCH_WEIGHTS` (a folder that several users may share, read-only is enough) or else in
`weights/` of the cache folder, under the name they were published with. A file is hashed once; the result is kept
in a small receipt and is valid as long as size and time of the file stay the same.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import cache_dir, digest, file_stamp, read_json, write_json
from visaudio_bench.models.formats import locate, refusal
from visaudio_bench.registry import did_you_mean
from visaudio_bench.shapes import require as require_shape

WEIGHTS_VARIABLE = "VISAUDIO_BENCH_WEIGHTS"
_BLOCK = 1 << 22


@dataclass(frozen=True)
class WeightFile:
    """One published file.

    name: what it is called on the command line. file: the name it was published under, or one that tells more where
    that is `model.safetensors`. purpose: what needs it.
    size: bytes; about right only where `size_is_exact` is False, because no record of the exact size was found.
    licence: of the weights. origin: where its authors offer it. sha256, md5: known checksums, from the authors or from
    records of others that agree (`checksum_from`). check: `module:function` that takes the path, answers whether the
    file does what its authors say, and raises `BenchError` when not. command: what fetches it, where that is not
    `bench weights fetch`. A size of 0 is not known.
    """

    name: str
    file: str
    purpose: str
    size: int
    licence: str
    origin: str
    size_is_exact: bool = False
    sha256: str | None = None
    md5: str | None = None
    checksum_from: str = ""
    check: str = ""
    command: str = ""

    @property
    def shown_size(self) -> str:
        """The size for people: `289 MB`, `4.8 GB`."""
        return f"{self.size / 1e9:.1f} GB" if self.size >= 1e9 else f"{self.size / 1e6:.0f} MB"

    @property
    def fetch_command(self) -> str:
        """The command that puts it where it belongs."""
        return self.command or f"bench weights fetch {self.name}"


_MMAUDIO = "https://github.com/hkchengrex/MMAudio/releases/download/v0.1/"
_MMAUDIO_FLOW = "https://huggingface.co/hkchengrex/MMAudio/resolve/main/weights/"

WEIGHTS: dict[str, WeightFile] = {
    entry.name: entry
    for entry in (
        WeightFile(
            "vggish", "vggish-10086976.pth", "FD-VGG", 288_570_000, "Apache-2.0",
            "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
            sha256="10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
            checksum_from="others' records; its first eight digits are in the published name",
            check="visaudio_bench.models.weight_checks:vggish",
        ),
        WeightFile(
            "panns", "Cnn14_16k_mAP=0.438.pth", "FD-PANN, KL-PANN", 327_000_000, "CC-BY-4.0",
            "https://zenodo.org/record/3987831/files/Cnn14_16k_mAP%3D0.438.pth",
            md5="362fc5ff18f1d6ad2f6d464b45893f2c", checksum_from="others' records",
            check="visaudio_bench.models.weight_checks:panns",
        ),
        WeightFile(
            "synchformer", "synchformer_state_dict.pth", "DeSync; conditioning of ViSAudio", 949_900_000, "MIT",
            f"{_MMAUDIO}synchformer_state_dict.pth",
            md5="5b2f5594b0730f70e41e549b7c94390c", checksum_from="the authors' download script",
            check="visaudio_bench.models.weight_checks:synchformer",
        ),
        WeightFile(
            "imagebind", "imagebind_huge.pth", "IB-Score", 4_803_584_173, "CC-BY-NC-SA-4.0",
            "https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth", size_is_exact=True,
            sha256="d6f6c22bedcc90708448d5d2fbb7b2db9c73f505dc89bd0b2e09b23af1b62157",
            checksum_from="others' records, which agree", check="visaudio_bench.models.weight_checks:imagebind",
        ),
        WeightFile(
            "mmaudio-large-44k-v2", "mmaudio_large_44k_v2.pth", "the start of ViSAudio's training", 4_122_300_000,
            "CC-BY-NC-4.0", f"{_MMAUDIO_FLOW}mmaudio_large_44k_v2.pth",
            md5="01ad4464f049b2d7efdaa4c1a59b8dfe", checksum_from="the authors' download script",
            check="visaudio_bench.models.weight_checks:mmaudio",
        ),
        # small_16k is left out: its latent is of another codec, at 16 kHz, where binaural cues end at 8 kHz
        WeightFile(
            "mmaudio-large-44k", "mmaudio_large_44k.pth", "another start of ViSAudio's training", 4_120_000_000,
            "CC-BY-NC-4.0", f"{_MMAUDIO_FLOW}mmaudio_large_44k.pth",
            md5="fed96c325a6785b85ce75ae1aafd2673", checksum_from="the authors' download script",
            check="visaudio_bench.models.weight_checks:mmaudio",
        ),
        WeightFile(
            "mmaudio-medium-44k", "mmaudio_medium_44k.pth", "the start of a medium-sized ViSAudio", 2_487_200_000,
            "CC-BY-NC-4.0", f"{_MMAUDIO_FLOW}mmaudio_medium_44k.pth",
            md5="5a56b6665e45a1e65ada534defa903d0", checksum_from="the authors' download script",
            check="visaudio_bench.models.weight_checks:mmaudio",
        ),
        WeightFile(
            "mmaudio-small-44k", "mmaudio_small_44k.pth", "the start of a small ViSAudio", 629_600_000,
            "CC-BY-NC-4.0", f"{_MMAUDIO_FLOW}mmaudio_small_44k.pth",
            md5="babd74c884783d13701ea2820a5f5b6d", checksum_from="the authors' download script",
            check="visaudio_bench.models.weight_checks:mmaudio",
        ),
        WeightFile(
            "mmaudio-vae-44k", "v1-44.pth", "audio codec of ViSAudio (mel to latent and back)", 1_221_900_000,
            "CC-BY-NC-4.0", f"{_MMAUDIO}v1-44.pth",
            md5="fab020275fa44c6589820ce025191600", checksum_from="the authors' download script",
            check="visaudio_bench.models.weight_checks:vae",
        ),
        WeightFile(
            "bigvgan-v2-44k", "bigvgan_generator.pt", "vocoder of ViSAudio", 489_000_000, "MIT",
            "https://huggingface.co/nvidia/bigvgan_v2_44khz_128band_512x/resolve/main/bigvgan_generator.pt",
            sha256="d9fe7ec6bd0b44ed9d66973d5012d8181c1570b01e5c72df51973e241dccd357",
            checksum_from="the publisher's page of the file, version 2.4",
            check="visaudio_bench.models.weight_checks:bigvgan",
        ),
        WeightFile(
            "clip-dfn5b", "open_clip_pytorch_model.bin", "pictures and text for ViSAudio", 3_947_000_000,
            "apple-amlr (research only)",
            "https://huggingface.co/apple/DFN5B-CLIP-ViT-H-14-378/resolve/main/open_clip_pytorch_model.bin",
            sha256="c07a17b547d461c60a3cce5062b26bf8545b13de602c4c59d8490361eb716033",
            checksum_from="the publisher's page of the file", check="visaudio_bench.models.weight_checks:clip",
        ),
        WeightFile(
            "pe-spatial-l14", "vit_pe_spatial_large_patch14_448.fb.safetensors", "where things are, for ViSAudio",
            1_215_900_000, "Apache-2.0",
            "https://huggingface.co/timm/vit_pe_spatial_large_patch14_448.fb/resolve/main/model.safetensors",
            check="visaudio_bench.models.weight_checks:perception_encoder",
        ),
        WeightFile(
            "depth-anything-v2-small", "depth_anything_v2_small_hf.safetensors", "distances of foleyspace:FILE:depth=",
            99_173_660, "Apache-2.0",
            "https://huggingface.co/depth-anything/Depth-Anything-V2-Small-hf/resolve/main/model.safetensors",
            size_is_exact=True, sha256="3152477ce0d8d6978d76b995120de97cb5b928701fd0f817769f59e249a16b70",
            checksum_from="others' records, which agree", check="visaudio_bench.models.weight_checks:depth_anything",
        ),
    )
}  # fmt: skip


def register(wanted: WeightFile) -> None:
    """Let the commands know a file that this project does not bring, such as a plug-in's.

    Raises:
        UsageError: another file has its name, or its place.
    """
    known = WEIGHTS.setdefault(wanted.name, wanted)
    if known != wanted:
        raise UsageError(f'two weight files are called "{wanted.name}": {known.origin} and {wanted.origin}.')
    if sum(known.file == wanted.file for known in WEIGHTS.values()) > 1:
        del WEIGHTS[wanted.name]
        raise UsageError(f"the weights {wanted.name} are called {wanted.file}, as another file is that lies beside it.")


class MissingWeights(NamedTuple):
    """A file that is not there, or is there and cannot be used: what is lost without it, and what to do."""

    name: str
    purpose: str
    size: str
    licence: str
    command: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.size}, {self.licence}; for {self.purpose}): {self.reason}. Get it: {self.command}"


class Located(NamedTuple):
    """A whole weight file: where it is, and the SHA-256 that identifies it in caches and results."""

    path: Path
    sha256: str


State = Literal["ok", "missing", "wrong"]


class Verified(NamedTuple):
    """State of one file; `detail` says what is wrong, or how far it was checked."""

    name: str
    state: State
    detail: str
    path: Path


def entry(name: str) -> WeightFile:
    """The registered file of that name.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in WEIGHTS:
        raise UsageError(
            f'no weights are called "{name}".{did_you_mean(name, WEIGHTS)} Known: {", ".join(WEIGHTS)}. '
            "See: bench weights list"
        )
    return WEIGHTS[name]


def weights_dir() -> Path:
    """The folder of weights: `$VISAUDIO_BENCH_WEIGHTS`, else `weights/` of the cache folder."""
    shared = os.environ.get(WEIGHTS_VARIABLE)
    return Path(shared).expanduser() if shared else cache_dir() / "weights"


def path_of(name: str) -> Path:
    """Where a file belongs, whether it is there or not."""
    return weights_dir() / entry(name).file


def missing(names: Iterable[str]) -> tuple[MissingWeights, ...]:
    """Those of `names` that cannot be used, in their order, each once. Reads only sizes: made for the plan of a run."""
    return tuple(missed for name in dict.fromkeys(names) for missed in _missing(name))


def _missing(name: str) -> Iterator[MissingWeights]:
    wanted, path = entry(name), path_of(name)
    reason = "not in " + str(path.parent) if not path.is_file() else _wrong_size(wanted, path)
    if reason:
        yield MissingWeights(name, wanted.purpose, wanted.shown_size, wanted.licence, wanted.fetch_command, reason)


def require(name: str) -> Located:
    """The file of that name, checked against what is known of it, with its hash.

    Raises:
        BenchError: it is missing, cut short, or another file than the published one.
    """
    for absent in missing([name]):
        raise BenchError(str(absent))
    path = path_of(name)
    return Located(path, check_file(entry(name), path, keep_receipt=True))


def check_file(wanted: WeightFile, path: Path, *, keep_receipt: bool = False) -> str:
    """Compare the size and the checksums of a file with what is known.

    Args:
        wanted: what is known.
        path: of the file.
        keep_receipt: whether to write the sums down beside it, so that they need not be computed again.

    Returns:
        Its SHA-256.

    Raises:
        BenchError: it is not the published file; says which of the two differs.
    """
    wrong = _wrong_size(wanted, path)
    if wrong:
        raise BenchError(f"{path} is not {wanted.file}: {wrong}. Remove it, then: {wanted.fetch_command}")
    sums = _receipt(path) or checksums(path)
    for kind, expected in (("sha256", wanted.sha256), ("md5", wanted.md5)):
        if expected and sums[kind] != expected:
            raise BenchError(
                f"{path} is not the published {wanted.file}: its {kind} is {sums[kind]}, expected {expected} "
                f"(from {wanted.checksum_from}). Remove it, then: {wanted.fetch_command}"
            )
    if keep_receipt:
        _write_receipt(path, sums)
    return sums["sha256"]


def move_checked(source: Path, path: Path) -> str:
    """Put a file where it belongs, with the receipt that `check_file` kept of it: it is not read again.

    Args:
        source: where it lies.
        path: where it belongs, in the same file system.

    Returns:
        Its SHA-256.
    """
    sums = _receipt(source) or checksums(source)
    _receipt_path(source).unlink(missing_ok=True)
    source.replace(path)
    _write_receipt(path, sums)
    return sums["sha256"]


def sha256(path: Path) -> str:
    """SHA-256 of any weight file, or of those of its shards; read once, and again when size or time of it change."""
    files = locate(path)
    if len(files) > 1:
        return digest([sha256(file) for file in files])
    sums = _receipt(files[0]) or checksums(files[0])
    _write_receipt(files[0], sums)
    return sums["sha256"]


def verify(names: Iterable[str]) -> Iterator[Verified]:
    """Check files from scratch, one after the other: size, checksums, and what the networks answer with them."""
    for name in names:
        wanted, path = entry(name), path_of(name)
        if not path.is_file():
            yield Verified(name, "missing", wanted.fetch_command, path)
            continue
        _receipt_path(path).unlink(missing_ok=True)
        try:
            check_file(wanted, path, keep_receipt=True)
            known_answer(wanted, path)
        except BenchError as error:
            yield Verified(name, "wrong", str(error), path)
            continue
        done = ["size"] * wanted.size_is_exact + ["sha256"] * bool(wanted.sha256) + ["md5"] * bool(wanted.md5)
        done += ["contents"] * bool(wanted.check)
        yield Verified(name, "ok", f"checked: {', '.join(done)}" if done else "nothing is known to check it by", path)


def known_answer(wanted: WeightFile, path: Path) -> None:
    """Load the file into its network and compare with published answers, where there are any.

    Args:
        wanted: what is known; it may name a check.
        path: of the file.

    Raises:
        BenchError: it holds another network, or answers differently.
    """
    if wanted.check:
        module, _, function = wanted.check.partition(":")
        getattr(importlib.import_module(module), function)(path)


def _wrong_size(wanted: WeightFile, path: Path) -> str:
    """What is wrong with a file by its size; one of the wrong size is looked into, for most are something else."""
    size = path.stat().st_size
    if wanted.size_is_exact and size != wanted.size:
        said = f"it has {size:,} bytes, expected {wanted.size:,}" + (", it is cut short" if size < wanted.size else "")
    # A size that is only about right still tells a web page or half a download from the file.
    elif wanted.size and not 0.9 * wanted.size < size < 1.5 * wanted.size:
        said = f"it has {size:,} bytes, expected about {wanted.size:,}"
    else:
        return ""
    return said + "".join(f"; it {what}" for what in (refusal(path),) if what)


def checksums(path: Path) -> dict[str, str]:
    """Read a file once; returns its `sha256` and its `md5`, in hexadecimal digits."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            md5.update(block)
    return {"sha256": sha256.hexdigest(), "md5": md5.hexdigest()}


def _receipt_path(path: Path) -> Path:
    """In our own cache, because the folder of weights may be read-only."""
    return cache_dir() / "weights-receipts" / f"{digest(str(path.resolve()))[:32]}.json"


def _identity(path: Path) -> dict[str, int]:
    return {**file_stamp(path), "inode": path.stat().st_ino}


def _receipt(path: Path) -> dict[str, str] | None:
    try:
        kept = read_json(_receipt_path(path))
        require_shape(kept, {"identity": {str: int}, "sums": {"sha256": str, "md5": str}})
    except (OSError, ValueError):
        return None
    if kept["identity"] != _identity(path):
        return None
    sums: dict[str, str] = kept["sums"]
    return sums


def _write_receipt(path: Path, sums: dict[str, str]) -> None:
    with suppress(OSError):  # it saves time, and a cache may be somebody else's
        write_json(_receipt_path(path), {"file": path.name, "identity": _identity(path), "sums": sums})
