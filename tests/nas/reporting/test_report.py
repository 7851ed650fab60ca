import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from nas.reporting.content import report_data
from nas.reporting.page import LIVE_SCRIPTS, page, write_report
from search_spaces.errors import InputError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM = CHROMIUM or shutil.which("google-chrome")


class Elements(HTMLParser):
    """Collects tags, ids and the text of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.ids, self.links, self.scripts = [], [], [], []
        self.in_script = False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        self.links += [v for k, v in attributes.items() if k in ("src", "href")]
        self.in_script = tag == "script"

    def handle_endtag(self, tag):
        self.in_script = False

    def handle_data(self, text):
        if self.in_script:
            self.scripts.append(text)


def parse(text):
    parser = Elements()
    parser.feed(text)
    return parser


def embedded(text):
    return json.loads(parse(text).scripts[0])


def test_the_page_needs_nothing_else(known_study):
    text = page(report_data(known_study))
    parsed = parse(text)
    assert parsed.links == ["#front"]
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "default-src 'none'" in text
    for word in ("fetch(", "XMLHttpRequest", "import(", "@import", "url("):
        assert word not in text


def test_the_data_come_through(known_study):
    data = report_data(known_study)
    found = embedded(page(data))
    assert found["trials"] == data["trials"]
    assert [kind["letter"] for kind in found["kinds"]] == ["C", "M"]


def test_every_id_the_script_asks_for_is_there(known_study):
    text = page(report_data(known_study))
    ids = parse(text).ids
    assert len(ids) == len(set(ids))
    asked = re.findall(r'byId\("([\w-]+)"\)', text)
    asked += re.findall(r'(?:depthFigure|emptyFigure|stepFigure)\("([\w-]+)"', text)
    assert set(asked) <= set(ids)
    assert len(set(asked)) > 10


def test_text_of_a_study_cannot_become_html(make_study, make_trial):
    evil = "</script><script>alert(1)</script><!--"
    study = make_study([make_trial(0, accuracy=1, params=1, baseline=evil)], evil)
    text = page(report_data(study))
    assert evil not in text
    assert parse(text).tags.count("script") == 2
    assert embedded(text)["study"] == evil
    assert "innerHTML" not in text
    assert "insertAdjacentHTML" not in text


def test_names_with_placeholders_are_left_alone(make_study):
    assert embedded(page(report_data(make_study([], "a@@SCRIPT@@b"))))["study"] == (
        "a@@SCRIPT@@b"
    )


def test_all_scripts_are_used(known_study):
    from importlib import resources

    written = {p.name for p in (resources.files("nas.reporting") / "assets").iterdir()}
    assert {n for n in written if n.endswith(".js")} == set(LIVE_SCRIPTS)


def test_write_report(known_study, tmp_path):
    path = write_report(known_study, tmp_path / "report.html")
    assert path.read_text().startswith("<!DOCTYPE html>")
    write_report(known_study, path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(InputError, match="ending in .html"):
        write_report(known_study, tmp_path / "report.pdf")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(known_study, tmp_path / "none" / "report.html")


@pytest.fixture(scope="module")
def browser():
    """A real headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Opened:
    """A report in the browser, with everything that went wrong in it."""

    def __init__(self, browser, path, **options):
        self.problems = []
        self.requests = []
        self.page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(100_000)  # a busy machine is no failure
        session = self.page.context.new_cdp_session(self.page)
        # Time on the processor: what other programs take is not counted.
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready=true]", state="attached")
        measured = session.send("Performance.getMetrics")["metrics"]
        self.seconds = next(
            one["value"] for one in measured if one["name"] == "TaskDuration"
        )


@pytest.mark.slow
def test_in_chromium_open_hover_select(browser, trained_study, tmp_path):
    path = write_report(trained_study, tmp_path / "report.html")
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    page = opened.page
    assert page.title() == "digits — AlterNet search"
    assert page.locator("#selected .card").count() == 2
    # Walk over the plot until a point answers: the tooltip has picture and metrics.
    box = page.locator("#scatter-canvas").bounding_box()
    tooltip = page.locator("#tooltip")
    hit = None
    for step_y in range(5, int(box["height"]), 11):
        for step_x in range(60, int(box["width"]), 11):
            page.mouse.move(box["x"] + step_x, box["y"] + step_y)
            if tooltip.is_visible():
                hit = (box["x"] + step_x, box["y"] + step_y)
                break
        if hit:
            break
    assert hit
    assert tooltip.locator("svg rect").count() == 3
    assert "accuracy" in tooltip.inner_text()
    title = tooltip.locator("strong").inner_text()
    cards = page.locator("#selected .card h3").all_inner_texts()
    page.mouse.click(*hit)
    after = page.locator("#selected .card h3").all_inner_texts()
    assert (title in after) != (title in cards)
    # Other axes.
    page.select_option("#x-metric", "macs")
    page.check("#x-log")
    assert opened.problems == []
    assert opened.requests == [path.as_uri()]


@pytest.mark.slow
def test_in_chromium_by_keyboard_alone(browser, trained_study, tmp_path):
    path = write_report(trained_study, tmp_path / "report.html")
    opened = Opened(browser, path)
    page = opened.page
    page.focus("#scatter")
    page.keyboard.press("Escape")
    assert page.locator("#selected .card").count() == 0
    page.keyboard.press("ArrowRight")
    assert page.locator("#tooltip").is_visible()
    first = page.locator("#tooltip strong").inner_text()
    page.keyboard.press("Enter")
    assert page.locator("#selected .card h3").all_inner_texts() == [first]
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert page.locator("#selected .card").count() == 2
    assert page.locator("#amplitude svg path").count() >= 3
    # Tab goes on to the buttons of the cards.
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused.startswith("Remove trial")
    page.keyboard.press("Enter")
    assert page.locator("#selected .card").count() == 1
    assert opened.problems == []


@pytest.mark.slow
@pytest.mark.parametrize("num_trials", [0, 1, 10, 10_000])
def test_in_chromium_from_none_to_ten_thousand(
    browser, make_study, make_trials, tmp_path, num_trials
):
    study = make_study(make_trials(num_trials, num_failed=num_trials // 10))
    path = write_report(study, tmp_path / "report.html")
    assert path.stat().st_size < 10_000_000
    opened = Opened(browser, path)
    assert 0 < opened.seconds < 3
    assert opened.problems == []


@pytest.mark.slow
def test_in_chromium_on_a_phone_nothing_is_cut_off(browser, trained_study, tmp_path):
    path = write_report(trained_study, tmp_path / "report.html")
    opened = Opened(
        browser, path, viewport={"width": 360, "height": 740}, has_touch=True,
        is_mobile=True,
    )  # fmt: skip
    wide = opened.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360
    opened.page.tap("#table-rows tr[data-index='1'] td:first-child")
    assert opened.problems == []


@pytest.mark.slow
def test_in_chromium_hostile_names_stay_text(browser, make_study, make_trial, tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    study = make_study([make_trial(0, accuracy=1, params=1, baseline=evil)], evil)
    opened = Opened(browser, write_report(study, tmp_path / "report.html"))
    assert opened.page.locator("h1").inner_text() == evil
    assert opened.page.locator("img").count() == 0
    assert opened.problems == []
