"""The block kind of docs/parents.md does what the page says."""

import re
from pathlib import Path

import pytest
import torch

from search_spaces import Placement
from search_spaces.kinds.block_kinds import unregister_block_kind
from search_spaces.parents.load_parent import load_parent

PAGE = Path(__file__).parents[1] / "docs" / "parents.md"


@pytest.fixture
def source():
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.S)
    return text


def test_a_kind_of_your_own_takes_fewer_than_25_lines(source):
    assert len([line for line in source.splitlines() if line.strip()]) < 25


@pytest.mark.parametrize("name", ["timm:resnet10t", "timm:mobilenetv2_050"])
def test_it_fits_into_every_slot_of_a_parent(source, name):
    exec(compile(source, str(PAGE), "exec"), {"__name__": "my_blocks"})
    try:
        parent = load_parent(name, num_classes=5, in_channels=3, image_size=32)
        placement = Placement.filled(parent.backbone.depths, "D")
        architecture = parent.architecture(placement)
        network = parent.network(architecture)
        out = network(torch.randn(2, 3, 32, 32))
        assert out.shape == (2, 5)
        assert architecture.params == sum(p.numel() for p in network.parameters())
    finally:
        unregister_block_kind("D")
