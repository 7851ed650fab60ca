import os

import pytest

from nas.study_path import find_study, study_name
from search_spaces.errors import InputError


def make(path, started):
    path.mkdir(parents=True)
    (path / "config.yaml").touch()
    os.utime(path / "config.yaml", (started, started))


def test_latest_is_the_study_that_was_started_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="'latest' is the study in runs/ .*none"):
        find_study("latest")
    make(tmp_path / "runs" / "old", 1_000)
    make(tmp_path / "runs" / "new", 3_000)
    make(tmp_path / "runs" / "middle", 2_000)
    (tmp_path / "runs" / "no_study").mkdir()
    (tmp_path / "runs" / "old" / "study.log").touch()  # it may still be written to
    assert str(find_study("latest")) == "runs/new"


def test_a_name_is_looked_for_under_runs_after_the_path_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "runs" / "mine", 1_000)
    assert str(find_study("mine")) == "runs/mine"
    (tmp_path / "latest").mkdir()
    assert str(find_study("latest")) == "latest"
    (tmp_path / "mine").mkdir()  # perhaps the images that it was searched on
    assert str(find_study("mine")) == "runs/mine"
    make(tmp_path / "nested" / "mine", 1_000)
    monkeypatch.chdir(tmp_path / "nested")
    assert str(find_study("mine")) == "mine"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "x" * 5000, "a\0b", "runs"])
def test_other_names_are_paths(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_study(name) == find_study(find_study(name))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/photos", "photos"),
        ("my photos (2)", "my-photos-2"),
        ("F\u00f6tos", "Fotos"),
        ("\u65e5\u672c", ""),
        ("..", ""),
        ("/", ""),
        ("a" * 200, "a" * 100),
        ("-x", "x"),
    ],
)
def test_a_study_without_a_name_is_called_as_its_directory(path, name):
    assert study_name(path) == name
