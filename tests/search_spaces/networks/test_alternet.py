import pytest
import torch

from search_spaces import PRESETS, Architecture, Attention, Backbone, Placement

SMALL = Backbone("basic", "cifar", (2, 2), (8, 16))


def build(placement="CM-CM", **changes):
    settings = {
        "backbone": SMALL,
        "placement": Placement.parse(placement),
        "attention": Attention(heads=(1, 2), head_dim=4),
        "num_classes": 5,
        "image_size": 8,
    }
    return Architecture(**{**settings, **changes})


LARGE = {"resnet101", "resnet152"}  # resnet50 again, only deeper


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in LARGE else ())
        for name in PRESETS
    ],
)
@pytest.mark.parametrize("letter", "CM")
def test_every_preset_builds_with_every_letter(name, letter):
    backbone = Backbone.preset(name, "patch2")
    placement = Placement(tuple(letter * depth for depth in backbone.depths))
    architecture = Architecture(backbone, placement, num_classes=7, image_size=32)
    with torch.device("meta"):
        net = architecture.build()
        out = net(torch.empty(2, 3, 32, 32))
    assert out.shape == (2, 7)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("stem", ["imagenet", "cifar", "patch2"])
@pytest.mark.parametrize("placement", ["CC-CC", "MM-MM", "CM-CM", "MC-MC"])
def test_every_parameter_gets_a_gradient(block, stem, placement):
    torch.manual_seed(0)
    net = build(
        placement, backbone=Backbone(block, stem, (2, 2), (8, 16)), image_size=32
    ).build()
    net(torch.randn(4, 3, 32, 32)).square().sum().backward()
    without = [n for n, p in net.named_parameters() if p.grad is None]
    assert not without
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_forward_is_stem_blocks_head():
    torch.manual_seed(0)
    net = build().build().eval()
    x = torch.randn(2, 3, 8, 8)
    y = net.stem(x)
    for ref in net.blocks():
        assert net.get_submodule(ref.name) is ref.module
        y = ref.module(y)
    torch.testing.assert_close(net(x), net.head(y))


def test_blocks_know_stage_block_and_kind():
    placement = Placement.parse("MC-CM")
    refs = build("MC-CM").build().blocks()
    assert [(r.stage, r.block, r.letter) for r in refs] == list(placement.slots())


def test_drop_path_rises_linearly_and_is_off_in_eval():
    net = build("CC-MM").build(drop_path=0.3)
    rates = [ref.module.drop_path.rate for ref in net.blocks()]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3])
    net.eval()
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(net(x), net(x))


def test_state_dict_round_trip():
    torch.manual_seed(0)
    first, second = build().build(), build().build()
    x = torch.randn(2, 3, 8, 8)
    second.load_state_dict(first.state_dict(), strict=True)
    torch.testing.assert_close(second.eval()(x), first.eval()(x))


def test_order_of_the_state_is_that_of_the_reference():
    """Weights of the reference load by position: names and order within a block."""
    names = [n for n, _ in build("CM-CM").build().named_parameters()]
    assert names[:4] == [
        "stem.0.weight",
        "stages.0.0.norm1.weight",
        "stages.0.0.norm1.bias",
        "stages.0.0.branch.0.weight",
    ]
    msa = [n.removeprefix("stages.0.1.") for n in names if n.startswith("stages.0.1.")]
    assert msa == [
        "norm1.weight",
        "norm1.bias",
        "reduce.weight",
        "norm2.weight",
        "norm2.bias",
        "attention.position_bias",
        "attention.to_q.weight",
        "attention.to_kv.weight",
        "attention.to_out.weight",
        "attention.to_out.bias",
    ]
    assert names[-4:] == [
        "head.norm.weight",
        "head.norm.bias",
        "head.linear.weight",
        "head.linear.bias",
    ]
