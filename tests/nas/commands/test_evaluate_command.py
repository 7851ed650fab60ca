import csv
import json

import pytest
import torch
from safetensors.torch import save_file

from nas.cli import main
from search_spaces import Architecture

YAML = """\
format: alternet/1
backbone: {block: basic, stem: patch2, depths: [1, 2], widths: [4, 8]}
placement: C-CM
attention: {heads: 1, head_dim: 4, window: 2}
num_classes: 4
in_channels: 3
image_size: 16
"""

TINY_TIMM = "timm:vit_tiny_patch16_224,patch_size=4,depth=1,embed_dim=24,num_heads=3"


@pytest.fixture
def architecture(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(YAML)
    return path


@pytest.fixture
def nas(capsys):
    """Run `nas evaluate ...` on the small noise data set."""

    def run(*arguments, code=0, data=("--data", "fake")):
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", *map(str, arguments), *data])
        captured = capsys.readouterr()
        assert stop.value.code == code, captured.err
        return captured

    return run


def test_json_is_alone_on_stdout_and_holds_metrics_and_errors(nas, architecture):
    captured = nas(architecture, "--format", "json", "--evaluators", "accuracy,cost")
    result = json.loads(captured.out)
    (model,) = result["models"]
    assert model["placement"] == "C-CM"
    assert not model["trained"]
    assert set(model["metrics"]) == {"accuracy", "nll", "ece", "params", "macs"}
    assert set(model["standard_errors"]) == {"accuracy", "nll", "ece"}
    assert model["metrics"]["params"] == Architecture.from_yaml(architecture).params
    assert "measured untrained" in captured.err


def test_weights_are_used(nas, architecture, tmp_path):
    net = Architecture.from_yaml(architecture).build()
    torch.nn.init.zeros_(net.head.linear.weight)
    with torch.no_grad():
        net.head.linear.bias.copy_(torch.tensor([0.0, 0.0, 9.0, 0.0]))
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    captured = nas(
        *(architecture, "--weights", tmp_path / "net.safetensors"),
        *("--evaluators", "accuracy", "--format", "json"),
    )
    (model,) = json.loads(captured.out)["models"]
    assert model["trained"]
    assert model["metrics"]["accuracy"] == pytest.approx(0.25, abs=0.05)
    assert captured.err == ""


def test_models_side_by_side_with_figures(nas, architecture, tmp_path):
    captured = nas(
        *(architecture, "timm:test_resnet", "--figures", tmp_path / "figures"),
        *("--evaluators", "low_pass,cost", "--option", "low_pass.max_images=8"),
    )
    for text in ("net", "test_resnet", "low_pass", "macs"):
        assert text in captured.out
    files = {path.name for path in (tmp_path / "figures").iterdir()}
    assert files == {
        "details.json",
        *(
            f"{name}.{kind}"
            for name in ("fourier", "fourier_depth")
            for kind in ("png", "svg", "csv")
        ),
    }
    with (tmp_path / "figures" / "fourier_depth.csv").open(newline="") as file:
        panels = {row["panel"] for row in csv.DictReader(file)}
    assert panels == {"net", "test_resnet"}
    details = json.loads((tmp_path / "figures" / "details.json").read_text())
    assert details["net"]["low_pass"]["num_images"] == 8


def test_two_targets_of_one_name_are_told_apart(nas, architecture):
    captured = nas(
        *(architecture, architecture, "--evaluators", "cost", "--format", "json")
    )
    names = [model["name"] for model in json.loads(captured.out)["models"]]
    assert names == ["net (1)", "net (2)"]


def test_an_evaluator_that_cannot_measure_is_reported_and_the_rest_goes_on(nas):
    captured = nas(
        *("timm:test_vit3", "--set", "data.image_size=32", "--format", "json"),
        *("--evaluators", "cost,cka,low_pass", "--option", "cka.blocks=[norm]"),
        code=1,
    )
    (model,) = json.loads(captured.out)["models"]
    assert set(model["errors"]) == {"cka"}
    assert {"macs", "low_pass_msa"} <= set(model["metrics"])
    assert "test_vit3: cka: a LayerNorm block must pass a feature map" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "a target is an architecture file"),
        (["timm:no_such_model"], "timm has no model 'no_such_model'"),
        (["NET", "--evaluators", "beauty"], "unknown evaluator 'beauty'"),
        (["NET", "--option", "low_pass.size=3"], "has no option 'size'"),
        (["NET", "--option", "nonsense"], "--option takes EVALUATOR.OPTION=VALUE"),
        (["NET", "--set", "data.image_size=20"], "cannot take the images of 'fake'"),
        (["NET", "--pretrained"], "pretrained is for timm:NAME"),
    ],
)
def test_wrong_input_is_one_line(nas, architecture, arguments, message):
    arguments = [architecture if one == "NET" else one for one in arguments]
    captured = nas(*arguments, code=2)
    assert message in captured.err
    assert captured.err.strip().count("\n") == 0
    assert captured.out == ""


def test_unknown_data_is_refused(nas, architecture):
    captured = nas(architecture, code=2, data=("--data", "nowhere"))
    assert "there is no 'nowhere'" in captured.err


@pytest.mark.parametrize("name", ["vit,patch=4,width=8,depth=1,reach=3", TINY_TIMM])
def test_networks_by_name_are_measured_block_by_block(nas, name):
    captured = nas(name, "--format", "json", "--evaluators", "low_pass,lesion,cost")
    (model,) = json.loads(captured.out)["models"]
    assert {"low_pass_msa", "low_pass_branch_msa", "lesion_msa"} <= set(
        model["metrics"]
    )
    assert model["metrics"]["params"] > 0 and not model["errors"]


def test_a_network_that_is_not_there_is_one_line(nas):
    captured = nas("timm:no_such_model", code=2)
    assert "timm has no model 'no_such_model'" in captured.err
    assert captured.err.count("\n") == 1
