import re
from pathlib import Path

import pytest

import nas
from nas.study.layout import StudyLayout, TrialLayout
from search_spaces.errors import InputError

PLACES = [
    name
    for layout in (StudyLayout, TrialLayout)
    for name, value in vars(layout).items()
    if isinstance(value, property)
]


def test_every_place_is_inside_and_has_one_name():
    study = StudyLayout(Path("s"))
    files = [getattr(study, n) for n in PLACES if hasattr(study, n)]
    files += [getattr(study.trial(3), n) for n in PLACES if hasattr(TrialLayout, n)]
    assert all(str(path).startswith("s/") for path in files)
    assert len(set(files)) == len(files)


def test_a_trial_knows_its_study(tmp_path):
    study = StudyLayout(tmp_path)
    trial = study.trial(7).directory
    assert StudyLayout.of_trial(trial) is None
    study.config.touch()
    assert StudyLayout.of_trial(trial) == study
    assert StudyLayout.of_trial(tmp_path) is None


def test_checkpoints_stay_in_their_directory():
    assert StudyLayout(Path("s")).checkpoint("abc", 1, 2).parent == Path(
        "s/checkpoints"
    )
    with pytest.raises(InputError, match="letters and digits only"):
        StudyLayout(Path("s")).checkpoint("../x", 1, 2)


def test_nobody_else_in_the_package_spells_a_name_of_a_study():
    """Exports have files of the same kind, and may name theirs."""
    study = StudyLayout(Path("s"))
    names = [study.journal, study.index, study.parquet, study.csv]
    names += [study.trial(0).worker, study.trial(0).error, study.trial(0).history]
    spelled = re.compile("|".join(f'"{re.escape(path.name)}"' for path in names))
    root = Path(nas.__file__).parent
    found = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if spelled.search(path.read_text())
    ]
    assert found == ["study/layout.py"]
