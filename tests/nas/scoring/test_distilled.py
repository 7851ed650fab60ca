"""Scorer ``distilled``: whole searches on a tiny parent, against single networks."""

import json
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from search_parts import write_parent
from torch import nn
from torch.nn import functional

from evaluators.registry import make_evaluators
from nas.cli import main
from nas.config import DataConfig, completion, config_from_dict, names
from nas.data.datasets import LOADERS, RawDataset, Split, load_dataset
from nas.data.preprocessing import Preprocessing
from nas.exporting.formats import Exported, write_safetensors, write_yaml
from nas.scoring.block_library import LIBRARY_FILE
from nas.scoring.distilled import Distilled, of_each_image, outcome
from nas.scoring.target import load_target
from nas.search_run import resume, search
from nas.study.study import Study
from search_spaces import Backbone, InputError, Placement
from search_spaces.parents.load_parent import load_parent

BACKBONE = Backbone("basic", "patch2", (2, 2), (8, 16))


@pytest.fixture(scope="module")
def parent_directory(tmp_path_factory):
    return write_parent(tmp_path_factory.mktemp("parent"))


def settings(model, **changes):
    return {
        "data": {
            "name": "digits",
            "image_size": 16,
            "max_train": 96,
            "max_validation": 40,
        },
        "parent": {
            "model": str(model),
            "library": {"epochs": 1, "images": 64, "batch_size": 32},
        },
        "scoring": {"kind": "distilled", "images": 30},
        "space": {"kinds": "CMP", "attention": {"heads": 1}},
        **changes,
    }


@pytest.fixture(scope="module")
def study(parent_directory, tmp_path_factory):
    out = tmp_path_factory.mktemp("studies") / "study"
    return search(config_from_dict(settings(parent_directory)), out, quiet=True)


def test_the_whole_space_is_scored(study):
    table = study.table()
    assert len(table) == 27  # three free slots of three letters
    assert set(table["scorer"]) == {"distilled"}
    assert set(table["state"]) == {"complete"}
    assert {"accuracy", "nll", "kl_to_parent", "agreement", "macs"} <= set(table)
    parent = table[table["placement"] == "CC-CC"].iloc[0]
    assert (parent["kl_to_parent"], parent["agreement"]) == (0, 1)
    assert (table["kl_to_parent"] >= 0).all()


def test_scores_are_those_of_each_network_built_alone(study, parent_directory):
    scorer = Distilled(study.config, quiet=True)
    scorer.prepare(study.path)
    split = load_dataset(study.config.data, quiet=True)
    images = split.image_set(split.validation)
    inputs, labels = next(images.batches(1000, torch.device("cpu"), 30))
    table = study.table().set_index("placement")
    for text in ("CC-CC", "MC-CP", "PM-CM"):
        architecture = scorer.space.architecture(Placement.parse(text))
        network = scorer.parent.network(architecture, scorer.blocks)
        with torch.no_grad():
            logits = network(inputs)
            parent = scorer.parent.model(inputs)
        row = table.loc[text]
        assert row["accuracy"] == pytest.approx(
            float((logits.argmax(1) == labels).double().mean())
        )
        nll = functional.cross_entropy(logits.double(), labels)
        assert row["nll"] == pytest.approx(float(nll), rel=1e-5)
        kl = functional.kl_div(
            logits.double().log_softmax(1),
            parent.double().softmax(1),
            reduction="batchmean",
        )
        assert row["kl_to_parent"] == pytest.approx(float(kl), rel=1e-4, abs=1e-9)
        assert row["macs"] == architecture.macs


def test_a_shift_of_all_logits_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 4, generator=generator)
    labels = logits.argmax(1)
    found = outcome(of_each_image(logits + 3, labels, logits)).metrics
    assert found["accuracy"] == found["agreement"] == 1
    assert found["kl_to_parent"] == pytest.approx(0, abs=1e-6)


def test_other_evaluators_run_on_the_network_itself(parent_directory, tmp_path):
    config = config_from_dict(
        settings(
            parent_directory,
            evaluators={"accuracy": {}, "cost": {}, "feature_variance": {}},
            space={"kinds": ["C", "CM"]},
        )
    )
    table = search(config, tmp_path / "s", quiet=True).table()
    assert len(table) == 2
    (evaluator,) = make_evaluators({"feature_variance": {}})
    assert table[evaluator.metrics[0].name].notna().all()


def test_resuming_scores_what_is_left(study, parent_directory, tmp_path, monkeypatch):
    config = config_from_dict(settings(parent_directory))
    real = Distilled._score
    calls = []

    def score(self, run):
        calls.append(run.number)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(self, run)

    monkeypatch.setattr(Distilled, "_score", score)
    with pytest.raises(KeyboardInterrupt):
        search(config, tmp_path / "s", quiet=True)
    monkeypatch.undo()
    again = resume(tmp_path / "s", quiet=True).table()
    done = again[again["state"] == "complete"].set_index("placement")
    whole = study.table().set_index("placement")
    assert len(done) == 27
    assert done["nll"].to_dict() == whole["nll"].to_dict()


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(one) for one in arguments])
    return stop.value.code


def write(path, config):
    path.write_text(json.dumps(config))
    return path


def test_the_commands_read_such_a_study(study, capsys):
    for verb in ("pareto", "rule", "predict"):
        metric = ["--metric", "nll"] if verb == "predict" else []
        assert run(verb, study.path, "--format", "json", *metric) == 0
        json.loads(capsys.readouterr().out)
    assert run("status", study.path) == 0
    assert run("show", study.path, "3") == 0
    assert run("report", study.path) == 0


def test_a_scored_trial_can_be_evaluated(study, capsys):
    """It has no weights of its own: its network is put together again."""
    row = study.table().iloc[3]
    target = study.path / "trials" / str(row["number"])
    words = ["--evaluators", "cost,accuracy", "--format", "json"]
    assert run("evaluate", target, *words) == 0
    (found,) = json.loads(capsys.readouterr().out)["models"]
    assert found["placement"] == row["placement"] and found["trained"]
    assert found["metrics"]["macs"] == row["macs"]
    dataset = load_dataset(study.config.data, quiet=True)
    model = load_target(str(target), dataset, weights=None, pretrained=False).model
    batches = dataset.image_set(dataset.validation).batches(30, torch.device("cpu"), 30)
    ((images, labels),) = batches  # those of the score
    with torch.no_grad():
        right = (model(images).argmax(1) == labels).double().mean()
    assert float(right) == pytest.approx(row["accuracy"])


def test_from_on_the_command_line(parent_directory, tmp_path, capsys):
    given = settings(parent_directory)
    del given["scoring"]
    given["parent"] = {
        "model": "replaced by --from",
        "library": given["parent"]["library"],
    }
    config = write(tmp_path / "c.yaml", given)
    library, out = tmp_path / "library", tmp_path / "study"
    common = ["--from", parent_directory, "--quiet"]
    assert run("distill", config, "--out", library, "--format", "json", *common) == 0
    blocks = json.loads(capsys.readouterr().out)["blocks"]
    assert [(b["stage"], b["block"], b["letter"]) for b in blocks] == [
        (1, 1, "M"), (1, 1, "P"), (1, 2, "M"), (1, 2, "P"), (2, 2, "M"), (2, 2, "P"),
    ]  # fmt: skip
    use = ["--set", f"parent.library.path={library}", "--set", "space.kinds=CM"]
    assert run("search", config, "--out", out, *use, *common) == 0
    assert len(Study.open(out).table()) == 8
    assert not (out / "library").exists()


def test_a_foreign_parent_end_to_end(tmp_path, monkeypatch):
    """A study of a timm model is read without timm."""
    model = load_parent(
        "timm:resnet10t", num_classes=10, in_channels=1, image_size=16
    ).model
    weights = tmp_path / "w.safetensors"
    save_file(model.state_dict(), weights)
    given = settings("timm:resnet10t")
    given["parent"]["weights"] = str(weights)
    given["space"] = {"strided_msas": True, "kinds": ["CM", "C", "C", "CP"]}
    study = search(config_from_dict(given), tmp_path / "s", quiet=True)
    assert sorted(study.table()["placement"]) == [
        "C-C-C-C", "C-C-C-P", "M-C-C-C", "M-C-C-P",
    ]  # fmt: skip
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    assert Study.open(study.path).architecture(0).backbone.name == "timm:resnet10t"
    assert run("rule", study.path, "--format", "json") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parent": None}, "needs a trained CNN"),
        ({"parent": {"model": "timm:densenet121"}}, "needs residual blocks"),
        ({"scoring": {"kind": "distilled", "images": 1}}, "scoring.images"),
        ({"scoring": {"kind": "distilled", "imges": 1}}, "unknown key 'scoring.imges'"),
        ({"space": {"kinds": "C"}}, "replaces no block"),
        ({"search": {"fidelity": {}}}, "search.fidelity"),
        ({"parent": {"model": "a:b", "weights": "w", "pretrained": True}}, "a file or"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    parent_directory, tmp_path, capsys, change, message
):
    config = write(tmp_path / "c.yaml", {**settings(parent_directory), **change})
    assert run("search", config, "--out", tmp_path / "s", "--quiet") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "s").exists()


def test_a_library_of_another_parent_is_refused_before_the_search(
    study, parent_directory, tmp_path
):
    given = settings(parent_directory)
    given["parent"]["library"]["path"] = str(study.path / "library")
    Distilled(config_from_dict(given), quiet=True)
    given["parent"]["model"] = "timm:resnet10t"
    with pytest.raises(InputError, match="belongs to one parent"):
        Distilled(config_from_dict(given), quiet=True)
    assert (study.path / "library" / LIBRARY_FILE).is_file()


class Bright(nn.Module):
    """Knows ten levels of brightness, and works in place on its images."""

    def __init__(self):
        super().__init__()
        self.block = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.block.weight)

    def forward(self, x):
        level = self.block(x.sub_(0.5)).mean((1, 2, 3))
        return -(level[:, None] - torch.arange(10) / 20).abs() * 1e3


@pytest.fixture
def bright(monkeypatch):
    """Class k: grey of 0.5 + 0.05 k, which is another number once it is normalised."""

    def load(config):
        labels = np.arange(200) % 10
        grey = np.round(255 * (0.5 + 0.05 * labels)).astype(np.uint8)
        pixels = np.tile(grey[:, None, None, None], (1, 1, 10, 10))
        return RawDataset(Split(pixels, labels), tuple("0123456789"))

    monkeypatch.setitem(LOADERS, "bright", load)
    monkeypatch.setattr(names, "DATA_SETS", [*names.DATA_SETS, "bright"])
    monkeypatch.setattr(completion, "DATA_SETS", [*names.DATA_SETS, "bright"])
    module = types.ModuleType("bright_network")
    module.make = Bright
    monkeypatch.setitem(sys.modules, "bright_network", module)


@pytest.mark.parametrize(
    ("normalisation", "is_right"), [({"mean": 0, "std": [1]}, True), ({}, False)]
)
def test_the_parent_sees_images_as_it_was_trained_on_them(
    bright, tmp_path, normalisation, is_right
):
    given = settings("bright_network:make", scoring={"kind": "distilled"})
    given["data"] = {"name": "bright", **normalisation}
    given["parent"] |= {"slots": ["block:none"]}
    study = search(config_from_dict(given), tmp_path / "s", quiet=True)
    found = study.table().set_index("placement").loc["C"]
    assert bool(found["accuracy"] == 1) is is_right
    # The network changes its images, which the next placement is given whole.
    assert found["kl_to_parent"] == 0
    assert found["agreement"] == 1


def test_a_study_keeps_its_parent(bright, tmp_path, monkeypatch):
    """Drawn blocks fit any parent: no library says that it is another one."""

    class Stop(KeyboardInterrupt):
        pass

    def stop(*_):
        raise Stop

    random = {"kind": "distilled", "replacement": "random"}
    given = settings("bright_network:make", scoring=random)
    given["data"] = {"name": "bright"}
    given["parent"] |= {"slots": ["block:none"]}
    monkeypatch.setattr(Distilled, "_score", stop)
    with pytest.raises(Stop):
        search(config_from_dict(given), tmp_path / "s", quiet=True)
    with pytest.raises(Stop):
        resume(tmp_path / "s", quiet=True)
    init = Bright.__init__

    def other(self):
        init(self)
        nn.init.constant_(self.block.weight, 2)

    monkeypatch.setattr(Bright, "__init__", other)
    with pytest.raises(InputError, match="keeps the trained network .* was .* and is"):
        resume(tmp_path / "s", quiet=True)


def test_networks_of_ones_own_are_measured_where_their_module_is_named(
    bright, tmp_path
):
    parent = load_parent(
        "bright_network:make",
        num_classes=10,
        in_channels=1,
        image_size=10,
        slots=["block:none"],
    )
    dataset = load_dataset(DataConfig(name="bright"))
    architecture = parent.architecture()
    network, known = parent.network(architecture), Preprocessing.of(dataset)
    exported = Exported(architecture, network, known, ("bright_network",))
    write_yaml(tmp_path, exported)
    write_safetensors(tmp_path, exported)
    for source in (tmp_path, tmp_path / "architecture.yaml"):
        given = {"weights": None, "pretrained": False}
        with pytest.raises(InputError, match="name its module yourself"):
            load_target(str(source), dataset, **given)
        target = load_target(str(source), dataset, plugins=["bright_network"], **given)
        assert isinstance(target.model.model, Bright)
        assert target.trained is source.is_dir()
