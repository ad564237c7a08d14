"""How soon the pages of a large report open, and whether its list of clips scrolls without stalls, in Chromium.

Run: PYTHONPATH=. python benchmarks/report_pages.py      (needs selenium, chromium and chromedriver)

The run is made up: 8 systems on 3 suites of 1,871 clips each, every default metric that needs no weights, no media.
A page is open when its first row is drawn. A stall is a gap of more than 100 ms between two pictures of the screen
while the list is scrolled through from its start to its end, 400 pixels a picture. A busy machine stalls by itself: the
processor time of the page's own thread between two pictures says what the list takes.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import time
from bisect import bisect
from pathlib import Path
from typing import Any

from benchmarks.reporting import METRICS, rows
from visaudio_bench.bench.evaluation.recomputation import recompute
from visaudio_bench.bench.report_pages.report_folder import write_report
from visaudio_bench.files import write_json
from visaudio_bench.leaderboards.schema import SuiteInfo, SystemInfo, write_clip_rows, write_failures, write_results
from visaudio_bench.metrics.protocol import OURS

CLIPS = 1871
SUITES = ("first", "second", "third")
ANCHORS = ("reference", "mono", "swapped", "repaired")
SYSTEMS = (*ANCHORS, "ours", "theirs", "heard-a", "heard-b")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900")
SCROLL = """
const [most, done] = arguments, gaps = [];
let before = performance.now(), still = 0, last = -1;
const step = (now) => {
  gaps.push(now - before);
  before = now;
  window.scrollBy(0, 400);
  still = window.scrollY === last ? still + 1 : 0;
  last = window.scrollY;
  if (still < most) return requestAnimationFrame(step);
  const last_row = document.querySelector("tbody:last-of-type tr:last-child")?.getAttribute("aria-rowindex");
  done([Number(last_row || 1) - 1, gaps.length, Math.max(...gaps), gaps.filter((gap) => gap > 100).length]);
};
requestAnimationFrame(step);
"""


def make_run(folder: Path) -> int:
    """A run folder without sounds; returns its number of rows."""
    systems = [SystemInfo(name, name, name in ANCHORS, name.startswith("heard") or name in ANCHORS) for name in SYSTEMS]
    table = [
        row._replace(suite=suite)
        for suite in SUITES
        for seed, system in enumerate(systems, 1)
        for row in rows(system.name, heard=system.binauralises, seed=seed, clips=CLIPS)
    ]
    write_clip_rows(folder, table)
    write_failures(folder / "failures.jsonl", [])
    suites = [
        {
            "info": dataclasses.asdict(SuiteInfo(suite, f"made-up {suite}", CLIPS, synthetic=True)),
            "manifest": "0" * 64,
            "systems": [dataclasses.asdict(system) for system in systems],
            "metrics": [metric.key for metric in METRICS],
            "cards": [],
        }
        for suite in SUITES
    ]
    provenance = {"seed": 0, "protocol": OURS.record()}
    write_results(folder, [], provenance, {"suites": suites, "metrics": {}, "unavailable": {}, "failures": 0})
    clip = {"video": None, "audio": None, "start": 0.0, "duration": 8.0, "caption": "made up"}
    clips = [{"id": f"clip-{number:04d}", **clip} for number in range(CLIPS)]
    write_json(folder / "media.json", dict.fromkeys(SUITES, clips))
    return len(table)


def start() -> Any:
    """A Chromium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    traced = {"enableNetwork": False, "enablePage": False, "traceCategories": "toplevel,devtools.timeline"}
    options.add_experimental_option("perfLoggingPrefs", traced)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def opened(browser: Any, page: str, sign: str) -> float:
    """Seconds until a page of a browser that has nothing of it yet shows a sign."""
    browser.get("about:blank")
    began = time.perf_counter()
    browser.get(page)
    while not browser.execute_script("return document.querySelector(arguments[0]) !== null", sign):
        time.sleep(0.01)
    return time.perf_counter() - began


def thread_seconds(browser: Any) -> float:
    """Processor time of the page's main thread."""
    told = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return float(next(entry["value"] for entry in told if entry["name"] == "TaskDuration"))


def longest_work(browser: Any) -> float:
    """The most processor time, in ms, that the page's main thread took between two pictures of the screen so far."""
    logged = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    events = [message["params"] for message in logged if message["method"] == "Tracing.dataCollected"]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    own = [e for e in events if names.get((e["pid"], e["tid"])) == "CrRendererMain"]
    pictures = sorted(e["ts"] for e in own if e["name"] == "FireAnimationFrame")
    work = [0.0] * (len(pictures) + 1)
    for event in own:
        if event["name"].endswith("RunTask"):
            work[bisect(pictures, event["ts"])] += event.get("tdur", 0) / 1000
    return max(work[1:-1], default=0.0)  # before the first the page is loaded


def main() -> None:
    with tempfile.TemporaryDirectory() as parent:
        run, pages = Path(parent) / "run", Path(parent) / "pages"
        run.mkdir()
        count = make_run(run)
        tables, _ = recompute(run)
        began = time.process_time()
        write_report([run], pages, tables, workers=0)
        print(f"{count:,} rows: pages without sounds in {time.process_time() - began:.1f} s of CPU")
        sizes = {path.name: path.stat().st_size / 1e6 for path in sorted((pages / "data").iterdir())}
        print(json.dumps({name: f"{size:.1f} MB" for name, size in sizes.items()}))
        browser = start()
        try:
            index = (pages / "index.html").as_uri()
            for name, sign in (("tables", "tbody tr"), ("clips", ".clips tbody tr"), ("metrics", ".dots .point")):
                print(f"{name}: {opened(browser, f'{index}#/{name}', sign):.2f} s")
            browser.set_script_timeout(300)
            browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
            for page, sign, most in (("about:blank", "body", 200), (f"{index}#/clips", ".clips tbody tr", 20)):
                opened(browser, page, sign)
                before = thread_seconds(browser)
                drawn, pictures, longest, stalls = browser.execute_async_script(SCROLL, most)
                print(f"{drawn} rows in {pictures} pictures, the longest gap {longest:.0f} ms, {stalls} stalls")
                mean = 1000 * (thread_seconds(browser) - before) / pictures
                print(f"  {mean:.1f} ms of CPU a picture, at most {longest_work(browser):.0f}")
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
