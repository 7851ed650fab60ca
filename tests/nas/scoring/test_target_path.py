import shutil

import pytest

from nas.scoring.target_path import find_target
from nas.study.study import Study
from search_spaces.errors import InputError


def test_trials_have_short_names(published_copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    best = Study.open(published_copy)
    accuracy = {
        t.number: t.metrics["accuracy"] for t in best.trials() if t.state == "complete"
    }
    number = max(accuracy, key=accuracy.__getitem__)
    expected = f"published/trials/{number}"
    for source in ("published/best", "published/trials/best", f"published/{number}"):
        assert find_target(source) == expected
    (tmp_path / "runs").mkdir()
    shutil.move(published_copy, tmp_path / "runs" / "mine")
    assert find_target("mine/best") == f"runs/mine/trials/{number}"
    assert find_target("latest/best") == f"runs/mine/trials/{number}"


def test_files_and_timm_stay_as_they_are(tmp_path):
    (tmp_path / "a.yaml").touch()
    assert find_target(f"{tmp_path}/a.yaml") == f"{tmp_path}/a.yaml"
    assert find_target("timm:resnet18") == "timm:resnet18"


@pytest.mark.parametrize("source", ["/nope", "", "x" * 5000, "nope/best", "a\0b"])
def test_what_is_not_there(source):
    with pytest.raises(InputError, match="a target is an architecture file"):
        find_target(source)
