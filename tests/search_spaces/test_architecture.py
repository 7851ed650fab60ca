from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Architecture, Attention, Backbone, InputError, Placement
from search_spaces.counting import count_params

PAPER = """\
format: alternet/1
backbone: {preset: resnet50, stem: imagenet}
placement: CCC-CCCM-CMCMCM-CMCM
attention: {heads: [3, 6, 12, 24], head_dim: 64, window: 7}
num_classes: 1000
in_channels: 3
image_size: 224
"""


@st.composite
def architectures(draw):
    depths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    kind = draw(st.sampled_from(["basic", "bottleneck"]))
    widths = [4 * draw(st.integers(1, 4)) for _ in depths]
    backbone = Backbone(
        kind, draw(st.sampled_from(["cifar", "patch2"])), depths, widths
    )
    placement = Placement(
        tuple(draw(st.text("CM", min_size=d, max_size=d)) for d in depths)
    )
    attention = Attention(
        tuple(draw(st.integers(1, 4)) for _ in depths),
        draw(st.integers(1, 8)),
        "auto",
        draw(st.sampled_from(["reference", "matched"])),
    )
    return Architecture(
        backbone,
        placement,
        attention,
        draw(st.integers(2, 12)),
        draw(st.integers(1, 4)),
        draw(st.sampled_from([16, 20, 28, 32])),
    )


@given(architectures())
@settings(max_examples=50, deadline=None)
def test_yaml_round_trip_keeps_the_network(architecture):
    again = Architecture.from_yaml(architecture.to_yaml())
    assert again == architecture
    assert again.id == architecture.id
    assert hash(again) == hash(architecture)
    assert again.to_yaml() == architecture.to_yaml()


@given(architectures())
@settings(max_examples=25, deadline=None)
def test_params_are_those_of_the_built_net(architecture):
    assert architecture.params == count_params(architecture.build())


def test_the_paper_file_reads_and_prints(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(PAPER)
    architecture = Architecture.from_yaml(path)
    assert str(architecture.placement) == "CCC-CCCM-CMCMCM-CMCM"
    assert architecture.params == 35_915_038
    assert Architecture.from_yaml(str(path)) == architecture
    architecture.to_yaml(tmp_path / "b.yaml")
    assert Architecture.from_yaml(tmp_path / "b.yaml") == architecture


# Parameter counts of the reference (models/alternet.py), executed.
@pytest.mark.parametrize(
    ("depth", "counts", "imagenet", "cifar100"),
    [
        (18, (0, 1, 1, 1), 9_968_803, 9_499_063),
        (34, (0, 1, 3, 2), 22_833_054, 22_362_954),
        (50, (0, 1, 3, 2), 35_915_038, 34_062_538),
        (101, (0, 1, 3, 2), 54_907_166, 53_054_666),
        (152, (0, 1, 3, 2), 70_550_814, 68_698_314),
    ],
)
def test_parameters_equal_the_reference(depth, counts, imagenet, cifar100):
    for stem, window, size, classes, expected in (
        ("imagenet", 7, 224, 1000, imagenet),
        ("cifar", 4, 32, 100, cifar100),
    ):
        backbone = Backbone.preset(f"resnet{depth}", stem)
        architecture = Architecture(
            backbone,
            Placement.alternating(backbone.depths, counts),
            Attention(window=window),
            classes,
            image_size=size,
        )
        assert architecture.params == expected


def small(**changes):
    base = Architecture(
        Backbone("basic", "cifar", (2, 2), (8, 16)),
        Placement.parse("CC-CM"),
        Attention(heads=(1, 2), head_dim=4),
        10,
        3,
        16,
    )
    return replace(base, **changes)


def test_the_id_ignores_what_does_not_change_the_network():
    one = small()
    assert small(attention=Attention(heads=(9, 2), head_dim=(7, 4))) == one
    assert (
        small(attention=Attention(heads=(1, 2), head_dim=4, window=("auto", 4))) == one
    )
    preset = Backbone.preset("resnet18", "cifar")
    spelled = replace(preset, name="")
    placement = Placement.parse("CC-CM-CM-CM")
    first, second = (
        Architecture(backbone, placement, image_size=32)
        for backbone in (preset, spelled)
    )
    assert first == second


@pytest.mark.parametrize(
    "changes",
    [
        {"placement": Placement.parse("CM-CC")},
        {"attention": Attention(heads=(1, 3), head_dim=4)},
        {"attention": Attention(heads=(1, 2), head_dim=5)},
        {"attention": Attention(heads=(1, 2), head_dim=4, window=2)},
        {"attention": Attention(heads=(1, 2), head_dim=4, size="matched")},
        {"num_classes": 11},
        {"in_channels": 1},
        {"image_size": 32},
        {"backbone": Backbone("basic", "patch2", (2, 2), (8, 16))},
        {"backbone": Backbone("basic", "cifar", (2, 2), (8, 12))},
    ],
)
def test_the_id_changes_with_the_network(changes):
    assert small(**changes).id != small().id


def test_only_windows_of_msa_stages_must_fit():
    small(attention=Attention(window=(5, 4)))  # stage 1 has no MSA
    with pytest.raises(InputError, match="window 5 does not divide the 8x8 map"):
        small(attention=Attention(window=(5, 5)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "alternet/9"}, "starts with 'format: alternet/1'"),
        ({"extra": 1}, "has no key 'extra'; allowed: format, backbone"),
        ({"placement": None}, "written as text"),
        ({"placement": "CCC"}, "one stage for each of the backbone's 4"),
        ({"backbone": {"preset": "resnet51"}}, "unknown backbone preset"),
        ({"backbone": {"preset": "resnet50", "depth": 3}}, "has no key 'depth'"),
        ({"backbone": 5}, "a backbone is a mapping"),
        ({"attention": {"head": 3}}, "attention has no key 'head'"),
        ({"attention": {"window": 5}}, "window 5 does not divide the 28x28 map"),
        ({"num_classes": 0}, "num_classes is a positive whole number, got 0"),
        ({"num_classes": "ten"}, "num_classes is a positive whole number"),
        ({"image_size": 4}, "too small"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, change, message):
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(PAPER), **change}))
    with pytest.raises(InputError, match=message) as caught:
        Architecture.from_yaml(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_keys_and_files_are_named(tmp_path):
    with pytest.raises(InputError, match="needs the key 'placement'"):
        Architecture.from_dict(
            {"format": "alternet/1", "backbone": "tiny", "num_classes": 3}
        )
    with pytest.raises(InputError, match="nowhere.yaml"):
        Architecture.from_yaml(tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("format: [")
    with pytest.raises(InputError, match="must be YAML"):
        Architecture.from_yaml(broken)


def test_yaml_objects_are_not_built(tmp_path):
    evil = tmp_path / "evil.yaml"
    evil.write_text("!!python/object/apply:os.system ['true']\n")
    with pytest.raises(InputError, match="must be YAML"):
        Architecture.from_yaml(evil)
