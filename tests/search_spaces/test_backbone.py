import pytest

from search_spaces import PRESETS, Backbone, InputError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_resolve_by_name(name):
    backbone = Backbone.preset(name)
    assert backbone.name == name
    assert Backbone.preset(name, "cifar").stem == "cifar"


@pytest.mark.parametrize(
    ("stem", "image_size", "sizes"),
    [
        ("imagenet", 224, (56, 28, 14, 7)),
        ("cifar", 32, (32, 16, 8, 4)),
        ("patch2", 32, (16, 8, 4, 2)),
        ("patch2", 28, (14, 7, 4, 2)),  # odd maps round up
        ("cifar", 30, (30, 15, 8, 4)),
    ],
)
def test_map_sizes(stem, image_size, sizes):
    assert Backbone.preset("resnet18", stem).map_sizes(image_size) == sizes


def test_an_image_too_small_is_refused():
    with pytest.raises(InputError, match="too small for stem imagenet"):
        Backbone.preset("resnet18").map_sizes(8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block": "wide"}, "block is one of basic, bottleneck; got 'wide'"),
        ({"stem": "x"}, "stem is one of imagenet, cifar, patch2; got 'x'"),
        ({"depths": (2,)}, "one depth and one width per stage"),
        ({"depths": (2, 0)}, "depths is a list of positive whole numbers"),
        ({"widths": (8, 1.5)}, "widths is a list of positive whole numbers"),
        ({"widths": (True, 8)}, "widths is a list of positive whole numbers"),
        ({"strides": (1,)}, "needs as many strides"),
        ({"strides": (1, 3)}, "a stride is 1 or 2"),
        ({"block": "bottleneck", "widths": (6, 8)}, "multiples of 4"),
    ],
)
def test_bad_backbones_are_refused(changes, message):
    good = {"block": "basic", "stem": "cifar", "depths": (2, 2), "widths": (8, 16)}
    Backbone(**good)
    with pytest.raises(InputError, match=message):
        Backbone(**{**good, **changes})


def test_an_unknown_preset_lists_the_known():
    with pytest.raises(InputError, match="there are resnet18, .*tiny"):
        Backbone.preset("resnet19")
