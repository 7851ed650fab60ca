import pytest
import torch
from torch import nn

from search_spaces import Architecture, Attention, Backbone, Placement
from search_spaces.counting import count_macs, count_params

CASES = [
    (block, stem, placement, size, image_size)
    for block in ("basic", "bottleneck")
    for stem in ("imagenet", "cifar", "patch2")
    for placement in ("CC-CC", "MM-MM", "CM-MC")
    for size in ("reference", "matched")
    for image_size in (30, 32)
]


@pytest.mark.parametrize(("block", "stem", "placement", "size", "image_size"), CASES)
def test_closed_form_equals_the_flop_counter(block, stem, placement, size, image_size):
    architecture = Architecture(
        Backbone(block, stem, (2, 2), (8, 16)),
        Placement.parse(placement),
        Attention(heads=(1, 2), head_dim=4, size=size),
        5,
        3,
        image_size,
    )
    with torch.device("meta"):
        net = architecture.build()
    cost = architecture.cost
    assert cost.params == count_params(net)
    assert cost.macs == count_macs(net, (1, 3, image_size, image_size))


def test_macs_counted_by_hand():
    """One basic Conv block, one MSA block, 8 channels, 4x4 maps, window 2."""
    architecture = Architecture(
        Backbone("basic", "cifar", (2,), (8,)),
        Placement.parse("CM"),
        Attention(heads=2, head_dim=3, window=2),
        10,
        3,
        4,
    )
    pixels = 16
    stem = pixels * 3 * 3 * 3 * 8
    conv = pixels * 2 * (3 * 3 * 8 * 8)
    reduce = pixels * 8 * 8
    inner = 2 * 3
    projections = pixels * (8 * inner + 8 * 2 * inner + inner * 8)
    products = pixels * 4 * inner * 2  # each of 16 queries meets 4 keys, twice
    head = 8 * 10
    expected = stem + conv + reduce + projections + products + head
    assert architecture.macs == expected


def test_parameters_counted_by_hand():
    architecture = Architecture(
        Backbone("basic", "cifar", (2,), (8,)),
        Placement.parse("CM"),
        Attention(heads=2, head_dim=3, window=2),
        10,
        3,
        4,
    )
    stem = 3 * 9 * 8
    conv = 16 + 9 * 64 + 16 + 9 * 64  # BN, 3x3, BN, 3x3
    msa = 16 + 64 + 16 + 3 * 3 + 8 * 6 + 8 * 12 + (6 * 8 + 8)
    head = 16 + 8 * 10 + 10
    assert architecture.params == stem + conv + msa + head


def test_count_macs_gives_the_module_back_as_it_was():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    net[1].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    assert count_macs(net, (2, 3, 5, 5)) == 2 * 9 * 27 * 4
    assert net.training and net[0].training and not net[1].training
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, before[key])
