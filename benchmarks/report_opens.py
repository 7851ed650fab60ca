"""How long a page of a study takes to open in headless Chromium, and how large it is.

    python benchmarks/report_opens.py REPORT.html... [--url http://127.0.0.1:8080/...]

Opens all of them in turn, each time in a new, empty browser context, and prints wall
seconds to the page's own sign that everything is drawn and the seconds of processor
time of its main thread. An address is that of `nas serve STUDY`, which gives the same
sign, or of optuna-dashboard, started with ``optuna-dashboard study.log --port 8661``,
so ``--url http://127.0.0.1:8661/dashboard/studies/0``: it is there when a figure of it
holds ``--points`` points, looked for every second. Needs Playwright for Python (no
dependency of ours) and a Chromium.
"""

import argparse
import os
import shutil
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

LARGEST_FIGURE = """Math.max(0, ...[...document.querySelectorAll(".js-plotly-plot")]
.flatMap((figure) => (figure.data ?? []).map((trace) => (trace.x ?? []).length)))"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", type=Path, nargs="+")
    parser.add_argument("--url", action="append", default=[])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    targets = [path.resolve().as_uri() for path in options.reports] + options.url
    walls: dict[str, list[float]] = {target: [] for target in targets}
    busy: dict[str, list[float]] = {target: [] for target in targets}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox"]
        )
        for _ in range(options.repeats):
            for target in targets:
                wall, task = opened(browser, target, options.points)
                walls[target].append(wall)
                busy[target].append(task)
        browser.close()
    print(f"load {os.getloadavg()[0]:.1f}")
    for target in targets:
        size = Path(target[7:]).stat().st_size / 1e6 if target[:5] == "file:" else None
        print(target.rsplit("/", 1)[-1] if size else target)
        if size:
            print(f"  size: {size:.2f} MB")
        for name, values in (("wall", walls[target]), ("main thread", busy[target])):
            low, high = min(values), max(values)
            print(f"  {name}: {median(values):.2f} s ({low:.2f} to {high:.2f})")


def opened(browser: Browser, target: str, points: int) -> tuple[float, float]:
    """Wall seconds until it is there, and processor seconds of the main thread."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(300_000)
    # What a page wants from elsewhere would be waited for where there is no network.
    here = ("file:", "http://127.0.0.1:", "data:", "blob:")
    page.route(lambda url: not url.startswith(here), lambda route: route.abort())
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    started = time.perf_counter()
    page.goto(target)
    if "/dashboard/" in target:
        while page.evaluate(LARGEST_FIGURE) < points:
            time.sleep(1)
    else:
        page.wait_for_selector("html[data-ready=true]", state="attached")
    wall = time.perf_counter() - started
    metrics = session.send("Performance.getMetrics")["metrics"]
    task = next(m["value"] for m in metrics if m["name"] == "TaskDuration")
    context.close()
    return wall, task


if __name__ == "__main__":
    main()
