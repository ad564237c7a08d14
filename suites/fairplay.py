"""FAIR-Play: 1,871 clips of musicians in one room, recorded with a binaural microphone (Gao and Grauman, CVPR 2019).

ViSAudio takes all of them as an out-of-distribution test, without captions: seconds 0 to 8 of each, sound from
`binaural_audios/*.wav` (48 kHz, 10.005 or 9.984 s) and not from the mp4's own track. `fairplay:split1:test` and the
like are the parts of the official splits (h5) and of the ones with fewer scenes in common (text, `new_splits`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from visaudio_bench.errors import UsageError
from visaudio_bench.sheets import read_names
from visaudio_bench.spelling import refuse_misspelt
from visaudio_bench.suites.datasets import Candidate, Dataset, FoundData, Options, Reject
from visaudio_bench.suites.manifest import Entry

CLIPS = 1871
SOUNDS = ("binaural_audios", "audios")
SPLITS = ("splits", "new_splits")
ARCHIVES = ("videos.tar.gz", "audios.tar.gz", "splits.tar.gz")


def find(folder: Path, options: Options) -> FoundData:
    """Find the clips of a git-lfs clone or of the unpacked archives, with the parts of every split that is there.

    Args:
        folder: the user's.
        options: what was chosen when preparing; the start of windows counts.

    Returns:
        What the folder holds; nothing is decoded.

    Raises:
        UsageError: it is not FAIR-Play, the archives are still packed, or a split list cannot be read.
    """
    root = _root(folder)
    if root is None:
        packed = [name for name in ARCHIVES if (folder / name).is_file()]
        if packed:
            raise UsageError(f"{folder} holds archives. Unpack them there: tar xzf {' ; tar xzf '.join(packed)}")
        raise FAIRPLAY.refuse(folder, "is not FAIR-Play")
    sounds = next(name for name in SOUNDS if (root / name).is_dir())
    names = {f"{index:06d}" for index in range(1, CLIPS + 1)} | _stems(root / sounds, ".wav")
    splits, notes = _splits(root, names)
    candidates, rejects = [], []
    for name in sorted(names):
        video, audio = f"videos/{name}.mp4", f"{sounds}/{name}.wav"
        absent = [path for path in (video, audio) if not (root / path).is_file()]
        if absent:
            rejects.append(Reject(name, "not_found", f"{root / absent[0]} does not exist."))
            continue
        meta = {"splits": splits[name]} if name in splits else {}
        entry = Entry(name, "all", name, video, audio, start_s=options.start, meta=meta)
        candidates.append(Candidate(entry))
    return FoundData(root, tuple(candidates), tuple(rejects), notes)


def _root(folder: Path) -> Path | None:
    for root in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if (root / "videos").is_dir() and any((root / name).is_dir() for name in SOUNDS):
            return root
    return None


def _stems(folder: Path, suffix: str) -> set[str]:
    return {path.stem for path in folder.iterdir() if path.suffix.lower() == suffix and not path.name.startswith(".")}


def _splits(root: Path, clips: Set[str]) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """For each clip the side it is on, by the name of the splitting: `split1` (official), `new_split1`; and notes.

    Raises:
        UsageError: a list cannot be read, or names clips in another spelling.
    """
    sides: dict[str, dict[str, str]] = {}
    notes = []
    for folder in (root / name for name in SPLITS):
        prefix = "" if folder.name == "splits" else "new_"
        for path in sorted(folder.glob("split*/*")):
            if path.suffix in {".h5", ".txt"} and path.stem in {"train", "val", "test"}:
                listed = _listed(path)
                unknown = {name: where for name, where in listed.items() if name not in clips}
                refuse_misspelt(unknown, clips, "FAIR-Play has a clip called")
                if unknown:
                    notes.append(f"{path}: {len(unknown)} names are of no clip, the first {next(iter(unknown))}")
                splitting = prefix + path.parent.name
                twice = [name for name in listed if splitting in sides.get(name, {})]
                if twice:
                    notes.append(f"{path}: {len(twice)} clips are on two sides, the first {twice[0]}; test comes first")
                for name in listed:
                    side = sides.setdefault(name, {})
                    side[splitting] = min(side.get(splitting, path.stem), path.stem)  # of test, train, val
    return sides, tuple(notes)


def read_split(path: Path) -> frozenset[str]:
    """Clip ids of one list.

    The official lists are h5 files with one data set, `audio`, of byte strings that name files under their author's
    root; the others are lines of text. Of each name only the last part without its suffix counts.

    Raises:
        UsageError: the list cannot be read, is a git-lfs pointer, or h5py is not installed.
    """
    return frozenset(_listed(path))


def _listed(path: Path) -> dict[str, str]:
    """Where each clip id of a list stands: file, and line where it has lines."""
    if path.suffix == ".h5":
        return {_stem(name): str(path) for name in _h5_names(path)}
    return {_stem(name): f"{path}:{line}" for line, name in read_names(path)[0]}


def _stem(name: str) -> str:
    return Path(name.replace("\\", "/")).stem


def _h5_names(path: Path) -> Iterator[str]:
    from visaudio_bench.suites.containers import is_lfs_pointer

    if is_lfs_pointer(path):
        raise UsageError(f"{path} is a git-lfs pointer; the list itself was not fetched. In its folder: git lfs pull")
    try:
        import h5py
    except ImportError as error:
        raise UsageError(
            f"reading the split lists ({path}) needs h5py: pip install 'visaudio-bench[data]'. "
            "Without the folder splits/ the suite of all clips can be prepared as it is."
        ) from error
    try:
        with h5py.File(path, "r") as file:
            names: Iterable[bytes | str] = file["audio"][:]
    except (OSError, KeyError) as error:
        raise UsageError(f"{path} cannot be read as a split list: {error}. Get it again.") from error
    return (name.decode() if isinstance(name, bytes) else str(name) for name in names)


FAIRPLAY = Dataset(
    name="fairplay",
    title="FAIR-Play",
    find=find,
    licence="CC BY 4.0",
    home="the FAIR-Play repository of facebookresearch on GitHub (git-lfs, or three archives; about 107 GB)",
    layouts=("videos/000001.mp4 ... with binaural_audios/000001.wav ... and, if wanted, splits/split1/test.h5",),
    published={"all": CLIPS},
    split="all",
    options=("start",),
)
