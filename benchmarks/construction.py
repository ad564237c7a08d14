"""CPU seconds of one built BiAudio clip and of its parts, with pyequilib projecting the same pictures in the same run.

Run: pip install --no-deps pyequilib; PYTHONPATH=. python benchmarks/construction.py [clip of Sphere360]

Without a clip it makes one: 8 s of a textured panorama, 1920 x 1080 at 30 pictures a second, in VP9. pyequilib is not
needed by anything else; without it its rows are left out.

One core of a busy machine, torch 2.11, pyequilib 0.6.0; a grainy panorama of our own, and a real quiet one:

| part of a clip of 8 s | made, CPU s | real, CPU s |
|---|---|---|
| read the sound | 0.01 | 0.05 |
| localise, turn the field, binaural, resample | 0.03 | 0.03 |
| decode the video | 1.40 | 0.28 |
| encode 512 x 512 | 1.18 | 0.76 |
| whole clip | 3.82 | 2.64 |

| projection of a picture | CPU ms | times ours |
|---|---|---|
| ours | 3.8 to 4.7 | 1.0 |
| pyequilib, numpy | 35 to 43 | 8.1 to 10.4 |
| pyequilib, torch float | 16 to 21 | 3.5 to 4.8 |
| pyequilib, torch uint8 | 13 to 15 | 3.1 to 3.8 |
| to RGB and back, which pyequilib needs | 1.6 to 2.0 | 0.4 to 0.5 |

mean distance of pyequilib's pictures from ours, which lie half a pixel and more aside: 3 and 5 grey levels
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from visaudio_bench.suites.ambisonics import binaural, encode, rotate
from visaudio_bench.suites.construction.build import (
    SAMPLE_RATE,
    BuildSettings,
    build_clip,
    clip_files,
    read_field,
    sound_poses,
)
from visaudio_bench.suites.construction.localise import loudest
from visaudio_bench.suites.construction.perspective import Projector
from visaudio_bench.suites.construction.sphere360 import Panorama
from visaudio_bench.suites.construction.trajectory import Trajectory
from visaudio_bench.suites.media import resample, write_audio
from visaudio_bench.suites.yuv_pictures import Planes, iter_planes, video_facts, write_planes

SECONDS, PICTURES = 8.0, 24
RECIPE = BuildSettings()
TURNING = Trajectory((0.4, 0.2, 0.0), (0.1, 0.02, 0.01))


def cpu(function: Callable[[], object], repeats: int = 1) -> float:
    """CPU seconds of one call."""
    function()
    began = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - began) / repeats


def made_clip(folder: Path) -> Panorama:
    """A panorama of our own: smooth shapes and fine grain that drift."""
    height, width, rng = 1080, 1920, np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(width) * 2 * np.pi / width, np.arange(height) * np.pi / height)
    grain = np.kron(rng.normal(0, 12, (height // 4, width // 4)), np.ones((4, 4)))
    video = folder / "panorama_0.webm"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=30, options={"deadline": "realtime", "cpu-used": "8"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 4_000_000
        for index in range(round(30 * SECONDS) + 5):
            light = 120 + 50 * np.sin(3 * x + 0.02 * index) * np.sin(y) + np.roll(grain, 4 * index, axis=1)
            frame = av.VideoFrame.from_ndarray(
                np.repeat(np.clip(light, 0, 255).astype(np.uint8)[..., None], 3, axis=2), format="rgb24"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    noise = 0.1 * rng.standard_normal(round(48000 * (SECONDS + 0.1))).astype(np.float32)
    write_audio(folder / "panorama_0.flac", encode(noise, 0.7), 48000)
    return Panorama("panorama_0", "train", "panorama", video, folder / "panorama_0.flac")


def parts(panorama: Panorama, folder: Path) -> dict[str, float]:
    """CPU seconds a clip of everything that `build_clip` does."""
    field = read_field(panorama.audio, SECONDS)
    length, rate = field.samples.shape[1], field.sample_rate
    turned = rotate(field.samples, *sound_poses(TURNING, length, rate, RECIPE))
    ears = binaural(turned, rate)
    facts = video_facts(panorama.video)

    def pictures() -> list[Planes]:
        views, projector = [], Projector(RECIPE.size)
        for index, picture in enumerate(iter_planes(panorama.video, fps=facts.fps, duration=SECONDS)):
            views.append(projector.project(picture, *map(float, TURNING.at(float(index / facts.fps)))))
        return views

    def decode() -> None:
        for _ in iter_planes(panorama.video, fps=facts.fps, duration=SECONDS):
            pass

    views = pictures()
    found = {
        "read the sound": cpu(lambda: read_field(panorama.audio, SECONDS)),
        "localise": cpu(lambda: loudest(field.samples), 5),
        "turn the field": cpu(lambda: rotate(field.samples, *sound_poses(TURNING, length, rate, RECIPE))),
        "binaural, 48 kHz": cpu(lambda: binaural(turned, rate)),
        "resample": cpu(lambda: resample(ears, rate, SAMPLE_RATE)),
        "decode the video": cpu(decode),
        "encode 512 x 512": cpu(lambda: write_planes(folder / "out.mp4", views, facts.fps, facts.colours)),
        "whole clip": cpu(lambda: build_clip(panorama, folder, RECIPE)),
    }
    assert clip_files(folder, panorama.id).video.is_file()
    return found


def projections(panorama: Panorama) -> tuple[dict[str, float], float | None]:
    """CPU seconds a picture of each projection, and how far pyequilib's first picture is from ours, in grey levels."""
    facts = video_facts(panorama.video)
    sources = [
        Planes(*(plane.copy() for plane in picture))
        for _, picture in zip(
            range(PICTURES), iter_planes(panorama.video, fps=facts.fps, duration=SECONDS), strict=False
        )
    ]
    poses = [tuple(map(float, TURNING.at(float(index / facts.fps)))) for index in range(PICTURES)]
    projector = Projector(RECIPE.size)
    found = {"ours": cpu(lambda: [projector.project(*one) for one in _called(sources, poses)]) / PICTURES}
    try:
        from equilib import equi2pers
    except ImportError:
        return found, None
    colours = [frame_of(source) for source in sources]
    rgb = [np.ascontiguousarray(frame.to_ndarray(format="rgb24").transpose(2, 0, 1)) for frame in colours]
    angles = [{"yaw": yaw, "pitch": -pitch, "roll": roll} for yaw, pitch, roll in poses]
    size = {"height": RECIPE.size, "width": RECIPE.size, "fov_x": 90.0, "mode": "bilinear", "z_down": False}

    def theirs(convert: Callable[[np.ndarray], object]) -> list[np.ndarray]:
        return [
            np.asarray(equi2pers(equi=convert(picture), rots=turn, **size))
            for picture, turn in zip(rgb, angles, strict=True)
        ]

    found["pyequilib, numpy"] = cpu(lambda: theirs(lambda picture: picture)) / PICTURES
    found["pyequilib, torch float"] = cpu(lambda: theirs(lambda picture: torch.from_numpy(picture).float())) / PICTURES
    found["pyequilib, torch uint8"] = cpu(lambda: theirs(torch.from_numpy)) / PICTURES
    found["to RGB and back, which pyequilib needs"] = cpu(lambda: _there_and_back(colours, rgb)) / PICTURES
    view = projector.project(sources[0], *poses[0])
    light = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(theirs(lambda picture: picture)[0].transpose(1, 2, 0)), format="rgb24"
    )
    theirs_light = light.reformat(format="yuv420p").to_ndarray()[: RECIPE.size]
    return found, float(np.abs(theirs_light.astype(float) - view.y).mean())


def _called(sources: list[Planes], poses: list[tuple[float, ...]]) -> list[tuple[Planes, float, float, float]]:
    return [(source, *pose) for source, pose in zip(sources, poses, strict=True)]  # type: ignore[misc]


def frame_of(picture: Planes) -> av.VideoFrame:
    """The planes as one picture of FFmpeg's."""
    return av.VideoFrame.from_ndarray(
        np.concatenate([picture.y.ravel(), picture.u.ravel(), picture.v.ravel()]).reshape(-1, picture.y.shape[1]),
        format="yuv420p",
    )


def _there_and_back(colours: list[av.VideoFrame], rgb: list[np.ndarray]) -> None:
    small = np.ascontiguousarray(rgb[0].transpose(1, 2, 0)[: RECIPE.size, : RECIPE.size])
    for frame in colours:
        frame.to_ndarray(format="rgb24")
        av.VideoFrame.from_ndarray(small, format="rgb24").reformat(format="yuv420p")


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
        panorama = Panorama("clip_0", "train", "clip", given, given) if given else made_clip(folder)
        facts = video_facts(panorama.video)
        spent = parts(panorama, folder)
        each, distance = projections(panorama)
    pictures = round(SECONDS * float(facts.fps))
    print(f"{pictures} pictures at {Fraction(facts.fps)} a second\n\n| part of a clip of 8 s | CPU s |\n|---|---|")
    for part, seconds in spent.items():
        print(f"| {part} | {seconds:.2f} |")
    print("\n| projection of a picture | CPU ms | times ours |\n|---|---|---|")
    for way, seconds in each.items():
        print(f"| {way} | {1e3 * seconds:.1f} | {seconds / each['ours']:.1f} |")
    if distance is not None:
        print(f"\nmean distance of pyequilib's first picture from ours: {distance:.2f} grey levels")


if __name__ == "__main__":
    main()
