import pytest

from nas.claims.networks import LABELS, compared, vit_width
from nas.claims.plan import ClaimsPlan, load_plan
from search_spaces import InputError
from search_spaces.parents.whole_network import whole_network

SMALL = [
    "data.name=fake",
    "space.backbone={block: basic, stem: cifar, depths: [2, 2], widths: [8, 16]}",
    "space.attention={heads: [1, 2], window: auto, size: matched}",
    "claims.vit_depth=2",
]


def test_the_networks_have_the_macs_of_the_resnet():
    found = compared(*load_plan("quickstart", SMALL))
    assert [one.label for one in found] == list(LABELS)
    macs = [one.architecture.macs for one in found]
    assert all(abs(m / macs[0] - 1) <= 0.1 for m in macs)
    assert macs[2] == macs[3] == macs[4]
    assert len({one.architecture.id for one in found}) == 5
    assert str(found[1].architecture.placement) == "CC-CM"


@pytest.mark.parametrize("wanted", [200_000, 1_000_000])
def test_the_width_is_the_nearest_there_is(wanted):
    plan, shape = ClaimsPlan(vit_depth=2), (10, 3, 24)

    def macs(width):
        return whole_network(
            f"vit,patch=3,width={width},depth=2",
            num_classes=10,
            in_channels=3,
            image_size=24,
        ).macs

    width = vit_width(wanted, plan, shape)
    here, *others = (abs(macs(w) - wanted) for w in (width, width - 2, width + 2))
    assert here <= min(others)


def test_an_alternet_that_is_too_large_gets_other_heads():
    changes = [*SMALL, "space.attention={heads: [8, 8], head_dim: 64}"]
    found = compared(*load_plan("quickstart", changes))
    resnet, alternet = (one.architecture for one in found[:2])
    assert abs(alternet.macs / resnet.macs - 1) <= 0.1


def test_what_cannot_be_made_equal_is_refused_before_anything_runs():
    with pytest.raises(InputError, match="claims.mac_tolerance 0.0001; "):
        compared(*load_plan("quickstart", [*SMALL, "claims.mac_tolerance=0.0001"]))
    one = "space.backbone={block: basic, stem: cifar, depths: [1, 1], widths: [8, 16]}"
    with pytest.raises(InputError, match="must put an MSA somewhere"):
        compared(*load_plan("quickstart", [*SMALL, one]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("claims.seeds=1", "claims.seeds: .*, got 1"),
        ("claims.sedes=3", "unknown key 'claims.sedes'; allowed here: seeds, mac_tol"),
        ("claims=[1]", "claims"),
        ("training.epochs=0", "training.epochs"),
        ("evaluators.flatness.no=1", "has no option 'no'"),
    ],
)
def test_a_wrong_setting_is_one_line(change, message):
    with pytest.raises(InputError, match=message) as caught:
        load_plan("quickstart", [change])
    assert "\n" not in str(caught.value)


def test_options_of_evaluators_are_kept_and_those_needed_added():
    config, _ = load_plan("quickstart", ["evaluators.flatness.max_batches=3"])
    assert config.evaluators["flatness"] == {"max_batches": 3}
    assert {"cka", "lesion", "training_nll"} <= set(config.evaluators)
    assert "sharpness" not in config.evaluators


def test_there_is_no_such_config():
    with pytest.raises(InputError, match="a config is a YAML file or a preset"):
        load_plan("nowhere.yaml")
