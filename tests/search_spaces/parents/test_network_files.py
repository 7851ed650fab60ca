import sys
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from search_spaces import Architecture, Attention, InputError, draw_network
from search_spaces.block_cost import Cost
from search_spaces.networks.parent_backbone import ParentBackbone, ParentSlot
from search_spaces.parents.load_parent import load_parent
from search_spaces.parents.module_parent import ModuleParent
from search_spaces.parents.network_files import load_network, network_tensors
from search_spaces.placement import Placement

pytest.importorskip("timm")


def parent_of(source="timm:resnet10t"):
    return load_parent(source, num_classes=3, in_channels=3, image_size=32)


def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@st.composite
def backbones(draw):
    """Tables of slots that no library knows."""
    slots, size, channels = [], draw(st.sampled_from([16, 33, 64])), 8
    for stage in range(1, draw(st.integers(1, 3)) + 1):
        out = draw(st.integers(1, 300))
        for block in range(draw(st.integers(1, 3))):
            stride = 2 if block == 0 and draw(st.booleans()) and size > 1 else 1
            inside, size = size, (size + stride - 1) // stride
            slots.append(
                ParentSlot(
                    f"layer{stage}.{block}", stage, channels, out, stride, inside, size,
                    draw(st.booleans()), draw(st.integers(0, 10**9)),
                    draw(st.integers(0, 10**12)),
                    draw(st.sampled_from(["", "relu", "hardswish"])),
                )
            )  # fmt: skip
            channels = out
    fixed = Cost(draw(st.integers(0, 10**9)), draw(st.integers(0, 10**12)))
    model = draw(st.sampled_from(["timm:é", "torchvision:x", "my.module:make"]))
    return ParentBackbone(model, tuple(slots), fixed, slots[0].in_map_size)


@given(backbones(), st.data())
@settings(max_examples=60, deadline=None)
def test_files_of_foreign_placements_read_back(backbone, data):
    stages = [
        data.draw(st.text("CPS", min_size=n, max_size=n)) for n in backbone.depths
    ]
    architecture = Architecture(
        backbone,
        Placement.parse("-".join(stages)),
        Attention(size="matched"),
        data.draw(st.integers(1, 1000)),
        data.draw(st.integers(1, 4)),
        backbone.image_size,
    )
    again = Architecture.from_yaml(architecture.to_yaml())
    assert again == architecture
    assert again.to_dict() == architecture.to_dict()
    assert (again.block_specs, again.cost) == (
        architecture.block_specs,
        architecture.cost,
    )


def test_a_file_and_its_weights_give_the_network(tmp_path):
    parent = parent_of()
    placement = Placement.parse("M-C-C-C")
    network = parent.network(parent.architecture(placement))
    tensors = dict(network_tensors(network))
    assert set(parent.model.state_dict()) & set(tensors)
    save_file(tensors, tmp_path / "w.safetensors")
    parent.architecture(placement).to_yaml(tmp_path / "a.yaml")
    architecture = Architecture.from_yaml(tmp_path / "a.yaml")
    again = load_network(architecture, tmp_path / "w.safetensors")
    with torch.no_grad():
        assert torch.equal(again(images()), network(images()))
        assert not torch.equal(draw_network(architecture)(images()), network(images()))


def test_an_alternet_is_built_too():
    architecture = Architecture.from_yaml(
        "format: alternet/1\nbackbone: {block: basic, stem: cifar, widths: [4, 8]}\n"
        "placement: C-M\nnum_classes: 3\nimage_size: 8\n"
    )
    first, second = (draw_network(architecture) for _ in range(2))
    assert not first.training
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])


def test_a_parent_that_changed_is_told():
    architecture = parent_of().architecture()
    data = architecture.to_dict()
    data["parent"]["slots"][1][8] += 1
    with pytest.raises(InputError, match="params of layer2.0 was .* another version"):
        draw_network(Architecture.from_dict(data))
    data = architecture.to_dict()
    data["parent"]["fixed"][0] += 1
    with pytest.raises(InputError, match="outside of its slots"):
        draw_network(Architecture.from_dict(data))


def test_a_function_is_called_only_if_its_module_is_named(monkeypatch):
    calls = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(self.conv(x).mean((2, 3)))

    def make():
        calls.append(1)
        return Net()

    module = types.ModuleType("my_networks")
    module.make = make
    monkeypatch.setitem(sys.modules, "my_networks", module)
    parent = ModuleParent(Net(), "my_networks:make", image_size=8, slots=["conv"])
    architecture = Architecture.from_yaml(
        parent.architecture(Placement.parse("P")).to_yaml()
    )
    with pytest.raises(InputError, match="only if you name its module yourself"):
        draw_network(architecture)
    assert not calls
    network = draw_network(architecture, ["my_networks"])
    assert [ref.letter for ref in network.blocks()] == ["P"]
    assert len(calls) == 1


def test_a_directory_is_no_parent_of_such_a_file(tmp_path):
    data = parent_of().architecture().to_dict()
    data["parent"]["model"] = str(tmp_path)
    with pytest.raises(InputError):
        draw_network(Architecture.from_dict(data))


def test_weights_that_do_not_fit_are_told(tmp_path):
    architecture = parent_of().architecture()
    tensors = dict(network_tensors(draw_network(architecture)))
    tensors["fc.weight"] = tensors["fc.weight"][:2].clone()
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"fc.weight is wanted with shape \[3, 512\]"):
        load_network(architecture, tmp_path / "w.safetensors")
