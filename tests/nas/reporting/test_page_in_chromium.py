"""The page of a study in a real browser, by what a reader does with it."""

import csv
import io
import struct
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from chromium_page import Opened, chromium

from nas.ledger.trial import TrialState
from nas.reporting.page import write_report
from search_spaces import Architecture

DESKTOP = {"viewport": {"width": 1400, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
DARK = {"color_scheme": "dark"}


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def known_page(browser, make_study, make_trials, tmp_path):
    """Sixty trials, six of them failed, on a desktop."""
    study = make_study(make_trials(60, num_failed=6))
    path = write_report(study, tmp_path / "report.html")
    opened = Opened(browser, path.as_uri(), **DESKTOP)
    yield opened, study
    assert opened.problems == []
    assert all(url.startswith(("file:", "blob:")) for url in opened.requests)


def values(study, metric):
    return {t.number: t.metrics[metric] for t in study.known if metric in t.metrics}


@pytest.mark.slow
def test_in_chromium_filter_sort_and_take_the_rows_along(known_page):
    opened, study = known_page
    page = opened.page
    page.fill("#filter-text", "mmm")
    wanted = [t for t in study.known if "MMM" in t.placement]
    assert 0 < len(wanted) < 60
    assert page.inner_text("#table-count") == f"{len(wanted)} of 60 trials"
    # A letter of a slot, by a click on it: any, C, M.
    slot = page.locator("[aria-label='Letter of stage 1, block 2: any']")
    slot.click()
    page.locator("[aria-label='Letter of stage 1, block 2: C']").click()
    wanted = [t for t in wanted if t.placement[1] == "M"]
    page.select_option("#filter-state", "complete")
    wanted = [t for t in wanted if str(t.state) == "complete"]
    assert wanted
    assert page.inner_text("#table-count") == f"{len(wanted)} of 60 trials"
    # What is missing is last in either direction; here nothing is.
    by_accuracy = sorted(wanted, key=lambda t: t.metrics["accuracy"])
    page.click("#table-head th[data-column=accuracy] button")
    rows = opened.numbers()
    assert rows == [t.number for t in by_accuracy][: len(rows)]
    page.click("#table-head th[data-column=accuracy] button")
    assert opened.numbers()[0] == by_accuracy[-1].number
    sorting = page.get_attribute("#table-head th[data-column=accuracy]", "aria-sort")
    assert sorting == "descending"
    whole = (
        "[...document.querySelectorAll('#table-grid td')].every("
        "(cell) => cell.scrollWidth <= cell.clientWidth)"
    )
    assert page.evaluate(whole)
    table = list(csv.DictReader(io.StringIO(opened.saved("#save-csv").decode())))
    assert [int(row["number"]) for row in table] == [
        t.number for t in by_accuracy[::-1]
    ]
    assert float(table[0]["accuracy"]) == pytest.approx(
        by_accuracy[-1].metrics["accuracy"], rel=1e-5
    )
    assert float(table[0]["accuracy_se"]) == 0.01
    # A bound, by the keyboard: the slider goes in 200 steps.
    page.click("#filter-clear")
    page.select_option("#filter-metric", "accuracy")
    page.focus("[aria-label='Least accuracy']")
    page.keyboard.press("PageUp")
    found = values(study, "accuracy")
    low, high = min(found.values()), max(found.values())
    place = int(page.input_value("[aria-label='Least accuracy']"))
    assert place > 0
    least = low + place / 200 * (high - low)
    kept = [value for value in found.values() if value >= least - 1e-7]
    assert page.inner_text("#table-count") == f"{len(kept)} of 60 trials"


@pytest.mark.slow
def test_in_chromium_select_in_the_table_by_keyboard(known_page):
    opened, study = known_page
    page = opened.page
    page.focus("#scatter")
    page.keyboard.press("Escape")
    assert opened.cards() == []
    page.focus("#table-grid")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert opened.cards() == ["trial 59", "trial 1"]
    selected = page.locator("#table-rows tr[aria-selected=true] td:first-child")
    assert selected.all_inner_texts() == ["1"]
    assert page.get_attribute("#table-grid", "aria-activedescendant") == "row-1"


@pytest.mark.slow
def test_in_chromium_the_address_holds_what_is_seen(known_page, browser):
    opened, study = known_page
    page = opened.page
    page.select_option("#x-metric", "hessian_max")
    page.select_option("#y-metric", "low_pass")
    page.fill("#filter-text", "CM")
    page.click("#table-head th[data-column=params] button")
    page.focus("#scatter")
    page.keyboard.press("Escape")
    page.focus("#table-grid")
    page.keyboard.press("Enter")
    seen = (opened.cards(), opened.numbers(), page.inner_text("#table-count"))
    assert len(seen[0]) == 1 and seen[1]
    again = Opened(browser, page.url, **DESKTOP)
    assert (
        again.cards(), again.numbers(), again.page.inner_text("#table-count")
    ) == seen  # fmt: skip
    assert again.page.input_value("#x-metric") == "hessian_max"
    assert again.page.input_value("#y-metric") == "low_pass"
    assert again.page.input_value("#filter-text") == "CM"
    assert again.problems == []


@pytest.mark.slow
def test_in_chromium_copy_and_download(browser, trained_study, tmp_path):
    path = write_report(trained_study, tmp_path / "report.html")
    allowed = ["clipboard-read", "clipboard-write"]
    opened = Opened(browser, path.as_uri(), **DESKTOP, permissions=allowed)
    page = opened.page
    page.focus("#scatter")
    page.keyboard.press("Escape")
    page.click("#table-rows tr[data-index='1'] td:first-child")

    def copied(button):
        page.click(f"text={button}")
        page.wait_for_selector("text=Copied")
        text = page.evaluate("navigator.clipboard.readText()")
        page.wait_for_selector(f"text={button}")
        return text

    command = copied("Copy export command")
    assert command == f"nas export {trained_study.path} 1 --to trial-1"
    (tmp_path / "a.yaml").write_text(copied("Copy YAML"))
    architecture = Architecture.from_yaml(tmp_path / "a.yaml")
    assert architecture.id == trained_study.known[1].architecture_id
    picture = opened.saved("#save-png")
    width, height = struct.unpack(">II", picture[16:24])
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and width > height > 500
    drawing = ElementTree.fromstring(opened.saved("#save-svg"))
    words = " ".join(text.text for text in drawing.iter() if text.text)
    assert "accuracy (more is better)" in words
    smallest = min(trained_study.known, key=lambda t: t.metrics["params"])
    assert smallest.placement in words
    assert opened.problems == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [DESKTOP, {**PHONE, **DARK}], ids=["desktop", "phone"]
)
def test_in_chromium_axe_finds_nothing(browser, trained_study, tmp_path, options):
    pytest.importorskip("axe_playwright_python")
    path = write_report(trained_study, tmp_path / "report.html")
    opened = Opened(browser, path.as_uri(), **options)
    page = opened.page
    assert opened.violations() == []
    # Nor with all open that can be opened.
    page.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
    page.select_option("#filter-metric", "accuracy")
    page.focus("#scatter")
    page.keyboard.press("ArrowRight")
    assert opened.violations() == []
    wide = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= wide
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    is_dark = "color_scheme" in options
    assert (sum(map(int, paper[4:-1].split(","))) < 200) == is_dark
    assert opened.problems == []


@pytest.mark.slow
def test_in_chromium_print_is_whole_and_short(
    browser, make_study, make_trials, tmp_path
):
    study = make_study(make_trials(3000))
    opened = Opened(browser, write_report(study, tmp_path / "r.html").as_uri(), **DARK)
    page = opened.page
    document = page.pdf(format="A4")
    # 400 rows of the table and the rest; never a page a screenful of 3,000 rows.
    assert 5 < document.count(b"/Type /Page\n") + document.count(b"/Type /Page ") < 30
    # On paper nothing scrolls: all is as wide as the paper or narrower.
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 690, "height": 1000})  # A4 less its margins
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(opened.numbers()) == 400
    cut = page.evaluate(
        """[...document.querySelectorAll("section *")]
        .filter((one) => one.checkVisibility())
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
        .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert cut == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    assert opened.problems == []


@pytest.mark.slow
def test_in_chromium_open_hover_select(browser, trained_study, tmp_path):
    path = write_report(trained_study, tmp_path / "report.html")
    opened = Opened(browser, path.as_uri(), viewport={"width": 1280, "height": 900})
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
    opened = Opened(browser, path.as_uri())
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
    opened = Opened(browser, path.as_uri())
    assert 0 < opened.seconds < 3
    assert opened.problems == []
    empty = opened.page.locator("#scatter-empty")
    assert empty.is_visible() == (num_trials == 0)
    assert num_trials or "No trial has been started yet" in empty.inner_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("states", "said"),
    [
        (["running", "waiting"], "measured yet: 1 being trained, 1 queued."),
        (["running", "failed"], "measured yet: 1 being trained. 1 failed: see"),
        (["failed", "failed"], "No trial has been measured: 2 failed. See Failures"),
        (["pruned"], "No trial was trained to its end: 1 stopped early."),
    ],
)
def test_in_chromium_a_front_without_points_says_why(
    browser, make_study, make_trials, tmp_path, states, said
):
    trials = [
        replace(one, state=TrialState(state), metrics={}, standard_errors={})
        for one, state in zip(make_trials(len(states)), states, strict=True)
    ]
    path = write_report(make_study(trials), tmp_path / "report.html", images=False)
    opened = Opened(browser, path.as_uri(), **DESKTOP)
    assert said in opened.page.inner_text("#scatter-empty")
    assert opened.problems == opened.violations() == []


@pytest.mark.slow
def test_in_chromium_a_small_phone_cuts_nothing_off(browser, trained_study, tmp_path):
    path = write_report(trained_study, tmp_path / "report.html")
    opened = Opened(
        browser, path.as_uri(), viewport={"width": 360, "height": 740}, has_touch=True,
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
    opened = Opened(browser, write_report(study, tmp_path / "report.html").as_uri())
    assert opened.page.locator("h1").inner_text() == evil
    assert opened.page.locator("img[src=x]").count() == 0
    assert opened.problems == []
