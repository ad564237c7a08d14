"""Every figure of the model card of visaudio-tiny: direction, timing, kind, pitch, width, silence, real pictures.

    python benchmarks/tiny_figures.py --out runs/tiny-figures
    python benchmarks/tiny_figures.py --weights runs/visaudio-tiny/last.safetensors --media FOLDER --out runs/other

Prints a table and writes `figures.json`. Intervals are 95 % percentiles over 2000 draws of clips. Kinds are told by the
nearest of the mean spectra of the references of each kind, the clip itself left out; directions and widths as in
`bench run`; onsets as the scene has them, once their sound has arrived.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sound_figures import (
    RATE,
    Array,
    energy_rise,
    matched,
    mel_distance,
    mel_levels,
    onset_times,
    pitch_kept,
    spectrum,
)

from visaudio_bench.baselines import open_system
from visaudio_bench.baselines.visaudio import FlowSystem
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.metrics.interaural_scores import paired_scores
from visaudio_bench.models.visaudio.pipeline import Pipeline, Request
from visaudio_bench.models.visaudio.tiny.vocoder import Vocoder
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.filmed_scenes import CROWDED, FILMED, IN_VIEW, TWO_IN_VIEW, film_files
from visaudio_bench.suites.media import iter_frames, read_binaural, scale_to_peak, write_audio, write_video
from visaudio_bench.suites.simulator.filming import filming_of
from visaudio_bench.suites.simulator.hrtf import SPEED_OF_SOUND
from visaudio_bench.suites.simulator.truth import read_truth

DRAWS = 2000
DIRECTION = ("lat_r", "lr_acc", "lat_err", "delta_iacc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="a checkpoint; the one that ships when left out")
    parser.add_argument("--media", type=Path, help="a folder of real videos")
    parser.add_argument("--suite", default="simroom")
    parser.add_argument("--limit", type=int, help="clips of the suite")
    parser.add_argument("--silent", type=int, default=20, help="silent scenes")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--picture", type=Path, help="where spectrograms of references and sounds are drawn to")
    parser.add_argument("--out", type=Path, default=Path("runs/tiny-figures"))
    asked = parser.parse_args()
    system = open_system(f"visaudio:{asked.weights}" if asked.weights else "visaudio-tiny")
    assert isinstance(system, FlowSystem)
    changes = {key: value for key in ("steps", "guidance") if (value := getattr(asked, key)) is not None}
    pipeline = (system.with_settings(**changes) if changes else system).pipeline("cpu")
    asked.out.mkdir(parents=True, exist_ok=True)
    suite = open_suite(asked.suite)
    for _ in suite.prepare():
        pass
    clips = suite.clips()[: asked.limit]
    figures: dict[str, Any] = {}
    told = {clip.id: sounds_of(clip) for clip in clips}
    made = sounds(pipeline, [request(clip, clip.caption) for clip in clips], asked.out)
    untold = sounds(pipeline, [request(clip, None) for clip in clips], asked.out / "without-captions")
    figures |= directions(clips, made, told)
    figures |= timing(clips, made, told)
    figures |= kinds(clips, {"": made, " without captions": untold}, told)
    figures |= of_codec(clips, told)
    if asked.picture:
        draw([(told[clip.id], made[clip.id]) for clip in clips[:3]], asked.picture)
    if asked.silent:
        figures |= silence(pipeline, asked.silent, asked.out / "silent")
    if asked.media:
        figures |= real(pipeline, asked.media, asked.out / "real")
    (asked.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    for name, value in figures.items():
        print(f"| {name} | {value} |")


def request(clip: Clip, caption: str | None) -> Request:
    assert clip.duration is not None
    return Request(clip.id, clip.video, caption, clip.start, clip.duration)


def sounds_of(clip: Clip) -> Array:
    assert clip.audio is not None
    assert clip.duration is not None
    samples = read_binaural(clip.audio, start=clip.start, duration=clip.duration, sample_rate=RATE).samples
    return scale_to_peak(samples).astype(np.float64)


def sounds(pipeline: Pipeline, requests: Sequence[Request], out: Path) -> dict[str, Array]:
    out.mkdir(parents=True, exist_ok=True)
    made = {}
    for sounded in pipeline.generate(requests, 0):
        if sounded.sound is None:
            raise SystemExit(f"{sounded.request.id}: {sounded.error}")
        made[sounded.request.id] = sounded.sound.astype(np.float64)
        write_audio(out / f"{sounded.request.id}.wav", sounded.sound, RATE)
    return made


def interval(count: int, value: Callable[[Array], float]) -> str:
    """The value over all clips, and its 95 % interval over draws of clips."""
    rng = np.random.default_rng(0)
    drawn = [value(rng.integers(count, size=count)) for _ in range(DRAWS)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{value(np.arange(count)):.2f} [{low:.2f}, {high:.2f}]"


def ratio(over: Sequence[float], under: Sequence[float]) -> str:
    top, bottom = np.asarray(over, dtype=float), np.asarray(under, dtype=float)
    return interval(len(top), lambda chosen: float(top[chosen].sum() / max(bottom[chosen].sum(), 1e-12)))


def directions(clips: Sequence[Clip], made: dict[str, Array], told: dict[str, Array]) -> dict[str, str]:
    scores = [paired_scores(interaural_cues(made[c.id]), interaural_cues(told[c.id])) for c in clips]
    values = {name: np.array([row[name].value for row in scores]) for name in scores[0]}
    figures = {}
    for key in DIRECTION:
        metric = METRICS[key]

        def value(chosen: Array, metric: Any = metric) -> float:
            return float(metric.aggregate({name: values[name][chosen] for name in metric.quantities}))

        figures[metric.title] = interval(len(clips), value)
    return figures


def heard_onsets(clip: Clip) -> Array:
    """When the sounds of all that is in view arrive."""
    truth = read_truth(clip.meta["truth"])
    times = [
        onset + np.interp(onset, truth.times, source.distance) / SPEED_OF_SOUND
        for source in truth.sources
        if source.visible[0]
        for onset in source.onsets
    ]
    return np.sort(np.asarray(times))


def timing(clips: Sequence[Clip], made: dict[str, Array], told: dict[str, Array]) -> dict[str, str]:
    true = [heard_onsets(clip) for clip in clips]
    figures = {}
    for name, some in (("", made), (" (reference)", told)):
        mono = [some[clip.id].mean(axis=0) for clip in clips]
        said = [onset_times(sound) for sound in mono]
        hits = [matched(s, t) for s, t in zip(said, true, strict=True)]
        figures[f"onset recall{name}"] = ratio(hits, [len(t) for t in true])
        figures[f"onset precision{name}"] = ratio(hits, [len(s) for s in said])
        rises = [energy_rise(sound, t) for sound, t in zip(mono, true, strict=True)]
        figures[f"energy rise{name}"] = ratio(rises, [1] * len(rises))
        if not name:
            other = true[1:] + true[:1]
            hits = [matched(s, t) for s, t in zip(said, other, strict=True)]
            figures["onset recall, another clip's onsets"] = ratio(hits, [len(t) for t in other])
    return figures


def kinds(clips: Sequence[Clip], made: dict[str, dict[str, Array]], told: dict[str, Array]) -> dict[str, str]:
    """Of the clips with one kind of sound."""
    alone = [clip for clip in clips if len(clip.meta["visible"]) == 1 and not clip.meta["invisible"]]
    kind = [clip.meta["visible"][0] for clip in alone]
    own = [spectrum(told[clip.id].mean(axis=0)) for clip in alone]

    def right(index: int, heard: Array) -> bool:
        distances = {}
        for name in dict.fromkeys(kind):
            others = [row for place, row in enumerate(own) if kind[place] == name and place != index]
            if others:
                distances[name] = float(np.abs(np.mean(others, axis=0) - heard).mean())
        return min(distances, key=lambda name: distances[name]) == kind[index]

    figures = {}
    for name, some in {**made, " (reference)": told}.items():
        hits = [right(index, spectrum(some[clip.id].mean(axis=0))) for index, clip in enumerate(alone)]
        figures[f"kind{name}"] = ratio(hits, [1] * len(hits))
    return figures


def of_codec(clips: Sequence[Clip], told: dict[str, Array]) -> dict[str, str]:
    """The codec's own round trip of the references."""
    codec, kept, clear, mel, widths = Vocoder(), [], [], [], []
    for clip in clips:
        sound = told[clip.id]
        latent = codec.encode(torch.from_numpy(sound.astype(np.float32))[None])[0]
        again = codec.decode(latent)[0, :, : sound.shape[1]].double().numpy()
        some, all_of = pitch_kept(again.mean(axis=0), sound.mean(axis=0))
        kept.append(some)
        clear.append(all_of)
        mel.append(mel_distance(again.mean(axis=0), sound.mean(axis=0)))
        first, second = interaural_cues(sound), interaural_cues(again)
        widths.append(abs(float(first.iacc[first.active].mean() - second.iacc[first.active].mean())))
    return {
        "pitch kept by the codec": ratio(kept, clear),
        "mel distance of the codec, dB": ratio(mel, [1] * len(mel)),
        "ΔIACC of the codec": ratio(widths, [1] * len(widths)),
    }


def draw(pairs: Sequence[tuple[Array, Array]], path: Path) -> None:
    """Spectrograms of references, and below each that of the sound that was made, 60 dB from black to white."""
    from PIL import Image

    columns = []
    for pair in pairs:
        rows = []
        for sound in pair:
            levels = mel_levels(sound.mean(axis=0), 96).T[::-1]
            share = np.clip(
                (levels - max(float(mel_levels(one.mean(axis=0), 96).max()) for one in pair)) / 60 + 1, 0, 1
            )
            colours = np.stack([share**0.7, share**1.6, np.sin(np.pi * share) * 0.6 + 0.2 * share], axis=-1)
            rows.append(np.pad(255 * np.clip(colours, 0, 1), ((0, 6), (0, 6), (0, 0)), constant_values=255))
        columns.append(np.concatenate(rows))
    whole = np.concatenate(columns, axis=1).astype(np.uint8)
    size = (900, round(900 * whole.shape[0] * 2.2 / whole.shape[1]))
    Image.fromarray(whole).resize(size, Image.Resampling.BILINEAR).save(path, quality=85)


def decibels(sound: Array) -> float:
    return float(10 * np.log10(np.mean(sound**2) + 1e-12))


def silence(pipeline: Pipeline, count: int, out: Path) -> dict[str, str]:
    """Scenes in which nothing sounds, that are not learnt from: those that come next."""
    out.mkdir(parents=True, exist_ok=True)
    # A block of either design has the same rooms; it may have learnt from any of these.
    first = max(FILMED.clips // IN_VIEW.block, CROWDED.clips // TWO_IN_VIEW.block) * IN_VIEW.block
    scenes = IN_VIEW.scenes(FILMED.name, first + 10 * count, FILMED.duration)[first:]
    silent = [scene for scene in scenes if filming_of(scene).silent][:count]
    for scene in silent:
        film_files(scene, out, FILMED.size)
    made = sounds(
        pipeline, [Request(s.id, out / f"{s.id}.mp4", None, 0.0, FILMED.duration) for s in silent], out / "sounds"
    )
    levels = [decibels(made[scene.id]) for scene in silent]
    told = f"median {np.median(levels):.1f} dB, loudest {max(levels):.1f} dB"
    return {"silent scenes": told, "silent scenes below -50 dB": f"{sum(level < -50 for level in levels)} of {count}"}


def real(pipeline: Pipeline, folder: Path, out: Path) -> dict[str, str]:
    """Peaks, levels and sides of real videos, of them mirrored, and of pictures that show nothing."""
    out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as made_there:
        videos = {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix in {".mp4", ".webm", ".mkv"}}
        for name, colour in (("black", 0), ("grey", 128)):
            path = Path(made_there) / f"{name}.mp4"
            write_video(path, (np.full((128, 128, 3), colour, np.uint8) for _ in range(100)), 25)
            videos[name] = path
        for name, video in videos.items():
            mirrored = Path(made_there) / f"{name}-mirrored.mp4"
            seen = [
                np.ascontiguousarray(frame[:, ::-1]) for _, frame in iter_frames(video, fps=25, start=0, duration=4)
            ]
            even = [frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2] for frame in seen]
            write_video(mirrored, even, 25, crf=18)
            requests = [Request(name, video, None, 0.0, 3.9), Request(f"{name}-mirrored", mirrored, None, 0.0, 3.9)]
            pair = sounds(pipeline, requests, out)
            sides = [side(pair[one.id]) for one in requests]
            peak, level = float(np.abs(pair[name]).max()), decibels(pair[name])
            figures[name] = f"peak {peak:.2f}, {level:.1f} dB, side {sides[0]:+.2f}, mirrored {sides[1]:+.2f}"
    return figures


def side(sound: Array) -> float:
    """Mean lateralisation of what is loud, positive to the left."""
    cues = interaural_cues(sound)
    return float(cues.lateralisation[cues.active].mean()) if cues.active.any() else float("nan")


if __name__ == "__main__":
    main()
