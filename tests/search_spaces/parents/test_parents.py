"""Every family of parents: the same network at all-C, every slot swappable."""

import hashlib
import sys
import types

import pytest
import timm
import torch
from timm.models.resnet import Bottleneck, ResNet
from torch import nn
from torchvision.models.efficientnet import FusedMBConv, FusedMBConvConfig

from search_spaces import Architecture, InputError, Placement
from search_spaces.blocks.strided_conv import safe_conv_gradients
from search_spaces.counting import count_macs, count_params
from search_spaces.networks.block_chain import ChainBlock
from search_spaces.networks.chain_of import chain_of
from search_spaces.networks.hybrid import Activated
from search_spaces.parents.load_parent import load_parent, parent_network
from search_spaces.parents.module_parent import ModuleParent
from search_spaces.spaces.free_space import FreeSpace

FAMILIES = {
    "timm:resnet10t": "C-C-C-C",
    "timm:resnet18": "CC-CC-CC-CC",
    "timm:seresnet18": "CC-CC-CC-CC",
    "a narrow resnext": "CC-C-C-C",
    "a narrow wide resnet": "CC-C-C-C",
    "timm:regnetx_002": "C-C-CCCC-CCCCCCC",
    "timm:regnety_002": "C-C-CCCC-CCCCCCC",
    "timm:efficientnet_lite0": "C-C-CC-CC-CCC",
    "timm:mobilenetv2_050": "C-CC-CCC-CC-CC",
    "timm:mobilenetv3_small_050": "C-CC-CC-CC",
    "timm:convnext_atto": "CC-CC-CCCCCC-CC",
    "torchvision:resnet18": "CC-CC-CC-CC",
    "torchvision:mobilenet_v2": "C-CC-CCC-CC-CC",
}
"""Slots of each: the residual blocks of its published table of layers."""

KNOWN = list(FAMILIES)
NARROW = {
    "a narrow resnext": {"cardinality": 8, "base_width": 16},
    "a narrow wide resnet": {"base_width": 128},
}
"""timm's ResNeXt and wide ResNet have 25 and 69 million parameters."""
SIZE = 32


def load(source, size=SIZE):
    if source in NARROW:
        model = ResNet(
            Bottleneck,
            (2, 1, 1, 1),
            channels=(16, 16, 32, 32),
            num_classes=5,
            **NARROW[source],
        )
        return ModuleParent(model, source, image_size=size)
    return load_parent(source, num_classes=5, in_channels=3, image_size=size)


@pytest.fixture(scope="module", params=KNOWN)
def parent(request):
    found = load(request.param)
    # Fresh nets have BatchNorm statistics of 0 and 1 and ConvNeXt branches of 1e-6.
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        for name, tensor in found.model.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                if name.endswith(("running_var", "gamma", "bn3.weight", "bn2.weight")):
                    tensor.copy_(0.5 + noise)
                elif name.endswith("running_mean"):
                    tensor.copy_(noise - 0.5)
    return found


def images(num=2, size=SIZE):
    return torch.randn(num, 3, size, size, generator=torch.Generator().manual_seed(3))


def test_it_finds_the_residual_blocks(parent):
    placement = parent.architecture().placement
    assert str(placement) == FAMILIES[parent.source]
    assert len(parent.block_names) == placement.num_blocks == len(parent.slots)


def test_all_c_is_the_parent_bit_for_bit(parent):
    network = parent.network(parent.architecture())
    with torch.no_grad():
        assert torch.equal(network(images()), parent.model(images()))
    shared = {p.data_ptr() for p in parent.model.parameters()}
    assert not shared & {p.data_ptr() for p in network.parameters()}
    ours = [type(block.module) for block in network.blocks()]
    assert ours == [type(block) for block in parent.own_blocks()]


def test_every_slot_can_be_swapped_for_every_kind_and_trained(parent):
    """One network a letter with every free slot swapped: forward, backward, costs."""
    depths = parent.backbone.depths
    for letter in "MPS":
        architecture = parent.architecture(Placement.filled(depths, letter))
        network = parent.network(architecture).train()
        assert count_params(network) == architecture.params
        with safe_conv_gradients(torch.device("cpu")):
            network(images()).square().sum().backward()
        swapped = [ref.module for ref in network.blocks()]
        for block in swapped:
            gradients = [p.grad for p in block.parameters()]
            assert all(g is not None and g.isfinite().all() for g in gradients)
            assert any(bool(g.any()) for g in gradients)
    assert count_macs(network, (1, 3, SIZE, SIZE)) == architecture.macs


def test_swapped_blocks_keep_the_size_of_what_they_replace(parent):
    depths = parent.backbone.depths
    for letter in "MPS":
        specs = parent.architecture(Placement.filled(depths, letter)).block_specs
        for spec, slot in zip(specs, parent.backbone.slots, strict=True):
            from search_spaces import block_kind

            params = block_kind(letter).cost(spec).params
            fewest = min_params(spec, letter)
            step = 5 * max(spec.in_channels, spec.out_channels) * 16
            assert abs(params - slot.params) <= max(step, fewest), (letter, spec)


def min_params(spec, letter):
    """Parameters of the narrowest block of the kind."""
    from search_spaces import block_kind

    kind = block_kind(letter)
    names = {"M": "head_dim", "P": "width", "S": "width"}
    settings = {**dict(spec.settings), names[letter]: 1}
    return kind.cost(spec._replace(settings=tuple(settings.items()))).params


def test_one_swap_changes_the_output_and_other_blocks_keep_their_weights(parent):
    depths = parent.backbone.depths
    stage, block = parent.slots[-1]
    placement = Placement.all_conv(depths).replace(stage, block, "M")
    network = parent.network(parent.architecture(placement))
    with torch.no_grad():
        assert not torch.equal(network(images()), parent.model(images()))
    ours, theirs = network.model.state_dict(), parent.model.state_dict()
    last = parent.block_names[-1] + "."
    kept = [name for name in theirs if not name.startswith(last)]
    assert kept
    assert all(torch.equal(ours[name], theirs[name]) for name in kept)


def test_evaluators_read_skip_and_branch_of_every_block(parent):
    """``activation(skip + branch)`` is the block's output, whoever built the block."""
    depths = parent.backbone.depths
    letters = [
        "".join("CM"[(i + j) % 2] for j in range(d)) for i, d in enumerate(depths)
    ]
    placement = Placement(tuple(letters))
    network = parent.network(parent.architecture(placement))
    chain = chain_of(network)
    assert [b.kind == "msa" for b in chain.blocks] == [
        letter == "M" for letter in placement.letters
    ]
    seen = listen(chain.blocks, network)
    slots = parent.backbone.slots
    for block, slot in zip(chain.blocks, slots, strict=True):
        total = seen[block.name, "before"] + seen[block.name, "branch"]
        if slot.activation:
            total = getattr(nn.functional, slot.activation)(total)
        torch.testing.assert_close(seen[block.name, "after"], total)


def listen(blocks: list[ChainBlock], network):
    seen = {}
    handles = []
    for block in blocks:
        for what in ("before", "branch", "after"):
            tap = getattr(block, what)

            def hook(_, inputs, output, key=(block.name, what), tap=tap):
                tensor = inputs[0] if tap.side == "input" else output
                seen[key] = tap.read(tensor).clone()

            handles.append(tap.module.register_forward_hook(hook))
    with torch.no_grad():
        network(images())
    for handle in handles:
        handle.remove()
    return seen


def test_an_architecture_survives_its_file_without_the_library(parent, monkeypatch):
    placement = Placement.filled(parent.backbone.depths, "M")
    architecture = parent.architecture(placement)
    text = architecture.to_yaml()
    assert text.startswith("format: alternet/2\nparent:\n  model: ")
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    again = Architecture.from_yaml(text)
    assert again == architecture
    assert again.id == architecture.id
    assert (again.cost, again.block_specs) == (
        architecture.cost,
        architecture.block_specs,
    )
    with pytest.raises(InputError, match="built by its parent"):
        again.build()


def test_a_space_of_it_counts_what_it_enumerates():
    parent = load("timm:resnet10t")
    space = FreeSpace(
        parent.backbone,
        parent.architecture().attention,
        num_classes=5,
        image_size=SIZE,
        kinds="CMP",
    )
    listed = [str(one.placement) for one in space.enumerate()]
    assert len(set(listed)) == len(listed) == space.size == 3  # three slots are strided
    assert listed[0] == "C-C-C-C"


def test_ids_tell_parents_apart():
    names = ["timm:resnet10t", "a narrow resnext", "a narrow wide resnet"]
    assert len({load(name).architecture().id for name in names}) == 3
    small, large = load("timm:resnet10t"), load("timm:resnet10t", 64)
    assert small.architecture().id != large.architecture().id


def test_post_activation_is_kept_after_the_sum():
    parent = load("timm:resnet18")
    network = parent.network(parent.architecture(Placement.parse("MM-CC-CC-CC")))
    block = network.blocks()[0].module
    assert isinstance(block, Activated)
    assert isinstance(block.activation, nn.ReLU)
    linear = load("timm:efficientnet_lite0")
    placement = Placement.filled(linear.backbone.depths, "M")
    swapped = linear.network(linear.architecture(placement)).blocks()
    assert not any(isinstance(ref.module, Activated) for ref in swapped)


@pytest.mark.parametrize("source", ["timm:densenet121", "torchvision:squeezenet1_1"])
def test_parents_without_residual_blocks_are_refused_in_one_line(source):
    with pytest.raises(InputError, match="needs residual blocks .* has none") as caught:
        load(source)
    assert "\n" not in str(caught.value)


class Net(nn.Module):
    """A user's own network: conv blocks without any convention."""

    class Block(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)

        def forward(self, x):
            return torch.relu(x + self.conv(x))

    def __init__(self):
        super().__init__()
        self.start = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.first, self.second = self.Block(8), self.Block(8)
        self.down = nn.Conv2d(8, 16, 2, stride=2)
        self.third, self.twice = self.Block(16), self.Block(16)
        self.end = nn.Linear(16, 5)

    def forward(self, x):
        x = self.down(self.second(self.first(self.start(x))))
        x = self.twice(self.twice(self.third(x)))
        return self.end(x.mean((-2, -1)))


class Pair(nn.Sequential):
    """A network with a second output."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 3, 1))

    def forward(self, images):
        return super().forward(images).mean((2, 3)), images


@pytest.fixture
def user_module(monkeypatch):
    module = types.ModuleType("a_users_module")
    module.make = Net
    module.nothing = lambda: 3
    module.greedy = lambda wish: wish
    module.pair = lambda: Pair()
    monkeypatch.setitem(sys.modules, "a_users_module", module)


def own(slots, source="a_users_module:make", **options):
    return load_parent(
        source, num_classes=5, in_channels=3, image_size=16, slots=slots, **options
    )


def test_a_users_network_with_slots_by_name(user_module):
    parent = own(["first", "second", "third"])
    assert str(parent.architecture().placement) == "CC-C"
    assert [slot.activation for slot in parent.backbone.slots] == ["relu"] * 3
    architecture = parent.architecture(Placement.parse("CM-P"))
    out = parent.network(architecture)(images(size=16))
    assert out.shape == (2, 5)
    named = own(["first:none", "down", "third:silu"])
    assert [slot.activation for slot in named.backbone.slots] == ["", "", "silu"]
    assert named.backbone.strides == (1, 2)


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        (["twice"], "twice is called more than once"),
        (["nowhere"], "the network has no 'nowhere'"),
        (["end"], "a slot is a block .* end maps"),
        (["first", "first.conv"], "do not overlap"),
        (["first:tanh"], "activation of a slot is one of relu"),
        ([], "names at least one block"),
        (None, "or its slots listed by name"),
    ],
)
def test_what_is_no_slot_is_refused(user_module, slots, message):
    with pytest.raises(InputError, match=message) as caught:
        own(slots)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("resnet18", "a parent is timm:NAME"),
        ("timm:resnet18000", "timm has no model"),
        ("torchvision:nothing", "torchvision has no model"),
        ("a_users_module:missing", "is a function that can be imported"),
        ("timm:resnet18,no_such=1", "timm cannot build 'resnet18'"),
        ("timm:resnet18,num_classes=3", "follows from the images"),
        ("not_a_module_at_all:make", "is a function that can be imported"),
        ("a_users_module:nothing", "returns a torch.nn.Module"),
        ("a_users_module:greedy", "is called without arguments.*TypeError"),
    ],
)
def test_sources_that_are_none_are_refused(user_module, source, message):
    with pytest.raises(InputError, match=message):
        own(None, source)


def test_a_network_that_returns_two_things_is_refused(user_module):
    with pytest.raises(InputError, match="one tensor of logits.* returns a tuple"):
        own(["0"], "a_users_module:pair")


def test_a_missing_timm_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="need the package timm"):
        load("timm:resnet18")


def test_options_of_a_model_reach_it_and_are_part_of_its_name():
    narrow = load("timm:resnet10t,stem_width=16")
    assert narrow.backbone.model == "timm:resnet10t,stem_width=16"
    assert narrow.model.conv1[0].out_channels == 12
    assert load("timm:resnet10t").model.conv1[0].out_channels == 24


def test_published_weights_of_other_classes_are_not_given_a_last_layer_at_random(
    monkeypatch,
):
    create = timm.create_model

    def published(name, *, pretrained, **options):
        assert pretrained
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", published)
    with pytest.raises(InputError, match=r"have 7 classes.* is for 1000, "):
        load_parent(
            "timm:resnet10t",
            num_classes=7,
            in_channels=3,
            image_size=32,
            pretrained=True,
        )


def test_a_download_that_fails_is_no_matter_of_the_image_size(monkeypatch):
    def offline(name, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(InputError, match="cannot be loaded.*: no route") as error:
        load_parent(
            "timm:resnet10t",
            num_classes=7,
            in_channels=3,
            image_size=32,
            pretrained=True,
        )
    assert "image size" not in str(error.value)


def test_images_of_another_kind_are_refused(user_module):
    with pytest.raises(InputError, match="the images have 7 classes"):
        load_parent(
            "a_users_module:make",
            num_classes=7,
            in_channels=3,
            image_size=16,
            slots=["first"],
        )
    with pytest.raises(InputError, match="cannot take images"):
        ModuleParent(Net(), "x:y", image_size=16, in_channels=1, slots=["first"])


def test_a_fingerprint_changes_with_the_weights_and_the_slots(user_module):
    one = own(["first", "second"])
    assert own(["first", "second"]).fingerprint == one.fingerprint  # seeded
    assert own(["first"]).fingerprint != one.fingerprint
    other = own(["first", "second"])
    with torch.no_grad():
        next(other.model.parameters())[0] += 1e-6
    assert other.fingerprint != one.fingerprint


class Aliased(Net):
    """Its blocks are registered under two names, and run by the second."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(self.first, self.second, self.down, self.third)

    def forward(self, x):
        return self.end(self.body(self.start(x)).mean((-2, -1)))


def small(model, slots=("first", "second", "third")):
    return ModuleParent(model, "a:make", image_size=16, slots=slots)


def test_a_block_with_two_names_is_replaced_under_both():
    model = Aliased()
    parent = small(model)
    assert model.body[0] is model.first is parent.own_blocks()[0]
    network = parent.network(parent.architecture(Placement.parse("MM-M")))
    assert network.model.body[0] is network.model.first
    swapped = [ref.module for ref in network.blocks()]
    with torch.no_grad():
        x = network.model.start(images(size=16))
        for block in (*swapped[:2], network.model.down, swapped[2]):
            x = block(x)
        expected = network.model.end(x.mean((-2, -1)))
        assert torch.equal(network(images(size=16)), expected)
        assert not torch.equal(expected, model(images(size=16)))


class Listed(Net):
    """It calls its blocks from a list that PyTorch does not know."""

    def __init__(self):
        super().__init__()
        self.chain = [self.first, self.second]

    def forward(self, x):
        x = self.start(x)
        for block in self.chain:
            x = block(x)
        return self.end(self.down(x).mean((-2, -1)))


class Dropping(Net):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x), 0.5)


def tied():
    model = Net()
    model.second.conv.weight = model.first.conv.weight
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Listed, "place of first is not called: .* a torch.nn.ModuleList"),
        (Dropping, "the same images the same logits; a:make does not"),
        (tied, "parameters of its own; in a:make second shares some with first"),
    ],
)
def test_networks_in_which_a_placement_would_be_another_one_are_refused(make, message):
    model = make()
    own_blocks = [model.first, model.second]
    with pytest.raises(InputError, match=message) as caught:
        small(model, ("first", "second"))
    assert "\n" not in str(caught.value)
    assert [model.first, model.second] == own_blocks


def test_frozen_networks_have_the_sizes_that_they_have():
    """Sizes of blocks are matched to what they replace, which was of size 0."""
    torch.manual_seed(0)
    trainable, frozen = Net(), Net().requires_grad_(False)
    placement = Placement.parse("MM-M")
    sizes = [
        small(model).architecture(placement).block_specs
        for model in (trainable, frozen)
    ]
    assert sizes[0] == sizes[1]
    parent = small(Net().requires_grad_(False))
    network = parent.network(parent.architecture(placement))
    assert count_params(network) == parent.architecture(placement).params


def test_a_fingerprint_is_of_the_bytes_of_any_type():
    one = Net()
    one.register_buffer("scale", torch.ones(3, dtype=torch.bfloat16))
    other = Net()
    other.load_state_dict({k: v for k, v in one.state_dict().items() if k != "scale"})
    other.register_buffer("scale", torch.ones(3, dtype=torch.bfloat16) * 1.0078125)
    assert small(one).fingerprint != small(other).fingerprint
    kept = Net()
    digest = hashlib.sha256(repr(("first", "second", "third")).encode())
    for name, tensor in sorted(kept.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    assert small(kept).fingerprint == digest.hexdigest()[:16]


def test_a_function_in_the_current_directory_is_found(tmp_path, monkeypatch):
    """As a user's `nas` finds it, whose own path begins where it is installed."""
    text = "from torch import nn\ndef make():\n    return nn.Conv2d(3, 3, 3)\n"
    (tmp_path / "beside_the_config.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", ".")])
    source = "beside_the_config:make"
    made = parent_network(source, num_classes=3, in_channels=3, image_size=8)
    assert isinstance(made, nn.Conv2d)


def test_fused_blocks_of_efficientnet_v2_are_slots_where_they_add():
    def fused(channels):
        settings = FusedMBConvConfig(2, 3, 1, 8, channels, 1)
        return FusedMBConv(settings, 0.0, nn.BatchNorm2d)

    body = nn.Sequential(fused(8), fused(16))
    end = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))
    model = nn.Sequential(nn.Conv2d(3, 8, 1), body, end)
    assert ModuleParent(model, "a:b", image_size=8).block_names == ("1.0",)
