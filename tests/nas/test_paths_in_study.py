import copy
import shutil

import pytest

from nas.config import config_from_dict, load_config
from nas.paths_in_study import to_keep, to_use


def settings(study):
    """What a search in two steps writes for its first step, and a few more paths."""
    return {
        "name": "x",
        "parent": {
            "model": str(study / "parent" / "trials" / "0"),
            "library": {"path": str(study / "library"), "epochs": 1},
        },
        "storage": f"sqlite:///{study}/scores/study.db",
        "tracking": ["tensorboard"],
    }


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study" / "scores").mkdir(parents=True)
    (tmp_path / "study" / "config.yaml").touch()
    return tmp_path / "study"


def test_paths_inside_follow_the_study_and_nothing_else_changes(study, tmp_path):
    before = settings(study)
    given = copy.deepcopy(before)
    kept = to_keep(given, study / "scores")
    assert given == before
    assert str(tmp_path) not in str(kept)
    assert kept["parent"]["model"] == "study:../parent/trials/0"
    assert kept["parent"]["library"]["path"] == "study:../library"
    assert kept["storage"] == "sqlite:///study:study.db"
    assert to_keep(kept, study / "scores") == kept
    assert to_use(kept, study / "scores") == before
    moved = study.rename(tmp_path / "moved")
    assert to_use(kept, moved / "scores") == settings(moved)


def test_a_path_from_the_working_directory_counts_if_it_is_there(study, monkeypatch):
    monkeypatch.chdir(study.parent)
    (study / "weights.pt").touch()
    given = {"parent": {"model": "timm:resnet18", "weights": "study/weights.pt"}}
    kept = {"parent": {"model": "timm:resnet18", "weights": "study:weights.pt"}}
    assert to_keep(given, study) == kept
    monkeypatch.chdir(study)  # now the first one would be a path inside
    given["parent"]["weights"] = "weights.pt"
    assert to_keep(given, study) == kept
    monkeypatch.chdir("/")
    assert to_use(kept, study)["parent"]["weights"] == str(study / "weights.pt")


@pytest.mark.parametrize(
    "path",
    ["/elsewhere/library", "library", "../x", "a\0b", "", "postgresql://h/db", 3, None],
)
def test_what_lies_outside_is_kept_as_it_is(study, path):
    given = {"parent": {"library": {"path": path}}, "storage": path}
    assert to_keep(given, study) == given
    assert to_use(given, study) == given


@pytest.mark.parametrize("given", [{}, {"parent": None}, {"parent": 3}, {"parent": []}])
def test_sections_of_other_shapes_are_left_to_their_own_checks(study, given):
    assert to_keep(given, study) == given == to_use(given, study)


def test_a_study_beside_another_one_is_outside(study):
    """Only a study *inside* a study may name what lies beside it."""
    other = study.parent / "other"
    given = {"scoring": {"table": str(other / "trials.csv")}}
    assert to_keep(given, study) == given


def test_the_config_of_a_moved_study_is_read_with_paths_that_are_there(study):
    import yaml

    content = config_from_dict(
        {"scoring": {"kind": "recorded", "table": str(study / "table.csv")}}
    ).to_dict()
    kept = {"study": {"format": "x"}, **to_keep(content, study)}
    (study / "config.yaml").write_text(yaml.safe_dump(kept))
    moved = study.parent / "copy"
    shutil.copytree(study, moved)
    for source in (moved, moved / "config.yaml"):
        options = load_config(source).scoring.options
        assert options["table"] == str(moved / "table.csv")
