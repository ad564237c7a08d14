"""Two systems side by side: by how much one is better, whether that is real, and on which clips.

The two are of one run, of two runs on the same clips, or two folders of sounds that `bench score` has judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.bench.evaluation.recomputation import metrics_of
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.results import Basis, compare, finite, info_from
from visaudio_bench.leaderboards.run_merging import disagreements, joined, renamed
from visaudio_bench.leaderboards.schema import ClipTable, Run, SuiteInfo, SystemInfo, read_clip_rows, read_results
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Table, TableRow
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.protocol import PROTOCOLS
from visaudio_bench.metrics.uncertainty import MINIMUM_CLIPS, Difference, holm
from visaudio_bench.registry import did_you_mean

MOST_CLIPS = 10
POWER = 1.96 + 0.84  # standard errors of a difference that is found, at p < 0.05, in four of five studies
LEGEND = (
    "Difference: first minus second, with its 95 % interval over clips. p: of no difference; p Holm: the same, "
    "adjusted over the rows of this table. Effect: mean difference over the deviation of the clips' differences. "
    "Needed: clips of which four of five such studies would find this difference at p < 0.05, one row by itself."
)


class Side(NamedTuple):
    """One system of one run."""

    folder: Path
    run: Run
    system: str


def find_sides(first: str, second: str, run: Path | None) -> tuple[Side, Side]:
    """What is compared: two systems of `run`, or two runs, each `FOLDER` or `FOLDER:SYSTEM`.

    Args:
        first: as the command names it.
        second: as the command names it.
        run: a run folder that both are of; None where each names its own.

    Returns:
        The sides.

    Raises:
        UsageError: there is no such run or system, or a run has several systems and none is named.
    """
    if run is not None:
        content = read_results(run)
        return _side(run, content, first), _side(run, content, second)
    if first == second:
        raise UsageError(f"both sides are {first}; there is nothing to compare.")
    return _named(first), _named(second)


def _named(request: str) -> Side:
    folder, system = (Path(request), "")
    if not folder.is_dir() and ":" in request:
        before, _, system = request.rpartition(":")
        folder = Path(before)
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder {folder}. bench compare takes two run folders, each RUN or RUN:SYSTEM, two names of "
            "systems with --run RUN, or two folders of sounds with --references DIR."
        )
    return _side(folder, read_results(folder), system)


def _side(folder: Path, run: Run, system: str) -> Side:
    suites, systems = info_from(run.body)
    several = list(dict.fromkeys(mine.name for suite in suites for mine in systems[suite.name]))
    competing = list(dict.fromkeys(s.name for suite in suites for s in systems[suite.name] if not s.anchor))
    if not system and len(competing) == 1:
        return Side(folder, run, competing[0])
    if not system:
        raise UsageError(f"{folder} has the systems {', '.join(competing)}; say which: {folder}:{competing[0]}")
    if system not in several:
        raise UsageError(
            f'{folder} has no system "{system}".{did_you_mean(system, several)} It has {", ".join(several)}.'
        )
    return Side(folder, run, system)


def comparison_tables(first: Side, second: Side) -> list[Table]:
    """For every suite that both have: a row for each metric, then the clips with the largest differences each way.

    Args:
        first: one side.
        second: the other.

    Returns:
        The tables.

    Raises:
        UsageError: the numbers of the two runs do not compare, or they have no suite in common.
    """
    if first.folder != second.folder:
        told = disagreements(first.run, second.run)
        if told:
            raise UsageError(
                f"{first.folder} and {second.folder} do not compare: {'; '.join(told)}. "
                f"See: bench diff {first.folder} {second.folder}"
            )
    names = [first.system, second.system]
    if first.system == second.system:
        names = [f"{side.system} ({side.folder})" for side in (first, second)]
    shared = _shared(first, second)
    if not shared:
        raise UsageError(f"{first.folder} and {second.folder} have no suite in common.")
    rows = _rows(first, second, names)
    tables: list[Table] = []
    for suite in shared:
        tables += _suite_tables(suite, rows, first, second, names)
    return tables


def _shared(first: Side, second: Side) -> list[SuiteInfo]:
    (ours, of_ours), (theirs, of_theirs) = (info_from(side.run.body) for side in (first, second))

    def has(side: Side, systems: Sequence[SystemInfo]) -> bool:
        return any(mine.name == side.system for mine in systems)

    others = {suite.name for suite in theirs if has(second, of_theirs[suite.name])}
    return [suite for suite in ours if suite.name in others and has(first, of_ours[suite.name])]


def _rows(first: Side, second: Side, names: Sequence[str]) -> ClipTable:
    mine = read_clip_rows(first.folder / "clips.csv")
    if first.folder == second.folder:
        return mine
    theirs = read_clip_rows(second.folder / "clips.csv")
    # The second run's other systems get names that the first run cannot have.
    others = {name: f"{name} " for name in theirs.labels["system"]}
    return joined([renamed(mine, {first.system: names[0]}), renamed(theirs, {**others, second.system: names[1]})])


def _suite_tables(suite: SuiteInfo, rows: ClipTable, first: Side, second: Side, names: Sequence[str]) -> list[Table]:
    both = [metrics_of(side.run)[suite.name] for side in (first, second)]
    metrics = [metric for metric in both[0] if metric.key in {mine.key for mine in both[1]}]
    columns = [(metric, view) for metric in metrics for view in metric.shown]
    protocol = PROTOCOLS[first.run.provenance["protocol"]["name"]]
    folders = {name: (side.folder,) for name, side in zip(names, (first, second), strict=True)}
    called = {name: side.system for name, side in zip(names, (first, second), strict=True)}
    basis = Basis(first.run.provenance["seed"], first.folder, protocol, folders=folders, called=called)
    (mine, theirs) = names
    gaps = [gap for [gap] in compare(rows, suite, columns, [(mine, theirs)], basis)]
    kept = [(column, gap) for column, gap in zip(columns, gaps, strict=True) if math.isfinite(gap.value)]
    if not kept:
        return []
    adjusted = holm([gap.p for _, gap in kept])
    per_clip = _Clips(rows, suite)
    lines = [
        _line(metric, view, gap, p, per_clip.differences(metric, view, mine, theirs))
        for ((metric, view), gap), p in zip(kept, adjusted.tolist(), strict=True)
    ]
    wordy = (
        Column("difference", "difference"), Column("low", "low"), Column("high", "high"), Column("p", "p"),
        Column("p_holm", "p Holm"), Column("effect", "effect"), Column("wins", "better"), Column("ties", "equal"),
        Column("losses", "worse"), Column("n", "clips"), Column("needed", "needed"),
    )  # fmt: skip
    title = f"{suite.title} · {suite.clips} clips · {mine} against {theirs}"
    empty = [f"{_title(m, v)}: {gap.reason}." for (m, v), gap in kept if gap.reason]
    tables = [Table(title, wordy, tuple(lines), corner="metric", notes=(LEGEND, *empty))]
    directed = next(((m, v) for (m, v), _ in kept if per_clip.differences(m, v, mine, theirs) is not None), None)
    if directed is not None:
        tables.append(_extreme_clips(suite, per_clip, [column for column, _ in kept], mine, theirs))
    return tables


def _title(metric: Metric, view: str) -> str:
    return f"{metric.title} {view}" if len(metric.shown) > 1 else metric.title


def _line(metric: Metric, view: str, gap: Difference, p_holm: float, by_clip: NDArray[np.float64] | None) -> TableRow:
    unit = f" {metric.unit}" if metric.unit else ""
    arrow = {"higher": " ↑", "lower": " ↓"}.get(metric.better, "")
    label = f"{_title(metric, view)}{arrow}"
    digits = metric.digits + 1

    def number(value: float, shown: str) -> Cell:
        return Cell(shown, value) if math.isfinite(value) else Cell(EMPTY, reason=gap.reason)

    cells = [
        Cell(f"{gap.value:+.{digits}f}{unit}", gap.value, finite(gap.low), finite(gap.high), reason=gap.reason),
        *(number(end, f"{end:+.{digits}f}") for end in (gap.low, gap.high)),
        *(number(p, _p(p)) for p in (gap.p, p_holm)),
    ]
    sign = {"higher": 1, "lower": -1}.get(metric.better)
    if by_clip is None or sign is None:
        counts: list[float] = [math.nan] * 3
    else:
        known = by_clip[np.isfinite(by_clip)] * sign
        counts = [float(np.sum(known > 0)), float(np.sum(known == 0)), float(np.sum(known < 0))]
    spread = float(np.nanstd(by_clip, ddof=1)) if by_clip is not None and np.isfinite(by_clip).sum() > 1 else math.nan
    effect = gap.value / spread if spread > 0 else math.nan
    needed = math.nan
    if gap.value and math.isfinite(gap.error):
        needed = float(max(MINIMUM_CLIPS, math.ceil(gap.n * (POWER * gap.error / gap.value) ** 2)))
    cells += [number(effect, f"{effect:+.2f}"), *(number(count, f"{count:.0f}") for count in counts)]
    cells += [Cell(str(gap.n), gap.n), number(needed, f"{needed:,.0f}")]
    return TableRow(label, tuple(cells))


def _p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"


class _Clips:
    """Scores of single clips of one suite."""

    def __init__(self, rows: ClipTable, suite: SuiteInfo):
        self.values = rows.by_clip(suite.name)
        self.clips = sorted(set().union(*self.values.values()))

    def differences(self, metric: Metric, view: str, first: str, second: str) -> NDArray[np.float64] | None:
        """(n,) differences in the order of `clips`, NaN where one has none; None of what is no score of a clip."""
        if metric.quantities != (metric.key,):
            return None
        mine, theirs = (self.values.get((system, metric.key, view), {}) for system in (first, second))
        return np.array([mine.get(clip, math.nan) - theirs.get(clip, math.nan) for clip in self.clips])


def _extreme_clips(
    suite: SuiteInfo, per_clip: _Clips, columns: Sequence[tuple[Metric, str]], mine: str, theirs: str
) -> Table:
    """The clips on which each of the two is better by most, over all scores that have a direction.

    A clip's advantage is the mean of its differences, each in deviations of that score's differences over the clips.
    """
    steps, titles = [], []
    for metric, view in columns:
        gaps = per_clip.differences(metric, view, mine, theirs)
        if gaps is None or metric.better not in ("higher", "lower") or not np.nanstd(gaps) > 0:
            continue
        steps.append(gaps * (1 if metric.better == "higher" else -1) / np.nanstd(gaps))
        titles.append((metric, view, gaps))
    if not steps:
        return Table(f"{suite.title} · clips", (), (), corner="clip")
    counted = np.isfinite(steps).sum(0)
    advantage = np.nansum(steps, axis=0) / np.maximum(counted, 1)
    advantage = np.where(counted > 0, advantage, 0.0)
    order = np.argsort(-advantage, kind="stable")
    better = [place for place in order[:MOST_CLIPS] if advantage[place] > 0]
    worse = [place for place in order[::-1][:MOST_CLIPS] if advantage[place] < 0]
    lines = []
    for group, places in ((f"{mine} better", better), (f"{theirs} better", worse)):
        for place in places:
            shown = [
                Cell(f"{gaps[place]:+.{metric.digits}f}", float(gaps[place]))
                if math.isfinite(gaps[place])
                else Cell(EMPTY, reason="one of the two has no score")
                for metric, _, gaps in titles
            ]
            sum_up = Cell(f"{advantage[place]:+.2f}", float(advantage[place]))
            lines.append(TableRow(per_clip.clips[place], (Cell(group), sum_up, *shown), group))
    columns_shown = [Column(f"{metric.key}_{view}", _title(metric, view), metric.unit) for metric, view, _ in titles]
    return Table(
        f"{suite.title} · the clips with the largest differences, {mine} minus {theirs}",
        (Column("side", "side", left=True), Column("advantage", "advantage"), *columns_shown),
        tuple(lines),
        corner="clip",
        notes=("Advantage: mean over the scores of the difference in their own deviations, positive for the first.",),
    )
