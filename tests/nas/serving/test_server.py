"""A real server on an ephemeral loopback port, asked by a plain HTTP client."""

import http.client
import json
import re
import shutil
import threading
import time
from urllib.parse import urlsplit

import pytest

from nas.serving.access import Access
from nas.serving.server import StudyServer
from nas.study.study import Study
from search_spaces.errors import InputError

TOKEN = "0123456789abcdef-token"
PHONE = {"width": 390, "height": 844}


class Client:
    """Requests with any headers, as an attacker would send them."""

    def __init__(self, server):
        self.port = server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"

    def ask(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Host": self.host, **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, answer

    def post(self, path, content, **headers):
        body = content if isinstance(content, str) else json.dumps(content)
        more = {"Content_Type": "application/json", "Origin": f"http://{self.host}"}
        return self.ask(path, "POST", body, **{**more, **headers})


@pytest.fixture(autouse=True)
def quick_conclusions(monkeypatch):
    from nas.serving import live_study

    found = {"rules": [], "forecast": {"reason": "left out"}}
    monkeypatch.setattr(live_study, "conclusions", lambda study: found)


@pytest.fixture
def serve():
    running = []

    def start(*paths, **options):
        server = StudyServer(paths, **options)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        running.append((server, thread))
        return Client(server)

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def embedded(text):
    (found,) = re.findall(
        r'<script type="application/json" id="data">(.*)</script>', text
    )
    return json.loads(found)


def test_one_study_is_its_page(serve, published_copy):
    client = serve(published_copy)
    status, text, answer = client.ask("/")
    assert status == 200 and "connect-src 'self'" in text
    assert embedded(text)["live"]["address"] == "/0/"
    assert len(embedded(text)["trials"]["number"]) == 160
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    status, text, _ = client.ask("/0/status.json")
    found = json.loads(text)
    assert found["state"] == "finished" and found["counts"]["complete"] == 160
    version = found["version"]
    assert client.ask(f"/0/data.json?version={version}")[0] in (200, 204)


def test_new_trials_are_seen_and_old_data_not_sent_again(serve, published_copy):
    log = published_copy / "study.log"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[: len(lines) // 2]))
    client = serve(published_copy)
    first = json.loads(client.ask("/0/data.json")[1])
    client.ask("/0/data.json")  # the conclusions have come in
    again = json.loads(client.ask("/0/data.json")[1])
    version = again["live"]["version"]
    assert client.ask(f"/0/data.json?version={version}")[0] == 204
    log.write_bytes(b"".join(lines))
    assert json.loads(client.ask("/0/status.json")[1])["version"] != version
    status, text, _ = client.ask(f"/0/data.json?version={version}")
    assert status == 200
    more = json.loads(text)["trials"]["number"]
    assert len(more) == 160 > len(first["trials"]["number"])


def test_several_studies_side_by_side(serve, published_copy, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(published_copy, other)
    client = serve(published_copy, other)
    studies = embedded(client.ask("/")[1])
    assert [study["address"] for study in studies] == ["/0/", "/1/"]
    assert len(studies[0]["points"]) == studies[0]["num_pareto"] == 7
    assert client.ask("/1/")[0] == 200
    again = json.loads(client.ask("/overview.json")[1])
    assert [one["points"] for one in again] == [one["points"] for one in studies]


@pytest.mark.parametrize(
    "path",
    [
        "/../config.yaml", "/0/../../config.yaml", "/%2e%2e/config.yaml",
        "/0/config.yaml",
        "/0//etc/passwd", "//etc/passwd", "/1/", "/-1/", "/0x0/", "/%D9%A0/", "/00000/",
        "/0/data.json/", "/favicon.ico",
    ],
)  # fmt: skip
def test_nothing_of_the_disk_can_be_asked_for(serve, published_copy, path):
    status, text, _ = serve(published_copy).ask(path)
    assert status == 404
    assert "cifar" not in text


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("127.0.0.1", True), ("localhost:{port}", True), ("[::1]:{port}", True),
        ("evil.example", False), ("127.0.0.1.evil.example:{port}", False),
        ("localhost.evil.example", False), ("", False), ("[", False),
        ("evil.example@127.0.0.1.nip.io", False),
    ],
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused(serve, published_copy, host, fine):
    client = serve(published_copy)
    answer = client.ask("/0/status.json", Host=host.format(port=client.port))
    assert answer[0] == (200 if fine else 421)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.7.7", "::", "example.org"])
def test_other_machines_need_a_token(published_copy, host):
    with pytest.raises(InputError, match="needs --token"):
        StudyServer([published_copy], host)
    with pytest.raises(InputError, match="16 plain characters"):
        StudyServer([published_copy], host, token="short")


def test_the_token_becomes_a_cookie(serve, published_copy):
    client = serve(published_copy, token=TOKEN)
    for path in ("/", "/0/", "/0/data.json", "/overview.json"):
        assert client.ask(path)[0] == 401
    assert client.ask(f"/?token={TOKEN}x")[0] == 401
    assert client.ask("/", Cookie=f"nas_token={TOKEN}x")[0] == 401
    assert client.ask("/", Cookie='nas_token="\\')[0] == 401
    status, _, answer = client.ask(f"/?token={TOKEN}")
    cookie = answer.headers["Set-Cookie"]
    assert status == 303 and answer.headers["Location"] == "/"
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert client.ask("/0/status.json", Cookie=cookie.split(";")[0])[0] == 200
    goal = client.ask(f"//evil.example?token={TOKEN}")[2].headers["Location"]
    assert goal.startswith("/") and not goal.startswith("//")  # never elsewhere
    assert client.post("/0/note", {"number": 0, "note": "", "tags": []})[0] == 401


@pytest.mark.parametrize("token", ["q+Zb/9k2R+u/0pW5sA==", "a.b_c~d-e.f_g~h-i"])
def test_the_printed_address_opens_with_any_token(published_copy, token):
    """`openssl rand -base64` gives signs that mean something in an address."""
    with StudyServer([published_copy], token=token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            client, printed = Client(server), urlsplit(server.url)
            status, _, answer = client.ask(f"/?{printed.query}")
            cookie = answer.headers["Set-Cookie"].split(";")[0]
            assert status == 303
            assert client.ask("/0/status.json", Cookie=cookie)[0] == 200
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "token", ["0123456789abcdef; x", '"0123456789abcdef"', "ü" * 20]
)
def test_a_token_that_no_cookie_can_hold_is_refused(token):
    with pytest.raises(InputError, match="letters, digits and"):
        Access("0.0.0.0", token)


def test_a_conclusion_that_fails_is_told(published_copy, monkeypatch):
    from nas.serving import live_study

    def fail(study):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(live_study, "conclusions", fail)
    monkeypatch.setattr(live_study, "REST", 0)
    study = live_study.LiveStudy(published_copy, "/0/")
    study.data()
    while study._thinker is not None:
        time.sleep(0.01)
    found = json.loads(study.data())
    assert found["forecast"]["reason"] == "ZeroDivisionError: planted"
    assert [rule["error"] for rule in found["rules"]] == [
        "ZeroDivisionError: planted"
    ] * len(found["rules"])
    assert found["rules"]


def test_the_token_is_compared_in_constant_time(monkeypatch):
    import hmac

    from nas.serving import access

    asked = []
    monkeypatch.setattr(
        access.hmac, "compare_digest", lambda a, b: asked.append((a, b)) or a == b
    )
    assert hmac is access.hmac
    assert not access.Access("0.0.0.0", TOKEN).allows("no")
    assert access.Access("0.0.0.0", TOKEN).allows(TOKEN)
    assert len(asked) == 2


def test_notes_are_kept_in_the_ledger(serve, published_copy):
    client = serve(published_copy, edit=True)
    note = {"number": 7, "note": "look <b>here</b>", "tags": ["odd", "odd", " "]}
    status, text, _ = client.post("/0/note", note)
    assert status == 200
    assert json.loads(text) == {"note": "look <b>here</b>", "tags": ["odd"]}
    assert Study.open(published_copy).notes() == {
        7: {"note": "look <b>here</b>", "tags": ["odd"]}
    }
    page = client.ask("/")[1]
    assert "<b>here" not in page
    assert embedded(page)["notes"]["7"]["note"] == "look <b>here</b>"
    assert len(Study.open(published_copy).trials()) == 164  # lost ones included
    client.post("/0/note", {**note, "note": "", "tags": []})
    assert Study.open(published_copy).notes() == {}


def test_optuna_dashboard_sees_the_note(serve, published_copy):
    dashboard = pytest.importorskip("optuna_dashboard")
    import optuna

    from nas.ledger.journal import Journal

    client = serve(published_copy, edit=True)
    client.post("/0/note", {"number": 7, "note": "why?", "tags": ["odd"]})
    storage = optuna.storages.JournalStorage(Journal(published_copy / "study.log"))
    study = optuna.load_study(study_name=None, storage=storage)
    assert study.user_attrs["note:7"] == {"note": "why?", "tags": ["odd"]}
    attributes = storage.get_study_system_attrs(study._study_id)
    found = dashboard._note.get_note_from_system_attrs(
        attributes, study.trials[7]._trial_id
    )
    assert found["body"] == "why?\n\n`odd`"


def test_without_edit_nothing_can_be_changed(serve, published_copy):
    client = serve(published_copy)
    before = (published_copy / "study.log").read_bytes()
    status, text, _ = client.post("/0/note", {"number": 7, "note": "x", "tags": []})
    assert status == 403 and "--edit" in text
    for method in ("PUT", "DELETE", "PATCH"):
        assert client.ask("/0/note", method)[0] == 501
    assert (published_copy / "study.log").read_bytes() == before
    assert sorted(p.name for p in published_copy.iterdir()) == [
        "config.yaml", "study.log",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        ({}, {"Origin": "http://evil.example"}, 403),
        ({}, {"Origin": "null"}, 403),
        ({}, {"Content_Type": "text/plain"}, 415),
        ("{", {}, 400),
        ("[]", {}, 400),
        ({"number": "7"}, {}, 400),
        ({"number": True}, {}, 400),
        ({"number": 10_000}, {}, 400),
        ({"number": -1}, {}, 400),
        ({"note": "x" * 1501}, {}, 400),
        ({"note": 3}, {}, 400),
        ({"tags": "odd"}, {}, 400),
        ({"tags": ["x" * 33]}, {}, 400),
        ({"tags": [str(n) for n in range(9)]}, {}, 400),
        ({"note": "x" * 70_000}, {}, 413),
    ],
)
def test_bad_notes_are_refused(serve, published_copy, content, headers, status):
    client = serve(published_copy, edit=True)
    if isinstance(content, dict):
        content = {"number": 7, "note": "", "tags": [], **content}
    assert client.post("/0/note", content, **headers)[0] == status
    assert Study.open(published_copy).notes() == {}


def test_a_refusal_is_no_page(serve, published_copy):
    import yaml

    evil = "</script><script>alert(1)</script>"
    config = published_copy / "config.yaml"
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, "name": evil}))
    status, text, answer = serve(published_copy).ask("/")
    assert status == 409 and "name" in json.loads(text)["error"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_port_in_use_is_one_line(serve, published_copy):
    client = serve(published_copy)
    with pytest.raises(InputError, match=f"port {client.port}"):
        StudyServer([published_copy], port=client.port)


@pytest.mark.slow
def test_in_chromium_a_served_page_follows_the_search(serve, published_copy):
    from chromium_page import Opened, chromium

    log = published_copy / "study.log"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[: len(lines) // 2]))
    client = serve(published_copy, edit=True)
    with chromium() as browser:
        opened = Opened(browser, f"http://{client.host}/", color_scheme="dark")
        page = opened.page
        page.fill("#filter-text", "CMM")
        before = page.inner_text("#table-count")
        log.write_bytes(b"".join(lines))
        page.locator("#table-count", has_text="of 160").wait_for()
        assert not before.endswith("of 160 trials")
        assert page.input_value("#filter-text") == "CMM"
        assert "of 160" in page.inner_text("#live-body")
        # A note, and it is still there for the next who opens the page.
        page.locator("#selected form textarea").first.fill("look again")
        page.locator("#selected form button").first.click()
        page.wait_for_selector("#selected form >> text=Kept.")
        assert opened.violations() == []
        again = Opened(browser, page.url)
        kept = again.page.locator("#selected form textarea").first.input_value()
        assert kept == "look again"
        assert opened.problems == again.problems == []


@pytest.mark.slow
def test_in_chromium_several_studies_stand_side_by_side(serve, published_copy):
    from chromium_page import Opened, chromium

    client = serve(published_copy, published_copy)
    with chromium() as browser:
        opened = Opened(browser, f"http://{client.host}/", viewport=PHONE)
        page = opened.page
        assert page.locator("#states article").count() == 2
        # Objectives are the same, so both fronts are in one figure: seven points each.
        figure = page.locator("#fronts figure > svg")
        assert figure.count() == 1
        assert figure.locator("circle").count() == 14
        frame = figure.bounding_box()
        for text in figure.locator("text").all():
            box = text.bounding_box()
            assert box["x"] >= frame["x"] - 1
            assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 1
        assert opened.violations() == opened.problems == []
        page.locator("#states a").nth(1).click()
        page.wait_for_selector("#table-rows tr")
        assert page.url.endswith("/1/") and opened.problems == []


@pytest.mark.slow
def test_in_chromium_studies_without_a_measured_trial_say_so(serve, published_copy):
    from chromium_page import Opened, chromium

    log = published_copy / "study.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:3]))
    (published_copy / "study.index").unlink(missing_ok=True)
    client = serve(published_copy, published_copy)
    with chromium() as browser:
        opened = Opened(browser, f"http://{client.host}/")
        said = opened.page.inner_text("#fronts")
        assert said.endswith("no trial has been measured yet.")
        alone = Opened(browser, f"http://{client.host}/1/")
        assert "No trial has been started yet" in alone.page.inner_text("#scatter")
        assert opened.problems == alone.problems == []
