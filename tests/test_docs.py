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


@pytest.fixture
def large_kernel(written, monkeypatch):
    """The kind of block of the page, registered."""
    from search_spaces.kinds.block_kinds import unregister_block_kind

    monkeypatch.syspath_prepend(str(written))
    importlib.import_module("my_block")
    yield written
    unregister_block_kind("K")


def test_the_block_trains_and_is_measured_drawn_and_exported(large_kernel):
    import torch

    from evaluators.registry import make_evaluators
    from nas.config import load_config, with_plugins
    from nas.data.datasets import load_dataset
    from nas.exporting.timm_module import module_source
    from nas.scoring.scratch import train_trial
    from nas.scoring.trial_run import TrialRun
    from search_spaces import Architecture, count_macs, count_params
    from search_spaces.diagram import to_svg

    changes = ["data.max_train=64", "data.max_validation=32", "training.batch_size=32"]
    changes.append("evaluators=[accuracy, cost, low_pass]")
    config = with_plugins(load_config("my_kernels.yaml", changes))
    dataset = load_dataset(config.data)
    shape = (dataset.num_classes, dataset.in_channels, dataset.image_size)
    space = config.space.make(*shape)
    assert space.size == 3**2  # the strided first block of stage 2 stays C
    found = {str(one.placement): one for one in space.enumerate()}
    one = found["KM-C"]
    net = one.build()
    image = (1, dataset.in_channels, dataset.image_size, dataset.image_size)
    assert one.params == count_params(net) and one.macs == count_macs(net, image)
    run = TrialRun(
        0, one.to_dict(), 0, 1, large_kernel / "0", large_kernel / "c" / "0",
        settings=config, data=dataset,
    )  # fmt: skip
    run.directory.mkdir()
    outcome = train_trial(run)
    assert outcome.metrics["params"] == one.params
    assert "low_pass_msa" in outcome.metrics
    assert make_evaluators({"cost": {}})[0].evaluate(net, dataset.evaluation_data())
    assert "#56B4E9" in to_svg(one.placement) and "K = Large kernel" in to_svg(
        one.placement
    )
    source = module_source(one.placement.letters)
    assert "class LargeKernelBlock" in source and '"K": LargeKernelBlock' in source
    ast.parse(source)
    assert Architecture.from_yaml(one.to_yaml()) == one
    with torch.no_grad():
        exported = torch.export.export(net.eval(), (torch.zeros(2, *image[1:]),))
    assert exported.module()(torch.zeros(2, *image[1:])).shape == (2, 10)


def test_the_kind_of_block_is_short():
    text = extending()["my_block.py"]
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith(("import", "from"))
    ]
    assert len(lines) < 25


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("name", ["my_search", "my_stripes", "my_kernels"])
def test_a_search_with_an_extension(written, name):
    config = f"{name}.yaml"
    arguments = [sys.executable, "-m", "nas", "search", config, "--out", "study"]
    subprocess.run(arguments, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    table = (written / "study" / "trials.csv").read_text()
    assert table.count("complete") >= 2


@pytest.mark.slow
@pytest.mark.ray
def test_a_kind_of_ones_own_is_reported_and_exported_to_every_format(written):
    def run(*arguments):
        command = [sys.executable, "-m", "nas", *arguments]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{written}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    changes = ["--set", "search.sampler=exhaustive", "--set", "search.baselines=false"]
    changes += ["--set", "space.kinds=CK", "--trials", "4"]
    run("search", "my_kernels.yaml", "--out", "study", *changes)
    run("report", "study")  # reads the study, imports no plugin
    page = (written / "study" / "report.html").read_text(encoding="utf-8")
    assert '"letter":"K","name":"Large kernel","colour":"#56B4E9"' in page
    rows = (written / "study" / "trials.csv").read_text().splitlines()
    number = next(row.split(",")[0] for row in rows if "K" in row.split(",")[2])
    assert "K" in run("show", "study", number)
    run(
        "export", "study", number, "--to", "model", "--formats", "all",
        "--plugin", "my_block",
    )  # fmt: skip
    names = {path.name for path in (written / "model").iterdir()}
    assert {"model.onnx", "model.pt2", "modeling_alternet.py"} <= names
    assert "class LargeKernelBlock" in (
        written / "model" / "modeling_alternet.py"
    ).read_text(encoding="utf-8")


def api_names():
    """Every ``package.Name`` that docs/api.md speaks of."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return set(re.findall(r"`((?:nas|search_spaces)\.\w+)`", text))


def test_the_page_about_python_names_everything_that_nas_offers():
    public = {f"nas.{name}" for name in importlib.import_module("nas").__all__}
    assert public == {name for name in api_names() if name.startswith("nas.")}


@pytest.mark.parametrize("name", sorted(api_names()))
def test_every_name_of_the_page_exists(name):
    module, _, attribute = name.rpartition(".")
    assert getattr(importlib.import_module(module), attribute).__doc__


@pytest.mark.slow
def test_the_reference_can_be_written_and_searched(tmp_path):
    (line,) = re.findall(r"-m pdoc (.*)", (ROOT / "Makefile").read_text())
    words = line.replace("site/api", str(tmp_path)).split()
    subprocess.run([sys.executable, "-m", "pdoc", *words], check=True, cwd=ROOT)
    first = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="../docs/index.html"' in first and "pdoc.dev" not in first
    assert "ConvBlock" in (tmp_path / "search.js").read_text(encoding="utf-8")
    page = (tmp_path / "nas.html").read_text(encoding="utf-8")
    for name in importlib.import_module("nas").__all__:
        assert f'id="{name}"' in page
    assert 'id="Study.front"' in page


def test_code_blocks_parse():
    for page in PAGES:
        for _, text in blocks(page, "python"):
            ast.parse(text)
        for _, text in blocks(page, "yaml"):
            yaml.safe_load(text)
