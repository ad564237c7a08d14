"""Integer votes of 12 raters on 10 videos that print every cell of the ViSAudio paper's Table 3."""

import csv
import random
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import mos
from visaudio_bench.bench.mos.questions import KEYS
from visaudio_bench.metrics.opinion import paper

# arXiv:2512.03036, Table 3: mean and half-width of SI, SC, TA, SA, AR.
TABLE3 = {
    "ThinkSound": "3.250 0.247 2.875 0.294 3.483 0.243 3.400 0.265 3.067 0.272",
    "AudioX": "3.050 0.272 2.792 0.305 2.867 0.301 3.367 0.261 3.258 0.315",
    "ViSAGe": "1.658 0.228 1.517 0.209 1.700 0.308 1.725 0.310 1.492 0.205",
    "See2Sound": "2.033 0.298 1.517 0.205 1.742 0.333 1.725 0.281 1.650 0.333",
    "ViSAudio": "4.133 0.294 4.100 0.292 4.275 0.272 4.292 0.235 4.158 0.282",
}
RATERS, CLIPS = 12, 10


def spread(total: int, half: float, seed: int) -> list[int]:
    """Twelve sums of ten votes each with this total whose half-width prints as wanted: random moves apart."""
    rng = random.Random(seed)
    while True:
        sums = [total // RATERS + (k < total % RATERS) for k in range(RATERS)]
        for _ in range(400):
            found = paper(np.repeat(np.array(sums)[:, None] / CLIPS, CLIPS, axis=1)).half
            if f"{found:.3f}" == f"{half:.3f}":
                return sums
            a, b = rng.sample(range(RATERS), 2)
            # A move apart raises the spread by more, the further apart they already are.
            high, low = (a, b) if sums[a] >= sums[b] else (b, a)
            step = 1 if found < half else -1
            if sums[low] - step >= CLIPS and sums[high] + step <= 5 * CLIPS:
                sums[high] += step
                sums[low] -= step


def votes(total: int) -> list[int]:
    """Ten votes of 1 to 5 with this sum, as even as can be."""
    return [total // CLIPS + (k < total % CLIPS) for k in range(CLIPS)]


def write_study(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["study_id", "rater_id", "clip_id", "system", "dimension", "rating"])
        for system, text in TABLE3.items():
            numbers = [float(number) for number in text.split()]
            for k, key in enumerate(KEYS):
                sums = spread(round(numbers[2 * k] * RATERS * CLIPS), numbers[2 * k + 1], seed=k)
                for rater, total in enumerate(sums):
                    for clip, vote in enumerate(np.roll(votes(total), rater)):
                        writer.writerow(["table3", f"R{rater:02d}", f"clip{clip}", system, key, vote])


def test_every_cell_of_table_3_is_printed(tmp_path):
    file = tmp_path / "table3.csv"
    write_study(file)
    with file.open() as handle:
        assert sum(1 for _ in handle) == 1 + 3000
    result = CliRunner().invoke(
        mos, ["--ratings", str(file), "--ci", "paper", "--digits", "3", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.exception
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    for system, text in TABLE3.items():
        numbers = text.split()
        expected = [word for k in range(5) for word in (numbers[2 * k], "±", numbers[2 * k + 1])]
        assert lines[system][1:] == expected
    latex = (tmp_path / "out" / "mos.tex").read_text()
    assert r"ViSAudio & \textbf{4.133 $\pm$ 0.294} & \textbf{4.100 $\pm$ 0.292}" in latex
    markdown = (tmp_path / "out" / "mos.md").read_text()
    assert "| ViSAudio | **4.133 ± 0.294** | **4.100 ± 0.292** | **4.275 ± 0.272** | **4.292 ± 0.235** |" in markdown
    assert "Spatial Impression ↑" in markdown
