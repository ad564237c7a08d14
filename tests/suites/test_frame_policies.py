"""Named rules of frame selection, against measured offsets and their definitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visaudio_bench.errors import UsageError
from visaudio_bench.suites.frame_selection import POLICIES, find_policy

# mean, least and largest offset in ms of the chosen frame from k / rate, as other people's tools were measured
OFFSETS = {
    (30, 8): {"played_at": (-13, -25, 0), "first_at_or_after": (13, 0, 25), "fps_filter": (46, 33, 58)},
    (25, 8): {"played_at": (-17, -35, 0), "first_at_or_after": (17, 0, 35), "fps_filter": (42, 25, 60)},
    (30, 25): {"played_at": (-13, -27, 0), "first_at_or_after": (13, 0, 27), "fps_filter": (0, -13, 13)},
    (25, 25): {"played_at": (0, 0, 0), "first_at_or_after": (0, 0, 0), "fps_filter": (0, 0, 0)},
}
NEAREST = {(30, 8): -4, (25, 8): -2, (30, 25): 0, (25, 25): 0}


@pytest.mark.parametrize(("source", "target"), OFFSETS)
def test_offsets_are_those_of_the_tools_that_have_these_rules(source: int, target: int) -> None:
    times = [Fraction(k, source) for k in range(10 * source)]
    count = 8 * target
    for name, (mean, least, largest) in OFFSETS[source, target].items():
        chosen = POLICIES[name].select(times, rate=target, count=count)
        offsets = 1000 * np.array([float(times[i] - Fraction(k, target)) for k, i in enumerate(chosen.indices)])
        assert offsets.mean() == pytest.approx(mean, abs=1.5), name
        assert (offsets.min(), offsets.max()) == (pytest.approx(least, abs=1.5), pytest.approx(largest, abs=1.5)), name
        assert chosen.held == 0
    filtered = [
        POLICIES[name].select(times, rate=target, count=count) for name in ("fps_filter", "fps_filter_from_zero")
    ]
    assert filtered[0] == filtered[1], "they differ only where pictures begin late"
    chosen = POLICIES["nearest"].select(times, rate=target, count=count)
    offsets = 1000 * np.array([float(times[i] - Fraction(k, target)) for k, i in enumerate(chosen.indices)])
    assert offsets.mean() == pytest.approx(NEAREST[source, target], abs=1.5)


@given(
    steps=st.lists(st.integers(1, 300), min_size=1, max_size=60),
    start=st.integers(-500, 500),
    rate=st.sampled_from([Fraction(1, 2), 4, 8, 25]),
)
def test_each_rule_is_what_its_name_says(steps: list[int], start: int, rate: Fraction) -> None:
    times = [Fraction(start + sum(steps[:k]), 1000) for k in range(len(steps))]
    wanted = [k / Fraction(rate) for k in range(12)]
    for name, policy in POLICIES.items():
        chosen = policy.select(times, rate=rate, count=12)
        assert len(chosen.indices) == 12
        assert list(chosen.indices) == sorted(chosen.indices), name
    near = POLICIES["nearest"].select(times, rate=rate, count=12)
    first = POLICIES["first_at_or_after"].select(times, rate=rate, count=12)
    shown = POLICIES["played_at"].select(times, rate=rate, count=12)
    for at, n, f, s in zip(wanted, near.indices, first.indices, shown.indices, strict=True):
        assert abs(times[n] - at) == min(abs(time - at) for time in times)
        later = [time for time in times if time >= at - Fraction(1, 2000)]
        assert times[f] == (later[0] if later else times[-1])
        earlier = [time for time in times if time <= at + Fraction(1, 2000)]
        assert times[s] == (earlier[-1] if earlier else times[0])


def test_unknown_policies_and_empty_videos_are_refused() -> None:
    with pytest.raises(UsageError, match='Did you mean "nearest"'):
        find_policy("nerest")
    for policy in POLICIES.values():
        with pytest.raises(ValueError, match="without frames"):
            policy.select([], rate=8, count=3)
