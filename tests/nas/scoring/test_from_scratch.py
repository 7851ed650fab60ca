import csv
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from nas.config import config_from_dict
from nas.data.datasets import load_dataset
from nas.data.preprocessing import Preprocessing
from nas.scoring.from_scratch import (
    TrialResult,
    build,
    evaluate,
    train_and_evaluate,
    write_artifacts,
)
from nas.scoring.target import Target, measure
from nas.scoring.training import DivergedError
from search_spaces import Architecture, InputError, Placement

CONFIG = config_from_dict(
    {
        "data": {"name": "digits", "max_train": 96, "max_validation": 64},
        "space": {
            "backbone": {
                "block": "basic",
                "stem": "cifar",
                "depths": [2, 2],
                "widths": [4, 8],
            },
            "attention": {"heads": [1, 2], "head_dim": 4},
        },
        "training": {"epochs": 2, "batch_size": 32},
        "evaluators": {"accuracy": {}, "cost": {}, "low_pass": {"max_images": 32}},
        "objectives": ["accuracy", "macs"],
    }
)


@pytest.fixture(scope="module")
def dataset():
    return load_dataset(CONFIG.data)


@pytest.fixture(scope="module")
def architecture(dataset):
    space = CONFIG.space.make(10, 1, 8)
    return space.architecture(Placement.parse("CM-CC"))


def test_a_trial_measures_and_writes_everything(dataset, architecture, tmp_path):
    directory = tmp_path / "7"
    result = train_and_evaluate(
        architecture, CONFIG, dataset, seed=3, directory=directory
    )
    assert sorted(path.name for path in directory.iterdir()) == [
        "architecture.yaml",
        "details.json",
        "history.csv",
        "metrics.json",
        "weights.safetensors",
    ]
    record = json.loads((directory / "metrics.json").read_text())
    assert record["metrics"] == result.metrics
    assert (record["seed"], record["epochs"]) == (3, 2)
    assert result.metrics["params"] == architecture.params
    assert result.metrics["macs"] == architecture.macs
    assert {"accuracy", "nll", "low_pass", "low_pass_msa"} <= set(result.metrics)
    with (directory / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert Architecture.from_yaml(directory / "architecture.yaml") == architecture


def test_saved_weights_reproduce_the_recorded_metrics(dataset, architecture, tmp_path):
    result = train_and_evaluate(
        architecture, CONFIG, dataset, seed=0, directory=tmp_path
    )
    again = Architecture.from_yaml(tmp_path / "architecture.yaml").build()
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    measured = evaluate(again, CONFIG, dataset)
    assert measured["accuracy"].metrics["accuracy"] == result.metrics["accuracy"]


def test_same_seed_same_metrics(dataset, architecture):
    runs = [
        train_and_evaluate(architecture, CONFIG, dataset, seed=seed).metrics
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_initial_weights_follow_the_seed(architecture):
    first, again, other = (build(architecture, CONFIG, s) for s in (1, 1, 2))
    assert torch.equal(first.head.linear.weight, again.head.linear.weight)
    assert not torch.equal(first.head.linear.weight, other.head.linear.weight)


def test_a_stopped_trial_has_the_metrics_of_its_rung(dataset, architecture):
    seen = []

    def stop(epoch, metrics):
        seen.append((epoch, set(metrics)))
        return True

    result = train_and_evaluate(
        architecture, CONFIG, dataset, seed=0, epochs=5, report=stop
    )
    assert seen == [(1, {"accuracy", "nll", "params", "macs"})]
    assert result.epochs == 1
    assert "low_pass" not in result.metrics


def test_the_checkpoint_goes_when_the_trial_is_done(dataset, architecture, tmp_path):
    path = tmp_path / "c" / "x.pt"
    train_and_evaluate(architecture, CONFIG, dataset, seed=0, checkpoint=path)
    assert not path.exists()


def test_divergence_is_an_error(dataset, architecture):
    config = CONFIG.model_copy(
        update={
            "training": CONFIG.training.model_copy(
                update={"learning_rate": 1e18, "clip_norm": 0.0}
            )
        }
    )
    with pytest.raises(DivergedError, match="at step"):
        train_and_evaluate(architecture, config, dataset, seed=0)


def test_a_trial_of_a_split_of_its_own_is_measured_on_it(
    dataset, architecture, tmp_path
):
    from evaluators.registry import make_evaluators
    from nas.scoring.target import load_target, measure

    directory = tmp_path / "trials" / "7"
    result = train_and_evaluate(
        architecture, CONFIG, dataset, seed=3, split_seed=5, directory=directory
    )
    assert json.loads((directory / "metrics.json").read_text())["split_seed"] == 5
    target = load_target(str(directory), dataset, weights=None, pretrained=False)
    assert target.split_seed == 5
    evaluators = make_evaluators({"accuracy": {}})
    found = measure(target, evaluators, dataset, CONFIG).metrics
    assert found["nll"] == pytest.approx(result.metrics["nll"], rel=1e-6)
    other = replace(target, split_seed=None)
    elsewhere = measure(other, evaluators, dataset, CONFIG).metrics["nll"]
    assert abs(elsewhere - found["nll"]) > 1e-4


def test_weights_with_two_names_are_written_under_both(architecture, tmp_path):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = (torch.nn.Linear(3, 3) for _ in range(2))
            self.other.weight = self.one.weight

    model = Tied()
    write_artifacts(
        tmp_path, architecture, model, [], TrialResult({}, {}, 1, 0.0), seed=0
    )
    found = load_file(tmp_path / "weights.safetensors")
    assert set(found) == set(model.state_dict())
    assert torch.equal(found["one.weight"], found["other.weight"])


@pytest.mark.parametrize(
    ("order", "problem"),
    [("abcd", None), ("wxyz", None), ("abcdef", None), ("bacd", "'a' is number 2")],
)
def test_classes_in_another_order_are_told(dataset, architecture, order, problem):
    """Labels of one class would be compared with logits of another."""
    names = tuple("abcdefghij")[: dataset.num_classes]
    dataset = replace(dataset, class_names=names)
    order = (
        tuple(order) + names[len(order) :]
        if order[0] in "ab"
        else tuple(f"{one}!" for one in names)
    )
    known = Preprocessing(dataset.mean, dataset.std, dataset.image_size, order)
    model = build(architecture, CONFIG, seed=0)
    target = Target("one", "one", model.eval(), "", True, known)
    if problem is None:
        measure(target, [], dataset, CONFIG)
        return
    with pytest.raises(InputError, match=problem):
        measure(target, [], dataset, CONFIG)
