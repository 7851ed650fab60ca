"""Truth: networks rebuilt without the block."""

import copy

import pytest
import torch
import torchvision
from block_cases import alternet, random_data
from torch import nn

from evaluators.blocks.lesion import Lesion, PrefixReplay
from evaluators.evaluator import EvaluationError
from search_spaces.networks.chain_of import chain_of


class ShortcutOnly(nn.Module):
    """What is left of an AlterNet block without its branch."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = self.block.shortcut
        if isinstance(shortcut, nn.Identity):
            return x
        active = self.block.norm1(x)
        is_conv = type(self.block).__name__ == "ConvBlock"
        return shortcut(active.relu() if is_conv else nn.functional.gelu(active))


def accuracy(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return float((net(images).argmax(1) == labels).double().mean())


@pytest.mark.parametrize("placement", ["CM-CMC", "MC-M"])
def test_equals_networks_rebuilt_without_the_block(placement):
    net, data = alternet(placement), random_data(num_images=60)
    images, labels = data.validation.batch(slice(None), torch.device("cpu"))
    intact = accuracy(net, images, labels)
    truth = []
    for stage in range(len(net.stages)):
        for index in range(len(net.stages[stage])):
            twin = copy.deepcopy(net)
            twin.stages[stage][index] = ShortcutOnly(twin.stages[stage][index])
            truth.append(intact - accuracy(twin, images, labels))
    assert any(drop != 0 for drop in truth)

    result = Lesion(batch_size=25).evaluate(net, data)
    drops = [block["drop"] for block in result.details["blocks"]]
    assert drops == pytest.approx(truth, abs=1e-12)
    assert result.details["clean_accuracy"] == pytest.approx(intact)
    letters = placement.replace("-", "")
    for metric, letter in (("lesion_msa", "M"), ("lesion_conv", "C")):
        values = [d for d, kind in zip(truth, letters, strict=True) if kind == letter]
        assert result.metrics[metric] == pytest.approx(sum(values) / len(values))
    # Last blocks of stages with two or more blocks.
    last = [truth[1], truth[4]] if placement == "CM-CMC" else [truth[1]]
    assert result.metrics["lesion_last"] == pytest.approx(sum(last) / len(last))


def test_a_residual_resnet_keeps_its_activation():
    torch.manual_seed(0)
    model = torchvision.models.ResNet(
        torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=4
    ).eval()
    nn.init.normal_(model.fc.weight, std=3.0)
    data = random_data(num_images=40, image_size=32)
    images, labels = data.validation.batch(slice(None), torch.device("cpu"))
    intact = accuracy(model, images, labels)

    class Skip(nn.Module):
        def __init__(self, block: nn.Module) -> None:
            super().__init__()
            self.downsample = block.downsample or nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.downsample(x).relu()

    result = Lesion().evaluate(model, data)
    for stage, row in enumerate(result.details["blocks"], 1):
        twin = copy.deepcopy(model)
        layer = getattr(twin, f"layer{stage}")
        layer[0] = Skip(layer[0])
        expected = intact - accuracy(twin, images, labels)
        assert row["drop"] == pytest.approx(expected, abs=1e-12)


def test_the_prefix_is_not_computed_again():
    net, data = alternet("CM-CMC"), random_data(num_images=10)
    calls = {block.name: 0 for block in net.blocks()}
    stem_calls = []
    net.stem[0].register_forward_hook(lambda *_: stem_calls.append(1))
    for reference in net.blocks():

        def count(*_: object, name: str = reference.name) -> None:
            calls[name] += 1

        reference.module.norm1.register_forward_hook(count)
    Lesion(batch_size=10).evaluate(net, data)
    # Two passes of the determinism check and the intact pass, then one pass for each
    # lesion of the block itself or of a block before it.
    assert list(calls.values()) == [3 + 1, 3 + 2, 3 + 3, 3 + 4, 3 + 5]
    assert len(stem_calls) == 3


class InPlace(nn.Module):
    """Writes into what its first block returned."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x.mul_(-1).relu_()
        return self.head(self.second(x).mean((2, 3)) * 50)


def test_networks_that_work_in_place_are_measured_without_replay():
    torch.manual_seed(0)
    model = InPlace().eval()
    data = random_data(num_images=60)
    images, labels = data.validation.batch(slice(None), torch.device("cpu"))
    result = Lesion(blocks=("first:conv", "second:msa")).evaluate(model, data)
    intact = accuracy(model, images, labels)
    for row in result.details["blocks"]:
        twin = copy.deepcopy(model)
        setattr(twin, row["name"], nn.Identity())
        expected = intact - accuracy(twin, images.clone(), labels)
        assert row["drop"] == pytest.approx(expected, abs=1e-12)


def test_a_block_that_changes_the_shape_cannot_be_removed_without_its_shortcut():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(EvaluationError, match="0 changes the shape"):
        Lesion(blocks=("0",)).evaluate(model, random_data())


def test_replay_gives_forward_methods_back():
    net = alternet("CM-CM")
    images = torch.zeros(1, 3, 16, 16)
    modules = [block.module for block in chain_of(net).blocks]
    replay = PrefixReplay(modules)
    with torch.no_grad():
        with replay.recording():
            expected = net(images)
        assert replay.usable()
        with pytest.raises(RuntimeError), replay.replaying(4):
            torch.testing.assert_close(net(images * 3 + 1), expected)
            raise RuntimeError
        assert not torch.allclose(net(images * 3 + 1), expected)
    assert all("forward" not in module.__dict__ for module in modules)
