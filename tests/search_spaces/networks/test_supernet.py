"""A supernet: every path is the network of its placement, bit for bit."""

from itertools import product

import pytest
import torch

from search_spaces import Backbone, InputError, Placement
from search_spaces.kinds.attention import Attention
from search_spaces.spaces.free_space import FreeSpace
from search_spaces.spaces.space_supernet import build_supernet

BACKBONE = Backbone("basic", "patch2", (2, 2), (4, 8))


def make_space(**changes):
    settings = {
        "attention": Attention(heads=1, size="matched"),
        "kinds": ("CM", "CMP"),
        "strided_msas": True,
        "image_size": 16,
        "in_channels": 1,
        **changes,
    }
    return FreeSpace(settings.pop("backbone", BACKBONE), **settings)


@pytest.fixture(scope="module")
def supernet():
    torch.manual_seed(0)
    return build_supernet(make_space()).eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def alone(supernet, text):
    """An AlterNet built by its architecture, the supernet's weights loaded by hand."""
    network = make_space().architecture(Placement.parse(text)).build()
    state = {}
    for name, tensor in supernet.state_dict().items():
        if not name.startswith("slots."):
            state[name] = tensor
    letters = text.replace("-", "")
    for slot, letter in enumerate(letters):
        own = f"slots.{slot}.{letter}."
        place = f"stages.{slot // 2}.{slot % 2}."
        for name, tensor in supernet.state_dict().items():
            if name.startswith(own):
                state[place + name.removeprefix(own)] = tensor
    network.load_state_dict(state)
    return network.eval()


@pytest.mark.parametrize("text", ["CC-CC", "CM-PC", "MM-MM", "MC-MP"])
def test_a_path_is_the_network_of_its_placement(supernet, images, text):
    reference = alone(supernet, text)
    plain = text.replace("-", "")
    with torch.no_grad():
        expected = reference(images)
        assert torch.equal(supernet(images, plain), expected)
        assert torch.equal(supernet.path(text)(images), expected)
        assert torch.equal(supernet.network(text)(images), expected)
    assert supernet.path(text).letters == tuple(text.split("-"))
    names = [ref.name for ref in supernet.path(text).blocks()]
    assert names == [ref.name for ref in reference.blocks()]


def test_a_path_shares_and_a_network_does_not(supernet):
    own = supernet.block(0, "M").norm1.weight
    assert supernet.path("MC-CC").stages[0][0].norm1.weight is own
    assert supernet.network("MC-CC").stages[0][0].norm1.weight is not own


def test_only_the_path_gets_gradients(images):
    torch.manual_seed(0)
    supernet = build_supernet(make_space())
    supernet(images, "CMPC").sum().backward()
    for slot, letter in enumerate("CMPC"):
        for other, block in supernet.slots[slot].items():
            grads = [p.grad is not None for p in block.parameters()]
            assert all(grads) if other == letter else not any(grads)


def test_every_block_of_the_space_is_there_and_no_other(supernet):
    assert supernet.letters == ("CM", "CM", "CMP", "CMP")
    frozen = build_supernet(make_space(strided_msas=False))
    assert frozen.letters == ("CM", "CM", "C", "CMP")


def test_the_walk_runs_each_prefix_once_and_gives_each_its_own_logits(supernet, images):
    placements = ["".join(p) for p in product(*supernet.letters)]
    calls = []

    def step(prefix, module, x):
        calls.append((prefix, module))
        return module(x)

    with torch.no_grad():
        found = dict(supernet.walk(placements[::-1], images, step))
        assert sorted(found) == sorted(placements)
        for text in placements:
            assert torch.equal(found[text], supernet(images, text))
    prefixes = {one[:k] for one in placements for k in range(1, 5)}
    assert len(calls) == 1 + len(prefixes) + len(placements)
    assert len({(prefix, id(module)) for prefix, module in calls}) == len(calls)


def test_wrong_placements_are_told(supernet):
    with pytest.raises(InputError, match="has 4 letters, got 3"):
        supernet.path("CC-C")
    with pytest.raises(InputError, match="slot 2 .* letters CM, got 'P'"):
        supernet.path("CP-CC")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": "C"}, "needs a slot with a choice"),
        (
            {"attention": Attention(), "choices": {"heads": [[1, 2], [1, 2]]}},
            "space.choices must be empty; got heads",
        ),
    ],
)
def test_spaces_without_a_supernet_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        build_supernet(make_space(**changes))
