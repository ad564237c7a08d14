"""The named choices."""

from dataclasses import fields

from visaudio_bench.metrics.protocol import AV_BENCHMARK, PROTOCOLS, Protocol


def test_every_choice_is_recorded_and_explained():
    record = Protocol().record()
    assert set(record) == {field.name for field in fields(Protocol)}
    assert Protocol.__doc__ is not None
    assert all(name in Protocol.__doc__ for name in record if name != "name")
    assert {"visaudio-bench": Protocol(), "av-benchmark": AV_BENCHMARK} == PROTOCOLS


def test_where_the_reference_differs():
    ours, theirs = Protocol().record(), AV_BENCHMARK.record()
    assert {name for name in ours if ours[name] != theirs[name]} == {
        "name", "frames", "window", "ib_view", "frechet_mean", "short_video", "nan_logits",
        "set_distances",
    }  # fmt: skip
