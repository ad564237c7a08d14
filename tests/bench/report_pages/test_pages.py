"""The pages of a report in a real Chromium: sort, filter, play, switch, seek, by pointer and by keyboard."""

from __future__ import annotations

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote

import pytest

from .conftest import CAPTION, CLIPS, TITLE

pytest.importorskip("selenium.webdriver", reason="BROWSER TEST NOT RUN: pip install selenium")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

TOGETHER = 0.05  # s


@pytest.fixture
def browser(start_browser):
    return start_browser(logs=("browser", "performance"))


class Quiet(SimpleHTTPRequestHandler):
    """A static host that tells nobody what it is asked."""

    def log_message(self, *told):
        pass


class Reader:
    """Somebody at the pages."""

    def __init__(self, browser, folder):
        self.browser, self.index = browser, (folder / "index.html").as_uri()
        self.wait = WebDriverWait(browser, 60, poll_frequency=0.03)

    def open(self, *parts, expect="h1"):
        self.browser.get(self.index + "#/" + "/".join(quote(part, safe="") for part in parts))
        self.wait.until(lambda _: self.all(expect))

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def until(self, script):
        self.wait.until(lambda _: self.run(script))

    def press(self, *keys):
        """On whatever has the focus."""
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    def heard(self):
        """The sounds that are not muted."""
        return self.run(
            "return Object.entries(REPORT.player.audios).filter(([, a]) => !a.muted).map(([system]) => system)"
        )


def test_pages_are_read_and_listened_to(browser, pages, two):
    reader = Reader(browser, pages)
    sort_and_filter_tables(reader)
    sort_and_filter_clips(reader)
    look_at_metrics(reader)
    play_and_switch(reader)
    listen_by_keyboard(reader)
    compare_blindly(reader)
    print_and_rest(reader)
    fit_on_a_phone(reader)
    look_at_changes(Reader(browser, two))
    listen_on_a_plain_host(browser, pages)
    assert reader.run("return typeof hacked") == "undefined"
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    inside = (reader.index.removesuffix("index.html"), two.as_uri())
    told = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [message["params"] for message in told if message["method"] == "Network.requestWillBeSent"]
    # The browser's own first page asks for things too.
    addresses = {each["request"]["url"] for each in asked if each["documentURL"].startswith(inside)}
    assert len(addresses) > 10
    assert {address for address in addresses if not address.startswith(inside)} == set()


def sort_and_filter_tables(reader):
    reader.open("tables", expect="table")
    before = reader.texts("section:first-of-type tbody th")
    assert TITLE in before
    assert reader.run("return typeof Plotly") == "undefined", "pages without charts do not load their script"
    heading = reader.find("[data-key=lat_err]")
    reader.run("arguments[0].focus()", heading)
    assert "lateral" in reader.find("#meaning").text
    assert heading.get_attribute("aria-describedby") == "meaning"
    reader.press(Keys.ESCAPE)
    assert not reader.find("#meaning").is_displayed()
    heading.click()
    values = reader.run(
        "const at = [...document.querySelectorAll('section:first-of-type thead th')]"
        ".findIndex((th) => th.querySelector('[data-key=lat_err]'));"
        "return [...document.querySelectorAll('section:first-of-type tbody tr')]"
        ".map((tr) => parseFloat(tr.children[at].textContent)).filter((v) => !isNaN(v))"
    )
    assert values == sorted(values)
    assert len(values) > 2
    assert reader.find("[aria-sort=ascending]").text.startswith("LatErr")
    reader.press(Keys.ENTER)  # the heading keeps the focus
    assert reader.find("[aria-sort=descending]").text.startswith("LatErr")
    reader.press(Keys.ENTER)
    assert reader.texts("section:first-of-type tbody th") == before
    reader.find("input[type=search]").send_keys("owl-less")
    assert reader.texts("tbody th") == [] and "Nothing is left" in reader.find("main [role=status]").text
    reader.find("input[type=search]").send_keys(Keys.BACKSPACE * len("owl-less"))
    filter_tables(reader)
    read_the_manual(reader)


def filter_tables(reader):
    """By kind of metric, by suite, and by system: boxes that the keyboard reaches."""
    groups = reader.texts("select")
    assert any("where the sound is" in group for group in groups)
    titles = reader.texts("h2")
    assert len(titles) > 1
    place = next(at for at, text in enumerate(groups) if "where the sound is" in text)
    choose(reader, place, "where the sound is")
    assert 0 < len(reader.texts("h2")) < len(titles)
    assert all("where the sound is" in title for title in reader.texts("h2"))
    choose(reader, place, "")
    suite = reader.run("return document.querySelectorAll('select')[0].options[1].value")
    choose(reader, 0, suite)
    assert reader.texts("h2") == titles, "there is one suite"
    reader.run("document.querySelector('.boxes summary').focus()")
    reader.press(Keys.ENTER, Keys.TAB, Keys.TAB)
    assert reader.run("return document.activeElement.textContent") == "none"
    reader.press(Keys.ENTER)
    assert reader.texts("tbody th") == []
    reader.run(
        "[...document.querySelectorAll('[data-row]')].find((b) => b.dataset.row === arguments[0]).focus()", TITLE
    )
    reader.press(Keys.SPACE)
    assert set(reader.texts("tbody th")) == {TITLE}
    reader.open("metrics")
    reader.open("tables", expect="table")
    assert set(reader.texts("tbody th")) == {TITLE}, "what was chosen is kept"
    reader.run("document.querySelector('.boxes').open = true; document.querySelector('.boxes button').click()")


def read_the_manual(reader):
    """A column leads to the manual page of its metric, which lies in the report."""
    link = reader.run("return document.querySelector('dd a').getAttribute('href')")
    reader.run("location.hash = arguments[0]", link)
    reader.until("return document.querySelector('.manual')")
    assert len(reader.find(".manual").text) > 300


def sort_and_filter_clips(reader):
    reader.open("clips", expect="tbody tr")
    assert sorted(reader.texts("tbody th bdi")) == sorted(CLIPS)
    assert CAPTION in reader.texts("tbody th small")
    select = reader.run(
        "return [...document.querySelectorAll('select')]"
        ".findIndex((s) => [...s.options].some((o) => o.value === 'lat_err'))"
    )
    choose(reader, select, "lat_err")
    choose(reader, select + 1, "ours")
    choose(reader, select + 2, "other")
    reader.find("[data-key=gap]").click()
    gaps = reader.texts("tbody tr td:nth-last-child(2)")
    assert gaps[-1] == "–", "a clip without a value comes last"
    numbers = [float(gap) for gap in gaps[:-1]]
    assert len(numbers) == 2
    assert numbers == sorted(numbers, reverse=True)
    choose(reader, select + 3, "worst")
    assert sorted(reader.texts("tbody th bdi")) == sorted(CLIPS), "fewer than the worst that are shown"
    choose(reader, select + 2, "ours")
    choose(reader, select + 1, "other")
    assert sorted(reader.texts("tbody th bdi")) == sorted({*CLIPS} - {CLIPS[1]}), (
        "a clip without a value is not among them"
    )
    choose(reader, select + 1, "ours")
    choose(reader, select + 2, "other")
    choose(reader, select + 3, "missing")
    assert reader.texts("tbody th bdi") == [CLIPS[1]]
    choose(reader, select + 3, "")
    reader.find("input[type=search]").send_keys("שלום")
    assert reader.texts("tbody th bdi") == [CLIPS[2]]
    assert reader.run(
        "return document.querySelector('.clips img').naturalWidth || document.querySelector('.clips img').loading"
    )


def choose(reader, place, value):
    reader.all("select")[place].find_element(By.CSS_SELECTOR, f"option[value='{value}']").click()


def look_at_metrics(reader):
    """Dots of clips: pointing at one tells its clip, as text, and pressing it leads there."""
    reader.open("metrics", expect=".dots .point")
    reader.until("return [...document.querySelectorAll('.chart')].every((box) => box.data)")
    assert len(reader.all(".dots .scatterlayer .trace:not(:last-child) .point")) >= 10
    assert TITLE in reader.texts(".dots bdi")
    assert TITLE in reader.find(".chart").get_attribute("aria-label")
    told = set()
    for dot in reader.all(".dots .scatterlayer .trace:first-child .point")[:3]:
        ActionChains(reader.browser).move_to_element(dot).perform()
        reader.until("return !document.querySelector('#meaning')?.hidden")
        told.add(reader.find("#meaning").text.rsplit(":", 1)[0])
    assert told == set(CLIPS)
    assert reader.all(".chart a, .chart b, .chart i, .chart img") == []
    ActionChains(reader.browser).click(dot).perform()
    reader.until("return location.hash.startsWith('#/clip/') && document.querySelector('#play')")
    reader.open("metrics", expect=".dots .point")
    assert any("p = " in text for text in reader.texts("dd"))
    reader.open("systems")
    assert reader.texts("dt").count("Optimised for") == 1
    assert "fd_vgg" in reader.texts("dd")
    for page in ("origin", "failures"):
        reader.open(page)
    assert CLIPS[1] in " ".join(reader.texts("td"))


def play_and_switch(reader):
    suite = reader.run("return REPORT.values.run.suites[0].name")
    reader.open("clip", suite, CLIPS[1], expect="#play")
    assert reader.texts("h1") == [CLIPS[1]]
    reader.until("return REPORT.player.media.every((one) => one.readyState === 4)")
    assert reader.heard() == ["reference"]
    reader.find("#play").click()
    # what is muted is drawn to what is heard
    reader.until(
        "const p = REPORT.player; return p.position > 0.3 &&"
        f" p.media.every((one) => !one.paused && Math.abs(one.currentTime - p.position) < {TOGETHER})"
    )
    before, after, gone_on = reader.browser.execute_async_script(
        "const [done] = arguments; const p = REPORT.player; const before = p.position;"
        "document.querySelector('button[data-system=ours]').click(); const after = p.position;"
        "requestAnimationFrame(() => requestAnimationFrame(() => done([before, after, p.position])));"
    )
    assert abs(after - before) < TOGETHER
    assert gone_on >= after
    assert reader.heard() == ["ours"]
    assert reader.find("button[data-system=ours]").get_attribute("aria-pressed") == "true"
    reader.until("return REPORT.player.media.every((one) => !one.paused)")
    assert reader.run(
        "const s = document.querySelector('#position'); s.value = 3; s.dispatchEvent(new Event('input'));"
        "return REPORT.player.media.every((one) => Math.abs(one.currentTime - 3) < 0.1)"
    )
    assert reader.run("return getComputedStyle(document.querySelector('.head')).left !== '0px'")
    kinds = "return [...document.querySelectorAll('.strip .chart')].map((box) => box.data.map((trace) => trace.name))"
    reader.until(f"{kinds}.every((names) => names.length === 2)")
    assert reader.run(kinds) == [["reference", "own"]] * 3, "this clip has no labels"
    assert reader.run(
        "return [...document.querySelectorAll('.strip img')].every((i) => i.naturalWidth === 640 && i.alt)"
    )
    reader.find("#play").click()
    assert reader.run("return REPORT.player.media.every((one) => one.paused)")


def listen_by_keyboard(reader):
    reader.run("document.activeElement.blur(); REPORT.player.seek(0)")
    reader.press(Keys.SPACE)
    reader.until("return REPORT.player.playing && REPORT.player.position > 0.05")
    reader.press("2")
    second = reader.run("return REPORT.player.systems[1]")
    assert reader.heard() == [second]
    reader.press("r")
    assert reader.heard() == ["reference"]
    reader.press(Keys.SPACE)
    reader.run("REPORT.player.seek(1)")
    reader.press(Keys.ARROW_RIGHT)
    assert reader.run("return REPORT.player.position") == pytest.approx(2, abs=0.1)
    # every control is reached with the Tab key
    reader.run("document.querySelector('.skip').focus()")
    reached = set()
    for _ in range(30):
        reader.press(Keys.TAB)
        reached.add(reader.run("return document.activeElement.id || document.activeElement.dataset.system || ''"))
    assert {"play", "position", "reference", "ours"} <= reached


def compare_blindly(reader):
    reader.find(".abx summary").click()
    reader.find(".abx .begin").click()
    assert not reader.find(".strips").is_displayed()
    assert not reader.find("button[data-system=ours]").is_displayed(), "who is heard is not told"
    hidden = reader.run("return REPORT.player.system")
    reader.find("[data-letter=A]").click()
    letter = "A" if hidden == reader.run("return REPORT.player.system") else "B"
    reader.find(f"[data-answer={letter}]").click()
    assert "1 of 1 right" in reader.find(".abx [role=status]").text
    reader.find(".abx .begin").click()
    assert reader.find(".strips").is_displayed()
    reader.run("REPORT.player.pause()")


def print_and_rest(reader):
    """On paper there are no controls, in the dark other colours, and nothing moves for those who ask for that."""
    emulate = partial(reader.browser.execute_cdp_cmd, "Emulation.setEmulatedMedia")
    paper = reader.run("return getComputedStyle(document.body).backgroundColor")
    emulate({"media": "print"})
    assert not reader.find("nav").is_displayed()
    assert not reader.find(".transport").is_displayed()
    assert reader.find("h1").is_displayed()
    dark = [{"name": "prefers-color-scheme", "value": "dark"}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    emulate({"media": "screen", "features": dark})
    assert reader.run("return getComputedStyle(document.body).backgroundColor") != paper
    reader.run("document.querySelector('#play').style.transition = 'all 9s'")
    assert reader.run("return getComputedStyle(document.querySelector('#play')).transitionDuration") == "0s"
    emulate({"media": "", "features": []})


def look_at_changes(reader):
    reader.open("tables", expect="table")
    titles = reader.texts("section:first-of-type tbody th")
    assert len(set(titles)) == len(titles)
    assert {f"{TITLE} (run)", "ours (run2)"} < set(titles)
    assert reader.find("a[href='#/changes']").is_displayed()
    reader.open("changes", expect="tbody tr")
    assert len(reader.all("table")) == 3
    assert reader.run("return document.documentElement.scrollWidth") <= 390


def fit_on_a_phone(reader):
    reader.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    assert reader.run("return document.documentElement.scrollWidth") <= 390, "clip"
    for page in ("tables", "clips", "metrics", "systems", "origin", "failures"):
        reader.open(page)
        assert reader.run("return document.documentElement.scrollWidth") <= 390, page


def listen_on_a_plain_host(browser, pages):
    """One that sends whole files only, as Python's own server does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pages))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        reader = Reader(browser, pages)
        reader.index = f"http://127.0.0.1:{server.server_port}/index.html"
        reader.open("clip", "clips", CLIPS[0], expect="#play")
        reader.until("return REPORT.player.media.every((one) => one.src.startsWith('blob:') && one.readyState === 4)")
        reader.find("#play").click()
        reader.run("REPORT.player.seek(3)")
        reader.until("return REPORT.player.playing && REPORT.player.position > 3")
        reader.run("REPORT.player.pause()")
        server.shutdown()
