"""What the page of a questionnaire is told of its study, and nothing that would tell which system is which."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Any, NamedTuple

from visaudio_bench import __version__
from visaudio_bench.bench.mos.questions import COLUMNS, DESIGNS, DEVICES, KEYS, SCALE, TOGETHER
from visaudio_bench.bench.mos.sample_order import williams
from visaudio_bench.bench.mos.service_forms import CROWD_SERVICES
from visaudio_bench.bench.mos.stimuli import TOKENS
from visaudio_bench.files import digest

TRIALS = 6
PROLIFIC = "https://app.prolific.com/submissions/complete?cc="


class Wording(NamedTuple):
    """What the page says besides the protocol: its title, whom to ask, and where responses are posted (or nothing).

    `service` is the form or crowd service that the questions are for, if any, and `address` where the folder will be;
    `consent` stands in place of the page's own words on taking part.
    """

    title: str
    contact: str = ""
    post: str = ""
    service: str = ""
    address: str = ""
    consent: str = ""


class Design(NamedTuple):
    """What raters do: `rating` or `mushra` of all samples of a clip, `preference` between two, `localisation` of one.

    `matching` is between a system's sound for the clip and its sound for another one. `mushra` names the reference
    beside them. Each rater is asked `per_rater` of the questions, which are groups of samples or pairs, 0 for all.
    `azimuths` are the true ones by clip, for the key.
    """

    name: str = "rating"
    per_rater: int = 0
    azimuths: Mapping[str, str] = MappingProxyType({})


RATING = Design()


def page_data(
    groups: list[dict[str, Any]],
    training: dict[str, Any] | None,
    wording: Wording,
    study_id: str,
    design: Design,
    systems: int,
    suite: str,
) -> dict[str, Any]:
    """Collect what the page of a questionnaire is told.

    Args:
        groups: clips with the codes of their samples, in the order of the design.
        training: the group to practise on, if there is one.
        wording: title, contact, consent and where answers are posted.
        study_id: name of the study.
        design: what is asked, and how many groups each rater is shown.
        systems: how many samples a group has.
        suite: name of the suite that the clips are of.

    Returns:
        The data of the page, JSON-able, without a word of which code is which system.
    """
    dimensions, scale = DESIGNS[design.name]
    return {
        "design": design.name,
        "per_rater": design.per_rater,
        "study_id": study_id,
        "build": digest(groups)[:12],  # answers kept in a browser belong to this build alone
        "suite": suite,
        "tool_version": __version__,
        "title": wording.title,
        "contact": wording.contact,
        "post": wording.post,
        "consent": wording.consent,
        "scale": list(scale),
        "dimensions": [dimension._asdict() for dimension in dimensions],
        "columns": list(COLUMNS),
        "devices": list(DEVICES),
        "rows": williams(TOGETHER.get(design.name, systems)),
        "groups": groups,
        "training": training,
        "checks": {"trials": TRIALS, "tokens": TOKENS, "attempts": 3},
    }


def items_of(groups: list[dict[str, Any]], design: str, rng: random.Random) -> list[dict[str, Any]]:
    """Make the questions about every clip.

    Args:
        groups: clips with the codes of their samples.
        design: of the study, which decides what samples are asked about together.
        rng: draws the order, which spreads clips and systems over the raters.

    Returns:
        The questions in that order, each a group of samples with an id from Q001 on.
    """
    items = [{**group, "samples": some} for group in groups for some in _asked_together(group["samples"], design, rng)]
    rng.shuffle(items)
    return [{**item, "id": f"Q{number:03d}"} for number, item in enumerate(items, 1)]


def _asked_together(codes: list[str], design: str, rng: random.Random) -> list[list[str]]:
    """The samples of each question about a clip."""
    if design != "matching":
        return [list(some) for some in combinations(codes, TOGETHER[design])]
    pairs = [list(pair) for pair in zip(codes[::2], codes[1::2], strict=True)]  # a system's two sounds are neighbours
    for pair in pairs:
        rng.shuffle(pair)  # the place must not tell which one is right
    return pairs


def attention_check(groups: list[dict[str, Any]], rng: random.Random, code: str) -> dict[str, Any]:
    """Make a question whose answer is told, to be asked among those of the middle group.

    Args:
        groups: clips in the order of the design.
        rng: draws the answer.
        code: which the check has instead of a sample's.

    Returns:
        The group, the code, the dimension that is asked, and the expected step of the scale.
    """
    middle = groups[len(groups) // 2]
    return {"group": middle["id"], "code": code, "dimension": KEYS[0], "expected": rng.randint(*SCALE)}


def crowd_ending(wording: Wording, rng: random.Random) -> dict[str, str] | None:
    """Say how the page ends for people of a crowd service: one code for all (Prolific), or each session's own (MTurk).

    Args:
        wording: it names the service.
        rng: draws the code.

    Returns:
        The service, the code and the link that ends a session ("" where each session makes its own); None without
        service.
    """
    if wording.service not in CROWD_SERVICES:
        return None
    code = "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=8)) if wording.service == "prolific" else ""
    return {"service": wording.service, "code": code, "link": PROLIFIC + code if code else ""}


def minutes_needed(data: dict[str, Any], seconds: float) -> int:
    """Estimate how long a rater needs.

    Each sample is played one and a half times, and a question takes four seconds; consent and checks take four minutes.

    Args:
        data: of the page.
        seconds: that a sample lasts.

    Returns:
        Whole minutes, rounded up.
    """
    asked = data["per_rater"] or len(data["groups"])
    samples = len(data["groups"][0]["samples"])
    answers = len(data["dimensions"]) * (1 if data["design"] in TOGETHER else samples)
    group = 1.5 * samples * seconds + 4 * answers
    return math.ceil((240 + (asked + bool(data["training"])) * group) / 60)
