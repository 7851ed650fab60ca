"""How long a report takes to open in headless Chromium, and how large it is.

    python benchmarks/report_opens.py REPORT.html [--repeats 7]

Wall seconds from a new, empty browser context to the page's own sign that everything
is drawn, and seconds that its main thread was busy. Needs Playwright for Python (which
is no dependency of ours) and a Chromium.
"""

import argparse
import os
import shutil
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    walls, busy = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox"]
        )
        for _ in range(options.repeats):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            session = context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            started = time.perf_counter()
            page.goto(options.report.resolve().as_uri())
            page.wait_for_selector("html[data-ready=true]", state="attached")
            walls.append(time.perf_counter() - started)
            metrics = session.send("Performance.getMetrics")["metrics"]
            busy += [m["value"] for m in metrics if m["name"] == "TaskDuration"]
            context.close()
        browser.close()
    size = options.report.stat().st_size / 1e6
    print(f"{size:.2f} MB, load {os.getloadavg()[0]:.1f}")
    for name, values in (("wall", walls), ("main thread", busy)):
        low, high = min(values), max(values)
        print(f"{name}: {median(values):.2f} s ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
