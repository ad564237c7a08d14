"""Reading and writing sound and pictures: exactness, time stamps, refusals."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from visaudio_bench.baselines.published.worker_inputs import mono_gain, prepare
from visaudio_bench.errors import ClipError
from visaudio_bench.suites import Clip, media
from visaudio_bench.suites.media import (
    Samples,
    iter_frames,
    probe,
    read_binaural,
    read_sound,
    resample,
    round_to_16_bit,
    write_audio,
    write_video,
)
from visaudio_bench.suites.mono_pairs import join
from visaudio_bench.suites.yuv_pictures import Colours, Planes, write_planes

RATE = 44100


def noise(shape: tuple[int, int], seed: int = 0) -> Samples:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "subtype"),
    [
        (round_to_16_bit(noise((2, 1000))), "PCM_16"),
        (round_to_16_bit(noise((2, 1000))) / 2, "PCM_24"),
        (noise((2, 1000)), "FLOAT"),
        (np.array([[1.0, -1.0], [0.5, 0.25]], dtype=np.float32), "FLOAT"),
        (np.array([[-1.0, 0.5], [0.5, 0.25]], dtype=np.float32), "PCM_16"),
        (noise((2, 100)) * 3, "FLOAT"),
    ],
)
def test_a_wav_gives_back_every_sample_in_the_smallest_form(tmp_path: Path, samples: Samples, subtype: str) -> None:
    path = tmp_path / "x.wav"
    write_audio(path, samples, RATE)
    assert soundfile.info(path).subtype == subtype
    assert np.array_equal(read_sound(path).samples, samples)


def test_a_flac_gives_back_16_bit_samples(tmp_path: Path) -> None:
    samples = round_to_16_bit(noise((2, 5000)))
    write_audio(tmp_path / "x.flac", samples, RATE)
    assert np.array_equal(read_binaural(tmp_path / "x.flac").samples, samples)


@given(st.floats(-2, 2, width=32))
def test_rounding_to_16_bits_is_the_nearest_value(value: float) -> None:
    sound = np.array([[value]], dtype=np.float32)
    if abs(value) > 1:
        with pytest.raises(ClipError, match="16 bits hold no more than full scale"):
            round_to_16_bit(sound)
        return
    rounded = float(round_to_16_bit(sound)[0, 0])
    assert -1 <= rounded <= 32767 / 32768
    if -1 <= value <= 32767 / 32768:
        assert abs(rounded - value) <= 0.5 / 32768
    assert rounded * 32768 == round(rounded * 32768)


def test_a_window_is_cut_where_it_says(tmp_path: Path) -> None:
    samples = round_to_16_bit(noise((2, 3 * RATE)))
    write_audio(tmp_path / "x.wav", samples, RATE)
    sound = read_sound(tmp_path / "x.wav", start=1.0, duration=1.5)
    assert np.array_equal(sound.samples, samples[:, RATE : RATE + round(1.5 * RATE)])


def test_a_file_that_ends_a_little_early_is_filled_and_much_too_early_refused(tmp_path: Path) -> None:
    write_audio(tmp_path / "x.wav", round_to_16_bit(noise((2, 2 * RATE - 100))), RATE)
    sound = read_sound(tmp_path / "x.wav", duration=2.0)
    assert sound.samples.shape == (2, 2 * RATE)
    assert not sound.samples[:, -100:].any()
    with pytest.raises(ClipError, match=r"2\.00 s of sound in the window; 8 s were expected") as caught:
        read_sound(tmp_path / "x.wav", duration=8.0)
    assert caught.value.reason == "short"


def test_both_channels_are_resampled_alike_and_levels_stay(tmp_path: Path) -> None:
    time = np.arange(48000 * 2) / 48000
    tone = np.sin(2 * np.pi * 440 * time)
    write_audio(tmp_path / "x.wav", np.stack([0.8 * tone, 0.2 * tone]).astype(np.float32), 48000)
    sound = read_binaural(tmp_path / "x.wav", duration=2.0, sample_rate=RATE)
    assert (sound.sample_rate, sound.source_rate, sound.samples.shape) == (RATE, 48000, (2, 2 * RATE))
    middle = slice(RATE // 2, RATE)
    assert np.allclose(sound.samples[0, middle], 4 * sound.samples[1, middle], atol=1e-5)
    expected = 0.8 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    assert np.abs(sound.samples[0, middle] - expected[middle]).max() < 1e-3


def test_resampling_commutes_with_swapping() -> None:
    samples = noise((2, 4000))
    assert np.array_equal(resample(samples, 48000, RATE)[::-1], resample(samples[::-1], 48000, RATE))


@pytest.mark.parametrize(("channels", "reason"), [(1, "mono"), (4, "not_two_channel"), (6, "not_two_channel")])
def test_what_is_not_two_channel_is_refused_with_what_to_do(tmp_path: Path, channels: int, reason: str) -> None:
    write_audio(tmp_path / "x.wav", round_to_16_bit(noise((channels, 1000))), RATE)
    with pytest.raises(ClipError, match="binaural") as caught:
        read_binaural(tmp_path / "x.wav")
    assert caught.value.reason == reason


@pytest.mark.parametrize("suffix", [".wav", ".mp4"])
def test_missing_and_broken_files_have_their_codes(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ClipError) as caught:
        read_sound(tmp_path / f"none{suffix}")
    assert caught.value.reason == "not_found"
    broken = tmp_path / f"broken{suffix}"
    broken.write_bytes(b"this is not media" * 50)
    with pytest.raises(ClipError) as caught:
        read_sound(broken)
    assert caught.value.reason == "unreadable"


def pictures(count: int, size: int = 64) -> list[np.ndarray]:
    """Frame k is grey level 10 k + 5, which survives coding."""
    return [np.full((size, size, 3), 10 * k + 5, dtype=np.uint8) for k in range(count)]


def numbers(path: Path, **window: float) -> list[int]:
    return [round((float(frame.mean()) - 5) / 10) for _, frame in iter_frames(path, **window)]


def test_frames_are_the_first_at_or_after_each_time(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    write_video(path, pictures(20), 10)
    assert numbers(path, fps=10) == list(range(20))
    assert numbers(path, fps=4) == [0, 3, 5, 8, 10, 13, 15, 18]
    assert numbers(path, fps=20, duration=1.0) == [k // 2 + k % 2 for k in range(20)]
    assert numbers(path, fps=10, start=0.5, duration=0.5) == [5, 6, 7, 8, 9]
    assert probe(path).picture == pytest.approx(2.0)
    assert probe(path).sound is None


@pytest.mark.parametrize("instructions", ["0", "SSSE3", "AVX2"])
def test_a_video_does_not_depend_on_what_the_processor_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instructions: str
) -> None:
    """The same bytes from x264 in plain C as with the instructions of this or of an older processor."""
    place = np.arange(48)[:, None] * 0.1 + np.arange(80) * 0.17
    grey = [
        np.rint(120 + 60 * np.sin(place + 0.9 * k) * np.cos(2.3 * place - 0.7 * k)).astype(np.uint8) for k in range(40)
    ]
    colour = np.full((24, 40), 128, np.uint8)

    def written(name: str) -> tuple[bytes, bytes]:
        write_video(tmp_path / f"{name}.mp4", [np.repeat(y[..., None], 3, axis=2) for y in grey], 10)
        write_planes(
            tmp_path / f"{name}p.mp4", [Planes(y, colour, colour) for y in grey], Fraction(10), Colours(2, 2, 2, 0)
        )
        return (tmp_path / f"{name}.mp4").read_bytes(), (tmp_path / f"{name}p.mp4").read_bytes()

    usual = written("usual")
    monkeypatch.setattr(media, "X264", f"{media.X264}:asm={instructions}")
    assert written("other") == usual


def test_a_video_that_ends_early_repeats_its_last_frame(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    write_video(path, pictures(5), 10)
    assert numbers(path, fps=10, duration=0.8) == [0, 1, 2, 3, 4, 4, 4, 4]


def test_a_silent_video_has_no_sound_and_a_sound_no_pictures(tmp_path: Path) -> None:
    write_video(tmp_path / "x.mp4", pictures(5), 10)
    write_audio(tmp_path / "x.wav", noise((2, 1000)), RATE)
    with pytest.raises(ClipError) as caught:
        read_sound(tmp_path / "x.mp4")
    assert caught.value.reason == "no_audio"
    with pytest.raises(ClipError) as caught:
        list(iter_frames(tmp_path / "x.wav", fps=10))
    assert caught.value.reason == "no_video"


def test_damaged_packets_are_stepped_over_or_refused(tmp_path: Path, media: Path) -> None:
    data = bytearray((media / "0B4dYTMsgHA_000130.mp4").read_bytes())
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 3])
    for start in range(len(data) // 3, len(data) // 2):
        data[start] ^= 0xA5
    (tmp_path / "bad.mp4").write_bytes(data)
    for name in ("cut.mp4", "bad.mp4"):
        try:
            sound = read_sound(tmp_path / name)
        except ClipError as error:
            assert error.reason in {"unreadable", "corrupt", "no_audio"}
        else:
            assert sound.samples.shape[0] == 2
            assert np.isfinite(sound.samples).all()


def test_real_files_have_the_documented_properties(media: Path) -> None:
    fairplay = read_binaural(media / "fairplay_000001" / "audio" / "audio.wav", duration=8.0, sample_rate=RATE)
    assert (fairplay.source_rate, fairplay.samples.shape) == (48000, (2, 8 * RATE))
    with pytest.raises(ClipError, match="4 channels") as caught:
        read_binaural(media / "sphere360_foa_sitar.webm")
    assert caught.value.reason == "not_two_channel"
    edit_list = media / "F8Zt3mYlOqU_000094.mp4"
    assert sum(1 for _ in iter_frames(edit_list, fps=25)) == 251
    assert sum(1 for _ in iter_frames(edit_list, fps=25, duration=8.0)) == 200


def test_nothing_is_cut_off_in_a_file_of_16_bits(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="the sound's peak is 3 times full scale"):
        write_audio(tmp_path / "x.flac", np.array([[3.0, 0], [0, 1]], dtype=np.float32), RATE)
    assert not (tmp_path / "x.flac").exists()


def test_a_stream_without_a_container_is_as_long_as_its_packets(tmp_path: Path) -> None:
    """FFmpeg guesses from the rate of the first bytes, and here the sound begins with silence."""
    path = tmp_path / "x.aac"
    samples = noise((2, 6 * RATE))
    samples[:, : 3 * RATE] = 0
    with av.open(str(path), "w", format="adts") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert probe(path).sound == pytest.approx(6.0, abs=0.05)
    late = read_sound(path, start=4.0, duration=1.0).samples
    whole = read_sound(path).samples[:, 4 * RATE : 5 * RATE]
    assert np.array_equal(late, whole)


def test_a_mono_sound_to_be_binauralised_is_turned_down_and_it_is_known_by_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    for name, peak in (("loud", 2.0), ("soft", 0.5)):
        samples = np.full((2, RATE), peak, dtype=np.float32)
        write_audio(tmp_path / f"{name}.wav", samples, RATE)
        clip = Clip(name, None, tmp_path / f"{name}.wav", duration=1.0)
        (mono,) = (path for path in prepare(SimpleNamespace(given=("mono",)), clip, 1.0, None) if path)
        assert mono_gain(mono) == min(1.0, 1 / peak)
        assert read_sound(mono).samples == pytest.approx(min(peak, 1.0), abs=4e-5)


@pytest.mark.parametrize(("other", "subtype"), [("PCM_16", "PCM_16"), ("PCM_24", "PCM_24"), ("DOUBLE", "FLOAT")])
def test_two_ears_are_joined_in_what_holds_both(tmp_path: Path, other: str, subtype: str) -> None:
    soundfile.write(tmp_path / "l.wav", np.full(100, 0.5), RATE, "PCM_16")
    soundfile.write(tmp_path / "r.wav", np.full(100, 0.75), RATE, other)
    path = join(tmp_path / "l.wav", tmp_path / "r.wav", tmp_path / "joined")
    assert soundfile.info(path).subtype == subtype


def test_the_same_sound_is_the_same_file_whenever_it_is_written(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).standard_normal((2, 100)).astype(np.float32)
    write_audio(tmp_path / "sound.wav", samples, 44100)
    encoded = (tmp_path / "sound.wav").read_bytes()
    peak = encoded.index(b"PEAK")
    assert encoded[peak + 12 : peak + 16] == bytes(4), "the time of writing"
    assert np.array_equal(read_sound(tmp_path / "sound.wav").samples, samples)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile secret.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".wav"])
def test_a_list_of_other_files_is_no_media_file(tmp_path: Path, text: str, suffix: str) -> None:
    """Else a stranger's clip would show whatever file of ours it names."""
    write_audio(tmp_path / "secret.wav", noise((2, 44_100)), 44100)
    shutil.copy(tmp_path / "secret.wav", tmp_path / "secret.ts")
    (tmp_path / f"clip{suffix}").write_text(text)
    for read in (probe, lambda path: read_sound(path, sample_rate=44100)):
        with pytest.raises(ClipError) as refused:
            read(tmp_path / f"clip{suffix}")
        assert refused.value.reason == "unreadable"
