"""Every command, option, name and block of code in docs/ and README.md is real."""

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)(?: ([\w.]+))?\n(.*?)^```$", re.M | re.S)


def blocks(page, language):
    """(file name, text) of each code block of a language."""
    return [
        (name, text)
        for found, name, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


def commands():
    """Each line of a bash block that calls nas."""
    for page in PAGES:
        for _, text in blocks(page, "bash"):
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].endswith("nas"):
                    yield pytest.param(words[1:], id=f"{page.name}: {line[:60]}")


@pytest.mark.parametrize("words", list(commands()))
def test_commands_and_their_options_exist(words):
    from nas.cli import VERBS

    verb, *arguments = words
    assert verb in VERBS
    command = importlib.import_module(f"nas.commands.{verb}").command
    context = command.make_context(verb, arguments, resilient_parsing=True)
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    used = {word.split("=")[0] for word in arguments if word.startswith("--")}
    assert used <= known
    assert context is not None


def test_links_to_files_lead_somewhere():
    broken = []
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken


def extending():
    return dict(blocks(ROOT / "docs" / "extending.md", "python")) | dict(
        blocks(ROOT / "docs" / "extending.md", "yaml")
    )


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The files of docs/extending.md in a directory of their own."""
    from evaluators import registry
    from nas.data import datasets

    for name, text in extending().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(registry, "EVALUATORS", dict(registry.EVALUATORS))
    monkeypatch.setattr(datasets, "LOADERS", dict(datasets.LOADERS))
    yield tmp_path
    for name in list(sys.modules):
        if name.startswith("my_"):
            del sys.modules[name]


def test_each_extension_is_short():
    for name, text in extending().items():
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) <= 40, name


def tiny_network(dataset):
    from search_spaces import Architecture, Attention, Backbone, Placement

    return Architecture(
        backbone=Backbone("basic", "cifar", (2, 1), (4, 8)),
        placement=Placement.parse("CC-M"),
        attention=Attention(heads=1, head_dim=4),
        num_classes=dataset.num_classes,
        in_channels=dataset.in_channels,
        image_size=dataset.image_size,
    )


def test_the_evaluator_measures(written):
    from evaluators.registry import make_evaluator
    from nas.config import load_config, with_plugins
    from nas.data.datasets import load_dataset

    config = with_plugins(load_config("my_search.yaml"))
    dataset = load_dataset(config.data)
    model = tiny_network(dataset).build()
    evaluator = make_evaluator("confidence", config.evaluators["confidence"])
    found = evaluator.evaluate(model, dataset.evaluation_data())
    assert 0.1 <= found.metrics["confidence"] <= 1
    assert found.standard_errors["confidence"] > 0


def test_the_data_set_loads(written):
    from nas.config import load_config, with_plugins
    from nas.data.datasets import load_dataset

    dataset = load_dataset(with_plugins(load_config("my_stripes.yaml")).data)
    assert dataset.class_names == ("horizontal", "vertical")
    assert dataset.train.images.shape[1:] == (1, 8, 8)


def test_the_block_trains_and_is_measured(written, monkeypatch):
    from nas.config import config_from_dict
    from nas.data.datasets import load_dataset
    from nas.scoring.trial_run import TrialRun

    monkeypatch.syspath_prepend(str(written))
    module = importlib.import_module("my_block")
    config = config_from_dict(
        {
            "data": {"name": "digits", "max_train": 64, "max_validation": 32},
            "training": {"epochs": 1, "batch_size": 32},
            "evaluators": ["accuracy", "cost", "low_pass"],
        }
    )
    architecture = tiny_network(load_dataset(config.data))
    run = TrialRun(
        0, architecture.to_dict(), 0, 1, written, written / "c", settings=config
    )
    outcome = module.trial(run)
    assert {"accuracy", "params", "low_pass_conv"} <= set(outcome.metrics)
    assert outcome.metrics["params"] != architecture.params


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("config", ["my_search.yaml", "my_stripes.yaml"])
def test_a_search_with_an_extension(written, config):
    arguments = [sys.executable, "-m", "nas", "search", config, "--out", "study"]
    subprocess.run(arguments, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    table = (written / "study" / "trials.csv").read_text()
    assert table.count("complete") >= 2


def api_names():
    """``module.name`` of every heading of docs/api.md."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return re.findall(r"^### `([\w.]+)", text, re.M)


@pytest.mark.parametrize("package", ["nas", "search_spaces"])
def test_every_public_name_is_in_the_reference(package):
    public = importlib.import_module(package).__all__
    documented = {
        name.split(".", 1)[1] for name in api_names() if name.startswith(package)
    }
    assert set(public) <= documented


@pytest.mark.parametrize("name", api_names())
def test_every_name_of_the_reference_exists(name):
    module, _, attribute = name.rpartition(".")
    assert getattr(importlib.import_module(module), attribute) is not None


def test_the_reference_is_up_to_date():
    from nas.api_reference import reference

    written = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert written == reference(), "python -m nas.api_reference > docs/api.md"


def test_code_blocks_parse():
    for page in PAGES:
        for _, text in blocks(page, "python"):
            ast.parse(text)
        for _, text in blocks(page, "yaml"):
            yaml.safe_load(text)
