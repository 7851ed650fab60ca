"""From a config to a model that runs alone, one command a step, as a user goes."""

import csv
import json
import re

import pytest
import torch
import yaml

from nas.cli import main
from nas.study.study import Study

pytestmark = pytest.mark.ray

CONFIG = {
    "name": "journey",
    "data": {"name": "digits", "max_train": 256},
    "space": {
        "backbone": {
            "block": "basic", "stem": "cifar", "depths": [2, 2], "widths": [4, 8],
        },
        "attention": {"heads": 2, "head_dim": 4, "window": "auto"},
    },
    "training": {"epochs": 1, "warmup_epochs": 0},
    "evaluators": {
        "accuracy": {}, "cost": {}, "low_pass": {"max_images": 64},
        "feature_variance": {"max_images": 64},
    },
    "objectives": ["accuracy", "params"],
    "search": {"trials": 8, "sampler": "factorial"},
    "resources": {"max_concurrent": 2},
}  # fmt: skip

FORMATS = "yaml,safetensors,timm"
"""What takes no compiler; test_export.py has the others in the fast suite."""


def run(*words):
    """What a shell would see: the exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


@pytest.fixture(scope="module")
def study(local_ray, tmp_path_factory):
    directory = tmp_path_factory.mktemp("journey")
    config = directory / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    assert run("search", config, "--out", directory / "study", "--quiet") == 0
    return directory / "study"


@pytest.fixture(scope="module")
def exported(study):
    directory = study.parent / "model"
    words = ["--to", directory, "--formats", FORMATS]
    assert run("export", study, "best", *words) == 0
    return directory


def test_the_study_is_complete(study, capsys):
    assert run("status", study, "--format", "json") == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["counts"]["complete"]) == ("finished", 8)
    for name in ("config.yaml", "study.log", "trials.csv", "trials.parquet"):
        assert (study / name).is_file()
    assert (study / "test.csv").is_file()


def test_the_front(study, capsys, tmp_path):
    plot = tmp_path / "front.png"
    assert run("pareto", study, "--format", "json", "--plot", plot) == 0
    front = json.loads(capsys.readouterr().out)
    best = max(row["accuracy"] for row in front["trials"])
    assert any(r["is_pareto"] and r["accuracy"] == best for r in front["trials"])
    assert plot.stat().st_size > 10_000


def test_one_trial(study, capsys):
    assert run("show", study, 0) == 0
    assert Study.open(study).trial(0).placement in capsys.readouterr().out


def test_the_rule(study, capsys, tmp_path):
    words = ["--format", "json", "--plot", tmp_path / "rule.png"]
    assert run("rule", study, *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "inconclusive"  # eight networks cannot tell
    assert found["sampling"] == "uniform"
    assert (tmp_path / "rule.png").is_file()


def test_the_report(study, tmp_path):
    page = tmp_path / "report.html"
    assert run("report", study, "--to", page) == 0
    text = page.read_text()
    assert Study.open(study).trial(0).placement in text
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_export_holds_what_was_asked_for(exported):
    names = {path.name for path in exported.iterdir()}
    assert {
        "architecture.yaml", "recipe.yaml", "model.safetensors", "config.json",
        "modeling_alternet.py", "README.md",
    } <= names  # fmt: skip


def test_resuming_it_looks_at_no_test_image_again(study, monkeypatch):
    def again(*_):
        raise AssertionError("the test images are looked at again")

    before = (study / "test.csv").read_bytes()
    monkeypatch.setattr("nas.scoring.held_out_test.final_test", again)
    assert run("resume", study, "--quiet") == 0
    assert (study / "test.csv").read_bytes() == before


@pytest.mark.slow
def test_every_format(study, tmp_path):
    words = ["--to", tmp_path / "all", "--formats", "all"]
    assert run("export", study, "best", *words) == 0
    names = {path.name for path in (tmp_path / "all").iterdir()}
    assert {
        "architecture.yaml", "recipe.yaml", "model.safetensors", "config.json",
        "model.onnx", "model.pt2", "README.md",
    } <= names  # fmt: skip
    program = torch.export.load(tmp_path / "all" / "model.pt2").module()
    images = torch.zeros(3, 1, 8, 8)
    assert program(images).shape == (3, 10)


def test_the_exported_model_has_the_recorded_accuracy(exported, study, capsys):
    best = max(t.metrics["accuracy"] for t in Study.open(study).trials())
    words = ["--evaluators", "accuracy", "--format", "json"]
    assert run("evaluate", exported, *words) == 0
    (found,) = json.loads(capsys.readouterr().out)["models"]
    assert found["metrics"]["accuracy"] == best


def test_the_whole_front(study, tmp_path, capsys):
    words = ["--to", tmp_path / "front", "--formats", "yaml,safetensors"]
    assert run("export", study, "pareto", *words) == 0
    capsys.readouterr()
    assert run("pareto", study, "--format", "json") == 0
    num = json.loads(capsys.readouterr().out)["num_pareto"]
    assert len([p for p in (tmp_path / "front").iterdir() if p.is_dir()]) == num


@pytest.mark.slow
def test_the_papers_figures_of_a_trial_and_of_the_export(exported, study, tmp_path):
    figures = tmp_path / "figures"
    evaluators = "low_pass,feature_variance,lesion,cka"
    words = ["--evaluators", evaluators, "--figures", figures, "--format", "json"]
    assert run("evaluate", exported, study / "trials" / "0", *words) == 0
    written = {path.name for path in figures.iterdir()}
    for name in ("fourier", "fourier_depth", "variance_depth", "lesion", "cka"):
        assert {f"{name}.png", f"{name}.svg"} <= written
        assert [other for other in written if re.match(rf"{name}\b.*\.csv", other)]


@pytest.mark.slow
def test_retraining_beside_the_baselines(exported, study, tmp_path, capsys):
    words = ["--config", study, "--epochs", 1, "--seeds", 2, "--out", tmp_path / "runs"]
    architecture = exported / "architecture.yaml"
    assert run("train", architecture, *words, "--quiet", "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    placement = yaml.safe_load(architecture.read_text())["placement"]
    assert {row["placement"] for row in rows} == {placement, "CC-CC", "CC-CM"}
    assert all(row["num_seeds"] == 2 for row in rows)
    with (tmp_path / "runs" / "test.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2 * len(rows)
