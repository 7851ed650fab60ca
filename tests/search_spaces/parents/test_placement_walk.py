"""The walk against whole networks, built one by one."""

from itertools import product

import pytest
import torch
from torch import nn

from search_spaces import Architecture, Backbone, Placement
from search_spaces.parents.alternet_parent import AlterNetParent
from search_spaces.parents.load_parent import load_parent
from search_spaces.parents.placement_walk import Pieces

SOURCES = [
    "ours",
    "timm:resnet10t",
    "timm:regnetx_002",
    "timm:efficientnet_lite0",
    "timm:convnext_atto",
    "torchvision:resnet18",
]


def load(source):
    if source == "ours":
        backbone = Backbone("basic", "patch2", (2, 2), (8, 16))
        return AlterNetParent(
            Architecture(
                backbone, Placement.parse("CC-CC"), num_classes=5, image_size=32
            )
        )
    return load_parent(source, num_classes=5, in_channels=3, image_size=32)


@pytest.fixture(scope="module", params=SOURCES)
def case(request):
    parent = load(request.param)
    depths = parent.backbone.depths
    specs = {
        letter: parent.architecture(Placement.filled(depths, letter)).block_specs
        for letter in "MP"
    }
    candidates = {
        (spec.stage, spec.block, letter): parent.candidate(spec).eval()
        for letter in "MP"
        for spec in specs[letter]
    }
    return parent, candidates


def blocks_of(parent, candidates):
    return [
        {"C": own, **{k: candidates[stage, block, k] for k in "MP"}}
        for (stage, block), own in zip(parent.slots, parent.own_blocks(), strict=True)
    ]


def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def texts(num_slots):
    """All combinations in the last three slots, and some of the first."""
    ends = ["".join(end) for end in product("CMP", repeat=3)]
    return [
        (start * num_slots)[: num_slots - 3] + end for start in "CM" for end in ends
    ]


@torch.no_grad()
def test_every_placement_gets_the_logits_of_its_own_network(case):
    parent, candidates = case
    placements = texts(len(parent.slots))
    pieces = Pieces(parent.model, parent.block_names)
    assert pieces.pieces is not None
    blocks = blocks_of(parent, candidates)
    found = dict(pieces.walk(blocks, placements, images()))
    assert sorted(found) == list(range(len(placements)))
    for index in range(0, len(placements), 7):
        stages = split(placements[index], parent.backbone.depths)
        network = parent.network(parent.architecture(stages), candidates)
        assert torch.equal(found[index], network(images()))


def split(text, depths):
    letters = iter(text)
    return Placement(tuple("".join(next(letters) for _ in range(d)) for d in depths))


class Counting(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block, self.calls = block, 0

    def forward(self, x):
        self.calls += 1
        return self.block(x)


@torch.no_grad()
def test_each_block_runs_once_per_distinct_prefix():
    parent = load("ours")
    specs = parent.architecture(Placement.parse("MM-MM")).block_specs
    blocks = [
        {"C": Counting(own), "M": Counting(parent.candidate(spec).eval())}
        for own, spec in zip(parent.own_blocks(), specs, strict=True)
    ]
    placements = ["".join(one) for one in product("CM", repeat=4)]
    list(Pieces(parent.model, parent.block_names).walk(blocks, placements, images()))
    calls = [[block.calls for block in slot.values()] for slot in blocks]
    assert calls == [[1, 1], [2, 2], [4, 4], [8, 8]]


class Around(nn.Module):
    """Something goes around the second slot: it cannot be cut there."""

    def __init__(self, on_values):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.on_values = on_values

    def forward(self, x):
        if self.on_values and x.sum() > 1e9:
            return x
        first = self.a(x)
        return (self.b(first) + (0 if self.on_values else first)).mean((-2, -1))


@torch.no_grad()
@pytest.mark.parametrize("on_values", [False, True])
def test_networks_that_cannot_be_cut_are_run_from_their_start(on_values):
    model = Around(on_values).eval()
    own = {"a": model.a, "b": model.b}
    pieces = Pieces(model, ["a", "b"])
    assert pieces.pieces is None
    blocks = [
        {"C": model.a, "M": nn.Conv2d(3, 3, 1)},
        {"C": model.b, "M": nn.Conv2d(3, 3, 1)},
    ]
    found = dict(pieces.walk(blocks, ["CC", "CM", "MC"], images()))
    assert model.a is own["a"] and model.b is own["b"]  # noqa: PT018
    assert torch.equal(found[0], model(images()))
    first = model.a(images())
    expected = (blocks[1]["M"](first) + (0 if on_values else first)).mean((-2, -1))
    assert torch.equal(found[1], expected)


class InPlace(nn.Module):
    def forward(self, x):
        return x.add_(1)


@torch.no_grad()
def test_blocks_that_work_in_place_do_not_disturb_their_siblings():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), InPlace(), nn.AdaptiveAvgPool2d(1))
    blocks = [{"C": model[1], "M": nn.Identity()}]
    found = dict(Pieces(model.eval(), ["1"]).walk(blocks, ["C", "M"], images()))
    torch.testing.assert_close(found[0], found[1] + 1)


class Rescaling(nn.Sequential):
    """A network that works in place on its own input."""

    def forward(self, images):
        return super().forward(images.sub_(0.5).mul_(2))


@torch.no_grad()
@pytest.mark.parametrize("is_cut", [True, False])
def test_a_network_that_changes_its_images_does_not_change_the_next_placements(is_cut):
    model = Rescaling(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1))
    given = images()
    pieces = Pieces(model.eval(), ["1"])
    assert pieces.pieces is not None
    if not is_cut:
        pieces.pieces = None
    found = dict(pieces.walk([{"C": model[1]}], ["C", "C", "C"], given))
    assert torch.equal(given, images())
    assert all(torch.equal(one, model(images())) for one in found.values())


@torch.no_grad()
@pytest.mark.parametrize("channels", [3, 1])
def test_what_a_hook_of_the_network_does_is_part_of_every_placement(channels):
    """``torch.fx`` does not see hooks of the outermost module."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
    model.register_forward_pre_hook(lambda _, args: args[0].expand(-1, 3, -1, -1) / 2)
    x = images()[:, :channels]
    other = nn.Conv2d(3, 3, 1)
    found = dict(
        Pieces(model.eval(), ["1"]).walk([{"C": model[1], "M": other}], ["C", "M"], x)
    )
    assert torch.equal(found[0], model(x))
    assert torch.equal(found[1], other(model[0](x.expand(-1, 3, -1, -1) / 2)))
