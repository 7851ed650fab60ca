import json

import pytest
import yaml
from click.testing import CliRunner

from nas.commands.space import command
from nas.config import config_from_dict
from search_spaces import InputError

SMALL = (
    "space.backbone={block: basic, stem: patch2, depths: [1, 2], widths: [4, 8]}",
    "space.attention.heads=1",
    "data.name=fake",
)


def run(*arguments):
    settings = [word for setting in SMALL for word in ("--set", setting)]
    options = [*arguments, "--format", "json"]
    result = CliRunner().invoke(
        command, ["quickstart", *settings, *options], catch_exceptions=False
    )
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_a_measured_table_bounds_the_space(tmp_path):
    table_file = tmp_path / "here.yaml"
    measured = run("--measure-latency", str(table_file), "--examples", "9")
    assert measured["size"] == 4
    # Other times than those of this machine: MSA blocks are slow, all else is fast.
    table = yaml.safe_load(table_file.read_text())
    table["nanoseconds"] = {
        name: 10_000_000 if " M " in name else 1_000 for name in table["nanoseconds"]
    }
    table_file.write_text(yaml.safe_dump(table))
    bounds = (
        f"space.latency_table={table_file}",
        "space.constraints.max_latency=0.015",
    )
    facts = run("--set", bounds[0], "--set", bounds[1], "--examples", "9")
    assert facts["size"] == 3
    assert {one["placement"] for one in facts["examples"]} == {"C-CC", "M-CC", "C-CM"}
    assert facts["latency"] == pytest.approx({"min": 4e-6, "max": 0.010_003})


def test_the_config_of_a_study_holds_the_times_themselves(tmp_path):
    table = {"format": "latency/1", "device": "x", "batch_size": 1}
    table |= {"nanoseconds": {"stem and head": 1, "basic C": 2}}
    path = tmp_path / "here.yaml"
    path.write_text(yaml.safe_dump(table))
    config = config_from_dict({"space": {"latency_table": str(path)}})
    path.unlink()
    again = config_from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict())))
    assert again.space.make_latency_table().blocks == {"basic C": 2}


@pytest.mark.parametrize(
    ("device", "message"),
    [("abacus", "a device is cpu, cuda or cuda:N"), ("cuda:99", "of this machine")],
)
def test_a_device_that_is_not_there_is_refused(device, message, tmp_path):
    options = ["--measure-latency", str(tmp_path / "here.yaml"), "--device", device]
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(command, ["quickstart", *options], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    options = ["--measure-latency", str(tmp_path / "no" / "here.yaml")]
    with pytest.raises(InputError, match="needs a file in an existing directory"):
        CliRunner().invoke(command, ["quickstart", *options], catch_exceptions=False)


def test_the_space_of_a_parent_is_that_of_its_slots(tmp_path):
    """Which resnet18 has in four stages of two, the strided ones left as they are."""
    config = tmp_path / "cnn.yaml"
    config.write_text(
        "data: {name: fake, image_size: 32}\nparent: {model: 'torchvision:resnet18'}\n"
        "space: {kinds: CM}\nscoring: {kind: distilled}\n"
    )
    result = CliRunner().invoke(
        command, [str(config), "--examples", "1"], catch_exceptions=False
    )
    assert "free: 32 architectures, 5 of 8 slots may be replaced" in result.stdout
    assert "the whole space is scored" in result.stdout
