"""Who imports a user's modules, and who must not."""

import json
import sys

import pytest
import yaml

from nas.cli import main
from nas.config import config_from_dict, load_config, with_plugins
from nas.study.study import Study
from search_spaces.errors import InputError

EVIL = """
from pathlib import Path
Path(__file__).with_name("imported").touch()
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A directory of plugins in which the commands are started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "evil.py").write_text(EVIL)
    yield tmp_path
    for name in ("evil", "broken"):
        sys.modules.pop(name, None)


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    return ended.value.code


@pytest.fixture
def strangers_study(modules, published_copy):
    """A finished study whose config names a plugin and a metric of that plugin."""
    path = published_copy / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["plugins"] = ["evil"]
    settings["evaluators"]["of_evil"] = {"strength": 3}
    settings["study"]["metrics"] = {
        "sharpness": {
            "unit": "evils",
            "direction": "maximize",
            "definition": "how evil",
        }
    }
    path.write_text(yaml.safe_dump(settings))
    return published_copy


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "--format", "json"],
        ["status", "--write-table"],
        ["pareto"],
        ["pareto", "--metrics", "accuracy,sharpness"],
        ["show", "3"],
        ["rule"],
        ["report", "--to", "page.html"],
    ],
    ids=" ".join,
)
def test_reading_a_strangers_study_runs_no_code(
    strangers_study, modules, arguments, capsys
):
    verb, *rest = arguments
    assert run(verb, strangers_study, *rest) == 0, capsys.readouterr().err
    assert not (modules / "imported").exists()
    assert "evil" not in sys.modules


def test_a_study_is_read_when_its_plugin_is_gone(strangers_study, modules, capsys):
    (modules / "evil.py").unlink()
    study = Study.open(strangers_study)
    assert study.config.plugins == ["evil"]
    assert study.config.evaluators["of_evil"] == {"strength": 3}
    assert study.metric_facts["sharpness"]["unit"] == "evils"
    # What the study recorded goes before what is installed: minimize.
    assert (
        run("pareto", strangers_study, "--metrics=accuracy,sharpness", "--format=json")
        == 0
    )
    objectives = json.loads(capsys.readouterr().out)["objectives"]
    assert objectives[1] == {"metric": "sharpness", "direction": "maximize"}


def test_export_takes_the_networks_without_the_plugin(modules, published_copy, capsys):
    """It stops at the images, which are not here: behind the reading of the config."""
    path = published_copy / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["plugins"] = ["evil"]
    settings["data"]["root"] = str(modules / "no_images")
    path.write_text(yaml.safe_dump(settings))
    assert run("export", published_copy, "best", "--to", modules / "out") == 2
    assert "no_images" in capsys.readouterr().err
    assert not (modules / "imported").exists()


@pytest.mark.parametrize("verb", ["resume", "search", "train"])
def test_what_trains_imports_them(verb, strangers_study, modules, monkeypatch):
    """Each stops behind the import: at the evaluator that the module does not give."""
    arguments = {
        "resume": [strangers_study, "--trials", 200],
        "search": [strangers_study, "--out", modules / "new"],
        "train": ["a.yaml", "--config", strangers_study, "--out", modules / "new"],
    }
    (modules / "data" / "cifar10").mkdir(parents=True)
    study = Study.open(strangers_study)
    study.architecture(0).to_yaml(modules / "a.yaml")
    assert run(verb, *arguments[verb]) == 2
    assert (modules / "imported").exists()
    assert not (modules / "new").exists()


def test_loading_a_config_imports_nothing(modules):
    (modules / "c.yaml").write_text("plugins: [evil]\nobjectives: [evilness]\n")
    config = load_config("c.yaml")
    assert not (modules / "imported").exists()
    with pytest.raises(InputError, match="is known after the plugins"):
        config.make_objectives()
    with pytest.raises(InputError, match="unknown metric 'evilness'"):
        with_plugins(config)
    assert (modules / "imported").exists()


def test_a_command_that_measures_imports_what_the_user_names(modules, capsys):
    assert run("space", "quickstart", "--plugin", "evil") == 0
    assert (modules / "imported").exists()


def test_a_plugin_that_is_not_there_is_told(modules):
    with pytest.raises(InputError, match="'no_such' gives ModuleNotFoundError"):
        with_plugins(config_from_dict({"plugins": ["no_such"]}))
    (modules / "broken.py").write_text("1 / 0")
    with pytest.raises(InputError, match="'broken' gives ZeroDivisionError"):
        with_plugins(config_from_dict({"plugins": ["broken"]}))
