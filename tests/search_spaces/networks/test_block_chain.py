import pytest
import torch
from block_cases import alternet, read_all, walk
from torch import nn

from evaluators.blocks.listening import listening
from search_spaces.errors import FeatureMapError, InputError
from search_spaces.networks.block_chain import Tap, Tokens, channels_last
from search_spaces.networks.chain_of import chain_of


@pytest.mark.parametrize("placement", ["CM-CMC", "CC-CC", "MM-MM", "M-C-M"])
def test_alternet_taps_are_what_a_walk_through_the_blocks_sees(placement):
    net = alternet(placement)
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    chain = chain_of(net)
    seen, _ = read_all(net, chain, images)
    truth = walk(net, images)
    assert len(truth) == len(chain.blocks)
    for index, tensors in enumerate(truth):
        for name, tensor in tensors.items():
            torch.testing.assert_close(seen[index, name], tensor, rtol=1e-4, atol=1e-5)


def test_alternet_blocks_carry_kind_and_stage():
    chain = chain_of(alternet("CM-CMC"))
    assert [block.kind for block in chain.blocks] == [
        "conv",
        "msa",
        "conv",
        "msa",
        "conv",
    ]
    assert [block.stage for block in chain.blocks] == [1, 1, 2, 2, 2]
    assert chain.of_kind("msa") == [1, 3]
    assert chain.blocks[3].name == "stages.1.1"


def test_last_block_and_head_reproduce_the_output():
    net = alternet()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    seen, output = read_all(net, chain_of(net), images)
    with torch.no_grad():
        torch.testing.assert_close(net.head(seen[4, "after"]), output)


def test_blocks_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    chain = chain_of(model, ("0:conv", "2"))
    assert [(block.name, block.kind) for block in chain.blocks] == [
        ("0", "conv"),
        ("2", "other"),
    ]
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen, output = read_all(model, chain, images)
    torch.testing.assert_close(seen[0, "before"], images)
    torch.testing.assert_close(seen[1, "after"], output)
    torch.testing.assert_close(seen[1, "before"], seen[0, "after"].relu())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("nothing",), "no module 'nothing'"),
        (("0:pool",), "one of conv, msa, mlp, other, got '0:pool'"),
    ],
)
def test_wrong_names_are_refused(names, message):
    with pytest.raises(InputError, match=message):
        chain_of(nn.Sequential(nn.Conv2d(3, 4, 3)), names)


def test_an_unknown_model_is_refused_with_a_remedy():
    with pytest.raises(InputError, match="cannot split a Sequential.*by hand"):
        chain_of(nn.Sequential(nn.Conv2d(3, 4, 3)))


def test_hooks_are_gone_even_after_an_error():
    net = alternet()
    chain = chain_of(net)
    taps = [(0, chain.blocks[0].after), (1, chain.blocks[1].before)]

    def fail(key: int, tensor: torch.Tensor) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), listening(taps, fail):
        net(torch.zeros(1, 3, 16, 16))
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in net.modules())


def test_tokens_drop_the_prefix_and_keep_row_order():
    tokens = torch.arange(2 * 10 * 3.0).view(2, 10, 3)
    maps = Tokens(1)(tokens)
    assert maps.shape == (2, 3, 3, 3)
    for row in range(3):
        for column in range(3):
            expected = tokens[:, 1 + 3 * row + column]
            assert torch.equal(maps[:, :, row, column], expected)


def test_tokens_that_form_no_square_are_refused():
    with pytest.raises(FeatureMapError, match="square map, got 7"):
        Tokens(1)(torch.zeros(1, 8, 3))


def test_channels_last():
    x = torch.randn(2, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(channels_last(x)[1, 2, 3, 1], x[1, 3, 1, 2])


@pytest.mark.parametrize("value", [None, torch.zeros(2, 3), (torch.zeros(1),)])
def test_a_tap_needs_a_feature_map(value):
    with pytest.raises(FeatureMapError, match="must pass a feature map"):
        Tap(nn.Identity()).read(value)
