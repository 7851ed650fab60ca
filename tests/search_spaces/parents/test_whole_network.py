import builtins

import pytest
import torch

from search_spaces import Architecture, InputError, count_params
from search_spaces.parents.network_name import is_network, parse_network
from search_spaces.parents.whole_network import (
    default_patch,
    network_of,
    whole_network,
)

TINY_VIT = "timm:vit_tiny_patch16_224,patch_size=4,depth=1,embed_dim=24,num_heads=3"


def whole(source, **changes):
    return whole_network(
        source, **({"num_classes": 4, "in_channels": 3, "image_size": 12} | changes)
    )


@pytest.mark.parametrize("source", ["vit,width=8,depth=2,reach=3", TINY_VIT])
def test_a_network_is_an_architecture_with_a_file(source):
    architecture = whole(source)
    assert Architecture.from_yaml(architecture.to_yaml()) == architecture
    net = network_of(architecture)
    assert net(torch.zeros(2, 3, 12, 12)).shape == (2, 4)
    assert count_params(net) == architecture.params
    assert architecture.macs > 0


def test_macs_of_a_vit_are_those_counted_by_hand():
    tokens, width, patch = 16, 8, 3
    layer = tokens * width * (3 * width + width + 8 * width) + 2 * tokens**2 * width
    by_hand = tokens * width * 3 * patch**2 + 2 * layer + width * 4
    local = whole("vit,patch=3,width=8,depth=2,heads=2,reach=3")
    assert local.macs == whole("vit,patch=3,width=8,depth=2,heads=2").macs == by_hand


def test_spelling_does_not_make_another_network_but_options_and_images_do():
    assert whole("vit,depth=1,width=8") == whole("vit,width=8,depth=1")
    assert whole("vit,depth=1,width=8") != whole("vit,depth=2,width=8")
    assert whole("vit,depth=1") != whole("vit,depth=1", image_size=24)


def test_lists_and_other_values_survive_the_name():
    _, _, options = parse_network("timm:x,depths=[2,2,6],act=gelu,flag=true,rate=0.5")
    assert options == {"depths": [2, 2, 6], "act": "gelu", "flag": True, "rate": 0.5}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("timm:vit_tinny", "timm has no model 'vit_tinny'; there are"),
        ("torchvision:resnet17", "torchvision has no model"),
        (f"{TINY_VIT},no_such=1", "timm cannot build"),
        ("timm:vit_tiny_patch16_224", "cannot take images of 3 channels and 12 px"),
        ("vit,colour=1", "a vit has no option 'colour'; it has patch"),
        ("vit,num_classes=3", "num_classes of a network follows from the images"),
        ("vit,width=8,width=8", "a network is timm:NAME"),
        ("vit:small", "a network is timm:NAME"),
        ("timm:", "a network is timm:NAME"),
        ("keras:vgg", "a network is timm:NAME"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(source, message):
    with pytest.raises(InputError, match=message) as caught:
        whole(source)
    assert "\n" not in str(caught.value)


def test_without_timm_one_line_says_how_to_get_it(monkeypatch):
    original = builtins.__import__

    def missing(name, *rest, **more):
        if name.split(".")[0] == "timm":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match="pip install timm"):
        whole(TINY_VIT)


def test_a_placement_cannot_change_a_whole_network():
    data = whole("vit,depth=1,width=8").to_dict()
    data["placement"] = "M"
    with pytest.raises(InputError, match="is trained as it is"):
        network_of(Architecture.from_dict(data))


def test_files_are_no_networks():
    names = ["vit", "vit,depth=1", "timm:resnet10t", "torchvision:resnet18"]
    assert all(is_network(name) for name in names)
    assert not any(is_network(n) for n in ["vit.yaml", "runs/vit", "a:b", "timm"])


@pytest.mark.parametrize(
    ("size", "patch"), [(24, 3), (28, 4), (32, 4), (64, 8), (224, 28), (31, 1), (8, 1)]
)
def test_patches_make_about_eight_tokens_a_side(size, patch):
    assert default_patch(size) == patch
