"""The named choices, and pairing by whole ids."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from metrics.protocol import AV_BENCHMARK, PROTOCOLS, Protocol, pair

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "synchrony_semantics.json").read_text())


def test_every_choice_is_recorded_and_explained():
    record = Protocol().record()
    assert set(record) == {field.name for field in fields(Protocol)}
    assert Protocol.__doc__ is not None
    assert all(name in Protocol.__doc__ for name in record if name != "name")
    assert {"visaudio-bench": Protocol(), "av-benchmark": AV_BENCHMARK} == PROTOCOLS


def test_where_the_reference_differs():
    ours, theirs = Protocol().record(), AV_BENCHMARK.record()
    assert {name for name in ours if ours[name] != theirs[name]} == {
        "name", "ib_view", "frechet_mean", "short_video", "nan_logits", "unpaired",
    }  # fmt: skip


def test_pairs_are_the_references_and_nobody_vanishes():
    example = EXPECTED["pairing"]
    found = pair(example["gt_keys"], example["pred_keys"])
    assert found.paired == ("a", "b")
    assert sorted([*found.missing, *found.unexpected]) == example["unpaired"]


@pytest.mark.parametrize("name", EXPECTED["clean_sample_name"])
def test_ids_of_any_length_pair_as_they_are(name):
    """The reference cuts ids of 20, 21 and 30 characters, so that such sets lose IB-Score and DeSync."""
    assert pair([name], [name]) == ((name,), (), ())
    cut = EXPECTED["clean_sample_name"][name]
    if cut != name:
        assert pair([name], [cut]) == ((), (name,), (cut,))
