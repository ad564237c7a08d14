"""Takes the README's two pictures of a report: docs/images/report-clips.jpg and report-clip.jpg, with Chromium.

python -m visaudio_bench report runs/simroom --html runs/simroom/pages
PYTHONPATH=. python scripts/make_report_pictures.py runs/simroom/pages      (needs selenium, chromium and chromedriver)
"""

from __future__ import annotations

import base64
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.report_pages import opened, start

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
SCREEN = {"width": 1100, "height": 1020, "deviceScaleFactor": 1, "mobile": False}
CHOOSE = """
const [metric, first, second] = arguments;
Object.assign(chosen, { metric, first, second });
Object.assign(clipSorting, { key: "gap", down: true });
REPORT.pages.clips();
"""
LISTEN = "REPORT.player.select(arguments[0]); REPORT.player.seek(3.2)"
DRAWN = "return [...document.querySelectorAll('.chart')].every((box) => box.data)"


def shot(browser: Any, name: str) -> None:
    """Keep what the screen shows."""
    time.sleep(1)  # pictures are loaded, the playhead is where it belongs
    told = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "jpeg", "quality": 70})
    (IMAGES / name).write_bytes(base64.b64decode(told["data"]))


def main(pages: Path) -> None:
    """Where a trained system loses, and the clip where it loses most."""
    index = (pages / "index.html").resolve().as_uri()
    browser = start()
    try:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREEN)
        opened(browser, f"{index}#/clips", ".clips tbody tr")
        browser.execute_script(CHOOSE, "lat_err", "visaudio-tiny", "motion-pan")
        time.sleep(0.5)
        worst = browser.execute_script("return document.querySelector('.clips tbody th a').getAttribute('href')")
        shot(browser, "report-clips.jpg")
        opened(browser, f"{index}{worst}", "#play")
        browser.execute_script(LISTEN, "visaudio-tiny")
        while not browser.execute_script(DRAWN):
            time.sleep(0.1)
        browser.execute_script("window.scrollTo(0, 170)")
        shot(browser, "report-clip.jpg")
    finally:
        browser.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
