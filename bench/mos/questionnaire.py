"""Build a questionnaire: one static folder with media, check sounds, and a page that works without a server.

    OUT/index.html, survey.css, survey.js   the page
    OUT/data.js                             what this study shows, as a script, so that file:// can read it
    OUT/survey.json                         the same for `bench mos serve`
    OUT/server.js                           empty; the server answers with where to send responses
    OUT/media/<code>.mp4                    one sample: the clip's pictures, one system's sound (FLAC)
    OUT/checks/<name>.flac                  sounds of the checks
    OUT.failures/                           clips that could not be shown, only if there are any
    OUT.<service>.txt (.gs)                 what to paste into a form or crowd service, if the questions are for one
    OUT.key.csv                             code -> clip and system, loudness and gain; outside, not to be published

Every sample is brought to the same integrated loudness with one gain for both channels.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from visaudio_bench.bench.failures import Ledger, failure_of
from visaudio_bench.bench.mos.page_data import (
    RATING,
    Design,
    Wording,
    attention_check,
    crowd_ending,
    items_of,
    minutes_needed,
    page_data,
)
from visaudio_bench.bench.mos.questions import TOGETHER
from visaudio_bench.bench.mos.service_forms import FORM_SERVICES, WRITERS
from visaudio_bench.bench.mos.stimuli import RATE, check_sounds
from visaudio_bench.bench.mos.study_material import ANCHOR, REFERENCE, StudyMaterial
from visaudio_bench.errors import BenchError, ClipError, UsageError
from visaudio_bench.escapes import one_line, script_json, visible
from visaudio_bench.files import atomic_path, csv_text, scratch_folder, write_json, write_text
from visaudio_bench.guard import one_clip
from visaudio_bench.leaderboards.schema import Failure
from visaudio_bench.metrics.loudness import integrated_loudness
from visaudio_bench.suites import Clip
from visaudio_bench.suites.media import (
    Samples,
    iter_frames,
    read_binaural,
    whole_rate,
    write_audio,
    write_clip,
    write_video,
)

KEY_COLUMNS = ("code", "clip_id", "system", "suite", "role", "expected", "loudness_lufs", "gain_db", "sound_of")
ATTENTION = "attention check"
PEAK = 0.999
MAX_WIDTH = 960
LONGEST_ID = 100


class Sample(NamedTuple):
    """One sound to be shown with one clip: its code, where it comes from, its samples and loudness in LUFS.

    `expected` is the right answer, where there is one; `sound_of` the clip that the sound was made for.
    """

    code: str
    clip: Clip
    system: str
    role: str
    samples: Samples
    loudness: float
    expected: str
    sound_of: str


class Questionnaire(NamedTuple):
    """What `build` made."""

    folder: Path
    key: Path
    groups: int
    samples: int
    megabytes: float
    failures: tuple[Failure, ...] = ()
    paste: Path | None = None


def build(
    material: StudyMaterial,
    folder: Path,
    *,
    wording: Wording,
    study_id: str,
    design: Design = RATING,
    loudness: float = -26.0,
    seed: int = 0,
    progress: Callable[[str], None],
) -> Questionnaire:
    """Make the folder and the key beside it, whole or not at all.

    A clip whose pictures or sounds cannot be used is left out for every system, and listed in `failures.jsonl` of the
    folder `OUT.failures`.

    Args:
        material: clips, sounds and controls.
        folder: which is made.
        wording: title, contact, consent and service.
        study_id: name of the study, which every answer carries.
        design: what is asked.
        loudness: LUFS that all samples of a clip are brought to by one gain for both ears.
        seed: of the codes and of every order.
        progress: is called with the name of what was made.

    Returns:
        Where folder and key are, how many clips and samples it has, its size, and what failed.

    Raises:
        UsageError: the folder exists, the study's name cannot be kept, or a sample would clip at this loudness.
        BenchError: no clip can be shown.
    """
    if design.name == "mushra" and not {REFERENCE, ANCHOR} <= material.controls.keys():
        raise UsageError("a test of the kind of MUSHRA has a hidden reference and a low anchor.")
    if not (study_id.isprintable() and 0 < len(study_id) <= LONGEST_ID):
        raise UsageError(
            f"a study's name is 1 to {LONGEST_ID} printable characters, got {study_id!a}. Name it: --study-id NAME"
        )
    key = folder.with_name(folder.name + ".key.csv")
    ledger = Ledger(folder.with_name(folder.name + ".failures"))
    for path in (folder, key):
        if path.exists():
            raise UsageError(
                f"{path} exists; a questionnaire is never overwritten. Choose another --out, or remove it."
            )
    with scratch_folder(folder.parent, folder.name) as scratch:
        work = scratch / "survey"
        filled = _fill(material, work, wording, study_id, design, loudness, seed, progress, ledger)
        listed = ledger.write() if ledger.failures else None
        if filled is None:
            first = ledger.failures[0].message
            raise BenchError(f"no clip of {material.suite} can be shown, first: {first} All are listed in {listed}.")
        data, rows = filled
        paste = _write_paste(folder, data, wording)
        with atomic_path(key, mode=0o600) as temporary:
            temporary.write_text(rows, encoding="utf-8")
        work.replace(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    samples = len(material.sounds) + len(material.controls)
    lost = {failure.clip for failure in ledger.failures} & {clip.id for clip in material.clips}
    return Questionnaire(
        folder, key, len(material.clips) - len(lost), samples, size / 1e6, tuple(ledger.failures), paste
    )


def _write_paste(folder: Path, data: dict[str, Any], wording: Wording) -> Path | None:
    """The file for a service beside the folder, which is not among raters: `survey.google-forms.gs`."""
    if not wording.service:
        return None
    suffix, write = WRITERS[wording.service]
    path = folder.with_name(f"{folder.name}.{wording.service}{suffix}")
    write_text(path, visible(write(data, wording.address.rstrip("/"))))
    return path


def _fill(
    material: StudyMaterial,
    work: Path,
    wording: Wording,
    study_id: str,
    design: Design,
    loudness: float,
    seed: int,
    progress: Callable[[str], None],
    ledger: Ledger,
) -> tuple[dict[str, Any], str] | None:
    """Everything below `work`; returns the page's data and the key, None where no clip can be shown."""
    rng = random.Random(f"{study_id}/{seed}")
    order = [*material.sounds, *material.controls]
    systems = order.copy()
    rng.shuffle(systems)  # the page knows systems by position; the position must not tell
    others = _others(material, rng) if design.name == "matching" else {}
    codes: set[str] = set()
    groups, key, seconds = [], [], 0.0
    shown = [*material.clips, *([material.training] if material.training else [])]
    for number, clip in enumerate(shown, 1):
        progress(f"{number}/{len(shown)} {clip.id}")
        samples: list[Sample] = []
        named: list[Sample] = []
        try:
            with one_clip():
                if clip.id in material.unmade:
                    raise material.unmade[clip.id]
                samples = [
                    sample
                    for system in systems
                    for sample in _asked(material, clip, system, design, others, lambda: _code(rng, codes))
                ]
                named = [_sample(material, clip, clip, REFERENCE, _code(rng, codes))] if design.name == "mushra" else []
                _write_samples(work / "media", clip, [*samples, *named], loudness)
        except ClipError as error:
            ledger.add([failure_of(error, material.suite, clip.id, "page")])
            _remove_samples(work / "media", clip, [*samples, *named])
            continue
        groups.append(
            {
                "id": f"G{number:02d}",
                "clip": clip.id,
                "caption": clip.caption,
                "samples": [s.code for s in samples],
                "reference": named[0].code if named else None,
            }
        )
        if clip is not material.training:
            samples.sort(key=lambda sample: order.index(sample.system))  # the key keeps the study's order
            seconds += sum(sample.samples.shape[1] / RATE for sample in samples)
            key += [_key_row(sample, material.suite, loudness) for sample in samples]
    if not key:
        return None
    last = material.training
    training = groups.pop() if last is not None and groups[-1]["clip"] == last.id else None
    if design.name in TOGETHER:
        groups = items_of(groups, design.name, rng)
        training = items_of([training], design.name, rng)[0] if training else None
    if design.per_rater > len(groups):
        raise UsageError(f"--per-rater {design.per_rater}: there are {len(groups)} questions.")
    data = page_data(groups, training, wording, study_id, design, len(systems), material.suite)
    data |= {
        "attention": None,
        "crowd": crowd_ending(wording, rng),
        "minutes": minutes_needed(data, seconds / len(key)),
    }
    if wording.service in FORM_SERVICES:
        data["attention"] = check = attention_check(groups, rng, _code(rng, codes))
        key.append(_attention_row(check, groups, material.suite))
    write_page(work, data)
    for name, sound in check_sounds(loudness, seed).items():
        write_audio(work / "checks" / f"{name}.flac", sound, RATE)
    return data, csv_text(KEY_COLUMNS, key)


def _code(rng: random.Random, taken: set[str]) -> str:
    while True:
        code = f"{rng.randrange(16**6):06x}"
        if code not in taken:
            taken.add(code)
            return f"s{code}"


def _attention_row(check: dict[str, Any], groups: list[dict[str, Any]], suite: str) -> dict[str, str]:
    clip = next(group["clip"] for group in groups if group["id"] == check["group"])
    told = {"code": check["code"], "clip_id": clip, "system": ATTENTION, "suite": suite, "role": "trap"}
    return {**told, "expected": str(check["expected"])}


def _others(material: StudyMaterial, rng: random.Random) -> dict[str, Clip]:
    """For each clip another one, whose sounds do not belong to it: round a circle, so that each serves once."""
    circle = [clip for clip in material.clips if clip.id not in material.unmade]
    if len(circle) < 2:
        raise UsageError(f"matching takes 2 clips or more, whose sounds are exchanged; there are {len(circle)}.")
    rng.shuffle(circle)
    others = {clip.id: other for clip, other in zip(circle, [*circle[1:], circle[0]], strict=True)}
    return others | ({material.training.id: circle[0]} if material.training else {})


def _asked(
    material: StudyMaterial,
    clip: Clip,
    system: str,
    design: Design,
    others: Mapping[str, Clip],
    new_code: Callable[[], str],
) -> list[Sample]:
    """A system's sound for a clip; with that for another clip where the two are to be told apart."""
    if not others:
        return [_sample(material, clip, clip, system, new_code(), design.azimuths.get(clip.id, ""))]
    pair = [
        _sample(material, clip, made_for, system, new_code(), expected)
        for made_for, expected in ((clip, "1"), (others[clip.id], "-1"))
    ]
    length = min(sample.samples.shape[1] for sample in pair)  # a longer one would tell
    return [sample._replace(samples=sample.samples[:, :length]) for sample in pair]


def _sample(material: StudyMaterial, clip: Clip, made_for: Clip, system: str, code: str, expected: str = "") -> Sample:
    role = material.controls.get(system, "test")
    if role == "test":
        sound = read_binaural(material.sounds[system][made_for.id], sample_rate=RATE)
    elif made_for.audio is None:
        raise UsageError(
            f'clip "{made_for.id}" has no reference sound, which --hidden-reference and --low-anchor need.'
        )
    else:
        try:
            sound = read_binaural(made_for.audio, start=made_for.start, duration=made_for.duration, sample_rate=RATE)
        except ClipError as error:
            why = "It was to be the reference sound, which a hidden reference, a low anchor and --design mushra need."
            raise ClipError(error.reason, f"{error.message} {why}", error.trace) from error
    samples = np.repeat(sound.samples[:1], 2, axis=0) if system == ANCHOR else sound.samples
    assert system in (REFERENCE, ANCHOR) or role == "test"
    return Sample(code, clip, system, role, samples, integrated_loudness(samples, RATE), expected, made_for.id)


def _gain(sample: Sample, loudness: float) -> float:
    """Gain in dB; 0 for silence, which no gain brings to a loudness."""
    return loudness - sample.loudness if math.isfinite(sample.loudness) else 0.0


def _write_samples(media: Path, clip: Clip, samples: list[Sample], loudness: float) -> None:
    assert clip.video is not None  # clips without a video are not chosen
    length = max(sample.samples.shape[1] for sample in samples) / RATE
    pictures = media / f".{clip.id}.mp4"
    rate = whole_rate(clip.video)
    frames = iter_frames(clip.video, fps=rate, start=clip.start, duration=clip.duration or length)
    write_video(pictures, (_fitted(picture) for _, picture in frames), rate, crf=20)
    for sample in samples:
        scaled = sample.samples * np.float32(10 ** (_gain(sample, loudness) / 20))
        peak = float(np.abs(scaled).max(initial=0))
        if peak > PEAK:
            possible = loudness - 20 * math.log10(peak / PEAK) - 0.1
            raise UsageError(
                f'clip "{clip.id}" of system "{sample.system}" would clip at {loudness:g} LUFS. All samples have one '
                f"loudness, so lower it for all: --loudness {possible:.0f} or less"
            )
        write_clip(media / f"{sample.code}.mp4", pictures, scaled, RATE)
    pictures.unlink()


def _remove_samples(media: Path, clip: Clip, samples: list[Sample]) -> None:
    """What a clip that is left out has left behind: nothing of it goes among raters."""
    for name in (f".{clip.id}", *(sample.code for sample in samples)):
        (media / f"{name}.mp4").unlink(missing_ok=True)


def _fitted(picture: Any) -> Any:
    """At most 960 pixels wide by leaving out pixels, height and width even."""
    step = -(-picture.shape[1] // MAX_WIDTH)
    smaller = picture[::step, ::step]
    return np.ascontiguousarray(smaller[: smaller.shape[0] // 2 * 2, : smaller.shape[1] // 2 * 2])


def _key_row(sample: Sample, suite: str, loudness: float) -> dict[str, str]:
    return {
        "code": sample.code,
        "clip_id": sample.clip.id,
        "system": sample.system,
        "suite": suite,
        "role": sample.role,
        "expected": sample.expected,
        "loudness_lufs": f"{sample.loudness:.3f}",
        "gain_db": f"{_gain(sample, loudness):.3f}",
        "sound_of": sample.sound_of,
    }


def write_page(work: Path, data: dict[str, Any]) -> None:
    """Write the page and what it says; its texts are shown as texts.

    Args:
        work: where.
        data: as `page_data` makes it.
    """
    site = resources.files("visaudio_bench.bench.mos") / "site"
    for name in ("survey.css", "survey.js", "checks.js", "group.js"):
        write_text(work / name, (site / name).read_text(encoding="utf-8"))
    write_text(work / "index.html", _index(str(data["title"]), (site / "index.html").read_text(encoding="utf-8")))
    write_json(work / "survey.json", data)
    write_text(work / "data.js", f"window.SURVEY = {script_json(data)};\n")
    write_text(work / "server.js", "window.SERVER = null;\n")


def _index(title: str, template: str) -> str:
    import jinja2

    return (
        jinja2.Environment(autoescape=True, keep_trailing_newline=True)
        .from_string(template)
        .render(title=one_line(title))
    )
