"""The questionnaire in a real Chromium: checks failed and passed, reload, all groups, download, table."""

import csv
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import mos
from visaudio_bench.bench.mos.page_data import Wording
from visaudio_bench.bench.mos.questionnaire import build
from visaudio_bench.bench.mos.questions import KEYS
from visaudio_bench.bench.mos.response_export import export_text
from visaudio_bench.bench.mos.study_material import from_folders
from visaudio_bench.escapes import one_line
from visaudio_bench.suites.media import write_clip

from ...nasty import NASTY as TEXTS

pytest.importorskip("selenium.webdriver", reason="BROWSER TEST NOT RUN: pip install selenium")
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait


@pytest.fixture
def browser(start_browser, tmp_path):
    driver = start_browser("--disable-quic", "--hide-scrollbars", logs=("browser",))
    driver.downloads = tmp_path / "downloads"
    return driver


KEPT = "'visaudio-bench/' + SURVEY.study_id + '/' + SURVEY.build"


@pytest.fixture
def serving(start_server) -> Callable:
    """A server for as long as a block lasts; gives its address."""

    @contextmanager
    def serve(folder: Path, database: Path, *more: str) -> Iterator[str]:
        process, base = start_server(folder, database, *more)
        try:
            yield base
        finally:
            process.kill()
            process.wait()

    return serve


class Rater:
    """Somebody at the page, who hears what the check sounds really hold, through headphones that may be miswired."""

    def __init__(self, browser, folder: Path, swapped: bool = False, deaf: bool = False):
        self.browser, self.folder, self.swapped, self.deaf = browser, folder, swapped, deaf
        self.wait = WebDriverWait(browser, 20, poll_frequency=0.03, ignored_exceptions=[StaleElementReferenceException])

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def come(self, base):
        """Begin as somebody whom this browser does not know."""
        self.browser.get(base)
        self.browser.execute_script("localStorage.clear()")
        self.browser.refresh()
        self.listen()

    def move(self, line, value):
        """Move the slider in a part of the page."""
        self.browser.execute_script(
            "const s = arguments[0].querySelector('input.point'); s.value = arguments[1];"
            "s.dispatchEvent(new Event('input'))", line, value
        )  # fmt: skip

    def press(self, selector):
        self.wait.until(lambda _: self.find(selector).is_enabled())
        self.find(selector).click()

    def step(self) -> str:
        return self.find("#screen").get_attribute("data-step")

    def open(self, query: str = ""):
        self.browser.get((self.folder / "index.html").as_uri() + query)
        self.listen()

    def listen(self):
        """Keep the names of the sounds that are played, as ears would hear them; play them fast."""
        self.browser.execute_script(
            "const later = window.setTimeout; window.setTimeout = (f, ms) => later(f, ms / 20);"
            "window.heard = []; document.getElementById('probe').addEventListener('play', (e) => {"
            " e.target.playbackRate = 16; window.heard.push(e.target.currentSrc.split('/').pop()); });"
        )

    def ears(self, name: str) -> np.ndarray:
        samples, _ = soundfile.read(self.folder / "checks" / name)
        return samples.T[::-1] if self.swapped else samples.T

    def answer(self, kind: str, names: list[str]) -> int:
        sounds = [self.ears(name) for name in names]
        if kind == "orientation":
            left, right = np.sum(sounds[0] ** 2, axis=1)
            return int(right > left)
        if self.deaf:
            return int(np.argmin([np.sum((s[0] + s[1]) ** 2) for s in sounds]))  # a loudspeaker adds the channels
        if kind == "antiphase":
            return int(np.argmin([np.sum(s**2) for s in sounds]))
        return int(np.argmax([np.abs(s[0] - s[1]).max() for s in sounds]))

    def kept(self) -> dict:
        """What the page keeps of the session in this browser."""
        return self.browser.execute_script(f"return JSON.parse(localStorage.getItem({KEPT}))")

    def go_on(self, **changes):
        """Open the page again, with changes in what it keeps: at another step, with answers."""
        state = {**self.kept(), **changes}
        self.browser.execute_script(f"localStorage.setItem({KEPT}, JSON.stringify(arguments[0]))", state)
        self.browser.refresh()

    def check(self, kind: str):
        assert self.step() == kind
        for trial in range(6):
            self.wait.until(lambda _, t=trial: f"Trial {t + 1} of" in self.find("#screen").text)
            self.browser.execute_script("window.heard = []")
            self.press("#listen")
            self.wait.until(lambda _: self.find(".answer").is_enabled() and "again" in self.find("#listen").text)
            names = self.browser.execute_script("return window.heard")
            self.all(".answer")[self.answer(kind, names)].click()

    def failed(self) -> str:
        return " ".join(element.text for element in self.all("#failed"))

    def begin(self, device: str = "over-ear headphones"):
        self.find("#consent").click()
        self.find(f"#device option[value='{device}']").click()
        self.press("#next")
        self.wait.until(lambda _: self.step() == "level")  # a server is asked for the rater's number first
        assert not self.find("#next").is_enabled()
        self.press("#listen")
        self.press("#next")

    def play_all(self, skip: int = 0):
        for button in self.all(".player button")[skip:]:
            button.click()
            self.browser.execute_script("document.querySelectorAll('video').forEach((v) => { v.playbackRate = 4; })")
            figure = button.find_element(By.XPATH, "..")
            self.wait.until(lambda _, f=figure: "✓" in f.text)

    def rate_all(self, opinion):
        for line in self.all(".rating"):
            value = opinion(line.get_attribute("data-code"), line.get_attribute("data-dimension"))
            line.find_elements(By.CSS_SELECTOR, "input")[value - 1].send_keys(Keys.SPACE)


def opinion_of(key: Path):
    """Votes that depend on the system alone, so that the table can be foretold."""
    with key.open() as file:
        systems = {row["code"]: row["system"] for row in csv.DictReader(file)}
    values = {"ThinkSound": 3, "AudioX": 3, "ViSAGe": 2, "See2Sound": 1, "ViSAudio": 5}

    def opinion(code: str, dimension: str) -> int:
        del dimension
        return values.get(systems.get(code, ""), 3)

    return opinion


def severe(browser) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.mark.slow  # preferences, from the page to the table, and a session that reaches the server are tried always
def test_a_whole_session_from_the_checks_to_the_table(browser, survey, tmp_path):
    rater = Rater(browser, survey.folder)
    rater.open("?rater=7")
    assert rater.find("#minutes").text == "It takes about 10 minutes."
    rater.press("#next")
    assert "tick the box" in rater.find("[role=alert]").text
    rater.begin()
    rater.check("orientation")

    rater.deaf = True  # loudspeakers: the antiphase tone cancels and seems the quietest
    rater.check("antiphase")
    assert "loudspeakers" in rater.failed()
    rater.deaf = False
    rater.press("#next")
    rater.check("antiphase")
    rater.check("huggins")

    practise(rater)
    opinion = opinion_of(survey.key)
    rate_with_a_reload_in_the_middle(rater, opinion)
    rate_by_keyboard(rater, opinion)

    assert rater.step() == "end"
    rater.press("#download")
    file = browser.downloads / "trial_R07_responses.csv"
    rater.wait.until(lambda _: file.exists() and file.stat().st_size > 0)
    assert severe(browser) == []
    check_responses(file)
    result = CliRunner().invoke(
        mos, ["--ratings", str(file), "--codes", str(survey.key), "--ci", "clips-t", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if line.startswith(" ViSAudio"))
    assert line.split()[1:4] == ["5.00", "±", "0.00"]
    assert (tmp_path / "out" / "mos.csv").exists()


def practise(rater):
    assert rater.step() == "guide"
    assert "immersive spatiality" in rater.find("#screen").text
    rater.press("#next")
    assert rater.step() == "training"
    rater.play_all()
    rater.rate_all(lambda code, dimension: 3)
    rater.press("#next")


def rate_with_a_reload_in_the_middle(rater, opinion):
    assert rater.step() == "group-0"
    first = [line.get_attribute("data-code") for line in rater.all(".rating")[:5]]
    rater.find("#next").click()
    assert rater.step() == "group-0", "an empty group was accepted"
    rater.rate_all(opinion)
    rater.find("#next").click()
    assert rater.step() == "group-0", "a group was accepted whose samples were not played"
    assert "play to the end: Video 1" in rater.find("#todo").text
    rater.find(".player button").click()
    rater.browser.execute_script("document.querySelector('video').playbackRate = 4")
    rater.wait.until(lambda _: "✓" in rater.find(".player").text)

    rater.browser.refresh()
    rater.listen()
    assert rater.step() == "group-0"
    assert [line.get_attribute("data-code") for line in rater.all(".rating")[:5]] == first
    assert len(rater.all(".rating input:checked")) == 25
    assert "✓" in rater.find(".player").text
    rater.play_all(skip=1)
    rater.press("#next")


def rate_by_keyboard(rater, opinion):
    """A digit rates the row and goes on to the next; Shift and a digit play a video."""
    browser = rater.browser
    assert rater.step() == "group-1"
    inputs = rater.all(".rating input")
    codes = [(line.get_attribute("data-code"), line.get_attribute("data-dimension")) for line in rater.all(".rating")]
    browser.execute_script("arguments[0].focus()", inputs[0])
    for code, dimension in codes:
        browser.switch_to.active_element.send_keys(str(opinion(code, dimension)))
    assert len(rater.all(".rating input:checked")) == 25
    browser.execute_script(
        "document.dispatchEvent(new KeyboardEvent('keydown', {code: 'Digit1', key: '!', shiftKey: true}))"
    )
    rater.wait.until(lambda _: rater.browser.execute_script("return document.querySelector('video').played.length"))
    rater.wait.until(lambda _: "✓" in rater.find(".player").text)
    rater.play_all(skip=1)
    rater.press("#next")


def check_responses(file: Path):
    with file.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 2 * 5 * 5
    assert {row["headphone_check"] for row in rows} == {"pass"}
    assert {row["lr_check"] for row in rows} == {"pass"}
    assert {row["rater_id"] for row in rows} == {"R07"}
    assert {row["listening_device"] for row in rows} == {"over-ear headphones"}
    assert all(float(row["played_ratio"]) >= 0.98 and int(row["n_plays"]) >= 1 for row in rows)
    assert all(row["timestamp_utc"].endswith("Z") and row["rating_ms"].isdigit() for row in rows)
    # The names of systems are nowhere in what the rater saw or sent.
    assert not {"ThinkSound", "ViSAudio"} & {row["system"] for row in rows}


@pytest.mark.slow
def test_exchanged_channels_are_caught_by_the_orientation_check(browser, survey):
    rater = Rater(browser, survey.folder, swapped=True)
    rater.open()
    rater.begin()
    for attempt in range(3):
        rater.check("orientation")
        assert "Left and right seem to be exchanged" in rater.failed()
        assert rater.find("#next").text.startswith("Try again" if attempt < 2 else "Go on")
        rater.press("#next")
    rater.check("antiphase")  # the two headphone checks alone would have let this rater through
    rater.check("huggins")
    outcomes = SimpleNamespace(**{name: check["outcome"] for name, check in rater.kept()["checks"].items()})
    assert (outcomes.orientation, outcomes.antiphase, outcomes.huggins) == ("fail", "pass", "pass")


def test_responses_reach_the_server(browser, survey, tmp_path, serving):
    database = tmp_path / "r.sqlite"
    with serving(survey.folder, database) as base:
        rater = Rater(browser, survey.folder)
        browser.get(base)
        rater.listen()
        assert not rater.all("#rater"), "the server gives the number"
        rater.begin()
        codes = browser.execute_script("return SURVEY.groups.flatMap((group) => group.samples)")
        ratings = {code: {key: {"value": 4, "ms": 900} for key in KEYS} for code in codes}
        rater.go_on(step="end", ratings=ratings, played={code: {"ratio": 1, "n": 1} for code in codes})
        rater.wait.until(lambda _: "have arrived" in rater.find("#sent").text)
        # An answer that was lost on its way back: the page posts the same session again and is told that it is safe.
        rater.go_on(sent="")
        rater.wait.until(lambda _: "have arrived" in rater.find("#sent").text)
        refused = [line for line in severe(browser) if "409" not in line]
        assert refused == [], "the security policy lets the page's own parts through"
    exported = export_text(database, "long")
    assert (exported.votes, exported.notes) == (50, ())
    assert {row["rater_id"] for row in csv.DictReader(exported.text.splitlines())} == {"R01"}


@contextmanager
def static_site(folder: Path) -> Iterator[str]:
    """Any web server, which knows nothing of questionnaires; gives its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as site:
        thread = Thread(target=site.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_address[1]}"
        finally:
            site.shutdown()
            thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """Files, without a line on the error stream for each."""

    def log_message(self, *told: object) -> None:
        del told


@pytest.mark.slow
def test_a_static_page_posts_to_the_studys_own_server(browser, survey, tmp_path, serving):
    folder, database = tmp_path / "survey", tmp_path / "r.sqlite"
    shutil.copytree(survey.folder, folder)
    data = json.loads((folder / "survey.json").read_text()) | {"consent": "Our words."}
    (folder / "survey.json").write_text(json.dumps(data))
    with static_site(folder) as page, serving(folder, database, "--allow-origin", page) as base:
        script = f"window.SURVEY = {json.dumps(data | {'post': f'{base}/responses'})};\n"
        (folder / "data.js").write_text(script)  # as `bench mos page --post` writes it
        rater = Rater(browser, folder)
        browser.get(f"{page}/index.html?rater=3")
        rater.listen()
        assert "Our words." in rater.find("#screen").text
        rater.begin()
        codes = browser.execute_script("return SURVEY.groups.flatMap((group) => group.samples)")
        ratings = {code: {key: {"value": 4, "ms": 900} for key in KEYS} for code in codes}
        rater.go_on(step="end", ratings=ratings, played={code: {"ratio": 1, "n": 1} for code in codes})
        rater.wait.until(lambda _: "have arrived" in rater.find("#sent").text)
        assert severe(browser) == []
    exported = export_text(database, "long")
    assert {row["rater_id"] for row in csv.DictReader(exported.text.splitlines())} == {"R03"}


def give_sounds(videos: Path, sounds: Path) -> None:
    """Each video its own sound, which is the reference."""
    for path in videos.glob("*.mp4"):
        with_sound = path.with_suffix(".new.mp4")
        write_clip(with_sound, path, soundfile.read(sounds / f"{path.stem}.wav")[0].T, 44100)
        with_sound.replace(path)


def key_of(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of the study's key by code."""
    with (folder / "survey.key.csv").open() as file:
        return {row["code"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_mushra_from_the_page_to_the_table(browser, tmp_path, material, serving):
    """Sliders beside a named reference; who does not know the hidden reference is found by the rule."""
    folders, videos = material(tmp_path, 1)
    give_sounds(videos, tmp_path / "sounds" / "AudioX")
    command = ["page", *(argument for folder in folders[:2] for argument in ("--system", folder)), "--design", "mushra"]
    command += ["--videos", str(videos), "--clips", "1", "--training", "none", "--out", str(tmp_path / "survey")]
    made = CliRunner().invoke(mos, command)
    assert made.exit_code == 0, made.exception
    key = {code: row["system"] for code, row in key_of(tmp_path).items()}
    assert sorted(key.values()) == ["AudioX", "ThinkSound", "low anchor", "reference"]
    votes = {"reference": 100, "AudioX": 80, "ThinkSound": 60, "low anchor": 10}
    with serving(tmp_path / "survey", tmp_path / "survey.sqlite") as base:
        for number in range(2):
            rater = Rater(browser, tmp_path / "survey")
            rater.come(base)
            assert "from 0 to 100" in rater.find("#screen").text
            rater.begin()
            rater.go_on(step="group-0")
            names = [one.text for one in rater.all(".player button")]
            assert names == ["▶ Reference", *(f"▶ Video {k}" for k in range(1, 5))]
            rater.play_all()
            rater.find("#next").click()
            assert rater.step() == "group-0", "sliders that nobody moved were taken for answers"
            for line in rater.all(".rating"):
                vote = votes[key[line.get_attribute("data-code")]]
                vote = 100 - vote if number else vote  # the second takes the scale the wrong way round
                rater.move(line, vote)
            rater.press("#next")
            rater.wait.until(lambda _, rater=rater: "have arrived" in rater.find("#sent").text)
        assert severe(browser) == []
    out = tmp_path / "out"
    command = ["--ratings", str(tmp_path / "survey"), "--screen", "reference", "--out", str(out)]
    result = CliRunner().invoke(mos, command)
    assert result.exit_code == 0, result.exception
    assert "reference (hidden reference)" in result.stdout
    assert "screened by reference (1): 1 rater left out" in result.stdout
    with (out / "mos.csv").open() as file:
        means = {row["system"]: float(row["mean"]) for row in csv.DictReader(file)}
    assert means == votes


@pytest.mark.slow
@pytest.mark.parametrize("design", ["rating", "mushra"])
def test_a_part_of_the_clips_for_each_rater_from_the_page_to_the_table(browser, tmp_path, material, serving, design):
    """Three raters with two of three clips: every clip is asked twice, and no vote is missing."""
    folders, videos = material(tmp_path, 3)
    give_sounds(videos, tmp_path / "sounds" / "AudioX")
    command = ["page", *(argument for folder in folders[:2] for argument in ("--system", folder)), "--design", design]
    command += ["--videos", str(videos), "--clips", "3", "--training", "none", "--per-rater", "2"]
    made = CliRunner().invoke(mos, [*command, "--out", str(tmp_path / "survey")])
    assert made.exit_code == 0, made.exception
    key = {code: row["system"] for code, row in key_of(tmp_path).items()}
    points = {"reference": 100, "AudioX": 80, "ThinkSound": 40, "low anchor": 10}
    asked = []
    with serving(tmp_path / "survey", tmp_path / "survey.sqlite") as base:
        for _ in range(3):
            rater = Rater(browser, tmp_path / "survey")
            rater.come(base)
            assert "You will watch 2 groups" in rater.find("#screen").text
            rater.begin()
            rater.go_on(step="group-0")
            for place in range(2):
                assert rater.step() == f"group-{place}"
                rater.play_all()
                codes = [line.get_attribute("data-code") for line in rater.all(".rating")]
                asked.append(frozenset(codes))
                if design == "rating":
                    rater.rate_all(lambda code, dimension: {"AudioX": 5, "ThinkSound": 2}[key[code]])
                for line in rater.all(".rating") if design == "mushra" else ():
                    rater.move(line, points[key[line.get_attribute("data-code")]])
                rater.press("#next")
            rater.wait.until(lambda _, rater=rater: "have arrived" in rater.find("#sent").text)
        assert severe(browser) == []
    assert sorted(Counter(asked).values()) == [2, 2, 2], "every clip is asked equally often"
    result = CliRunner().invoke(mos, ["--ratings", str(tmp_path / "survey"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.exception
    assert "each rater was asked about 2 of the clips" in " ".join(result.stdout.split())
    with (tmp_path / "out" / "mos.csv").open() as file:
        means = {row["system"]: float(row["mean"]) for row in csv.DictReader(file)}
    assert means == (points if design == "mushra" else {"AudioX": 5.0, "ThinkSound": 2.0})


@pytest.mark.slow
def test_localisation_from_the_page_to_the_table(browser, tmp_path, material, serving):
    """A rater who points at the truth for one system and at the other side for the other."""
    folders, videos = material(tmp_path, 2)
    (tmp_path / "directions.csv").write_text("clip,azimuth_deg\nclip00,30\nclip01,-45\n")
    command = ["page", *(argument for folder in folders[:2] for argument in ("--system", folder))]
    command += ["--videos", str(videos), "--clips", "2", "--training", "none", "--design", "localisation"]
    command += ["--directions", str(tmp_path / "directions.csv"), "--out", str(tmp_path / "survey")]
    made = CliRunner().invoke(mos, command)
    assert made.exit_code == 0, made.exception
    key = key_of(tmp_path)
    assert "-45" not in (tmp_path / "survey" / "data.js").read_text(), "the page does not tell where the sounds are"
    with serving(tmp_path / "survey", tmp_path / "survey.sqlite") as base:
        rater = Rater(browser, tmp_path / "survey")
        browser.get(base)
        rater.listen()
        assert "say where you hear each of them" in rater.find("#screen").text
        rater.begin()
        rater.go_on(step="group-0")
        for place in range(4):
            assert rater.step() == f"group-{place}"
            assert rater.find("video").size["height"] == 0, "the picture would tell"
            row = key[browser.execute_script("return document.querySelector('video').src.split('/').pop().slice(0, 7)")]
            rater.play_all()
            rater.find("#next").click()
            assert rater.step() == f"group-{place}", "a slider that nobody moved was taken for an answer"
            truth = int(row["expected"]) * (1 if row["system"] == "ThinkSound" else -1)
            rater.move(rater.find("main"), -truth + 1)
            rater.find("input.point").send_keys(Keys.ARROW_LEFT)
            assert rater.find("output").text == f"{abs(truth)}° {'left' if truth > 0 else 'right'}"
            rater.press("#next")
        rater.wait.until(lambda _: "have arrived" in rater.find("#sent").text)
        assert severe(browser) == []
    result = CliRunner().invoke(mos, ["--ratings", str(tmp_path / "survey"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.exception
    with (tmp_path / "out" / "localisation.csv").open() as file:
        found = {(row["system"], row["score"]): float(row["mean"]) for row in csv.DictReader(file)}
    assert found == {
        ("ThinkSound", "error"): 0.0, ("ThinkSound", "near"): 1.0, ("ThinkSound", "confusion"): 0.0,
        ("AudioX", "error"): 75.0, ("AudioX", "near"): 0.0, ("AudioX", "confusion"): 1.0,
    }  # fmt: skip


def test_preferences_from_the_page_to_the_table(browser, tmp_path, material, serving):
    """Two raters with two pairs each, of a better and a worse system; every pair of three is asked in turn."""
    folders, videos = material(tmp_path, 1)
    command = ["page", *(argument for folder in folders[:3] for argument in ("--system", folder))]
    command += ["--videos", str(videos), "--clips", "1", "--training", "none", "--design", "preference"]
    made = CliRunner().invoke(mos, [*command, "--per-rater", "2", "--out", str(tmp_path / "survey")])
    assert made.exit_code == 0, made.exception
    worth = {code: ["ThinkSound", "AudioX", "ViSAGe"].index(row["system"]) for code, row in key_of(tmp_path).items()}
    with serving(tmp_path / "survey", tmp_path / "survey.sqlite") as base:
        for _ in range(2):
            rater = Rater(browser, tmp_path / "survey")
            rater.come(base)
            assert "say which of the two sounds" in rater.find("#screen").text
            rater.begin()
            rater.go_on(step="guide")
            assert "all in all" in rater.find("#screen").text
            rater.press("#next")
            for pair in range(2):
                assert rater.step() == f"group-{pair}"
                shown = browser.execute_script(
                    "return [...document.querySelectorAll('video')].map((v) => v.src.split('/').pop().slice(0, 7))"
                )
                rater.play_all()
                wanted = 1 if worth[shown[0]] < worth[shown[1]] else -1
                rater.find(f".choice input[value='{wanted}']").send_keys(Keys.SPACE)
                rater.press("#next")
            rater.wait.until(lambda _, rater=rater: "have arrived" in rater.find("#sent").text)
        assert severe(browser) == []
    out = tmp_path / "out"
    result = CliRunner().invoke(mos, ["--ratings", str(tmp_path / "survey"), "--out", str(out)])
    assert result.exit_code == 0, result.exception
    assert "2 raters, 1 clip, 4 votes, 0% of them no difference" in result.stdout
    with (out / "preferences.csv").open() as file:
        strength = {row["system"]: float(row["strength"]) for row in csv.DictReader(file)}
    assert list(strength) == ["ThinkSound", "AudioX", "ViSAGe"]
    assert strength["ThinkSound"] > strength["AudioX"] > strength["ViSAGe"]


@pytest.mark.slow
def test_matching_from_the_page_to_the_table(browser, tmp_path, material, serving):
    """A rater who knows what belongs to the video for one system, and never for the other."""
    folders, videos = material(tmp_path, 2)
    command = ["page", *(argument for folder in folders[:2] for argument in ("--system", folder))]
    command += ["--videos", str(videos), "--clips", "2", "--training", "none", "--design", "matching"]
    made = CliRunner().invoke(mos, [*command, "--out", str(tmp_path / "survey")])
    assert made.exit_code == 0, made.exception
    key = key_of(tmp_path)
    with serving(tmp_path / "survey", tmp_path / "survey.sqlite") as base:
        rater = Rater(browser, tmp_path / "survey")
        browser.get(base)
        rater.listen()
        assert "say which of the two sounds was made for the video" in rater.find("#screen").text
        rater.begin()
        rater.go_on(step="group-0")
        for place in range(4):
            assert rater.step() == f"group-{place}"
            assert [one.text for one in rater.all(".choice label")] == ["Video 1", "Video 2"], "one of them is right"
            first = browser.execute_script("return document.querySelector('video').src.split('/').pop().slice(0, 7)")
            rater.play_all()
            right = int(key[first]["expected"])
            chosen = right if key[first]["system"] == "ThinkSound" else -right
            rater.find(f".choice input[value='{chosen}']").send_keys(Keys.SPACE)
            rater.press("#next")
        rater.wait.until(lambda _: "have arrived" in rater.find("#sent").text)
        assert severe(browser) == []
    result = CliRunner().invoke(mos, ["--ratings", str(tmp_path / "survey"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.exception
    with (tmp_path / "out" / "matching.csv").open() as file:
        assert {row["system"]: float(row["mean"]) for row in csv.DictReader(file)} == {"ThinkSound": 1.0, "AudioX": 0.0}


@pytest.mark.parametrize("service", ["prolific", pytest.param("mturk", marks=pytest.mark.slow)])
def test_people_of_a_crowd_service_get_their_code_at_the_end(browser, tmp_path, material, service):
    folders, videos = material(tmp_path, 1)
    options = {"training": None, "hidden_reference": False, "low_anchor": False, "seed": 1}
    chosen = from_folders(folders[:2], videos, clips="1", **options)
    wording = Wording("t", service=service, address="https://example.org")
    made = build(chosen, tmp_path / "survey", wording=wording, study_id="trial", progress=lambda line: None)
    rater = Rater(browser, made.folder)
    person = "5f00000000000000000000a1"
    rater.open(f"?PROLIFIC_PID={person}")
    assert len(rater.all("#rater")) == (service == "mturk")
    rater.begin()
    state = rater.kept()
    assert (state["rater"] == person) == (service == "prolific")
    rater.go_on(step="end")
    code = rater.find("#code").text
    if service == "mturk":
        assert code == state["session"]
        assert not rater.all("#back")
    else:
        assert f"Completion code: {code}\n" in made.paste.read_text()
        assert rater.find("#back").get_attribute("href") == f"https://app.prolific.com/submissions/complete?cc={code}"
    assert not rater.all("#restart"), "one person, one session"


NASTY = """</script><script>window.broken = 1</script><img src=x onerror="window.broken = 2">'"`${1}\u2028\u202e&amp;"""
EVERY = " ".join(text for text in (NASTY, *TEXTS) if "\ud800" not in text)


def test_words_of_a_study_are_shown_and_never_run(browser, tmp_path, material):
    folders, videos = material(tmp_path, 1)
    options = {"training": None, "hidden_reference": False, "low_anchor": False, "seed": 1}
    chosen = from_folders(folders[:2], videos, clips="1", **options)
    chosen = replace(chosen, suite=EVERY, clips=(replace(chosen.clips[0], caption=EVERY),))
    study_id = NASTY.replace("\u2028", "").replace("\u202e", "")[:100]
    wording = Wording(EVERY, contact=EVERY, consent=f"{NASTY}\n\nsecond paragraph")
    made = build(chosen, tmp_path / "survey", wording=wording, study_id=study_id, progress=lambda line: None)
    rater = Rater(browser, made.folder)
    rater.open("?rater=<script>window.broken=3</script>")
    assert one_line(EVERY) == browser.execute_script("return document.querySelector('header .title').textContent")
    shown = browser.execute_script("return document.querySelector('#screen').textContent")
    assert NASTY in shown
    assert EVERY in shown
    assert [one.text for one in rater.all(".consent")][1:] == ["second paragraph"]
    assert rater.find("#rater").get_attribute("value") == "<script>window.broken=3</script>"
    rater.go_on(step="group-0", number=0, rater="x", order=[0])
    assert rater.step() == "group-0"
    assert EVERY in browser.execute_script("return document.querySelector('#screen').textContent")
    assert browser.execute_script("return window.broken") is None
    assert severe(browser) == []


@pytest.mark.parametrize(("width", "height"), [pytest.param(1280, 900, marks=pytest.mark.slow), (390, 844)])
def test_nothing_is_wider_than_the_screen(browser, survey, width, height):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    rater = Rater(browser, survey.folder)
    rater.open()
    steps = ("welcome", "level", "orientation", "guide", "group-0", "end")
    for step in steps:
        rater.go_on(step=step, number=0, rater="x", order=[0, 1])
        time.sleep(0.1)
        assert rater.step() == step
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, step
        small = browser.execute_script(
            "return [...document.querySelectorAll('main button, .rating label')].map((e) => e.getBoundingClientRect())"
            ".filter((r) => r.width && r.height && (r.height < 32 || r.width < 32)).length"
        )
        assert small == 0, step
