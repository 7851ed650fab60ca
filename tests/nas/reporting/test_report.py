import json
import re
from html.parser import HTMLParser

import pytest

from nas.reporting.content import report_data
from nas.reporting.page import LIVE_SCRIPTS, page, write_report
from search_spaces.errors import InputError


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
    with pytest.raises(InputError, match="in a directory that is there"):
        write_report(known_study, tmp_path / "none" / "report.html")
