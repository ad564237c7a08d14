"""The leaderboard: one table a suite and track, from results.

Anchors come first, then the competing systems, best first by the first column that has a direction. A mark stands for a
test: the best of a column is bold, with all that no test separates from it, and the next such group underlined. Where
no two systems of a column are separated, none of it has a mark. ± is half the width of the 95 % interval over clips.

The two tracks never share a table: waveform distances mean something only for systems that were given the
reference's own sound, and their table holds only those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from visaudio_bench.leaderboards.results import PLAIN, REFERENCE_SYSTEM, SIGNIFICANT
from visaudio_bench.leaderboards.schema import Result, SuiteInfo, SystemInfo
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Mark, Table, TableRow
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.uncertainty import LEAST_P, MINIMUM_CLIPS

TITLES = {
    "content": "what is heard, and when",
    "generation": "where the sound is",
    "binauralisation": "waveforms of systems that heard the reference's sound",
}
HEARD = "†"
HEARD_NOTE = f"{HEARD} was given the reference's own mono sound; such systems are ranked among themselves."
TRAINED = "‡"
LEVEL_ONLY = "level_only"  # reason of what asks for time differences where there can be none
UNLABELLED = {  # why a column against labels has no value in any row, by the reason of its results
    "no_labels": "no clip has direction labels",
    "bad_labels": "no clip's labels can be used",
    "no_single_source": "nowhere is exactly one source labelled",
    "label_centred": "all labelled sources are in the middle",
    "label_static": "no labelled source moves",
    "none_seen": "no source is labelled as in the picture",
    "none_unseen": "no source is labelled as out of the picture",
    "distance_unknown": "the labels have no distances",
    "distance_constant": "no source comes nearer or goes away by 3 dB",
}
SIMULATED = "Simulated scenes: directions are exact, and no number here compares with a published one."
LEGEND = (
    "Bold: the best of its column, with those that no paired test over clips separates from it (Holm, p < 0.05); "
    "underlined: the next ones. No marks where no two are separated. ± is half of the 95 % interval."
)
# Values that rest on less than this share of the clips are named under the table.
FEW = 0.5


def leaderboard(
    results: Sequence[Result],
    suites: Sequence[SuiteInfo],
    systems: Mapping[str, Sequence[SystemInfo]],
    metrics: Sequence[Metric],
) -> list[Table]:
    """Lay out the results of a run: for every suite the metrics of each track that have at least one value.

    Args:
        results: of the run.
        suites: in their order.
        systems: of each suite by its name, in their order.
        metrics: in the order of the columns.

    Returns:
        The tables, a suite and track each.
    """
    tables = []
    for suite in suites:
        for track, title in TITLES.items():
            columns = [metric for metric in metrics if metric.track == track]
            table = _table(suite, title, columns, systems[suite.name], [r for r in results if r.suite == suite.name])
            if table.columns and table.rows:
                tables.append(table)
    return tables


def row_label(system: SystemInfo) -> str:
    """The title of a system, marked where it was given the reference's sound, and where it could not run."""
    mark = HEARD if system.binauralises and not system.anchor else ""
    return system.title + mark + (" (missing)" if system.missing else "")


class Shown(NamedTuple):
    """One column: a metric in one view."""

    metric: Metric
    view: str

    @property
    def title(self) -> str:
        """`FD-VGG mix` where the metric has several columns, else the metric's title."""
        return f"{self.metric.title} {self.view}" if len(self.metric.shown) > 1 else self.metric.title

    def column(self, *, compared: bool) -> Column:
        """The column; without a reference row nothing can be near the reference."""
        better = "none" if self.metric.better == "reference" and not compared else self.metric.better
        key = f"{self.metric.key}_{self.view}" if len(self.metric.shown) > 1 else self.metric.key
        return Column(key, self.title, self.metric.unit, better)


class _Board:
    """The results of one suite by system and column."""

    def __init__(self, results: Sequence[Result], systems: Sequence[SystemInfo], metrics: Sequence[Metric]):
        self.cells = {(result.system, result.metric, result.view): result for result in results}
        every = [Shown(metric, view) for metric in metrics for view in metric.shown]
        self.columns = [
            column for column in every if any(self._value(system, column) is not None for system in systems)
        ]
        rows = [s for s in systems if any(self.result(s, column) is not None for column in self.columns)]
        self.rows = sorted(rows, key=lambda s: (not s.anchor, s.binauralises and not s.anchor, self._place(s)))

    def result(self, system: SystemInfo, shown: Shown) -> Result | None:
        """The result of a cell, None where the metric does not judge the system."""
        return self.cells.get((system.name, shown.metric.key, shown.view))

    def _value(self, system: SystemInfo, shown: Shown) -> float | None:
        result = self.result(system, shown)
        return None if result is None else result.value

    def _place(self, system: SystemInfo) -> float:
        """Position among the competing systems: by the first column that has a direction."""
        for shown in self.columns:
            value = self._value(system, shown)
            if not system.anchor and shown.metric.better in ("higher", "lower") and value is not None:
                return -value if shown.metric.better == "higher" else value
        return 0.0 if system.anchor else float("inf")

    def cell(self, system: SystemInfo, shown: Shown) -> Cell:
        """What is shown of a result; marks only where at least two systems compete."""
        result = self.result(system, shown)
        if result is None or result.value is None:
            return Cell(EMPTY, reason=result.reason if result else "not judged by this metric")
        text = f"{result.value:z.{shown.metric.digits}f}"  # no -0.0
        if result.low is not None and result.high is not None:
            text += f" ±{(result.high - result.low) / 2:.{shown.metric.digits}f}"
        mark, trained = self._mark(system, result, shown), shown.metric.key in system.optimised
        text += TRAINED * trained
        return Cell(text, result.value, result.low, result.high, mark, result.reason, trained)

    def rivals(self, system: SystemInfo) -> list[SystemInfo]:
        """The systems with the same task, itself among them."""
        return self.contest(binauralises=system.binauralises)

    def contest(self, *, binauralises: bool) -> list[SystemInfo]:
        """The competing systems that were given the reference's sound, or those that were not."""
        return [s for s in self.rows if not (s.anchor or s.missing) and s.binauralises == binauralises]

    def _mark(self, system: SystemInfo, result: Result, shown: Shown) -> Mark:
        """Best and second-best among the systems with the same task; none where no test separates any two."""
        rivals = self.rivals(system)
        if len(rivals) < 2:
            return ""
        results = (self.result(rival, shown) for rival in rivals)
        ranks = sorted({result.rank for result in results if result is not None and result.rank is not None})
        if result.rank not in ranks[:2]:
            return ""
        return "best" if result.rank == ranks[0] else "second"


def _without_times(metrics: Sequence[Metric], results: Sequence[Result]) -> list[str]:
    """Which columns are not there because the suite's references differ in level alone."""
    lacking = {result.metric for result in results if result.value is None and result.reason == LEVEL_ONLY}
    titles = [metric.title for metric in metrics if metric.key in lacking]
    if not titles:
        return []
    return [
        f"No {', '.join(titles)}: the references are stereo by level alone, without time differences; sides and angles "
        "are read from levels for every row."
    ]


def _without_labelled(board: _Board, metrics: Sequence[Metric], results: Sequence[Result]) -> list[str]:
    """Which columns against labels are not there, and what the labels do not say."""
    shown = {column.metric.key for column in board.columns}
    reasons = {result.metric: result.reason for result in results if result.value is None}
    titles: dict[str, list[str]] = {}
    for metric in metrics:
        if metric.needs_labels and metric.key not in shown and reasons.get(metric.key) in UNLABELLED:
            titles.setdefault(reasons[metric.key], []).append(metric.title)
    return [f"No {', '.join(names)}: {UNLABELLED[reason]}." for reason, names in titles.items()]


def _table(
    suite: SuiteInfo, title: str, metrics: Sequence[Metric], systems: Sequence[SystemInfo], results: Sequence[Result]
) -> Table:
    board = _Board(results, systems, metrics)
    compared = any(system.name == REFERENCE_SYSTEM for system in board.rows)
    return Table(
        title=f"{suite.title} · {suite.clips} clips · {title}",
        columns=tuple(shown.column(compared=compared) for shown in board.columns),
        rows=tuple(
            TableRow(
                label=row_label(system),
                cells=tuple(board.cell(system, shown) for shown in board.columns),
                group="anchors" if system.anchor else "binauralising" if system.binauralises else "systems",
            )
            for system in board.rows
        ),
        notes=tuple(_notes(suite, board, metrics, results)),
    )


def _notes(suite: SuiteInfo, board: _Board, metrics: Sequence[Metric], results: Sequence[Result]) -> list[str]:
    notes = [*suite.remarks]
    if suite.synthetic:
        notes.append(SIMULATED)
    if any(system.binauralises and not system.anchor for system in board.rows):
        notes.append(HEARD_NOTE)
    notes += _legend(suite, board)
    notes += trained_on((system, [column.metric for column in board.columns]) for system in board.rows)
    notes += _labels_floor(board)
    notes += _without_times(metrics, results)
    notes += _without_labelled(board, metrics, results)
    notes += [f"(missing) {system.missing}" for system in board.rows if system.missing]
    notes += remarks_on(board.rows)
    shown_metrics = {shown.metric.key: shown.metric for shown in board.columns}
    for result in results:
        metric = shown_metrics.get(result.metric.removesuffix("_floor"))
        if result.metric.endswith("_floor") and result.value is not None and metric is not None:
            notes.append(
                f"{metric.title} between two random halves of the reference set: {result.value:.{metric.digits}f} "
                f"{metric.unit}; less than that says nothing"
                + (", and intervals near it are too short." if metric.interval == "plain jackknife" else ".")
            )
    notes += _sizes(board)
    thin = [words for system in board.rows if (words := _thin(system, suite, board))]
    if thin:
        notes.append(f"Rests on fewer than half of the {suite.clips} clips: {', '.join(thin)}.")
    return notes


def remarks_on(systems: Iterable[SystemInfo]) -> list[str]:
    """What a reader should know of the sounds of each row, a note each."""
    return list(
        dict.fromkeys(f"{row_label(system)}: {'; '.join(system.remarks)}." for system in systems if system.remarks)
    )


def _labels_floor(board: _Board) -> list[str]:
    """Against labels the reference is no perfect row: a sentence, where such columns stand beside it."""
    reference = next((system for system in board.rows if system.name == REFERENCE_SYSTEM), None)
    judged = [c for c in board.columns if c.metric.needs_labels and c.metric.better in ("higher", "lower")]
    titles = [c.title for c in judged if reference and board.cell(reference, c).value is not None]
    if reference is None or not titles:
        return []
    return [
        f"Against labels ({', '.join(titles)}) {reference.title} shows the floor of the ruler: what the true recording "
        "reaches. Beyond it no system can be told from perfect."
    ]


def trained_on(rows: Iterable[tuple[SystemInfo, Sequence[Metric]]]) -> list[str]:
    """What the sign of a system's training means: a sentence for each system that has one.

    Args:
        rows: systems, each with the metrics of the columns that its row has.

    Returns:
        The sentences.
    """
    told = {}
    for system, metrics in rows:
        titles = ", ".join(dict.fromkeys(metric.title for metric in metrics if metric.key in system.optimised))
        if titles:
            told[system.name] = (
                f"{TRAINED} {system.title} was trained to do well in {titles}: there its values say less than those of "
                "a system that was not. The sign is no result of a test."
            )
    return list(told.values())


def _legend(suite: SuiteInfo, board: _Board) -> list[str]:
    """What the marks mean, or why there are none."""
    if suite.clips < MINIMUM_CLIPS:
        return [f"Fewer than {MINIMUM_CLIPS} clips: no intervals, no tests, no marks; no two systems can be separated."]
    return [*_marks(board), *_inseparable(board)]


def _marks(board: _Board) -> list[str]:
    cells = [board.cell(system, shown) for system in board.rows for shown in board.columns]
    if any(cell.mark for cell in cells):
        return [LEGEND]
    lines = ["± is half of the 95 % interval over clips."] if any(cell.low is not None for cell in cells) else []
    if any(len(board.rivals(system)) > 1 for system in board.rows):
        lines.append("In no column does a test separate two systems on these clips; bench compare says how many would.")
    return lines


def _inseparable(board: _Board) -> list[str]:
    """In which columns no two systems can be told apart, whatever their values: too few clips, or too many pairs."""
    lines = []
    few: dict[int, list[str]] = {}
    contests = {binauralises: board.contest(binauralises=binauralises) for binauralises in (False, True)}
    for shown in board.columns:
        judged = shown.metric.better in ("higher", "lower") and shown.metric.interval != "none"
        for rivals in contests.values() if judged else ():
            counts = sorted(
                result.n for rival in rivals if (result := board.result(rival, shown)) and result.value is not None
            )
            if len(counts) > 1 and counts[-2] < shown.metric.minimum_clips:
                few.setdefault(shown.metric.minimum_clips, []).append(f"{shown.title} ({counts[-2]})")
    lines += [
        f"No two systems can be separated in {', '.join(dict.fromkeys(titles))}: tests begin at {least} clips."
        for least, titles in few.items()
    ]
    most = max(len(rivals) for rivals in contests.values())
    pairs = most * (most - 1) // 2
    if pairs * LEAST_P >= SIGNIFICANT and any(shown.metric.interval == "bootstrap" for shown in board.columns):
        lines.append(
            f"No two of {most} systems can be separated by resampling: the least p is {LEAST_P:g}, and Holm multiplies "
            f"it by {pairs:,} pairs. Compare fewer, or two of them: bench compare"
        )
    return lines


def _sizes(board: _Board) -> list[str]:
    """A Fréchet distance never goes without N and d: its bias is about 1/N. And which value is shown."""
    lines = []
    for shown in board.columns:
        corrected = shown.metric.interval == "jackknife"
        if (corrected or shown.metric.features) and shown.view == shown.metric.shown[0]:
            results = (board.result(system, shown) for system in board.rows)
            reasons = [result.reason for result in results if result is not None and result.value is not None]
            sizes = sorted({reason.partition(";")[0] for reason in reasons if shown.metric.features})
            words = "plain values, as papers print them" if corrected else ""
            if any("bias-corrected" in reason for reason in reasons):
                words = f"less their bias by few clips; {shown.metric.key}{PLAIN} in results.csv is what papers print"
            told = "; ".join(text for text in (", ".join(sizes), words) if text)
            lines += [f"{shown.metric.title}: {told}."] if told else []
    return lines


def _thin(system: SystemInfo, suite: SuiteInfo, board: _Board) -> str:
    """Which of a system's values rest on few clips, in words: `ΔITD of Mono (2)`."""
    count = {shown: result.n for shown in board.columns if (result := board.result(system, shown)) and result.n}
    few = [shown for shown in board.columns if count.get(shown, suite.clips) < FEW * suite.clips]
    if not few:
        return ""
    what = "everything" if len(few) == len(board.columns) else " and ".join(shown.title for shown in few)
    return f"{what} of {system.title} ({min(count[shown] for shown in few)})"
