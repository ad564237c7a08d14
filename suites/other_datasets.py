"""Further data sets, one row each: what can be had is loaded, what is not published says so and how it will be read.

| suite | what is there | what is read |
|---|---|---|
| `youtube-binaural` | lists of ids (Garg et al., IJCV 2023) | the lists and the long videos by id, in 8 s windows |
| `oap` | 165 street scenes, eight mono tracks each | the scene's video with one pair of microphones, in 8 s windows |
| `simbinaural` | code and lists; the media were announced | generic layout, 5 s clips |
| `binaural-vggsound` | announced (SpatialV2A) | generic layout |

In OAP a binaural signal is two mono files; `suites.mono_pairs` puts them together on first use, in the cache.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from visaudio_bench.sheets import read_names
from visaudio_bench.spelling import refuse_misspelt
from visaudio_bench.suites.biaudio import GENERIC, SPLITS, find_generic
from visaudio_bench.suites.datasets import Candidate, Dataset, FoundData, Options, Reject
from visaudio_bench.suites.folder import media_paths, unread_words
from visaudio_bench.suites.manifest import Entry
from visaudio_bench.suites.media import VIDEO_SUFFIXES

_SCENE = re.compile(r"scene(\d{4})")
# OAP: scenes of training and validation as its authors' code divides them; the rest is for testing.
_OAP_TRAIN, _OAP_VAL = 114, 139


def find_youtube_binaural(folder: Path, options: Options) -> FoundData:
    """Find the long videos, wherever they lie below the folder, that the lists name.

    Args:
        folder: the user's.
        options: what was chosen when preparing; nothing of it counts here.

    Returns:
        What the folder holds; nothing is decoded.

    Raises:
        UsageError: there are no lists.
    """
    del options
    lists = {side: path for side in SPLITS if (path := folder / f"YoutubeBinaural_{side}.txt").is_file()}
    if not lists:
        raise YOUTUBE_BINAURAL.refuse(folder, "holds no list of ids")
    paths, others = media_paths(folder, VIDEO_SUFFIXES)
    videos = {path.stem: path.relative_to(folder).as_posix() for path in paths}
    candidates: dict[str, Candidate] = {}
    rejects = []
    notes: list[str] = []
    for side, path in lists.items():
        names, said = read_names(path)
        notes += [f"{path.name}: {note}" for note in said]
        listed = {Path(name).stem: f"{path}:{line}" for line, name in names}
        absent = {name: where for name, where in listed.items() if name not in videos}
        refuse_misspelt(absent, videos.keys() - listed.keys(), "there is a video called")
        for name in (Path(name).stem for _, name in names):
            if name in candidates:
                rejects.append(Reject(name, "duplicate", f"{path} names it, and so does a list before."))
            elif name not in videos:
                rejects.append(Reject(name, "not_found", f"{folder} holds no video called {name}."))
            else:
                candidates[name] = Candidate(Entry(name, side, name, videos[name], videos[name]), hops=True)
    left = [path for path in others if path not in lists.values()]
    return FoundData(folder, tuple(candidates.values()), tuple(rejects), (*notes, *unread_words(left)))


def find_oap(folder: Path, options: Options) -> FoundData:
    """Find the scenes' videos with the two tracks of one pair of microphones.

    Args:
        folder: the user's.
        options: what was chosen when preparing; the pair counts.

    Returns:
        What the folder holds; nothing is decoded.

    Raises:
        UsageError: there are no scenes.
    """
    root = folder / "dataset_public" if (folder / "dataset_public").is_dir() else folder
    scenes = [path for path in sorted(root.iterdir()) if path.is_dir() and _SCENE.fullmatch(path.name)]
    if not scenes:
        raise OAP.refuse(folder, "holds no scene")
    candidates, rejects = [], []
    for scene in scenes:
        video = next(iter(sorted(scene.glob("VIDEO_*_cropped.mp4"))), None)
        ears = [next(iter(sorted(scene.rglob(f"LAB-T*_Tr{track}.WAV"))), None) for track in options.pair]
        left, right = ears
        if video is None or left is None or right is None:
            what = "video" if video is None else f"track {options.pair[ears.index(None)]}"
            rejects.append(Reject(scene.name, "not_found", f"{scene} has no {what}."))
            continue
        files = [path.relative_to(root).as_posix() for path in (video, left, right)]
        entry = Entry(scene.name, _oap_side(scene.name), scene.name, files[0], files[1], meta={"right": files[2]})
        candidates.append(Candidate(entry, hops=True))
    note = f"ears are tracks {options.pair[0]} (left) and {options.pair[1]} (right); which pair faces the picture's "
    return FoundData(root, tuple(candidates), tuple(rejects), (note + "front is not documented: --pair chooses",))


def _oap_side(scene: str) -> str:
    number = int(scene.removeprefix("scene"))
    return "train" if number <= _OAP_TRAIN else "val" if number <= _OAP_VAL else "test"


def _generic(name: str, folder: Path, options: Options) -> FoundData:
    rows = {row.name: row for row in (SIMBINAURAL, BINAURAL_VGGSOUND)}
    return find_generic(rows[name], folder, options)


YOUTUBE_BINAURAL = Dataset(
    name="youtube-binaural",
    title="YouTube-Binaural",
    find=find_youtube_binaural,
    licence="none stated; the videos belong to those who uploaded them",
    home="the lists of ids in the geometry-aware-binaural repository of bigharshrag on GitHub",
    layouts=("YoutubeBinaural_train.txt, _val, _test with ids, and <id>.mp4 anywhere below",),
)
OAP = Dataset(
    name="oap",
    title="OAP",
    find=find_oap,
    licence="CC BY-NC 4.0: not for commercial use",
    home="the binaural-sound-perception repository of arunbalajeev on GitHub (one archive, 26 h)",
    layouts=("scene0001/VIDEO_0001_cropped.mp4 with LAB-T*_Tr1.WAV ... _Tr8.WAV, below dataset_public or not",),
    options=("pair",),
)
SIMBINAURAL = Dataset(
    name="simbinaural",
    title="SimBinaural",
    find=partial(_generic, "simbinaural"),
    licence="not stated yet",
    home="the geometry-aware-binaural repository of bigharshrag on GitHub",
    layouts=GENERIC,
    duration=5.0,
    options=("caption_join",),
    unavailable="The media of SimBinaural were announced and are not public; only code and lists are.",
)
BINAURAL_VGGSOUND = Dataset(
    name="binaural-vggsound",
    title="BinauralVGGSound",
    find=partial(_generic, "binaural-vggsound"),
    licence="not stated yet",
    home="the SpatialV2A project",
    layouts=GENERIC,
    captioned=True,
    options=("caption_join",),
    unavailable="BinauralVGGSound (arXiv:2601.15017) is announced and not published.",
)
