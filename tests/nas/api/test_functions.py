import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import nas
from nas.api.functions import as_config
from nas.scoring.recorded import FromRecord, Recorded
from nas.scoring.target import Measurement
from search_spaces import Architecture, InputError, Placement

ROOT = Path(__file__).parents[3]


def recorded_study(tmp_path, **options):
    import pandas as pd

    rows = [
        {"placement": f"C{a}-C{b}", "seed": s, "accuracy": 0.5 + 0.1 * (b == "M")}
        for a in "CM"
        for b in "CM"
        for s in (0, 1)
    ]
    settings = as_config("quickstart", ["objectives=[accuracy]"])
    table = Recorded.of_frame(pd.DataFrame(rows))
    scorer = FromRecord(settings, quiet=True, table=table)
    return nas.search(settings, tmp_path / "study", quiet=True, scorer=scorer)


def test_tab_offers_what_there_is_and_nothing_else():
    assert dir(nas) == sorted(nas.__all__)
    for name in nas.__all__:
        assert callable(getattr(nas, name)) and getattr(nas, name).__doc__


def test_importing_nas_imports_nothing_heavy():
    code = (
        "import sys, nas; dir(nas); "
        "print([m for m in ('torch', 'ray', 'optuna', 'pandas') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=environment,
    )  # fmt: skip
    assert found.stdout.strip() == "[]"


def test_a_study_has_its_verbs(tmp_path):
    study = recorded_study(tmp_path)
    frame = study.table()
    assert {"number", "placement", "accuracy", "scorer", "is_pareto"} <= set(frame)
    best = frame["accuracy"].max()
    assert set(frame[frame["is_pareto"]]["accuracy"]) == {best}
    assert study.best().metrics["accuracy"] == best
    assert study.best("accuracy:minimize").metrics["accuracy"] == 0.5
    assert study.front().is_pareto.sum() == frame["is_pareto"].sum()
    assert study.rule().num_placements == 4
    assert len(study.predict().table) == 2**4  # of 4 slots, not of 4 trials
    assert study.report().name == "report.html"
    assert study.plot(tmp_path / "front.png").is_file()
    assert study.plot()._repr_png_().startswith(b"\x89PNG")


def test_things_show_themselves_in_notebooks(tmp_path):
    study = recorded_study(tmp_path)
    assert "4 of 26 trials complete" in study._repr_html_()
    assert "accuracy (maximize)" in study.front()._repr_html_()
    assert "<svg" in study.best()._repr_html_()
    assert "<svg" in study.architecture(0)._repr_html_()
    assert "end of a stage" in study.rule()._repr_html_()
    shown = study.predict()._repr_html_()
    assert "16 placements, predicted from 4 trainings of 4" in shown
    assert shown.count("<tr>") == 1 + 10 and "CM-CM" in shown
    placeless = dataclasses.replace(study.best(), placement="<b>")
    assert "<b>" not in placeless._repr_html_()


def test_a_measurement_shows_itself_in_notebooks():
    errors = {"flatness": "no <b>"}
    measured = Measurement(
        "net", "net", "C-M", False, {"accuracy": 0.5, "macs": 7.0}, {"accuracy": 0.1},
        {}, errors, {},
    )  # fmt: skip
    shown = measured._repr_html_()
    assert "<b>net, C-M</b> (not trained)" in shown
    assert "<td>accuracy</td><td>0.5</td><td>0.1</td>" in shown
    assert "<td>macs</td><td>7</td><td>–</td>" in shown
    assert "<li>flatness: no &lt;b&gt;</li>" in shown


def test_a_config_may_be_a_name_a_mapping_a_path_or_a_config(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("training: {epochs: 3}\n")
    for given in (path, str(path), {"training": {"epochs": 3}}):
        assert as_config(given).training.epochs == 3
        assert as_config(given, ["training.epochs=4"]).training.epochs == 4
    config = as_config(path)
    assert as_config(config) is config
    assert as_config(config, ["seed=7"]).seed == 7
    for nameless in ({"seed": 7}, nas.SearchConfig(seed=7)):
        assert as_config(nameless, out="runs/2024").name == "2024"
        assert as_config(nameless).name == "study"
    assert as_config({"name": "mine"}, out="runs/a").name == "mine"
    assert as_config(nas.SearchConfig(name="mine"), out="runs/a").name == "mine"
    given = {"training": {"epochs": 3}}
    as_config(given, ["training.epochs=4"])
    assert given == {"training": {"epochs": 3}}


def test_mistakes_are_told_without_words_of_the_command_line(tmp_path):
    with pytest.raises(InputError, match="trials is a positive whole number, got 0"):
        nas.search("quickstart", trials=0)
    with pytest.raises(InputError, match="there is no 'quikstart'"):
        nas.search("quikstart")
    with pytest.raises(InputError, match="formats are yaml"):
        recorded_study(tmp_path).export(to=tmp_path / "x", formats=["pickle"])
    with pytest.raises(AttributeError, match="has no attribute 'serach'"):
        nas.serach  # noqa: B018


def test_any_module_can_be_evaluated():
    from nas.data.datasets import load_dataset

    dataset = load_dataset(nas.Recipe(data={"name": "digits"}).data)
    flat = torch.nn.Flatten()
    pixels = dataset.in_channels * dataset.image_size**2
    model = torch.nn.Sequential(flat, torch.nn.Linear(pixels, dataset.num_classes))
    before = [p.clone() for p in model.parameters()]
    found = nas.evaluate(model, dataset, ["accuracy", "cost"])
    assert 0 <= found.metrics["accuracy"] <= 1 and not found.errors
    assert found.metrics["params"] == sum(p.numel() for p in model.parameters())
    again = nas.evaluate(model, dataset, {"accuracy": {}}, split="test")
    assert "accuracy" in again.metrics and "params" not in again.metrics
    for old, new in zip(before, model.parameters(), strict=True):
        assert torch.equal(old, new)
    assert model.training


class Restless(torch.nn.Module):
    """Counts its calls, drops units, and has BatchNorm: all of it is given back."""

    def __init__(self, returns=lambda logits: logits):
        super().__init__()
        self.norm, self.drop = torch.nn.BatchNorm2d(1), torch.nn.Dropout(0.5)
        self.head = torch.nn.LazyLinear(10)
        self.register_buffer("calls", torch.zeros(()))
        self.returns = returns

    def forward(self, images):
        self.calls += 1
        return self.returns(self.head(self.drop(self.norm(images)).flatten(1)))


def test_a_network_in_training_is_given_back_as_it_was():
    model = Restless()
    model(torch.randn(4, 1, 8, 8)).sum().backward()
    model.norm.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradient, state = model.head.weight.grad, torch.get_rng_state()
    found = nas.evaluate(
        model, "digits", {"accuracy": {}, "sharpness": {"max_batches": 1}}
    )
    assert not found.errors
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(torch.get_rng_state(), state)
    assert model.head.weight.grad is gradient
    assert model.training and model.drop.training and not model.norm.training


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda x: x, "a network to measure is a torch.nn.Module, got function"),
        (Restless(lambda logits: (logits, logits)), "returns tuple"),
        (Restless(lambda logits: logits.to(torch.cfloat)), "returns complex64"),
        (Restless(lambda logits: {}["logits"]), "cannot take the images of 'digits'"),
        (Restless().half(), "cannot take the images of 'digits'"),
        (torch.nn.Linear(8, 10, device="meta"), "has weights on device meta"),
    ],
)
def test_what_is_no_classifier_of_the_images_is_refused(model, message):
    with pytest.raises(InputError, match=message):
        nas.evaluate(model, "digits", ["accuracy"])


def test_what_has_no_gradient_is_reported_and_the_rest_measured():
    class Detached(Restless):
        def forward(self, images):
            with torch.no_grad():
                return super().forward(images)

    wishes = {"accuracy": {}, "sharpness": {"max_batches": 1}, "cost": {}}
    found = nas.evaluate(Detached(), "digits", wishes)
    assert "the logits have no gradient" in found.errors["sharpness"]
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    found = nas.evaluate(torch.jit.script(flat), "digits", wishes)
    assert "is a RecursiveScriptModule" in found.errors["sharpness"]
    assert found.metrics["params"] == 650 and "accuracy" in found.metrics


def test_training_one_architecture_is_one_call(tmp_path, monkeypatch):
    asked = {}
    from nas import train_run

    def fake(candidates, config, **options):
        asked.update(options, labels=[one.label for one in candidates], config=config)
        return []

    monkeypatch.setattr(train_run, "train_architectures", fake)
    backbone = as_config("quickstart").space.make_backbone()
    one = Architecture(
        backbone, Placement.all_conv(backbone.depths), image_size=28, num_classes=10
    )
    nas.train(one, "quickstart", out=tmp_path / "t", seeds=2, changes=["seed=5"])
    assert asked["labels"] == [str(one.placement)]
    assert asked["num_seeds"] == 2 and asked["config"].seed == 5


def test_the_rule_is_tested_on_a_study_that_is_open(tmp_path):
    study = recorded_study(tmp_path)
    assert nas.rule_test(study).to_dict() == nas.rule_test(study.path).to_dict()


def test_slips_of_python_are_told_too(tmp_path):
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    assert set(nas.evaluate(flat, "digits", "cost").metrics) == {"params", "macs"}
    assert nas.evaluate(flat, "digits", {"cost": None}).metrics["params"] == 650
    with pytest.raises(InputError, match="a split is validation or test, got 'train'"):
        nas.evaluate(flat, "digits", "cost", split="train")
    with pytest.raises(InputError, match="a config is a preset's name.* got 3"):
        nas.search(3)
    with pytest.raises(
        InputError, match=r"what is trained are architectures, got \[\]"
    ):
        nas.train([], out=tmp_path / "t")
    study = recorded_study(tmp_path)
    for ask in (nas.rule_test, nas.predict):
        with pytest.raises(InputError, match="maximize or minimize, got 'up'"):
            ask(study, direction="up")
