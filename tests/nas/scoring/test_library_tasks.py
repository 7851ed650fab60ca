"""A library taught in parts against the one that is taught at once."""

import re

import pytest
import torch
from test_finetune import settings, write_parent

from nas.config import config_from_dict
from nas.scoring import library_fitting
from nas.scoring.distilled import Distilled
from nas.scoring.library_tasks import library_tasks
from nas.search_run import search


@pytest.fixture(scope="module")
def parent_directory(tmp_path_factory):
    return write_parent(tmp_path_factory.mktemp("parent"))


def config(parent_directory, **resources):
    changed = settings(parent_directory, scoring={"kind": "distilled"})
    changed["space"] = {**changed["space"], "kinds": "CMP"}
    return config_from_dict({**changed, "resources": resources})


def blocks(scorer):
    return {
        key: {name: tensor.clone() for name, tensor in block.state_dict().items()}
        for key, block in scorer.blocks.items()
    }


def test_parts_are_the_same_blocks(parent_directory, tmp_path, monkeypatch):
    alone = Distilled(config(parent_directory), quiet=True)
    assert alone.preparations(tmp_path / "alone") == []
    alone.prepare(tmp_path / "alone")
    spread = Distilled(
        config(parent_directory, address="auto", max_concurrent=2), quiet=True
    )
    study = tmp_path / "spread"
    tasks = spread.preparations(study)
    assert len(tasks) == 2
    keys = [key for task in tasks for key in task.keys]
    assert sorted(keys) == sorted(alone.blocks) and len(set(keys)) == len(keys)
    # Neighbours are apart: their maps are of one size, and so is their price.
    assert [task.name for task in tasks] == [
        "the blocks of 1.1, 2.2", "the blocks of 1.2",
    ]  # fmt: skip
    for task in tasks:
        task(spread.data, 0.0, print)

    def nothing(*_):
        raise AssertionError("taught again")

    monkeypatch.setattr(library_fitting, "_teach", nothing)
    spread.prepare(study)
    found, expected = blocks(spread), blocks(alone)
    assert found.keys() == expected.keys()
    for key, state in expected.items():
        for name, tensor in state.items():
            assert torch.equal(found[key][name], tensor), (key, name)
    assert spread.preparations(study) == []  # the library has them all


def test_a_gpu_is_reserved_for_it_on_one_machine_too(parent_directory, tmp_path):
    missing = [(1, 2, "M"), (2, 2, "M")]
    wanted = config(parent_directory, gpus_per_trial=1)
    tasks = library_tasks(wanted, missing, tmp_path, tmp_path)
    assert [task.name for task in tasks] == ["the blocks of 1.2", "the blocks of 2.2"]
    assert library_tasks(wanted, [], tmp_path, tmp_path) == []


@pytest.mark.slow
@pytest.mark.ray
def test_a_cluster_finds_the_scores_of_one_machine(
    parent_directory, tmp_path, local_ray, capsys
):
    tables = [
        search(config(parent_directory, **where), tmp_path / name).table()
        for name, where in (("one", {}), ("many", {"address": "auto"}))
    ]
    one, many = (table.set_index("placement")["nll"] for table in tables)
    assert len(one) > 10
    assert many[one.index].tolist() == one.tolist()
    told = capsys.readouterr().err
    assert "preparing: the blocks of " in told
    assert re.search(r"^the blocks of [\d., ]+: epoch \d of \d$", told, re.MULTILINE)
    assert not (tmp_path / "many/preparing").exists()
