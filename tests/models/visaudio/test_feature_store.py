from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.models.visaudio import feature_store as stores
from visaudio_bench.models.visaudio.feature_formats import (
    SPATIAL,
    Storage,
    pack,
    pooled,
    relative_error,
    unpack_spatial,
)
from visaudio_bench.models.visaudio.feature_store import (
    FeatureRow,
    FeatureStore,
    Kind,
    claim,
    content_hash,
    merge,
    present,
    read_kind,
    write_shard,
)

KIND = Kind({"conditioners": "test", "version": "1"}, {"codec": "test"}, Storage(spatial="float32"), 2.0)


def features(seed: int, *, video: bool = True) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = {"mean": torch.randn(2, 6, 4, generator=generator), "std": torch.rand(2, 6, 4, generator=generator)}
    if video:
        made |= {
            "clip": torch.randn(3, 5, generator=generator),
            "spatial": torch.randn(3, 4, 4, 8, generator=generator),
        }
    return made


def fill(folder: Path, names: list[str], *, kind: Kind = KIND, origin: str = "a", seed: int = 0) -> None:
    claim(folder, kind)
    clips = [
        (FeatureRow(name, "suite", origin, "", 0.0, 0), pack(features(seed + index), kind.storage))
        for index, name in enumerate(names)
    ]
    write_shard(folder, clips)


def test_what_is_written_is_read(tmp_path):
    fill(tmp_path, ["b", "a", "c/d"])
    store = FeatureStore(tmp_path)
    assert [row.clip for row in store.rows] == ["a", "b", "c/d"]
    wanted = pack(features(1), KIND.storage)
    read = store.read(0)
    assert read.keys() == wanted.keys()
    assert all(torch.equal(read[key], wanted[key]) for key in wanted)
    memory = {key: torch.empty_like(value) for key, value in wanted.items()}
    assert store.read(0, into=memory)["mean"].data_ptr() == memory["mean"].data_ptr()
    assert all(torch.equal(memory[key], wanted[key]) for key in wanted)
    assert content_hash(read) == store.rows[0].sha256
    assert [said for _, said in store.check()] == ["", "", ""]
    with pytest.raises(BenchError, match="equally long"):
        store.read(0, into={"mean": torch.empty(2, 7, 4)})


def test_clips_may_share_their_features_in_memory(tmp_path):
    claim(tmp_path, KIND)
    both = torch.randn(2, 2, 6, 4)
    shared = {"mean": both[0], "std": both[1], "text": torch.randn(4, 3)}
    write_shard(tmp_path, [(FeatureRow(name, "suite", "", "", 0.0, 0), shared) for name in "ab"])
    store = FeatureStore(tmp_path)
    for index in range(2):
        assert all(torch.equal(value, shared[key]) for key, value in store.read(index).items())


def test_clips_are_added_and_the_later_features_of_a_clip_count(tmp_path):
    fill(tmp_path, ["a", "b"])
    before = FeatureStore(tmp_path)
    fill(tmp_path, ["b", "c"], origin="changed", seed=9)
    after = FeatureStore(tmp_path)
    assert [row.clip for row in after.rows] == ["a", "b", "c"]
    assert present(tmp_path)["b"].origin == "changed"
    assert torch.equal(after.read(1)["mean"], features(9)["mean"])
    assert after.manifest_hash != before.manifest_hash


def test_the_index_is_only_a_help(tmp_path):
    fill(tmp_path, ["a", "b"])
    first = FeatureStore(tmp_path)
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"nonsense")):
        damage(tmp_path / "index.parquet")
        assert FeatureStore(tmp_path).rows == first.rows
    fill(tmp_path, ["c"])
    assert len(FeatureStore(tmp_path)) == 3
    next(tmp_path.glob("shard-*")).unlink()
    assert len(FeatureStore(tmp_path)) < 3, "what is not there is not remembered either"


def test_stores_are_merged_once(tmp_path):
    for name, clips in (("one", ["a", "b"]), ("two", ["c"]), ("three", ["a"])):
        fill(tmp_path / name, clips, seed=len(clips))
    everything = tmp_path / "all"
    assert merge(everything, [tmp_path / "one", tmp_path / "two"]) == 3
    assert merge(everything, [tmp_path / "two", tmp_path / "three"]) == 3
    store = FeatureStore(everything)
    assert torch.equal(store.read(0)["mean"], features(1)["mean"]), "the one written last"
    assert not any(said for _, said in store.check())


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Kind({"conditioners": "test", "version": "2"}, KIND.codec, KIND.storage, 2.0), "conditioners.version is '1'"),
        (Kind(KIND.conditioners, {"codec": "else"}, KIND.storage, 2.0), "codec.codec is 'test'"),
        (Kind(KIND.conditioners, KIND.codec, Storage(spatial="int8"), 2.0), "storage.spatial is 'float32'"),
        (Kind(KIND.conditioners, KIND.codec, KIND.storage, 8.0), "clips.duration is 2.0"),
    ],
)
def test_features_of_two_kinds_are_never_mixed(tmp_path, other, said):
    fill(tmp_path / "here", ["a"])
    with pytest.raises(UsageError, match=said):
        claim(tmp_path / "here", other)
    fill(tmp_path / "there", ["b"], kind=other)
    with pytest.raises(UsageError, match="cannot be mixed"):
        merge(tmp_path / "here", [tmp_path / "there"])
    with pytest.raises(UsageError, match="cannot be mixed"):
        merge(tmp_path / "new", [tmp_path / "here", tmp_path / "there"])
    assert len(FeatureStore(tmp_path / "here")) == 1


def test_no_store_no_clips_no_network(tmp_path):
    with pytest.raises(UsageError, match="bench features build"):
        FeatureStore(tmp_path / "nothing")
    claim(tmp_path, KIND)
    with pytest.raises(UsageError, match="is empty"):
        FeatureStore(tmp_path)


def test_damage_is_found_and_named(tmp_path):
    fill(tmp_path, ["a", "b"])
    (shard,) = tmp_path.glob("shard-*")
    content = bytearray(shard.read_bytes())
    content[-3] ^= 1
    shard.write_bytes(content)
    said = dict(FeatureStore(tmp_path).check())
    assert sum("bytes" in text for text in said.values()) == 1
    shard.write_bytes(content[: len(content) // 2])
    stores._header.cache_clear()
    with pytest.raises(BenchError, match=f"{shard.name}.*damaged.*features build"):
        FeatureStore(tmp_path).read(0)


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path, monkeypatch):
    import safetensors.torch

    fill(tmp_path, ["a"])
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(*arguments: object, **named: object) -> None:
        raise safetensors.SafetensorError("IoError: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(BenchError, match=r"cannot be written.*No space left"):
        fill(tmp_path, ["b"])
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_values_that_cannot_be_kept(tmp_path):
    with pytest.raises(BenchError, match="--spatial bfloat16"):
        pack({"spatial": torch.full((1, 2, 2, 2), 1e5)}, Storage(spatial="float16"))
    assert torch.isfinite(
        pack({"spatial": torch.full((1, 2, 2, 2), 1e5)}, Storage(spatial="bfloat16"))["spatial"]
    ).all()
    with pytest.raises(BenchError, match="NaN"):
        pack({"clip": torch.tensor([float("nan")])}, Storage())
    with pytest.raises(UsageError, match="int4"):
        Storage(spatial="int4")


@given(st.sampled_from(["float16", "bfloat16", "int8", "int8-tensor"]), st.floats(1e-3, 1e3), st.integers(0, 2**31))
def test_errors_of_the_formats(kind, size, seed):
    exact = size * torch.randn(2, 4, 4, 256, generator=torch.Generator().manual_seed(seed))
    kept = pack({SPATIAL: exact}, Storage(spatial=kind))
    error = relative_error(unpack_spatial(kept), exact)
    assert error < {"float16": 4e-4, "bfloat16": 2.5e-3, "int8": 9e-3, "int8-tensor": 2e-2}[kind]
    assert kept[SPATIAL].element_size() == (1 if kind.startswith("int8") else 2)


def test_zeros_and_outliers_in_eight_bits():
    values = torch.zeros(1, 2, 2, 16)
    values[0, 0, 0, 3] = 1000.0
    kept = pack({SPATIAL: values}, Storage(spatial="int8"))
    torch.testing.assert_close(unpack_spatial(kept), values)
    loud = torch.randn(2, 4, 4, 256, generator=torch.Generator().manual_seed(0))
    loud[..., :3] *= 100
    errors = {
        kind: relative_error(unpack_spatial(pack({SPATIAL: loud}, Storage(spatial=kind)))[..., 3:], loud[..., 3:])
        for kind in ("int8", "int8-tensor")
    }
    assert errors["int8"] < 0.01, "loud channels do not drown the others"
    assert errors["int8-tensor"] > 0.1


@given(st.sampled_from([1, 2, 4, 8]), st.integers(0, 99))
def test_a_smaller_grid_is_the_mean_of_squares(grid, seed):
    values = torch.randn(2, 8, 8, 3, generator=torch.Generator().manual_seed(seed))
    small = pooled(values, grid)
    wide = small.repeat_interleave(8 // grid, 1).repeat_interleave(8 // grid, 2)
    assert small.shape == (2, grid, grid, 3)
    torch.testing.assert_close(pooled(wide, grid), small)
    torch.testing.assert_close(small.mean((1, 2)), values.mean((1, 2)))
    with pytest.raises(BenchError, match="8 x 8"):
        pooled(values, 3)


@pytest.mark.parametrize(
    "meta",
    ["[]", "5", "{", '{"format": null}', '{"format": 1}', "[" * 100_000, "MADE", "STORAGE"],
)
def test_a_damaged_description_is_named(tmp_path, meta):
    fill(tmp_path, ["a"])
    made = json.loads((tmp_path / "meta.json").read_text())
    texts = {
        "MADE": json.dumps({**made, "conditioners": []}),
        "STORAGE": json.dumps({**made, "storage": {"shelf": 3}}),
    }
    (tmp_path / "meta.json").write_text(texts.get(meta, meta))
    with pytest.raises(UsageError, match=r"no feature store|meta\.json is damaged"):
        FeatureStore(tmp_path)


def test_a_store_that_nothing_came_into_is_of_no_kind_yet(tmp_path):
    claim(tmp_path, replace(KIND, duration=9.9))
    claim(tmp_path, KIND)
    assert read_kind(tmp_path) == KIND
    write_shard(tmp_path, [(FeatureRow("clip", "suite", "", "", 0.0, 0), {"clip": torch.zeros(1)})])
    with pytest.raises(UsageError, match=r"clips\.duration is"):
        claim(tmp_path, replace(KIND, duration=9.9))
