"""From the votes of a study to the document that `mos.json` holds: opinions, comparisons, agreement, what to report.

Only arithmetic that `metrics` offers is called here; this module decides what is computed on which votes. Hidden
references and low anchors are controls: they have opinions, and take no part in comparisons. Gold and trap votes only
serve screening.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from visaudio_bench.bench.mos.plain import plain
from visaudio_bench.bench.mos.questions import QUALITY, QUESTIONS, TITLES
from visaudio_bench.bench.mos.study import Study, in_order
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.opinion_tables import ALPHA
from visaudio_bench.metrics.opinion import ROLES, Opinion, Votes, opinion
from visaudio_bench.metrics.opinion_agreement import (
    intraclass,
    krippendorff_alpha,
    rater_reports,
    sample_matrix,
    screen,
)
from visaudio_bench.metrics.opinion_comparison import Comparison, ScoreComparison, compare, friedman, tie_groups
from visaudio_bench.metrics.uncertainty import tie_groups as ranked

CONTROLS = ("hidden_reference", "low_anchor")
NEED_RATERS = frozenset({"crossed", "raters-t", "bootstrap", "paper"})


class AnalysisSettings(NamedTuple):
    """What to compute: interval methods, confidence, screening rules, bootstrap seed, the test that marks stand for."""

    methods: tuple[str, ...] = ("crossed",)
    confidence: float = 0.95
    rules: tuple[str, ...] = ()
    seed: int = 0
    test: str = "crossed"


def analyse(study: Study, plan: AnalysisSettings, order: Sequence[str] = ()) -> dict[str, Any]:
    """Analyse one study: screen its raters, then opinions, comparisons, agreement and what to report.

    Args:
        study: its votes and checks.
        plan: rules of screening, methods of intervals, test, confidence and seed.
        order: systems in the order in which they are shown; others follow by name.

    Returns:
        The study as `mos.json` holds it, JSON-able: numbers that do not exist are None.

    Raises:
        UsageError: a method or a rule that needs what the responses do not tell.
    """
    _check_methods(study, plan)
    try:
        excluded = screen(study.votes, plan.rules, study.checks, study.per_rater)
    except ValueError as error:
        raise UsageError(f'study "{study.study_id}": {error}.') from error
    out = {name for names in excluded.values() for name in names}
    codes = [code for code, name in enumerate(study.votes.raters) if name in out]
    kept = study.votes.where(~np.isin(study.votes.rater, codes))
    if not len(kept):
        raise UsageError(
            f'study "{study.study_id}": no votes are left of {len(study.votes)}; '
            f"rules that leave raters out: {', '.join(plan.rules) or 'none'}."
        )
    systems = in_order(_names(kept, ["test"]), order)
    pairs = _pairs(study, kept, systems, plan)
    opinions = _opinions(kept, systems, study.scale, plan)
    _rank(opinions, pairs)
    unscreened = _opinions(study.votes, systems, study.scale, plan) if plan.rules else []
    _rank(unscreened, _pairs(study, study.votes, systems, plan) if plan.rules else [])
    return {
        "study_id": study.study_id,
        "scale": list(study.scale),
        "confidence": plan.confidence,
        "ci_methods": list(plan.methods),
        "seed": plan.seed,
        "systems": systems,
        "dimensions": [
            {"key": key, "title": TITLES.get(key, key), "question": QUESTIONS.get(key)} for key in _dimensions(kept)
        ],
        "report": _report(study, kept, out),
        "screening": {"rules": list(plan.rules), "excluded": excluded},
        "opinions": opinions,
        "test": plan.test,
        "unscreened": unscreened,
        "pairs": plain(pairs),
        "omnibus": [{"dimension": key, **plain(friedman(_tested(kept), key, systems))} for key in _dimensions(kept)],
        "agreement": [_agreement(kept, key) for key in _dimensions(kept)] if study.raters_known else [],
        "raters": _raters(study, excluded) if study.raters_known else [],
        "clips": _clips(_tested(kept), systems),
    }


def _check_methods(study: Study, plan: AnalysisSettings) -> None:
    needing = [method for method in plan.methods if method in NEED_RATERS]
    if needing and not study.raters_known:
        raise UsageError(
            f'study "{study.study_id}": the file does not say which votes are of the same rater, so '
            f"{', '.join(needing)} cannot be computed; use --ci clips-t or --ci normal."
        )


def _tested(votes: Votes) -> Votes:
    return votes.with_role("test")


def _dimensions(votes: Votes) -> list[str]:
    return [votes.dimensions[code] for code in np.unique(_tested(votes).dimension)]


def _names(votes: Votes, roles: Sequence[str]) -> list[str]:
    return [votes.systems[code] for code in np.unique(votes.with_role(*roles).system)]


def _opinions(votes: Votes, systems: list[str], scale: tuple[int, int], plan: AnalysisSettings) -> list[dict[str, Any]]:
    rows = []
    for role in ("test", *CONTROLS):
        chosen = votes.with_role(role)
        for system in systems if role == "test" else _names(chosen, [role]):
            for key in _dimensions(votes):
                judged = opinion(
                    chosen, system, key, plan.methods, scale=scale, confidence=plan.confidence, seed=plan.seed
                )
                rows.append(_opinion_row(judged, role, scale))
    return rows


def _opinion_row(judged: Opinion, role: str, scale: tuple[int, int]) -> dict[str, Any]:
    row: dict[str, Any] = plain(judged)
    row["role"] = role
    row["intervals"] = [
        {"ci_method": method, **plain(interval), "beyond_scale": interval.low < scale[0] or interval.high > scale[1]}
        for method, interval in judged.intervals.items()
    ]
    return row


def _pairs(study: Study, votes: Votes, systems: list[str], plan: AnalysisSettings) -> list[Comparison]:
    """Every pair on every dimension; none where the votes of a rater are not known to be one rater's."""
    if not study.raters_known:
        return []
    tested = _tested(votes)
    return [pair for key in _dimensions(votes) for pair in compare(tested, key, systems, plan.confidence, plan.test)]


def _rank(opinions: list[dict[str, Any]], pairs: list[Comparison]) -> None:
    """Write rank and tie group of each tested system beside its opinion; None where no test was made."""
    for key in {row["dimension"] for row in opinions}:
        mine = [row for row in opinions if row["dimension"] == key and row["role"] == "test"]
        means = {row["system"]: math.nan if row["mean"] is None else row["mean"] for row in mine}
        tests = [pair for pair in pairs if pair.dimension == key and not math.isnan(pair.p_holm)]
        groups = tie_groups(means, tests) if tests else {}
        ranks = ranked(list(groups), told_apart(tests))
        for row in mine:
            row["tie_group"] = groups.get(row["system"], "")
            row["rank"] = ranks.get(row["system"])


def told_apart(pairs: Iterable[Comparison | ScoreComparison]) -> Callable[[str, str], bool]:
    """Whether two systems are told apart, by the corrected p of their pair."""
    apart = {frozenset((pair.a, pair.b)) for pair in pairs if pair.p_holm <= ALPHA}
    return lambda leader, other: frozenset((leader, other)) in apart


def _report(study: Study, kept: Votes, excluded: set[str]) -> dict[str, Any]:
    """What ITU-T P.800.2 asks to be reported with a MOS, and what was let pass."""
    return {
        "test_method": _method(study.forms, _dimensions(kept)),
        "raters": len(np.unique(kept.rater)),
        "raters_excluded": len(excluded),
        "clips": len(np.unique(_tested(kept).clip)),
        "suites": study.suites,
        "votes": len(_tested(kept)),
        "listening_devices": study.devices,
        "dates": list(study.dates) if study.dates else None,
        "checks": {
            name: {outcome: list(answers.values()).count(outcome) for outcome in ("pass", "fail", "none")}
            for name, answers in study.checks.items()
        },
        "roles": {role: int(np.count_nonzero(study.votes.role == code)) for code, role in enumerate(ROLES)},
        "exceptions": study.exceptions,
        "per_rater": study.per_rater,
        "sources": study.sources,
        "forms": study.forms,
        "raters_known": study.raters_known,
    }


def _method(forms: Sequence[str], dimensions: Sequence[str]) -> str:
    """Our own forms are taken to follow our protocol; what another tool asked and showed, its file does not say."""
    tools = sorted(set(forms) - {"long", "wide-sample", "wide-rater"})
    if tools:
        return f"collected with {', '.join(tools)}; report its method beside this table"
    if QUALITY.key in dimensions:
        return "sliders beside a named reference, with a hidden reference and a low anchor (after ITU-R BS.1534)"
    return "absolute category rating, several samples of one video side by side"


def _agreement(votes: Votes, key: str) -> dict[str, Any]:
    samples = sample_matrix(_tested(votes), key)
    correlation = intraclass(samples)
    return {
        "dimension": key,
        "icc_2_1": plain(correlation.single),
        "icc_2_k": plain(correlation.mean),
        "n_complete_samples": correlation.n_samples,
        "krippendorff_alpha_ordinal": plain(krippendorff_alpha(samples)),
    }


def _raters(study: Study, excluded: dict[str, list[str]]) -> list[dict[str, Any]]:
    rows = []
    for report in rater_reports(_tested(study.votes)):
        rules = [rule for rule, names in excluded.items() if report.rater in names]
        checks = {name: answers.get(report.rater, "none") for name, answers in study.checks.items()}
        rows.append({**plain(report), "checks": checks, "excluded_by": rules})
    return rows


def _clips(votes: Votes, systems: list[str]) -> list[dict[str, Any]]:
    rows = []
    for system in systems:
        for key in _dimensions(votes):
            cell = votes.full_matrix(system, key)
            for clip, column in zip(votes.clips, cell.T, strict=True):
                given = column[~np.isnan(column)]
                if len(given):
                    sd = float(np.std(given, ddof=1)) if len(given) > 1 else None
                    row = {"system": system, "dimension": key, "clip": clip, "mean": float(given.mean())}
                    rows.append({**row, "sd": sd, "n_votes": len(given)})
    return rows
