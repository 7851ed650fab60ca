"""What can be refused without them is refused before images are read or Ray starts."""

import sys
from types import SimpleNamespace

import optuna
import pytest
import yaml

from nas.config import load_config
from nas.ledger.ledger import Ledger
from nas.ledger.location import Location
from nas.search_run import resume, search
from nas.study.recorded_settings import settings_to_record
from nas.study.study import Study
from search_spaces.errors import InputError


@pytest.fixture(autouse=True)
def neither_images_nor_ray(monkeypatch):
    def never(*_, **__):
        raise AssertionError("images were read, or Ray was started")

    monkeypatch.setattr("nas.data.datasets.load_dataset", never)
    monkeypatch.setattr("nas.execution.cluster.ray_cluster", never)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=bool))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("resources.address=127.0.0.1:9", "nothing answers there"),
        ("resources.cpus_per_trial=4000", "this machine does not have them"),
        ("scoring.kind=nonsense", "unknown scoring.kind 'nonsense'"),
        ("storage=nonsense://host/db", "storage must be a URL"),
        (
            "scoring={kind: supernet}, search.randomise=[split]",
            "runs share theirs",
        ),
    ],
)
def test_a_search(tmp_path, change, said):
    config = load_config("quickstart", change.split(", "))
    with pytest.raises(InputError, match=said):
        search(config, tmp_path / "new" / "study", quiet=True)
    assert not (tmp_path / "new" / "study").exists()


def test_a_name_that_a_database_has_and_a_directory_that_cannot_be_made(tmp_path):
    url = f"sqlite:///{tmp_path}/all.db"
    optuna.create_study(study_name="quickstart", storage=url)
    config = load_config("quickstart", [f"storage={url}"])
    with pytest.raises(InputError, match="holds a study 'quickstart' already"):
        search(config, tmp_path / "study", quiet=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"study cannot be made: Not a directory"):
        search(load_config("quickstart"), tmp_path / "file" / "study", quiet=True)


def test_an_interrupted_start_leaves_no_directory(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.data.datasets.load_dataset", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search(load_config("quickstart"), tmp_path / "study", quiet=True)
    assert not (tmp_path / "study").exists()


def test_a_resumption(published_copy):
    with pytest.raises(InputError, match="must be at least 160 here, got 3"):
        resume(published_copy, 3, quiet=True)
    study = Study.open(published_copy)
    journal = Location("", study.layout.journal)
    recorded = settings_to_record(study.config.to_dict(), "of the images")
    Ledger(journal, study.name, study.objectives).set_note("settings", recorded)
    settings = yaml.safe_load((published_copy / "config.yaml").read_text())
    settings["training"]["epochs"] = 7
    (published_copy / "config.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(InputError, match=r"training.epochs changed from 5 to 7"):
        resume(published_copy, 200, quiet=True)
