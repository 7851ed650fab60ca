"""The page of a search that runs, in a real browser: what a person sees meanwhile."""

import re
import signal
import subprocess
import sys

import pytest
import yaml
from chromium_page import Opened, chromium
from search_parts import digits_search

SEARCH = {
    # Long enough for a browser to start meanwhile, on a fast machine too.
    **digits_search("watched", epochs=40, trials=2),
    "resources": {"max_concurrent": 1},
}


@pytest.mark.slow
@pytest.mark.ray
def test_in_chromium_the_page_of_a_running_search_is_live(tmp_path):
    config, study = tmp_path / "watched.yaml", tmp_path / "study"
    config.write_text(yaml.safe_dump(SEARCH))
    nas = [sys.executable, "-m", "nas.cli"]
    search = subprocess.Popen(
        [*nas, "search", config, "--out", study],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    server = None
    try:
        # Its first line of progress: the study is there, a trial may be running.
        said = []
        while not (said and said[-1].startswith("[")):
            said.append(search.stderr.readline())
            assert said[-1], said
        server = subprocess.Popen(
            [*nas, "serve", study, "--port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        address = server.stdout.readline().strip()
        with chromium() as browser:
            opened = Opened(browser, address)
            page = opened.page
            page.evaluate("window.neverLoadedAgain = true")
            # Locators only: the page's own rules forbid to evaluate text as a script.
            rows = page.locator("#live-body tbody tr")
            first = rows.filter(has_text=re.compile(r"\d+ of 40"))
            first.first.wait_for()
            (
                number,
                placement,
                *_,
            ) = first.first.locator("td").all_inner_texts()
            assert number.isdecimal() and re.fullmatch("[CM]{2}-[CM]", placement)
            # Epochs go on; loss and accuracy are those of the last one.
            late = rows.filter(has_text=re.compile(r"([2-3]\d|40) of 40"))
            late.first.wait_for()
            *_, loss, accuracy = late.first.locator("td").all_inner_texts()
            assert 0 < float(loss) < 5 and 0 < float(accuracy) <= 1
            # Table and state have all trials without a new page.
            page.locator("#live-body", has_text="2 complete").wait_for(timeout=600_000)
            page.locator("#table-count", has_text="2 of 2 trials").wait_for()
            assert page.locator("#live-body tbody tr").count() == 0
            assert page.evaluate("window.neverLoadedAgain") is True
            assert opened.problems == []
        search.communicate(timeout=200)
        assert search.returncode == 0
    finally:
        for process in filter(None, (server, search)):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=200)
    assert server.returncode == 130
