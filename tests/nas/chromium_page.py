"""A page of ours in a real headless Chromium, and what its users would do there."""

import os
import shutil
from contextlib import contextmanager

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 100_000  # a busy machine is no failure


@contextmanager
def chromium():
    """A headless Chromium of this machine; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as driver:
        # Chromium has no sandbox for root.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=program, args=sandbox)
        yield browser
        browser.close()


class Opened:
    """A page in the browser, with everything that went wrong in it.

    Args:
        browser: What `chromium` gives.
        address: Where the page is.
        options: Of the browser's context: viewport, color_scheme, ...
    """

    def __init__(self, browser, address, **options):
        self.problems, self.requests = [], []
        self.page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        session = self.page.context.new_cdp_session(self.page)
        # Time on the processor: what other programs take is not counted.
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.go(address)
        measured = session.send("Performance.getMetrics")["metrics"]
        self.seconds = next(
            one["value"] for one in measured if one["name"] == "TaskDuration"
        )

    def go(self, address):
        """Open an address and wait until everything is drawn."""
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready=true]", state="attached")

    def violations(self):
        """What axe-core finds wrong for people who cannot see or use a pointer."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [f"{v['id']}: {[n['html'][:90] for n in v['nodes'][:3]]}" for v in found]

    def cards(self):
        """Titles of the selected models."""
        return self.page.locator("#selected .card h3").all_inner_texts()

    def numbers(self):
        """Trial numbers of the rows that are in the table, from the top."""
        cells = self.page.locator("#table-rows tr[data-index] td:first-child")
        return [int(text) for text in cells.all_inner_texts()]

    def saved(self, button):
        """Press a button that saves a file; its bytes."""
        with self.page.expect_download() as download:
            self.page.click(button)
        return download.value.path().read_bytes()
