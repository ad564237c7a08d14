import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import BenchError, ClipError, UsageError
from visaudio_bench.files import CACHE_VARIABLE, beside
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.media import iter_frames, read_sound
from visaudio_bench.suites.simulated import simroom, simroom_mini
from visaudio_bench.suites.simulator.render import PEAK, binaural_sound, clip_files, render_files, scene_sounds
from visaudio_bench.suites.simulator.scenes import bearing
from visaudio_bench.suites.simulator.truth import read_truth


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The first scenes of the small suite, rendered once."""
    folder = tmp_path_factory.mktemp("rendered")
    scenes = list(simroom_mini().scenes.values())[:6]
    for scene in scenes:
        render_files(scene, folder, 64)
    return folder, scenes


def first(suite, count):
    """A suite cut down to its first scenes."""
    suite.scenes = dict(list(suite.scenes.items())[:count])
    return suite


@pytest.mark.parametrize(
    ("name", "clips", "seconds"), [("simroom-mini", 12, 2.0), ("simroom", 40, 8.0), ("simroom-full", 120, 8.0)]
)
def test_suites_open_by_name_and_say_what_they_hold(name, clips, seconds, own_cache):
    suite = open_suite(name)
    assert len(suite.clips()) == clips
    assert suite.synthetic and suite.captioned
    assert {clip.duration for clip in suite.clips()} == {suite.duration} == {seconds}
    assert all(clip.caption for clip in suite.clips())
    assert suite.pending() == tuple(clip.id for clip in suite.clips())
    assert not list(own_cache.iterdir()), "opening a suite writes nothing"
    assert all(own_cache in clip.video.parents and own_cache in clip.audio.parents for clip in suite.clips())
    with pytest.raises(UsageError, match="takes no argument"):
        open_suite(f"{name}:x")


def test_the_identity_of_a_suite_is_its_scenes_not_its_place(monkeypatch, tmp_path):
    before = simroom().manifest_hash()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "elsewhere"))
    assert simroom().manifest_hash() == before != simroom_mini().manifest_hash()
    assert str(tmp_path) not in str(simroom().manifest())


def test_a_clip_has_silent_video_reference_sound_and_truth(rendered):
    folder, scenes = rendered
    for scene in scenes:
        video, audio, _ = clip_files(folder, scene.id)
        with pytest.raises(ClipError) as silent:
            read_sound(video)
        assert silent.value.reason == "no_audio"
        pictures = [picture for _, picture in iter_frames(video, fps=25)]
        assert len(pictures) == 50
        assert pictures[0].shape == (64, 64, 3)
        sound = read_sound(audio)
        assert sound.samples.shape == (2, 88200)
        assert sound.sample_rate == 44100
        assert np.abs(sound.samples).max() == pytest.approx(PEAK, abs=0.01)


def test_the_truth_is_that_of_the_scene(rendered):
    folder, scenes = rendered
    for scene in scenes:
        truth = read_truth(clip_files(folder, scene.id)[2])
        assert truth.scene == scene
        assert truth.times[-1] == pytest.approx(scene.duration)
        assert truth.listener.shape == (201, 3)
        for row, source in zip(truth.sources, scene.sources, strict=True):
            seen = bearing(scene, source, truth.times)
            np.testing.assert_allclose(row.azimuth, seen.azimuth, atol=1e-4)
            np.testing.assert_allclose(row.distance, seen.distance, atol=1e-4)
            assert row.visible.all() == source.visible
            assert row.onsets[0] < 0.35
            offset = row.position - truth.listener
            np.testing.assert_allclose(
                np.sin(np.arctan2(offset[:, 1], offset[:, 0]) - truth.yaw), np.sin(row.azimuth), atol=1e-3
            )


def test_no_truth_before_rendering_and_none_from_other_files(tmp_path):
    with pytest.raises(ClipError, match="not been rendered"):
        read_truth(simroom_mini().clips()[0].meta["truth"])
    other = tmp_path / "other.json"
    other.write_text("[]")
    with pytest.raises(ClipError, match="not the truth"):
        read_truth(other)


def test_the_louder_ear_is_on_the_side_of_a_lone_still_source():
    for scene in simroom_mini().scenes.values():
        if scene.factor != "static":
            continue
        # Below 1.5 kHz the modes of a small room decide which ear is louder.
        high_pass = butter(4, 1500, "high", fs=SAMPLE_RATE, output="sos")
        energy = (sosfilt(high_pass, binaural_sound(scene, scene_sounds(scene))) ** 2).sum(axis=1)
        assert np.sign(energy[0] - energy[1]) == np.sign(bearing(scene, scene.sources[0], np.zeros(1)).azimuth[0])


def test_the_same_scene_sounds_the_same():
    scene = simroom_mini().scenes["simroom-mini-003"]
    once, again = (binaural_sound(scene, scene_sounds(scene)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    other = replace(scene, seed=scene.seed + 1)
    assert not np.array_equal(once, binaural_sound(other, scene_sounds(other)))


def test_all_sources_are_in_the_mix():
    scene = next(s for s in simroom_mini().scenes.values() if s.factor == "two sources")
    alone = replace(scene, sources=scene.sources[:1])
    both, one = binaural_sound(scene, scene_sounds(scene)), binaural_sound(alone, scene_sounds(alone))
    onset = round(44100 * scene_sounds(scene)[1].onsets[0])
    assert np.corrcoef(both[0], one[0])[0, 1] < 0.98
    assert np.std(both[:, onset : onset + 8000]) > 0.01


def test_the_number_of_workers_changes_nothing(tmp_path, monkeypatch):
    contents = []
    for workers in (1, 2):
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / str(workers)))
        suite = first(simroom_mini(), 2)
        assert sorted(suite.prepare(workers)) == sorted(suite.scenes)
        assert suite.pending() == ()
        contents.append({path.name: path.read_bytes() for path in sorted(suite.folder.iterdir())})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 8


def test_a_failing_clip_is_named_and_the_others_are_made(monkeypatch):
    suite = first(simroom_mini(), 2)
    bad, good = suite.scenes
    suite.scenes[bad] = replace(suite.scenes[bad], sources=(replace(suite.scenes[bad].sources[0], sound="unknown"),))
    made = []
    with pytest.raises(BenchError, match=f"1 of 2 clips.*{bad}"):
        made.extend(suite.prepare())
    assert suite.pending() == (bad,)
    assert clip_files(suite.folder, good)[2].exists()


PREPARE = "from visaudio_bench.suites.simulated import simroom_mini\n"
PREPARE += "for name in simroom_mini().prepare({workers}): print(name, flush=True)"


def wait_until_nothing_is_written(folder):
    """Workers must end with their parent, soon."""
    deadline, before = time.monotonic() + 120, None
    while before != (now := {path: path.stat().st_mtime_ns for path in folder.iterdir()}):
        assert time.monotonic() < deadline
        before = now
        time.sleep(0.5)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_killed_run_is_finished_by_the_next_one(workers):
    suite = simroom_mini()
    command = [sys.executable, "-c", PREPARE.format(workers=workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        done = process.stdout.readline().strip()
        time.sleep(0.15)
        process.send_signal(signal.SIGKILL)
    assert done in suite.scenes
    left = suite.pending()
    assert done not in left
    assert 0 < len(left) < 12
    for path in suite.folder.glob("[!.]*.flac"):
        assert read_sound(path).samples.shape == (2, 88200), "no file is ever half written"
    stamp = clip_files(suite.folder, done)[0].stat().st_mtime_ns
    wait_until_nothing_is_written(suite.folder)
    suite.scenes = {name: scene for name, scene in suite.scenes.items() if name in (done, *suite.pending()[:2])}
    assert set(suite.prepare()) == set(suite.scenes) - {done}
    assert clip_files(suite.folder, done)[0].stat().st_mtime_ns == stamp, "what is finished is not made again"
    assert not list(suite.folder.glob(".*")), "what the killed run left half written is gone"


def test_a_file_that_is_being_written_elsewhere_is_left_alone():
    suite = first(simroom_mini(), 1)
    suite.folder.mkdir(parents=True)
    fresh = beside(suite.folder / "simroom-mini-005.flac")
    fresh.write_bytes(b"half")
    list(suite.prepare())
    assert fresh.exists()
