import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.suites.simulator.hrtf import SPEED_OF_SOUND, Hrtf, load_kemar, unit_vector
from visaudio_bench.suites.simulator.images import Room, images_within, to_head
from visaudio_bench.suites.simulator.rooms import MIXING_TIME, brir, diffuse_tail, render

ROOM = Room((6.0, 5.0, 3.0), 0.2, 0.2)
SOURCE, LISTENER = np.array([4.1, 3.3, 1.2]), np.array([2.0, 2.2, 1.5])

# An ear that hears alike from everywhere.
OMNI = Hrtf(np.zeros((1, 2)), np.concatenate([np.ones((1, 2, 1)), np.zeros((1, 2, 7))], axis=2).astype(np.float32))


def still(value, seconds):
    return np.repeat(np.atleast_2d(value), round(seconds * 100) + 1, axis=0)


def decay_time(response):
    """RT60 from the slope of the backward-integrated energy between -5 and -25 dB."""
    energy = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    db = 10 * np.log10(energy / energy[0] + 1e-20)
    return 3 * (np.argmax(db < -25) - np.argmax(db < -5)) / SAMPLE_RATE


def brute_force_images(room, source, listener, reach):
    """Mirror the source at the six walls again and again: positions and fewest reflections, by breadth-first search."""
    found, frontier = {tuple(np.round(source, 6)): 0}, [source]
    for order in range(1, 8):
        following = []
        for image in frontier:
            for axis in range(3):
                for wall in (0.0, room.size[axis]):
                    mirrored = image.copy()
                    mirrored[axis] = 2 * wall - mirrored[axis]
                    if found.setdefault(tuple(np.round(mirrored, 6)), order) == order:
                        following.append(mirrored)
        frontier = following
    return {place: order for place, order in found.items() if np.linalg.norm(np.array(place) - listener) < reach}


def test_images_are_those_of_repeated_mirroring():
    reach = 8.0
    images = images_within(ROOM, reach)
    positions = images.of(SOURCE)
    near = np.linalg.norm(positions - LISTENER, axis=1) < reach
    ours = {tuple(np.round(p, 6)): int(n) for p, n in zip(positions[near], images.order[near], strict=True)}
    assert ours == brute_force_images(ROOM, SOURCE, LISTENER, reach)
    assert [int((images.order == n).sum()) for n in (0, 1, 2)] == [1, 6, 18]


@settings(max_examples=25)
@given(st.tuples(*(st.floats(0.2, 0.8) for _ in range(6))))
def test_direct_sound_and_floor_reflection_have_their_delay_and_gain(places):
    size = np.asarray(ROOM.size)
    source, listener = np.array(places[:3]) * size, np.array(places[3:]) * size
    response = brir(ROOM, source, listener, 0.0, duration=0.08, hrtf=OMNI)[0]
    floor = source * [1, 1, -1]
    for image, order in ((source, 0), (floor, 1)):
        distance = max(np.linalg.norm(image - listener), 0.3)
        delay = distance / SPEED_OF_SOUND * SAMPLE_RATE
        at = int(delay)
        gain = ROOM.reflection**order / distance
        # Other images may fall on the same samples: they only add.
        assert response[at] >= gain * (1 - delay + at) - 1e-5
        assert response[at : at + 2].sum() >= gain - 1e-5
    first = np.flatnonzero(response > 1e-6)[0]
    assert first == pytest.approx(max(np.linalg.norm(source - listener), 0.3) / SPEED_OF_SOUND * SAMPLE_RATE, abs=1.01)


def test_orders_left_out_are_missing_and_nothing_else():
    everything = brir(ROOM, SOURCE, LISTENER, 0.3, duration=0.05)
    late = brir(ROOM, SOURCE, LISTENER, 0.3, duration=0.05, lowest_order=1)
    direct = everything - np.pad(late, ((0, 0), (0, everything.shape[1] - late.shape[1])))
    vector = to_head(SOURCE - LISTENER, 0.3)
    taps = load_kemar().taps[load_kemar().nearest(vector)]
    delay = np.linalg.norm(SOURCE - LISTENER) / SPEED_OF_SOUND * SAMPLE_RATE
    at = int(delay)
    impulse = np.array([1 - delay + at, delay - at]) / np.linalg.norm(SOURCE - LISTENER)
    want = np.stack([np.convolve(impulse, ear) for ear in taps])
    np.testing.assert_allclose(direct[:, at : at + want.shape[1]], want, atol=1e-5)


def test_turning_the_head_is_turning_the_world():
    turn = 0.4
    square = Room((5.0, 5.0, 3.0), 0.3, 0.3)
    centre = np.array([2.5, 2.5, 1.5])
    ahead = brir(square, centre + np.array([1.0, 0.5, 0.0]), centre, np.pi / 2, duration=0.05)
    turned = brir(square, centre + np.array([0.5, -1.0, 0.0]), centre, 0.0, duration=0.05)
    np.testing.assert_allclose(ahead, turned, atol=1e-4)
    assert to_head(unit_vector(turn, 0.0), turn) == pytest.approx([1, 0, 0])


def test_binaural_response_agrees_with_pyroomacoustics():
    pra = pytest.importorskip("pyroomacoustics")
    directivities = pytest.importorskip("pyroomacoustics.directivities")
    from pyroomacoustics.doa import GridSphere

    head, yaw, duration = load_kemar(), 0.3, 0.05
    ours = brir(ROOM, SOURCE, LISTENER, yaw, duration=duration)
    # No image of order 9 or more arrives within 50 ms in this room.
    theirs = pra.ShoeBox(
        ROOM.size, fs=SAMPLE_RATE, materials=pra.Material(1 - ROOM.reflection**2), max_order=9, air_absorption=False
    )
    grid = GridSphere(cartesian_points=unit_vector(*head.directions.T).T)
    turned = directivities.Rotation3D([yaw], rot_order="z", degrees=False)
    ears = [directivities.MeasuredDirectivity(turned, grid, head.taps[:, ear], SAMPLE_RATE) for ear in (0, 1)]
    theirs.add_source(SOURCE)
    theirs.add_microphone_array(pra.MicrophoneArray(np.stack([LISTENER, LISTENER], 1), SAMPLE_RATE, directivity=ears))
    theirs.compute_rir()
    low_pass = signal.butter(6, 8000, fs=SAMPLE_RATE, output="sos")  # fractional delays differ near half the rate
    levels = []
    for ear in (0, 1):
        want = theirs.rir[ear][0]
        lag = pra.constants.get("frac_delay_length") // 2
        length = round(duration * SAMPLE_RATE)
        a, b = (signal.sosfilt(low_pass, x) for x in (ours[ear, :length], want[lag : lag + length]))
        assert np.corrcoef(a, b)[0, 1] > 0.99
        levels.append((10 * np.log10(np.sum(a**2)), 10 * np.log10(np.sum(b**2))))
    (our_left, their_left), (our_right, their_right) = levels
    assert our_left - our_right == pytest.approx(their_left - their_right, abs=0.3)


@pytest.mark.parametrize(("size", "rt60"), [((6.0, 5.0, 3.0), 0.2), ((4.2, 3.4, 2.6), 0.35)])
def test_decay_agrees_with_pyroomacoustics_and_with_the_room(size, rt60):
    pra = pytest.importorskip("pyroomacoustics")
    room = Room(size, rt60, rt60)
    source, listener = 0.3 * np.asarray(size), 0.62 * np.asarray(size)
    theirs = pra.ShoeBox(
        size, fs=SAMPLE_RATE, materials=pra.Material(1 - room.reflection**2), max_order=30, air_absorption=False
    )
    theirs.add_source(source)
    theirs.add_microphone(listener)
    theirs.compute_rir()
    # Impulses of one sign pile up at the lowest frequencies, where no ear hears them.
    high_pass = signal.butter(4, 150, "highpass", fs=SAMPLE_RATE, output="sos")
    ours = signal.sosfilt(high_pass, brir(room, source, listener, 0.0, duration=0.7 * rt60, hrtf=OMNI)[0])
    want = signal.sosfilt(high_pass, theirs.rir[0][0][: len(ours) + 40])
    assert decay_time(ours) == pytest.approx(decay_time(want), rel=0.05)
    assert decay_time(ours) == pytest.approx(rt60, rel=0.2)


@pytest.mark.parametrize("rt60", [0.35, 0.8])
def test_the_diffuse_tail_goes_on_where_the_images_end(rt60):
    room = Room((6.0, 5.0, 3.0), rt60, rt60 / 2)
    images = brir(room, SOURCE, LISTENER, 0.0, duration=0.2)
    tail = diffuse_tail(room, 3)
    start, stop = round((MIXING_TIME + 0.005) * SAMPLE_RATE), round(0.16 * SAMPLE_RATE)
    ours, want = (10 * np.log10(np.sum(x[:, start:stop] ** 2, axis=1)) for x in (tail, images))
    np.testing.assert_allclose(ours, want, atol=2.0)
    assert np.all(tail[:, : round(MIXING_TIME * SAMPLE_RATE)] == 0)
    left, right = np.sum(tail.astype(np.float64) ** 2, axis=1)
    assert 10 * np.log10(left / right) == pytest.approx(0, abs=0.7)


@pytest.mark.parametrize("rt60", [0.2, 0.5])
def test_a_rendered_impulse_decays_like_the_full_image_model(rt60):
    room = Room((6.0, 5.0, 3.0), rt60, rt60 / 2)
    impulse = np.zeros(round(1.2 * rt60 * SAMPLE_RATE), dtype=np.float32)
    impulse[0] = 1
    out = render(impulse, room, still(SOURCE, 1), still(LISTENER, 1), np.full(101, 0.3))
    full = brir(room, SOURCE, LISTENER, 0.3, duration=rt60)
    for ear in (0, 1):
        assert decay_time(out[ear]) == pytest.approx(decay_time(full[ear]), rel=0.2)
    low_pass = signal.butter(6, 8000, fs=SAMPLE_RATE, output="sos")  # fractional delays differ near half the rate
    ours, want = (np.sum(signal.sosfilt(low_pass, x) ** 2, axis=1) for x in (out, full))
    np.testing.assert_allclose(10 * np.log10(ours / want), 0, atol=1.0)


def test_a_still_scene_is_the_early_response_of_the_image_model():
    impulse = np.zeros(4000, dtype=np.float32)
    impulse[0] = 1
    out = render(impulse, ROOM, still(SOURCE, 1), still(LISTENER, 1), np.zeros(101))
    want = brir(ROOM, SOURCE, LISTENER, 0.0, duration=MIXING_TIME)[:, :3400]
    low_pass = signal.butter(6, 6000, fs=SAMPLE_RATE, output="sos")
    for ear in (0, 1):
        a, b = signal.sosfilt(low_pass, out[ear, :3400]), signal.sosfilt(low_pass, want[ear])
        assert np.corrcoef(a, b)[0, 1] > 0.995


def test_an_approaching_tone_is_heard_higher():
    dead, seconds, speed, pitch = Room((60.0, 20.0, 10.0), 0.02, 0.02), 1.0, 5.0, 1000.0
    times = np.arange(101) / 100
    listener = still([5.0, 10.0, 5.0], seconds)
    source = listener + np.stack([20 - speed * times, 0 * times, 0 * times], axis=1)
    tone = np.sin(2 * np.pi * pitch * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    left = render(tone, dead, source, listener, np.zeros(101))[0]
    phase = np.unwrap(np.angle(signal.hilbert(left)))[10000:40000]
    heard = np.polyfit(np.arange(len(phase)), phase, 1)[0] * SAMPLE_RATE / (2 * np.pi)
    assert heard == pytest.approx(pitch * (1 + speed / SPEED_OF_SOUND), abs=0.3)


@pytest.mark.parametrize(("rt60", "least"), [(0.2, 0.93), (0.5, 0.9)])
def test_level_difference_follows_the_azimuth_of_a_moving_source_and_camera(rt60, least):
    room, seconds = Room((6.0, 5.0, 3.0), rt60, rt60 / 2), 4.0
    times = np.arange(round(seconds * 100) + 1) / 100
    world, yaw = np.deg2rad(70) * np.sin(2 * np.pi * times / 4), np.deg2rad(25) * np.sin(2 * np.pi * times / 2.5)
    listener = still([1.2, 2.5, 1.5], seconds)
    noise = np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE)).astype(np.float32)
    out = render(noise, room, listener + 1.5 * unit_vector(world, 0.0), listener, yaw)
    window = round(0.2 * SAMPLE_RATE)
    energy = (out[:, : out.shape[1] // window * window].reshape(2, -1, window) ** 2).sum(axis=-1)
    difference = 10 * np.log10(energy[0] / energy[1])
    relative = (world - yaw)[10::20][: len(difference)]
    assert np.corrcoef(difference, relative)[0, 1] > least


def test_high_frequencies_die_away_sooner():
    room = Room((6.0, 5.0, 3.0), 0.5, 0.25)
    impulse = np.zeros(30000, dtype=np.float32)
    impulse[0] = 1
    out = render(impulse, room, still(SOURCE, 1), still(LISTENER, 1), np.zeros(101))[0]
    below, above = (
        decay_time(signal.sosfilt(signal.butter(4, band, "bandpass", fs=SAMPLE_RATE, output="sos"), out))
        for band in ((125, 400), (4000, 10000))
    )
    assert below == pytest.approx(0.5, rel=0.2)
    assert above == pytest.approx(0.25, rel=0.3)


def test_eyring_absorption_has_its_closed_form():
    x, y, z = ROOM.size
    volume, surface = x * y * z, 2 * (x * y + y * z + z * x)
    absorption = 1 - ROOM.reflection**2
    assert -55.26 / SPEED_OF_SOUND * volume / (surface * np.log(1 - absorption)) == pytest.approx(0.2, rel=1e-3)
