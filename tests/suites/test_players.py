"""Files are read as players play them: their own start, the right streams, pictures as they are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import torch
from av.stream import Disposition

from visaudio_bench.errors import ClipError
from visaudio_bench.models.backbones.frames import first_frames
from visaudio_bench.models.visaudio.checkpoints import save_network
from visaudio_bench.models.visaudio.config import CONFIGS
from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.models.visaudio.network import build
from visaudio_bench.models.visaudio.parts import open_parts
from visaudio_bench.suites import open_suite, yuv_pictures
from visaudio_bench.suites.containers import picture_span, refuse_damaged_pictures
from visaudio_bench.suites.frame_selection import fps_filter, fps_filter_from_zero
from visaudio_bench.suites.media import (
    can_be_copied,
    iter_frames,
    probe,
    read_frames,
    read_sampled_frames,
    read_sound,
    sound_format,
    sound_start,
    write_audio,
    write_video,
)
from visaudio_bench.suites.yuv_pictures import iter_planes

RATE = 48000
FLAC = {"strict": "-2"}
FRAGMENTS = {"movflags": "frag_keyframe+delay_moov+default_base_moof", **FLAC}
OFFSET = 5.3
# suffix, sound codec (exact but for mp2, whose bits do not depend on the clock), options of the muxer
KINDS = {
    "mp4": ("x.mp4", "flac", FLAC),
    "mov": ("x.mov", "pcm_s16le", {}),
    "fragments": ("x.mp4", "flac", FRAGMENTS),
    "mkv": ("x.mkv", "pcm_s16le", {}),
    "ts": ("x.ts", "mp2", {}),
    "ts called mp4": ("x.mp4", "mp2", {}),
}


def shown(path: Path, **window: float) -> list[np.ndarray]:
    return [picture for _, picture in iter_frames(path, fps=10, **window)]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_time_counts_from_the_files_own_start(
    tmp_path: Path, movie: Callable, sound: Callable, kind: str, late: float
) -> None:
    """The same content at another place of the clock is the same; what is late within a file stays late."""
    name, codec, options = KINDS[kind]
    zero, moved = (
        movie(
            tmp_path / folder / name, 4.0, sound(4.0), codec=codec, options=options,
            form="mpegts" if kind.startswith("ts") else None, picture_delay=offset, sound_delay=offset + late,
        )
        for folder, offset in (("zero", 0.0), ("moved", OFFSET))
    )  # fmt: skip
    assert np.array_equal(read_sound(moved).samples, read_sound(zero).samples)
    assert (
        sound_start(moved) == pytest.approx(late, abs=0.02) == sound_start(zero)
    )  # mp2 begins a little before its sound
    assert same(shown(moved), shown(zero))
    for start, duration in ((0.0, 2.0), (2.5, 1.0)):
        window = {"start": start, "duration": duration}
        assert np.array_equal(read_sound(moved, **window).samples, read_sound(zero, **window).samples)
        assert same(shown(moved, **window), shown(zero, **window))
        exact = [read_frames(path, fps=8, policy="nearest", **window).pictures for path in (moved, zero)]
        assert np.array_equal(*exact)
        spans = [picture_span(path, start, start + duration) for path in (moved, zero)]
        assert spans[0][0] == pytest.approx(spans[1][0])
        assert min(last for _, last in spans) >= start + duration - 1e-6
    assert probe(moved) == pytest.approx(probe(zero), abs=0.002)
    assert probe(moved).picture == pytest.approx(4.0, abs=0.05)
    planes = [[plane.y.copy() for plane in iter_planes(path, fps=Fraction(5), duration=4.0)] for path in (moved, zero)]
    assert same(*planes)
    refuse_damaged_pictures(moved, 1.0, 3.0)


def test_planes_of_a_window_are_those_of_the_whole_and_not_all_is_decoded_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = np.abs(np.arange(600) * 2 % 510 - 255).astype(np.uint8)  # without a jump, which would be a key frame
    write_video(
        tmp_path / "x.mp4", (np.full((32, 32, 3), level) for level in grey), 25
    )  # a key frame every 10 s at least
    rate, decoded, times = Fraction(25), yuv_pictures.decoded, []

    def spy(*given: Any) -> Any:
        for time, frame in decoded(*given):
            times.append(time)
            yield time, frame

    whole = [picture.y.copy() for picture in iter_planes(tmp_path / "x.mp4", fps=rate, duration=24.0)]
    monkeypatch.setattr(yuv_pictures, "decoded", spy)
    part = [picture.y.copy() for picture in iter_planes(tmp_path / "x.mp4", fps=rate, duration=1.0, start=22.0)]
    assert same(part, whole[550:575])
    assert times[0] > 10


def test_sound_alone_starts_with_its_first_sound(tmp_path: Path, movie: Callable, sound: Callable) -> None:
    samples = sound(2.0)
    path = movie(tmp_path / "x.mka", None, samples, codec="pcm_s16le", sound_delay=0.7)
    assert np.array_equal(read_sound(path).samples, samples)
    assert probe(path) == (pytest.approx(2.0, abs=0.001), None)
    for name, codec in (("x.m4a", "aac"), ("x.webm", "libopus"), ("x.mp3", "libmp3lame")):
        heard = read_sound(movie(tmp_path / name, None, samples, codec=codec)).samples
        lags = np.fft.irfft(np.fft.rfft(heard[0], 2**18) * np.conj(np.fft.rfft(samples[0], 2**18)))
        assert min(lags.argmax(), 2**18 - lags.argmax()) <= 1, name


@pytest.mark.parametrize(("kind", "subtype"), [("wav", "PCM_16"), ("wav", "FLOAT"), ("flac", "PCM_16")])
def test_a_header_that_leaves_the_length_open_is_read_to_the_end(tmp_path: Path, kind: str, subtype: str) -> None:
    """A pipe cannot go back to say how long the sound was, nor can a recorder that lost its power."""
    path = tmp_path / f"x.{kind}"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (30_000, 2)).astype(np.float32)
    soundfile.write(path, noise, 16_000, subtype=subtype)
    whole = read_sound(path).samples
    written = bytearray(path.read_bytes())
    if kind == "wav":
        at = written.index(b"data") + 4
        written[4:8] = written[at : at + 4] = bytes(4)
    else:  # the last 36 bits of the first block's rates: how many samples there are
        written[21] &= 0xF0
        written[22:26] = bytes(4)
    path.write_bytes(written)
    assert probe(path).sound == pytest.approx(30_000 / 16_000)
    assert sound_format(path) == (16_000, 2)
    assert np.array_equal(read_sound(path).samples, whole)
    assert np.array_equal(read_sound(path, start=0.5, duration=1.0).samples, whole[:, 8_000:24_000])


def test_seeking_without_an_index_loses_no_picture(tmp_path: Path, movie: Callable, sound: Callable) -> None:
    """In a transport stream seeking leads between two key frames, and what can be decoded next is seconds later."""
    path = movie(tmp_path / "x.ts", 8.0, sound(8.0), codec="mp2", key_frames=80)
    every = shown(path)
    window = shown(path, start=4.0, duration=2.0)
    assert same(window, every[40:60])
    assert not np.array_equal(window[0], window[-1])


def test_a_clock_that_jumps_is_refused(tmp_path: Path, movie: Callable, sound: Callable) -> None:
    part = movie(tmp_path / "part.ts", 2.0, sound(2.0), codec="mp2")
    (tmp_path / "two.ts").write_bytes(2 * part.read_bytes())
    for read in (read_sound, shown):
        with pytest.raises(ClipError, match="jumps from") as caught:
            read(tmp_path / "two.ts")
        assert caught.value.reason == "discontinuous"


def write_tracks(
    path: Path, sounds: list[np.ndarray], default: list[int], *, cover: bool = False, pictures: bool = True
) -> Path:
    """Ten grey pictures, and several sounds of which some carry the default flag; a red cover before all of them."""
    with av.open(str(path), "w") as container:
        front = []
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
            picture.disposition = Disposition.attached_pic
            front = [(picture, np.full((64, 64, 3), (200, 0, 0), np.uint8), 1)]
        if pictures:
            video = container.add_stream("libx264", rate=10)
            video.width, video.height, video.pix_fmt = 64, 32, "yuv420p"
            front.append((video, np.full((32, 64, 3), 100, np.uint8), 10))
        tracks = [container.add_stream("pcm_s16le", rate=RATE, layout="stereo") for _ in sounds]
        for index, track in enumerate(tracks):
            track.disposition = Disposition.default if index in default else Disposition(0)
        for stream, colour, count in front:
            for _ in range(count):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(colour, format="rgb24")))
            container.mux(stream.encode())
        for track, samples in zip(tracks, sounds, strict=True):
            packed = np.ascontiguousarray((samples * 32768).astype(np.int16).T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(track.encode(frame))
            container.mux(track.encode())
    return path


def test_of_several_sounds_the_marked_one_is_played(tmp_path: Path, sound: Callable) -> None:
    sounds = [sound(1.0, seed=1), sound(1.0, side="right", seed=2)]
    for default, played in (([0], 0), ([1], 1)):
        path = write_tracks(tmp_path / f"{default[0]}.mkv", sounds, default)
        assert np.array_equal(read_sound(path).samples, sounds[played])


def test_sounds_among_which_players_choose_differently_are_refused(tmp_path: Path, sound: Callable) -> None:
    """FFmpeg takes the one of more bits, browsers the first."""
    path = tmp_path / "x.ts"
    with av.open(str(path), "w") as container:
        for rate in (64_000, 256_000):
            stream = container.add_stream("mp2", rate=RATE, layout="stereo")
            stream.bit_rate = rate
        for stream in container.streams.audio:
            for index in range(40):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), format="s16", layout="stereo")
                frame.sample_rate, frame.pts = RATE, 1152 * index
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    for read in (read_sound, probe):
        with pytest.raises(ClipError, match=r"FFmpeg plays number 1, others number 0 .*-map 0:a:0") as caught:
            read(path)
        assert caught.value.reason == "several_audio"


def test_a_cover_is_no_video(tmp_path: Path, sound: Callable) -> None:
    path = write_tracks(tmp_path / "x.mp4", [], [], cover=True)
    with av.open(str(path)) as container:
        assert any(stream.disposition & Disposition.attached_pic for stream in container.streams.video)
    assert {picture.shape for picture in shown(path)} == {(32, 64, 3)}
    assert abs(int(shown(path)[0][0, 0, 0]) - 100) < 5
    assert can_be_copied(path)
    song = write_tracks(tmp_path / "y.mp4", [sound(1.0)], [0], cover=True, pictures=False)
    assert probe(song) == (pytest.approx(1.0), None)
    with pytest.raises(ClipError) as caught:
        shown(song)
    assert caught.value.reason == "no_video"


def write_pictures(
    path: Path, pictures: list[np.ndarray], *, rate: int = 10, pix_fmt: str = "yuv420p", **set_to: Any
) -> Path:
    """A video whose stream or codec has these properties; every change of size begins a new sequence."""
    with av.open(str(path), "w") as container:
        stream: Any = None
        encoder: Any = None
        for index, picture in enumerate(pictures):
            if encoder is None or (encoder.height, encoder.width) != picture.shape[:2]:
                if encoder is not None:
                    _mux(container, stream, encoder.encode(None))
                encoder = av.CodecContext.create("libx264", "w")
                encoder.height, encoder.width, encoder.pix_fmt = *picture.shape[:2], pix_fmt
                encoder.time_base, encoder.framerate = Fraction(1, rate), Fraction(rate)
                encoder.options = {"preset": "ultrafast", "bf": "0", "crf": "5"}
                for name in set_to.keys() & {"sample_aspect_ratio", "color_trc"}:
                    setattr(encoder, name, set_to[name])
            if stream is None:
                stream = container.add_stream("libx264", rate=rate)
                stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], pix_fmt
                stream.codec_context.options = {"preset": "ultrafast"}
                for name in set_to.keys() & {"sample_aspect_ratio", "color_trc"}:
                    setattr(stream.codec_context, name, set_to[name])
                if "matrix" in set_to:
                    stream.set_display_matrix(set_to["matrix"])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, rate)
            _mux(container, stream, encoder.encode(frame))
        _mux(container, stream, encoder.encode(None))
    return path


def _mux(container: Any, stream: Any, packets: Any) -> None:
    for packet in packets:
        packet.stream = stream
        container.mux(packet)


def striped() -> np.ndarray:
    """Brightest at the top left, so that all eight ways to turn it differ."""
    rows, columns = np.mgrid[:32, :64]
    return np.repeat((200 - 4 * rows - columns)[..., None], 3, axis=2).astype(np.uint8)


# x' = a x + c y, y' = b x + d y, y downwards: what numpy does to the stored picture
TURNS = {
    (1, 0, 0, 1): lambda p: p,
    (-1, 0, 0, 1): lambda p: p[:, ::-1],
    (1, 0, 0, -1): lambda p: p[::-1],
    (-1, 0, 0, -1): lambda p: p[::-1, ::-1],
    (0, 1, -1, 0): lambda p: np.rot90(p, -1),
    (0, -1, 1, 0): lambda p: np.rot90(p, 1),
    (0, 1, 1, 0): lambda p: p.swapaxes(0, 1),
    (0, -1, -1, 0): lambda p: p[::-1, ::-1].swapaxes(0, 1),
}


def matrix(*abcd: float) -> list[int]:
    a, b, c, d = (round(65536 * value) for value in abcd)
    return [a, b, 0, c, d, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize("abcd", TURNS)
def test_pictures_are_turned_and_mirrored_as_the_file_says(tmp_path: Path, abcd: tuple[int, ...]) -> None:
    """A mirrored picture (front cameras) that is shown unmirrored has its sound on the wrong side."""
    path = write_pictures(tmp_path / "x.mp4", [striped()] * 3, matrix=matrix(*abcd))
    expected = TURNS[abcd](striped()).astype(int)
    for picture in (shown(path)[0], next(iter_planes(path, fps=Fraction(10), duration=0.3)).y):
        assert picture.shape[:2] == expected.shape[:2]
        grey = expected.mean(axis=2)
        found = picture.reshape(*picture.shape[:2], -1).mean(axis=2)
        assert np.corrcoef(found.ravel(), grey.ravel())[0, 1] > 0.99


def test_pixels_that_are_not_square_are_shown_in_their_shape(tmp_path: Path) -> None:
    """Pixels of 4:3 are made square in width; the turn comes after."""
    wide = {"sample_aspect_ratio": Fraction(4, 3)}
    path = write_pictures(tmp_path / "x.mp4", [striped()] * 3, **wide)
    assert shown(path)[0].shape == (32, 85, 3)
    path = write_pictures(tmp_path / "y.mp4", [striped()] * 3, matrix=matrix(0, 1, -1, 0), **wide)
    assert shown(path)[0].shape == (85, 32, 3)


def test_what_cannot_be_shown_as_everywhere_is_refused_by_name(tmp_path: Path) -> None:
    turned = write_pictures(tmp_path / "turned.mp4", [striped()] * 3, matrix=matrix(0.8, 0.6, -0.6, 0.8))
    bright = write_pictures(tmp_path / "bright.mp4", [striped()] * 3, color_trc=16)
    other = write_pictures(tmp_path / "other.ts", [striped()] * 5 + [striped().swapaxes(0, 1).copy()] * 5)
    for path, reason, words in (
        (turned, "rotation", "turned by 36"), (bright, "hdr", r"HDR \(PQ\)"), (other, "shape_changes", "to 32 x 64"),
    ):  # fmt: skip
        for read in (shown, lambda path: list(iter_planes(path, fps=Fraction(10), duration=0.9))):
            with pytest.raises(ClipError, match=words) as caught:
                read(path)
            assert caught.value.reason == reason
    for path in (turned, bright):
        with pytest.raises(ClipError):
            picture_span(path, 0.0, 0.3)


def test_a_larger_picture_midway_is_shown_at_the_size_of_the_first(tmp_path: Path) -> None:
    larger = np.repeat(np.repeat(striped(), 2, axis=0), 2, axis=1)
    path = write_pictures(tmp_path / "x.ts", [striped()] * 5 + [larger] * 5)
    pictures = shown(path)
    assert {picture.shape for picture in pictures} == {(32, 64, 3)}
    assert np.abs(pictures[9].astype(int) - pictures[0]).mean() < 3
    assert len(read_frames(path, fps=10, duration=1.0).pictures) == 10


def test_a_title_in_another_encoding_hinders_nobody(tmp_path: Path, movie: Callable, sound: Callable) -> None:
    path = movie(tmp_path / "x.mkv", 1.0, sound(1.0), codec="pcm_s16le", title="caf__")
    data = path.read_bytes()
    assert b"caf__" in data
    path.write_bytes(data.replace(b"caf__", b"caf\xe9\xff"))
    assert read_sound(path).samples.shape == (2, RATE)
    assert len(shown(path)) == 10


def test_a_last_picture_that_lasts_is_there_until_it_ceases(tmp_path: Path, movie: Callable, sound: Callable) -> None:
    """Screen recordings and slide shows: two pictures in three seconds are no video of half a second."""
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.codec_context.options = {"bf": "0", "tune": "zerolatency"}
        for at, lasts in ((0, 5), (5, 25)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 64, 3), 50 + 10 * at, np.uint8), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 10)
            for packet in stream.encode(frame):
                packet.duration = lasts * round(1 / (10 * packet.time_base))
                container.mux(packet)
        container.mux(stream.encode())
    assert probe(path).picture == pytest.approx(3.0)
    for rule in (first_frames, fps_filter_from_zero):
        found = read_sampled_frames(path, [partial(rule, rate=25, count=75)], duration=3.0, as_played=True)[0]
        assert found.held <= 1
        assert found.pictures[40].mean() > 90
    with pytest.raises(ClipError, match="ends at"):
        read_sampled_frames(path, [partial(first_frames, rate=25, count=100)], duration=4.0, as_played=True)
    assert read_sampled_frames(path, [partial(fps_filter, rate=25, count=75)], duration=3.0)[0].held > 60


def test_a_late_first_picture_stays_late_but_where_the_reference_is_followed() -> None:
    """Pictures from 0.4 s on: the slot of 4.0 s has that of 4.0 s, and the slots before the first one have it."""
    times = [Fraction(2, 5) + Fraction(k, 25) for k in range(200)]
    ours = fps_filter_from_zero(times, 25, 200).indices
    assert [times[index] for index in ours[10:]] == [Fraction(k, 25) for k in range(10, 200)]
    assert set(ours[:11]) == {0}
    assert times[fps_filter(times, 25, 200).indices[100]] == Fraction(22, 5)  # as the reference implementation has it
    early = [time - Fraction(1) for time in times]
    assert [early[index] for index in fps_filter_from_zero(early, 25, 100).indices] == [
        Fraction(k, 25) for k in range(100)
    ]


# --- through the command line -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory, movie: Callable, sound: Callable) -> dict[str, Path]:
    """Folders `zero` and `moved` of the same two clips, as mp4 and as a transport stream with another name."""
    root = tmp_path_factory.mktemp("twins")
    for folder, offset in (("zero", 0.0), ("moved", OFFSET)):
        late = {"picture_delay": offset, "sound_delay": offset}
        for name, side, kind in (
            ("a", "left", {"codec": "flac", "options": FLAC}),
            ("b", "right", {"codec": "mp2", "form": "mpegts"}),
        ):
            movie(root / folder / f"{name}.mp4", 2.0, sound(2.0, side=side), **kind, **late)
    return {name: root / name for name in ("zero", "moved")}


def test_folders_are_run_and_scored_wherever_their_clock_stands(
    bench: Callable, twins: dict[str, Path], tmp_path: Path
) -> None:
    """The same sound as prediction and as reference, each at another place of its clock, is the reference itself."""
    moved, zero, out = twins["moved"], twins["zero"], tmp_path / "run"
    asked = ("--predictions", moved, "--references", zero, "--metric", "lat_ccc,delta_ild", "--out", out)
    told = bench("score", *asked)
    assert told.code == 0, told.err
    rows = json.loads((out / "results.json").read_text())["results"]
    found = {row["metric"]: (row["value"], row["n"]) for row in rows if row["system"] == "moved"}
    assert found == {"lat_ccc": (1.0, 2), "delta_ild": (0.0, 2)}
    told = bench("run", "--suite", f"folder:{moved}", "--system", "mono", "--metric", "lat_ccc", "--dry-run")
    assert told.code == 0, told.err
    (a, b) = open_suite(f"folder:{moved}").clips()
    assert (a.duration, b.duration) == (pytest.approx(2.0, abs=0.05), pytest.approx(2.0, abs=0.05))


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network whose flow is not nothing."""
    path = tmp_path_factory.mktemp("network") / "tiny.safetensors"
    torch.manual_seed(0)
    made = build(replace(CONFIGS["tiny"], hidden=16, heads=2, depth=2, fused_depth=1))
    for key, tensor in made.named_parameters():
        if "final_layer" in key or "adaLN" in key:
            torch.nn.init.normal_(tensor.data, std=0.3)
    save_network(made, path, open_parts("built-in").notes())
    return path


def test_sound_is_made_for_what_is_seen_wherever_the_clock_stands(
    bench: Callable, twins: dict[str, Path], network: Path, tmp_path: Path
) -> None:
    made = []
    for name, folder in twins.items():
        asked = ("--weights", network, "--video", folder / "b.mp4", "--duration", 1, "--steps", 1, "--mux")
        told = bench("generate", *asked, "--out", tmp_path / name)
        assert told.code == 0, told.err
        made.append((read_sound(tmp_path / name / "b.wav").samples, shown(tmp_path / name / "b.mp4")))
    assert np.array_equal(made[0][0], made[1][0])
    assert same(made[0][1], made[1][1])
    assert len({picture.tobytes() for picture in made[1][1]}) == 10, "not one frozen picture"


def hide_the_beginning(source: Path, path: Path, seconds: float) -> None:
    """A copy of a file's packets whose first pictures lie before zero, as cutting without coding leaves it."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(whole.streams.video[0]):
            if packet.dts is not None:
                packet.pts -= round(seconds / packet.time_base)
                packet.dts -= round(seconds / packet.time_base)
                packet.stream = stream
                cut.mux(packet)


def test_a_muxed_video_shows_what_its_source_shows(
    bench: Callable, movie: Callable, sound: Callable, network: Path, tmp_path: Path
) -> None:
    """Whole files, whose pictures are copied where that is exact; an edit list that hides the first second is not."""
    movie(tmp_path / "late.mp4", 2.0, sound(2.0), picture_delay=OFFSET + 0.3, sound_delay=OFFSET)
    movie(tmp_path / "plain.mp4", 2.0, sound(2.0))
    hide_the_beginning(movie(tmp_path / "whole.mp4", 3.0), tmp_path / "hidden.mp4", 0.5)
    for name in ("late", "plain", "hidden"):
        source = tmp_path / f"{name}.mp4"
        told = bench(
            "generate",
            "--weights",
            network,
            "--video",
            source,
            "--duration",
            2,
            "--steps",
            1,
            "--mux",
            "--out",
            tmp_path / "out",
        )
        assert told.code == 0, told.err
        made, wanted = shown(tmp_path / "out" / f"{name}.mp4", duration=2.0), shown(source, duration=2.0)
        assert len({picture.tobytes() for picture in wanted}) >= 15
        for one, other in zip(made, wanted, strict=True):
            assert np.abs(one.astype(int) - other).mean() < 2, name
        assert can_be_copied(source) == (name == "plain")


def test_features_are_of_what_is_heard_wherever_the_clock_stands(
    bench: Callable, twins: dict[str, Path], tmp_path: Path
) -> None:
    for name, folder in twins.items():
        told = bench(
            "features", "build", "--suite", f"folder:{folder}", "--out", tmp_path / name, "--parts", "built-in",
            "--duration", 1.5, "--device", "cpu", "--workers", 1,
        )  # fmt: skip
        assert told.code == 0, told.err
    zero, moved = (FeatureStore(tmp_path / name) for name in twins)
    assert [row.clip for row in moved.rows] == ["a", "b"]
    for index in range(2):
        one, other = (store.read(index) for store in (zero, moved))
        for key in ("mean", "clip", "sync"):
            assert np.array_equal(one[key], other[key]), key


def test_preparation_admits_pieces_of_longer_recordings(
    bench: Callable, data: Path, movie: Callable, sound: Callable, tmp_path: Path
) -> None:
    for name, offset in (("aaaaaaaaaaa_0", 0.0), ("bbbbbbbbbbb_10", 10.0)):
        late = {"picture_delay": offset, "sound_delay": offset}
        movie(tmp_path / "biaudio" / "video" / f"{name}.mp4", 8.2, sound(8.2), codec="flac", options=FLAC, **late)
    (tmp_path / "biaudio" / "test.csv").write_text("clip_id,caption\naaaaaaaaaaa_0,a\nbbbbbbbbbbb_10,b\n")
    told = bench("data", "prepare", "biaudio", "--from", tmp_path / "biaudio", "--workers", 1)
    assert told.code == 0, told.err
    assert "left out" not in told.out
    clips = open_suite("biaudio").clips()
    assert [(clip.id, clip.start) for clip in clips] == [("aaaaaaaaaaa_0", 0.0), ("bbbbbbbbbbb_10", 0.0)]
    assert clips[0].meta["difference"] == clips[1].meta["difference"]


def test_a_questionnaire_shows_moving_pictures(bench: Callable, twins: dict[str, Path], tmp_path: Path) -> None:
    systems = []
    for system in ("one", "two"):
        write_audio(tmp_path / system / "b.wav", read_sound(twins["zero"] / "b.mp4").samples, RATE)
        systems += ["--system", f"{system}={tmp_path / system}"]
    out = tmp_path / "page"
    told = bench("mos", "page", *systems, "--videos", twins["moved"], "--clips", 1, "--out", out, "--study-id", "trial")
    assert told.code == 0, told.err
    samples = [path for path in out.rglob("*.mp4") if probe(path).picture]
    assert len(samples) >= 2
    for sample in samples:
        assert len({picture.tobytes() for picture in shown(sample)}) >= 15, "not one frozen picture"
