"""What `bench mos` leaves behind, and which tables it shows."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from visaudio_bench import __version__
from visaudio_bench.files import write_text
from visaudio_bench.leaderboards.against_page import against_page
from visaudio_bench.leaderboards.against_tables import against_csv, against_tables
from visaudio_bench.leaderboards.localisation_tables import (
    localisation_pair_table,
    localisation_table,
    localisations_csv,
)
from visaudio_bench.leaderboards.matching_tables import matching_csv, matching_pair_table, matching_table
from visaudio_bench.leaderboards.opinion_details import agreement_table, clip_table, pair_table, rater_table, vote_table
from visaudio_bench.leaderboards.opinion_tables import opinion_table, write_opinions
from visaudio_bench.leaderboards.preference_tables import preference_pair_table, preferences_csv, strength_table
from visaudio_bench.leaderboards.tables import Format, Table, render

DETAILS: dict[str, Callable[[dict[str, Any], int], Table]] = {
    "pairs": pair_table,
    "agreement": agreement_table,
    "raters": rater_table,
    "clips": clip_table,
    "votes": vote_table,
}
TABLES_OF: dict[str, tuple[str, Callable[[Sequence[dict[str, Any]]], str]]] = {
    "preference": ("preferences.csv", preferences_csv),
    "localisation": ("localisation.csv", localisations_csv),
    "matching": ("matching.csv", matching_csv),
}
FILES: dict[str, Format] = {"mos.md": "md", "mos.tex": "tex", "mos.txt": "text"}


def shown(studies: Sequence[dict[str, Any]], names: Sequence[str], digits: int) -> list[Table]:
    """Make the tables that were asked for, study by study.

    Args:
        studies: as `mos.json` holds them.
        names: of the tables, `mos` or keys of `DETAILS`; studies of another design have tables of their own.
        digits: decimals of the values.

    Returns:
        The tables; the main one is followed by its twin before screening, if raters were screened.
    """
    tables = []
    for study in studies:
        if study.get("design") == "preference":
            tables += [strength_table(study, digits), preference_pair_table(study, digits)]
            continue
        if study.get("design") == "localisation":
            tables += [localisation_table(study), localisation_pair_table(study)]
            continue
        if study.get("design") == "matching":
            tables += [matching_table(study, digits), matching_pair_table(study, digits)]
            continue
        for name in names:
            if name != "mos":
                tables.append(DETAILS[name](study, digits))
                continue
            tables.append(opinion_table(study, digits=digits))
            if study["unscreened"]:
                tables.append(opinion_table(study, screened=False, digits=digits))
        if "against" in study:
            tables += against_tables(study, digits)
    return tables


def save(folder: Path, studies: Sequence[dict[str, Any]], names: Sequence[str], digits: int) -> None:
    """Write mos.json, mos.csv, and the shown tables as Markdown, LaTeX and text.

    Args:
        folder: where to.
        studies: as `mos.json` holds them.
        names: of the tables that are shown.
        digits: decimals of their values.
    """
    provenance = {
        "tool": "bench mos",
        "tool_version": __version__,
        "command": ["bench", *sys.argv[1:]],
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    write_opinions(folder, studies, provenance)
    for design, (name, write) in TABLES_OF.items():
        own = [study for study in studies if study.get("design") == design]
        if own:
            write_text(folder / name, write(own))
    compared = [study for study in studies if "against" in study]
    if compared:
        write_text(folder / "against.csv", against_csv(compared))
        write_text(folder / "against.html", against_page(compared))
    tables = shown(studies, names, digits)
    for name, form in FILES.items():
        write_text(folder / name, render(tables, form))
