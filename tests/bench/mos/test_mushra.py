"""Tests of the kind of MUSHRA: what the page holds, and responses on its scale beside others."""

import csv
import json

import numpy as np
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import mos
from visaudio_bench.suites.media import read_binaural, write_clip


def test_the_reference_is_there_twice_under_two_codes(tmp_path, material):
    folders, videos = material(tmp_path, 1)
    sound = read_binaural(tmp_path / "sounds" / "AudioX" / "clip00.wav").samples
    write_clip(tmp_path / "clip00.mp4", videos / "clip00.mp4", sound, 44100)
    (tmp_path / "clip00.mp4").replace(videos / "clip00.mp4")
    systems = [argument for folder in folders[:2] for argument in ("--system", folder)]
    command = ["page", *systems, "--videos", str(videos), "--clips", "1", "--design", "mushra"]
    result = CliRunner().invoke(mos, [*command, "--per-rater", "2", "--out", str(tmp_path / "survey")])
    assert "--per-rater 2: there are 1 questions" in str(result.exception)
    result = CliRunner().invoke(mos, [*command, "--out", str(tmp_path / "survey")])
    assert result.exit_code == 0, result.exception
    data = json.loads((tmp_path / "survey" / "survey.json").read_text())
    (group,) = data["groups"]
    with (tmp_path / "survey.key.csv").open() as file:
        hidden = {row["system"]: row["code"] for row in csv.DictReader(file)}["reference"]
    assert group["reference"] not in group["samples"]
    assert hidden in group["samples"]
    named, unnamed = (
        read_binaural(tmp_path / "survey" / "media" / f"{code}.mp4").samples for code in (group["reference"], hidden)
    )
    assert np.array_equal(named, unnamed)


def test_its_scale_is_known_by_its_dimension_also_beside_other_studies(tmp_path):
    header = "study_id,rater_id,clip_id,system,dimension,rating"
    rows = [
        f"{study},r{r},c{c},{system},{key},{value + r + c}"
        for study, key, values in (("m", "BAQ", (40, 70)), ("n", "SI", (1, 2)))
        for r in range(2)
        for c in range(2)
        for system, value in zip("AB", values, strict=True)
    ]
    one, other = tmp_path / "m.csv", tmp_path / "n.csv"
    one.write_text("\n".join([header, *(row for row in rows if row.startswith("m"))]) + "\n")
    other.write_text("\n".join([header, *(row for row in rows if row.startswith("n"))]) + "\n")
    command = ["--ratings", str(one), "--ratings", str(other), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(mos, command)
    assert result.exit_code == 0, result.exception
    studies = json.loads((tmp_path / "out" / "mos.json").read_text())["studies"]
    assert [(study["study_id"], study["scale"]) for study in studies] == [("m", [0, 100]), ("n", [1, 5])]
