"""The statistics report: what is counted, and that captions cannot break the page."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visaudio_bench.errors import UsageError
from visaudio_bench.suites.construction.dataset import BuiltDataset
from visaudio_bench.suites.construction.statistics import (
    first_views,
    paths,
    quantiles,
    statistics,
    words,
    write_statistics,
)
from visaudio_bench.suites.construction.trajectory import Trajectory
from visaudio_bench.suites.datasets import Reject
from visaudio_bench.suites.visibility_captions import SoundCaption


def record(yaw: float, pitch: float, rate: float = 0.0, split: str = "train") -> dict[str, Any]:
    start = (float(np.deg2rad(yaw)), float(np.deg2rad(pitch)), 0.0)
    return {
        "id": f"{yaw}{pitch}", "split": split, "group": "g", "duration": 8.0,
        "trajectory": asdict(Trajectory(start, (rate, 0.0, 0.0))), "difference": 0.05,
        "width": {"ild": 1.0, "iacc": None, "side_mid": None}, "loudest": {"contrast": 2.0},
    }  # fmt: skip


def test_words_are_counted_once_a_caption_without_stop_words() -> None:
    found = words(["The birds and the BIRDS, singing in a tree", "a bird-call near the birds"])
    assert found == {"birds": 2, "singing": 1, "tree": 1, "bird-call": 1}


def test_first_views_fall_into_their_bins_with_yaw_wrapped() -> None:
    counts = first_views([record(5, 2), record(365, 2), record(-175, -30), record(180, 30)])
    assert counts.shape == (12, 36) and counts.sum() == 4
    assert counts[6, 18] == 2  # pitch 0 to 5, yaw 0 to 10
    assert counts[0, 0] == 1 and counts[11, 0] == 1


def test_paths_start_at_the_first_pose_and_end_after_the_drift() -> None:
    (path,) = paths([record(0, 0, rate=np.pi / 2 / 8)])
    np.testing.assert_allclose(path[[0, -1]], [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_missing_values_are_not_counted() -> None:
    assert quantiles([None, 1.0, 3.0]) == {"n": 2, "p05": 1.1, "p50": 2.0, "p95": 2.9}
    assert quantiles([None]) == {"n": 0, "p05": None, "p50": None, "p95": None}


def test_the_page_shows_what_was_counted_and_escapes_captions(tmp_path: Path) -> None:
    records = [record(10 * index, 1, rate=0.1 * (index % 2)) for index in range(4)]
    captions = {"a": SoundCaption("<script>alert(1)</script> drums", "wind")}
    made = BuiltDataset(records, [Reject("x", "leak", "why")], captions)
    write_statistics(tmp_path, made)
    page = (tmp_path / "index.html").read_text()
    assert re.findall("<script[^>]*>", page) == ['<script src="plotly.min.js">', '<script src="figures.js">']
    assert "left out: leak" in page and "4 trajectories" in page and "drums" in page
    assert (tmp_path / "plotly.min.js").stat().st_size > 1e6
    drawn = figures(tmp_path)
    assert drawn.keys() == {"visible", "invisible", "views", "paths"}
    (bars,) = drawn["visible"]["data"]
    assert dict(zip(bars["y"], bars["x"], strict=True)) == {"script": 1, "alert": 1, "drums": 1}
    assert not {"<", ">", "&"} & set("".join(bars["y"])), "plotly would take a tag for markup"
    assert statistics(made)["still"] == 0.5


def figures(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "figures.js").read_text().split("\n")[0].removeprefix("const FIGURES = ").rstrip(";"))


def test_directions_are_drawn_where_they_are(tmp_path: Path) -> None:
    """Left on the left: yaw falls from left to right; a camera that turns to the left moves to the left of the disc."""
    write_statistics(tmp_path, BuiltDataset([record(5, 2), record(90, 0, rate=0.1)], [], {}))
    drawn = figures(tmp_path)
    (cells,) = drawn["views"]["data"]
    counts = {
        (cells["y0"] + row * cells["dy"], cells["x0"] + column * cells["dx"]): count
        for row, line in enumerate(cells["z"])
        for column, count in enumerate(line)
        if count
    }
    assert counts == {(2.5, 5): 1, (2.5, 95): 1}
    assert drawn["views"]["layout"]["xaxis"]["range"] == [180, -180]
    front, back = (
        [x for line in drawn["paths"]["data"] if line["xaxis"] == axis for x in line["x"] if x is not None]
        for axis in ("x1", "x2")
    )
    assert len(front) == 2 * 8 and max(front) < -0.08, "the one that looks ahead, a little to the left"
    assert back[0] > 0.9 and sorted(back, reverse=True) == back, "from behind, what is to the left is to the right"


def test_without_the_library_of_charts_there_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visaudio_bench.plotly_script.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"plotly, which is not installed"):
        write_statistics(tmp_path, BuiltDataset([], [], {}))
    assert [path.name for path in tmp_path.iterdir()] == ["statistics.json"]


def test_a_set_without_clips_has_a_report_too(tmp_path: Path) -> None:
    write_statistics(tmp_path, BuiltDataset([], [], {}))
    assert "There are no captions" in (tmp_path / "index.html").read_text()
