"""The card's facts for leaderboards, and an upload to a hub that is a directory."""

import dataclasses
import shutil
import sys

import pytest
import torch
import yaml

from nas.exporting import hub
from nas.exporting.exporter import export, load_export
from nas.exporting.formats import ExportError, Format
from nas.ledger.held_out_results import TestResult
from search_spaces import InputError

huggingface_hub = pytest.importorskip("huggingface_hub")
timm = pytest.importorskip("timm")


@pytest.fixture(scope="module")
def exported(trained_study, tmp_path_factory):
    """An export with a tested trial, in timm's layout."""
    trial = trained_study.trial(1)
    tested = TestResult(
        1, trial.placement, trial.architecture_id, trial.seed, 1, None, 0.25, 0.02, 2.1,
        300, "2026-01-01",
    )  # fmt: skip
    study = dataclasses.replace(trained_study, tested={1: tested})
    directory = tmp_path_factory.mktemp("hub") / "model"
    export(study, "1", directory, [Format.TIMM], license="cc-by-4.0")
    (directory / "private notes.txt").write_text("not for others")
    return directory


class FakeHub:
    """The two calls of an upload, into a directory; and the download of a file."""

    def __init__(self, root):
        self.root, self.private = root, None

    def create_repo(self, repo, *, private, exist_ok):
        assert exist_ok
        self.private = private
        (self.root / repo).mkdir(parents=True, exist_ok=True)

    def upload_folder(self, *, repo_id, folder_path, allow_patterns, commit_message):
        for file in huggingface_hub.utils.filter_repo_objects(
            [path.name for path in folder_path.iterdir()], allow_patterns=allow_patterns
        ):
            shutil.copy(folder_path / file, self.root / repo_id)

    def download(self, repo_id, filename, **_):
        return str(self.root / repo_id / filename)


def test_what_was_pushed_loads_by_its_name_on_the_hub(exported, tmp_path, monkeypatch):
    fake = FakeHub(tmp_path)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", fake.download)
    assert hub.push(exported, "me/winner", private=True).endswith("/me/winner")
    assert fake.private is True
    there = {path.name for path in (tmp_path / "me" / "winner").iterdir()}
    assert there == {path.name for path in exported.iterdir()} - {"private notes.txt"}
    monkeypatch.syspath_prepend(str(tmp_path / "me" / "winner"))
    sys.modules.pop("modeling_alternet", None)
    import modeling_alternet  # noqa: F401

    model = timm.create_model("hf-hub:me/winner", pretrained=True).eval()
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(images), load_export(exported)[0](images))
    sys.modules.pop("modeling_alternet")


def test_the_card_says_what_leaderboards_read(exported, trained_study):
    _, head, body = (exported / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(head)
    assert facts["license"] == "cc-by-4.0"
    card = huggingface_hub.ModelCard((exported / "README.md").read_text())
    found = {
        (one.dataset_split, one.metric_type): one.metric_value
        for one in card.data.eval_results
    }
    assert found["validation", "accuracy"] == trained_study.trial(1).metrics["accuracy"]
    assert found["test", "accuracy"] == 0.25
    assert found["test", "nll"] == 2.1
    for text in ("## Intended use", "into 10 classes", "licence cc-by-4.0"):
        assert text in body


@pytest.mark.parametrize("repo", ["winner", "me/", "a/b/c", "me/win ner", "../x", ""])
def test_names_that_are_none_are_told(repo):
    with pytest.raises(InputError, match="a model on the hub is named USER/NAME"):
        hub.check_repo(repo)


def test_a_hub_that_refuses_is_told_in_one_line(exported, monkeypatch):
    class Refusing:
        def create_repo(self, *_, **__):
            raise RuntimeError("401 Client Error\nInvalid token")

    monkeypatch.setattr(huggingface_hub, "HfApi", Refusing)
    with pytest.raises(
        ExportError, match="me/x could not be uploaded .* Invalid token"
    ):
        hub.push(exported, "me/x")


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the package huggingface_hub"):
        hub.check_repo("me/winner")
