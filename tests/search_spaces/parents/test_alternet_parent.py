"""Trials and exports of this project as parents."""

import pytest
import torch
from safetensors.torch import save_file

from search_spaces import Architecture, Attention, Backbone, InputError, Placement
from search_spaces.parents.alternet_parent import AlterNetParent
from search_spaces.parents.load_parent import load_parent

BACKBONE = Backbone("basic", "patch2", (2, 2), (8, 16))


def architecture(placement="CC-CC"):
    return Architecture(
        BACKBONE, Placement.parse(placement), num_classes=5, image_size=16
    )


def images():
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))


def test_a_placement_keeps_the_parents_blocks():
    parent = AlterNetParent(architecture())
    assert parent.backbone is BACKBONE
    assert torch.equal(
        parent.network(parent.architecture())(images()), parent.model(images())
    )
    swapped = parent.network(
        parent.architecture(Placement.parse("CM-CP"), Attention(heads=1))
    )
    ours, theirs = swapped.state_dict(), parent.model.state_dict()
    kept = [n for n in theirs if not n.startswith(("stages.0.1", "stages.1.1"))]
    assert all(torch.equal(ours[name], theirs[name]) for name in kept)
    assert [ref.letter for ref in swapped.blocks()] == list("CMCP")


def test_it_reads_the_directory_of_a_trial(tmp_path):
    model = architecture().build()
    architecture().to_yaml(tmp_path / "architecture.yaml")
    with pytest.raises(InputError, match="has weights beside its architecture"):
        load(tmp_path)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    parent = load(tmp_path)
    assert torch.equal(parent.model(images()), model.eval()(images()))
    with pytest.raises(InputError, match="the parent .* is for 5, 3 and 16"):
        load(tmp_path, image_size=24)


def load(path, image_size=16):
    return load_parent(str(path), num_classes=5, in_channels=3, image_size=image_size)


def test_a_parent_with_msas_is_refused():
    with pytest.raises(InputError, match="made of Conv blocks alone.*CC-CM"):
        AlterNetParent(architecture("CC-CM"))


def test_a_placement_of_another_parent_is_refused():
    parent = AlterNetParent(architecture())
    wider = Architecture(
        Backbone("basic", "patch2", (2, 2), (16, 32)),
        Placement.parse("CC-CM"),
        num_classes=5,
        image_size=16,
    )
    with pytest.raises(InputError, match="a placement of the parent"):
        parent.network(wider)
