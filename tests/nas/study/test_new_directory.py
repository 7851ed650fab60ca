import json

import pytest
import yaml
from search_parts import config, settings

from nas.cli import main
from nas.search_run import search
from nas.study.lease import Lease
from nas.study.new_directory import new_directory
from nas.study.status import StudyStatus
from nas.study.study import Study
from nas.study_path import find_study
from search_spaces.errors import InputError


def code_of(words):
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


def test_two_searches_of_one_directory_at_once_lose_nothing(tmp_path, monkeypatch):
    directory = tmp_path / "study"
    with new_directory(directory):  # the quicker one, before its first trial
        for name in ("config.yaml", "study.log"):
            (directory / name).write_text("of the first")
        with (
            pytest.raises(InputError, match="is being searched by process"),
            new_directory(directory),
        ):
            raise AssertionError("both have it")
        monkeypatch.setattr("nas.search_run.free_directory", lambda *_: directory)
        with pytest.raises(InputError, match="is being searched by process"):
            search(config(), directory, quiet=True)
        assert (directory / "study.log").read_text() == "of the first"
    # The slower one looks again: the first may have ended meanwhile.
    with (
        pytest.raises(InputError, match=r"is there; resume it, or choose"),
        new_directory(directory),
    ):
        raise AssertionError("it has been taken")
    assert (directory / "config.yaml").read_text() == "of the first"


@pytest.mark.parametrize("error", [InputError, KeyboardInterrupt])
@pytest.mark.parametrize("is_there", [False, True])
def test_what_begins_and_is_stopped_leaves_nothing(tmp_path, error, is_there):
    directory = tmp_path / "study"
    if is_there:
        directory.mkdir()
    with pytest.raises(error), new_directory(directory):
        assert (directory / "driver.lock").exists()
        raise error("stopped")
    assert directory.exists() == is_there
    assert not is_there or not list(directory.iterdir())


def test_what_is_written_stays_if_it_is_interrupted_and_goes_if_refused(tmp_path):
    for error, stays in ((KeyboardInterrupt, True), (InputError, False)):
        directory = tmp_path / error.__name__
        with pytest.raises(error), new_directory(directory):
            (directory / "config.yaml").touch()
            raise error("stopped")
        assert (directory / "config.yaml").exists() == stays


def test_a_search_that_is_starting_is_said_to_be(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "runs" / "photos"
    directory.mkdir(parents=True)
    with Lease(directory):
        assert find_study("latest") == find_study("photos")
        assert code_of(["status", "photos"]) == 0
        assert capsys.readouterr().out.startswith("photos: starting, driven by process")
        assert code_of(["status", "latest", "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["state"] == "starting"
        for words in (["pareto", "photos"], ["status", "photos", "--write-table"]):
            assert code_of(words) == 2
            assert "is starting (process" in capsys.readouterr().err
        (directory / "config.yaml").write_text(yaml.safe_dump(settings()))
        status = StudyStatus.of(Study.open(directory))
        assert status.state == "running"
        assert status.problems == ()  # the ledger is about to be written
    (problem,) = Study.open(directory).problems
    assert "study.log is missing" in problem
    (directory / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"was stopped before it wrote config\.yaml"):
        Study.open(directory)


def test_a_lease_on_a_file_that_its_holder_has_removed_is_none(tmp_path, monkeypatch):
    def quicker(self, descriptor):
        (tmp_path / "driver.lock").unlink()

    monkeypatch.setattr(Lease, "_acquire", quicker)
    with pytest.raises(InputError, match="has just left"):
        Lease(tmp_path).__enter__()
