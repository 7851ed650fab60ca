"""Every registered kind, and what a user has to do to add one."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces import (
    Architecture,
    Attention,
    Backbone,
    BlockKind,
    InputError,
    Placement,
    block_kind,
    register_block_kind,
)
from search_spaces.block_spec import BlockSpec
from search_spaces.blocks.pool_block import PoolBlock
from search_spaces.blocks.residual import DropPath, make_shortcut
from search_spaces.blocks.squeeze_excite_block import SqueezeExciteBlock
from search_spaces.counting import count_params
from search_spaces.diagram import to_svg
from search_spaces.kinds.block_kinds import (
    block_kinds,
    remember_block_kinds,
    unregister_block_kind,
)
from search_spaces.kinds.conv import conv_params
from search_spaces.kinds.msa import msa_params

SHAPES = [(8, 8, 1), (8, 16, 2), (8, 16, 1), (16, 16, 2), (64, 64, 1)]
LETTERS = [kind.letter for kind in block_kinds()]


def make_spec(letter, shape, bottleneck, size="matched", map_size=6):
    fan_in, fan_out, stride = shape
    spec = BlockSpec(
        1, 1, letter, fan_in, fan_out, stride, map_size,
        (map_size + stride - 1) // stride, bottleneck,
    )  # fmt: skip
    attention = Attention(heads=2, head_dim=5, window="auto", size=size).per_stage(1)
    settings = block_kind(letter).settings(spec, attention.stage(1))
    return spec._replace(settings=tuple(settings.items()))


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("letter", LETTERS)
def test_the_closed_form_of_a_cost_equals_what_is_counted(letter, shape, bottleneck):
    spec = make_spec(letter, shape, bottleneck, size="reference")
    kind = block_kind(letter)
    assert kind.cost(spec) == BlockKind.cost(kind, spec)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("letter", LETTERS)
def test_a_block_keeps_the_contract_of_a_slot(letter, shape):
    fan_in, fan_out, stride = shape
    for bottleneck, map_size in product((False, True), (6, 7)):
        spec = make_spec(letter, shape, bottleneck, map_size=map_size)
        block = block_kind(letter).build(spec).train()
        seen = []
        for part in (block.shortcut, block.drop_path):
            part.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out))
        images = torch.randn(2, fan_in, map_size, map_size)
        out = block(images)
        assert out.shape == (2, fan_out, spec.map_size, spec.map_size)
        torch.testing.assert_close(out, seen[0] + seen[1])
        out.square().sum().backward()
        assert all(p.grad.isfinite().all() for p in block.parameters())
        dead = {name for name, p in block.named_parameters() if not p.grad.any()}
        # The few units between squeeze and excite may all be off for two images.
        assert not {name for name in dead if not name.startswith(("squeeze", "exc"))}


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("letter", "PS")
def test_the_controls_are_as_large_as_the_conv_block(letter, shape, bottleneck):
    spec = make_spec(letter, shape, bottleneck)
    kind, target = block_kind(letter), conv_params(spec)
    gap = abs(kind.cost(spec).params - target)
    for width in range(1, 10 * shape[1]):
        other = tuple(
            (name, width if name == "width" else value) for name, value in spec.settings
        )
        params = kind.cost(spec._replace(settings=other)).params
        if letter == "P" or not bottleneck or width <= shape[1] // 4:
            assert gap <= abs(params - target)


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_matched_head_dim_is_the_best_of_all(shape, bottleneck):
    spec = make_spec("M", shape, bottleneck, size="matched")
    window, chosen = spec.setting("window"), spec.setting("head_dim")
    gaps = [
        abs(msa_params(spec, 2, head_dim, window) - conv_params(spec))
        for head_dim in range(1, 400)
    ]
    assert gaps[chosen - 1] == min(gaps)


def norm(x, layer):
    return functional.batch_norm(
        x, layer.running_mean, layer.running_var, layer.weight, layer.bias
    )


def randomise(module):
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias)
    return module.eval().double()


@pytest.mark.parametrize("stride", [1, 2])
def test_the_pooling_block_written_out_pixel_by_pixel(stride):
    torch.manual_seed(3)
    block = randomise(PoolBlock(3, 4, width=5, stride=stride))
    x = torch.randn(1, 3, 5, 5, dtype=torch.float64)
    a = functional.gelu(norm(x, block.norm1))
    wide = norm(functional.conv2d(a, block.expand.weight), block.norm2)
    size = (5 + stride - 1) // stride
    means = torch.zeros(1, 5, size, size, dtype=torch.float64)
    for i, j in product(range(size), repeat=2):
        top, left = max(0, i * stride - 1), max(0, j * stride - 1)
        around = wide[:, :, top : i * stride + 2, left : j * stride + 2]
        means[:, :, i, j] = around.mean((-2, -1))
    branch = functional.conv2d(means, block.project.weight, block.project.bias)
    skip = functional.conv2d(a, block.shortcut.weight, stride=stride)
    torch.testing.assert_close(block(x), branch + skip)


def test_the_excitation_written_out():
    torch.manual_seed(4)
    block = randomise(SqueezeExciteBlock(4, 4, bottleneck=False, width=3, squeezed=2))
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    first, norm2, _, second = block.branch
    active = functional.relu(norm(x, block.norm1))
    b = functional.conv2d(active, first.weight, padding=1)
    b = functional.conv2d(functional.relu(norm(b, norm2)), second.weight, padding=1)
    means = b.mean((2, 3))
    hidden = means @ block.squeeze.weight[:, :, 0, 0].T + block.squeeze.bias
    weights = hidden.clamp(min=0) @ block.excite.weight[:, :, 0, 0].T
    expected = x + b * (weights + block.excite.bias).sigmoid()[:, :, None, None]
    torch.testing.assert_close(block(x), expected)


def test_the_pooling_block_is_a_low_pass_filter_and_its_twin_is_not():
    # One channel, identity convs: what is left is the average itself.
    block = PoolBlock(1, 1, width=1).eval()
    nn.init.ones_(block.expand.weight)
    nn.init.ones_(block.project.weight)
    nn.init.zeros_(block.project.bias)
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    checkers = ((rows + columns) % 2).float()[None, None] * 8 - 4
    branch = block(checkers) - checkers
    positive = functional.gelu(checkers)
    inner = branch[..., 1:-1, 1:-1]
    assert inner.var() < 0.02 * positive[..., 1:-1, 1:-1].var()


class WideBlock(nn.Module):
    """A depthwise 5x5 block, as a user would write it."""

    def __init__(self, in_channels, out_channels, *, stride=1, drop_path=0.0):
        super().__init__()
        self.shortcut = make_shortcut(in_channels, out_channels, stride)
        self.norm = nn.BatchNorm2d(in_channels)
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 5, stride, 2, groups=in_channels
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)
        self.drop_path = DropPath(drop_path)

    def forward(self, x):
        active = torch.relu(self.norm(x))
        skip = self.shortcut(x if isinstance(self.shortcut, nn.Identity) else active)
        return self.drop_path(self.pointwise(self.depthwise(active))) + skip


class WideKind(BlockKind):
    letter, name, colour, block = "W", "Wide", "#56B4E9", WideBlock


@pytest.fixture
def wide_kind():
    yield register_block_kind(WideKind())
    unregister_block_kind("W")


def test_a_users_kind_is_built_and_costed_exactly(wide_kind):
    backbone = Backbone("basic", "patch2", (2, 2), (4, 8))
    architecture = Architecture(backbone, Placement.parse("CW-WM"), image_size=16)
    net = architecture.build()
    assert architecture.params == count_params(net)
    assert [ref.letter for ref in net.blocks()] == ["C", "W", "W", "M"]
    assert net(torch.randn(2, 3, 16, 16)).shape == (2, 1000)
    again = Architecture.from_yaml(architecture.to_yaml())
    assert again == architecture and again.id == architecture.id


def broken(**changes):
    """A block that does one thing otherwise than a slot wants it."""

    class Block(WideBlock):
        def __init__(self, *channels, **options):
            super().__init__(*channels, **options)
            changes.get("init", lambda block: None)(self)

        def forward(self, x):
            return changes.get("returns", lambda y, x: y)(super().forward(x), x)

    return type("Broken", (WideKind,), {"block": Block})()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            broken(returns=lambda y, x: y[..., 1:]),
            r"shape \(1, 8, 4, 4\), got .*4, 3\)",
        ),
        (broken(returns=lambda y, x: (y, x)), "got tuple"),
        (broken(returns=lambda y, x: 1 / 0), "fails: ZeroDivisionError"),
        (
            broken(init=lambda block: 1 / 0),
            r"kind W \(Wide\) for 4 to 8 channels, 8 px",
        ),
        (
            broken(init=lambda block: delattr(block, "shortcut")),
            "fails: Attr.*shortcut",
        ),
        (broken(init=lambda block: delattr(block, "drop_path")), "fails: Attr.*drop"),
    ],
)
def test_a_kind_that_breaks_the_contract_of_a_slot_is_told(kind, message):
    spec = BlockSpec(2, 1, "W", 4, 8, 2, 8, 4, False)
    with pytest.raises(InputError, match=message):
        kind.cost(spec)


def test_a_kind_that_reads_its_values_is_counted_too():
    spec = BlockSpec(2, 1, "W", 4, 8, 2, 8, 4, False)
    state = torch.get_rng_state()
    reading = broken(returns=lambda y, x: y * (1 + float(y.sum() > 0)))
    assert reading.cost(spec) == WideKind().cost(spec)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_letter_nobody_registered_is_refused():
    with pytest.raises(InputError, match=r"C \(Conv\), M \(MSA\).*got 'W' at stage 1"):
        Placement.parse("CW")


def test_a_taken_letter_or_a_bad_one_is_refused(wide_kind):
    class Other(WideKind):
        pass

    for letter, match in (("M", "taken by MSA"), ("w", "A to Z"), ("WW", "A to Z")):
        other = Other()
        type(other).letter = letter
        with pytest.raises(InputError, match=match):
            register_block_kind(other)
    Other.letter, Other.colour = "X", "blue"
    with pytest.raises(InputError, match="#rrggbb"):
        register_block_kind(Other())
    assert register_block_kind(WideKind()).letter == "W"  # a plugin imported twice
    with pytest.raises(InputError, match="only kinds that were registered"):
        unregister_block_kind("M")


def test_ids_of_conv_and_msa_placements_are_those_that_studies_recorded():
    # Hashes written by the version before there were other kinds.
    backbone = Backbone("basic", "patch2", (2, 2), (8, 16))
    recorded = Architecture(
        backbone, Placement.parse("CM-MC"), num_classes=10, image_size=24
    )
    import hashlib
    import json

    rows = [
        [1, 1, "C", 8, 8, 1, 12, 12, 0, 0, 0],
        [1, 2, "M", 8, 8, 1, 12, 12, 3, 64, 6],
        [2, 1, "M", 8, 16, 2, 12, 6, 6, 64, 6],
        [2, 2, "C", 16, 16, 1, 6, 6, 0, 0, 0],
    ]
    canonical = {
        "block": "basic", "stem": "patch2", "blocks": rows,
        "num_classes": 10, "in_channels": 3, "image_size": 24,
    }  # fmt: skip
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    assert recorded.id == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_ids_of_other_kinds_see_their_settings(wide_kind):
    backbone = Backbone("basic", "patch2", (2,), (8,))
    ids = {
        Architecture(backbone, Placement.parse(text), image_size=16).id
        for text in ("CC", "CM", "CP", "CS", "CW", "PC", "WC")
    }
    assert len(ids) == 7


@pytest.mark.parametrize("letter", LETTERS)
def test_ink_is_readable_on_the_colour(letter):
    kind = block_kind(letter)

    def luminance(colour):
        levels = torch.tensor([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = torch.where(
            levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ torch.tensor([0.2126, 0.7152, 0.0722]))

    light, dark = sorted((luminance(kind.colour), luminance(kind.ink)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_kind_that_a_study_recorded_is_known_by_name_only():
    recorded = [
        {"letter": "W", "name": "Wide", "colour": "#56B4E9"},
        {"letter": "M", "name": "Mine", "colour": "#000000"},  # the letter is taken
        {"letter": "w", "name": "Small", "colour": "#000000"},
        {"letter": "X", "name": "Bell \x07", "colour": "#000000"},
        {"letter": "Y", "name": "Blue", "colour": "blue"},
        {"letter": "Z"},
        "nonsense",
    ]
    before = {kind.letter: kind for kind in block_kinds()}
    try:
        remember_block_kinds(recorded)
        remember_block_kinds({"letter": "V"})
        after = {kind.letter: kind for kind in block_kinds()}
        assert set(after) - set(before) == {"W"} and after["M"] is before["M"]
        placement = Placement.parse("CW")
        assert "#56B4E9" in to_svg(placement)
        backbone = Backbone("basic", "patch2", (2,), (4,))
        architecture = Architecture(backbone, placement, image_size=16)
        assert Architecture.from_yaml(architecture.to_yaml()).id == architecture.id
        with pytest.raises(InputError, match=r"W \(Wide\) are known by name only"):
            architecture.build()
        assert register_block_kind(WideKind()) is block_kind("W")  # now it is here
        assert architecture.build().blocks()[1].letter == "W"
    finally:
        unregister_block_kind("W")
