"""A library against truths that do not need it: identities, kills, other parents."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from nas.config import config_from_dict
from nas.data.datasets import load_dataset
from nas.scoring import library_fitting
from nas.scoring.block_library import LIBRARY_FILE, BlockLibrary
from nas.scoring.library_fitting import fit_library, missing_blocks, read_library
from nas.scoring.parent_space import replacements, with_parent
from nas.scoring.taught_block import STATE, TaughtBlock
from nas.scoring.training import DivergedError
from search_spaces import Architecture, Backbone, InputError, Placement
from search_spaces.parents.alternet_parent import AlterNetParent
from search_spaces.parents.module_parent import ModuleParent
from tests.search_spaces.blocks.test_strided_conv import strides_seen

BACKBONE = Backbone("basic", "patch2", (2, 2), (8, 16))


@pytest.fixture(scope="module")
def dataset():
    config = config_from_dict(settings()).data
    return load_dataset(config, quiet=True)


def settings(**library):
    return {
        "data": {
            "name": "digits",
            "image_size": 16,
            "max_train": 96,
            "max_validation": 40,
        },
        "parent": {
            "model": "planted",
            "library": {"epochs": 2, "images": 64, "batch_size": 32, **library},
        },
        "training": {"crop_padding": 1},
        "space": {"kinds": "CMP"},
    }


def make_parent(seed=0):
    torch.manual_seed(seed)
    architecture = Architecture(
        BACKBONE,
        Placement.parse("CC-CC"),
        num_classes=10,
        in_channels=1,
        image_size=16,
    )
    return AlterNetParent(architecture)


def make(dataset, **library):
    parent = make_parent()
    config = with_parent(config_from_dict(settings(**library)), parent)
    space = config.space.make(10, 1, 16)
    return parent, config, replacements(space)


def test_every_free_slot_and_kind_is_wanted(dataset):
    _, _, wanted = make(dataset)
    # 2.1 is strided
    keys = [
        (1, 1, "M"),
        (1, 1, "P"),
        (1, 2, "M"),
        (1, 2, "P"),
        (2, 2, "M"),
        (2, 2, "P"),
    ]
    assert sorted(wanted) == keys


def test_blocks_learn_and_the_parent_stays(dataset, tmp_path):
    parent, config, wanted = make(dataset, epochs=6, learning_rate=1e-2)
    before = {k: v.clone() for k, v in parent.model.state_dict().items()}
    library = fit_library(parent, wanted, dataset, config, tmp_path)
    assert all(torch.equal(v, before[k]) for k, v in parent.model.state_dict().items())
    untaught = {
        key: relative_error(parent, dataset, key, parent.candidate(spec).eval())
        for key, spec in wanted.items()
    }
    for key in wanted:
        assert library.errors[key] < untaught[key]
    hooks = [len(b._forward_hooks) for b in parent.own_blocks()]
    assert hooks == [0, 0, 0, 0]


def test_a_users_block_meets_no_strided_1x1_conv_while_it_learns(
    dataset, tmp_path, monkeypatch
):
    """oneDNN writes past a workspace in the weight gradients of such convs."""
    found = []

    class Strided(nn.Module):
        def __init__(self, spec):
            super().__init__()
            self.conv = nn.Conv2d(spec.in_channels, spec.out_channels, 1, stride=2)

        def forward(self, x):
            made = []
            strides = strides_seen(lambda: made.append(self.conv(x)))
            if torch.is_grad_enabled():
                found.extend(strides)
            return nn.functional.interpolate(made[0], scale_factor=2)

    parent, config, wanted = make(dataset, epochs=1, images=32)
    monkeypatch.setattr(parent, "candidate", Strided)
    fit_library(parent, wanted, dataset, config, tmp_path)
    assert set(found) == {(1, 1)}


@torch.no_grad()
def relative_error(parent, dataset, key, block):
    """Written out: one pass, all maps in memory, means of channels by hand."""
    slot = parent.slots.index(key[:2])
    images, _ = next(dataset.image_set(dataset.validation).batches(1000, cpu(), None))
    x = parent.model.stem(images)
    for own in parent.own_blocks()[:slot]:
        x = own(x)
    target = parent.own_blocks()[slot](x).double()
    spread = (target - target.mean((0, 2, 3), keepdim=True)).square().sum()
    return float((block(x).double() - target).square().sum() / spread)


def cpu():
    return torch.device("cpu")


def test_the_errors_are_those_of_a_naive_count(dataset, tmp_path):
    parent, config, wanted = make(dataset)
    library = fit_library(parent, wanted, dataset, config, tmp_path)
    for key, block in library.blocks.items():
        expected = relative_error(parent, dataset, key, block)
        assert library.errors[key] == pytest.approx(expected, rel=1e-5)


def test_the_parents_own_block_has_no_error_and_a_constant_has_one(dataset):
    parent, _, wanted = make(dataset)
    key = (1, 2, "M")

    class Fake:
        def __init__(self, block):
            self.block = block

    class Constant(torch.nn.Module):
        def forward(self, x):
            # the mean of each channel over the images that are measured
            return torch.zeros_like(x) + self.mean

    own = parent.own_blocks()[1]
    twin = Fake(copy.deepcopy(own))  # the parent's own is listened to itself
    found = library_fitting._errors(parent, {key: twin}, dataset, cpu())
    assert found[key] == 0
    constant = Constant()
    images, _ = next(dataset.image_set(dataset.validation).batches(1000, cpu(), None))
    with torch.no_grad():
        x = own(parent.own_blocks()[0](parent.model.stem(images)))
    constant.mean = x.mean((0, 2, 3), keepdim=True)
    found = library_fitting._errors(parent, {key: Fake(constant)}, dataset, cpu())
    assert found[key] == pytest.approx(1, rel=1e-5)


def same(one, other):
    return all(
        torch.equal(a, b)
        for key in one.blocks
        for a, b in zip(
            one.blocks[key].state_dict().values(),
            other.blocks[key].state_dict().values(),
            strict=True,
        )
    )


def test_a_killed_fit_goes_on_to_the_same_library(dataset, tmp_path, monkeypatch):
    parent, config, wanted = make(dataset)
    whole = fit_library(parent, wanted, dataset, config, tmp_path / "whole")
    real = TaughtBlock.keep
    kept = []

    def keep(fit):
        real(fit)
        kept.append(fit)
        if len(kept) == 3:  # in the middle of writing down the first epoch
            raise KeyboardInterrupt

    monkeypatch.setattr(TaughtBlock, "keep", keep)
    with pytest.raises(KeyboardInterrupt):
        fit_library(parent, wanted, dataset, config, tmp_path / "killed")
    monkeypatch.undo()
    assert len(list((tmp_path / "killed" / STATE).iterdir())) == 3
    again = fit_library(make_parent(), wanted, dataset, config, tmp_path / "killed")
    assert same(whole, again)
    assert again.errors == whole.errors
    assert [p.name for p in (tmp_path / "killed").iterdir()] == [LIBRARY_FILE]


def test_a_library_is_completed_not_made_again(dataset, tmp_path, monkeypatch):
    parent, config, wanted = make(dataset)
    first = {key: spec for key, spec in wanted.items() if key[2] == "M"}
    fit_library(parent, first, dataset, config, tmp_path)
    taught = []
    real = library_fitting._teach
    monkeypatch.setattr(
        library_fitting,
        "_teach",
        lambda parent, fits, *rest: (
            taught.append(sorted(fits)),
            real(parent, fits, *rest),
        ),
    )
    both = fit_library(parent, wanted, dataset, config, tmp_path)
    rest = sorted(set(wanted) - set(first))
    assert taught == [rest, rest]
    # A block does not depend on which others are in the library.
    alone = fit_library(parent, wanted, dataset, config, tmp_path / "alone")
    assert same(both, alone)
    taught.clear()
    assert same(both, fit_library(parent, wanted, dataset, config, tmp_path))
    assert taught == []


def test_blocks_that_were_made_otherwise_are_not_reused(dataset, tmp_path):
    parent, config, wanted = make(dataset)
    fit_library(parent, wanted, dataset, config, tmp_path)
    _, other, _ = make(dataset, epochs=3)
    made = {
        k: library_fitting._made(s, other.parent.library, other)
        for k, s in wanted.items()
    }
    assert not BlockLibrary.load(tmp_path, parent, wanted, made).blocks
    # Nor replaced behind the user's back by a search that names the directory.
    seen = dataset.fingerprint
    library_fitting.check_library(parent, wanted, config, tmp_path, seen)
    with pytest.raises(InputError, match="was fitted with other settings"):
        library_fitting.check_library(parent, wanted, other, tmp_path, seen)


def test_a_library_of_another_parent_is_refused(dataset, tmp_path):
    parent, config, wanted = make(dataset)
    fit_library(parent, wanted, dataset, config, tmp_path)
    with pytest.raises(InputError, match="a block library belongs to one parent") as e:
        fit_library(make_parent(1), wanted, dataset, config, tmp_path)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_files_that_are_no_library_are_refused(dataset, tmp_path, content):
    from safetensors.torch import save

    parent, config, wanted = make(dataset)
    content = save({"a": torch.zeros(1)}) if content is None else content
    (tmp_path / LIBRARY_FILE).write_bytes(content)
    with pytest.raises(InputError, match="block library"):
        fit_library(parent, wanted, dataset, config, tmp_path)


def test_one_slot_of_maps_at_a_time(dataset, tmp_path, monkeypatch):
    """Between two slots no map of an earlier one is alive."""
    import weakref

    parent, config, wanted = make(dataset, epochs=1)
    seen = []
    real = TaughtBlock.step
    alive = []

    def step(fit, inside, outside, *when):
        own = id(inside)
        alive.append(sum(1 for i, ref in seen if i != own and ref() is not None))
        real(fit, inside, outside, *when)
        if not any(i == own and ref() is inside for i, ref in seen):
            seen.append((own, weakref.ref(inside)))

    monkeypatch.setattr(TaughtBlock, "step", step)
    fit_library(parent, wanted, dataset, config, tmp_path)
    assert max(alive) == 0


def test_searched_settings_are_refused(dataset):
    config = config_from_dict(
        {**settings(), "space": {"choices": {"heads": [[1, 2], [1, 2]]}}}
    )
    with pytest.raises(InputError, match="one block per slot and kind"):
        with_parent(config, make_parent())


def test_a_space_without_free_slots_is_refused():
    parent = make_parent()
    config = with_parent(
        config_from_dict({**settings(), "space": {"kinds": "C"}}), parent
    )
    with pytest.raises(InputError, match="replaces no block of the parent"):
        replacements(config.space.make(10, 1, 16))


def test_blocks_of_other_kinds_stay_where_more_are_taught(dataset, tmp_path):
    """Two searches with one library: neither takes the other's blocks away."""
    parent, config, wanted = make(dataset, epochs=1)
    parts = {
        letter: {key: spec for key, spec in wanted.items() if key[2] == letter}
        for letter in "MP"
    }
    fits = {
        k: fit_library(parent, v, dataset, config, tmp_path) for k, v in parts.items()
    }
    both = read_library(parent, wanted, config, tmp_path)
    for letter, keys in parts.items():
        for key in keys:
            ours, theirs = both.blocks[key], fits[letter].blocks[key]
            assert ours.state_dict().keys() == theirs.state_dict().keys()
            for name, tensor in ours.state_dict().items():
                assert torch.equal(tensor, theirs.state_dict()[name])
            assert both.errors[key] == fits[letter].errors[key]
    # Blocks of another parent do not stay.
    other = make_parent(seed=1)
    replace(fits["M"], fingerprint=other.fingerprint).save(tmp_path)
    made = {**fits["M"].made, **fits["P"].made}
    assert set(BlockLibrary.load(tmp_path, other, wanted, made).blocks) == set(
        parts["M"]
    )


def test_a_library_of_other_images_is_refused_and_kept(dataset, tmp_path):
    parent, config, wanted = make(dataset, epochs=1)
    library = fit_library(parent, wanted, dataset, config, tmp_path)
    written = (tmp_path / LIBRARY_FILE).read_bytes()
    train = replace(dataset.train, images=255 - dataset.train.images)
    others = replace(dataset, train=train)
    with pytest.raises(InputError, match=r"1.1-M of .* learned from .*another direct"):
        fit_library(parent, wanted, others, config, tmp_path)
    assert (tmp_path / LIBRARY_FILE).read_bytes() == written
    # One that says nothing of its images, as before, is used.
    replace(library, images={}).save(tmp_path)
    fit_library(parent, wanted, others, config, tmp_path)


class Post(nn.Module):
    """A network with a post-activation block."""

    def __init__(self):
        super().__init__()
        self.start, self.block = nn.Conv2d(1, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.end = nn.Linear(8, 10)

    def forward(self, x):
        return self.end(self.block(self.start(x)).mean((2, 3)))


def test_blocks_before_another_activation_are_other_blocks(dataset, tmp_path):
    def lacking(activation):
        model = copy.deepcopy(network)
        slots = [f"block:{activation}"]
        parent = ModuleParent(model, "a:b", image_size=16, in_channels=1, slots=slots)
        config = with_parent(config_from_dict(settings(epochs=1)), parent)
        wanted = replacements(config.space.make(10, 1, 16))
        found = missing_blocks(parent, wanted, config, tmp_path)
        fit_library(parent, wanted, dataset, config, tmp_path)
        return found

    torch.manual_seed(0)
    network = Post()
    assert lacking("relu") == [(1, 1, "M"), (1, 1, "P")]
    assert lacking("relu") == []
    assert lacking("gelu") == [(1, 1, "M"), (1, 1, "P")]


def test_a_directory_that_cannot_be_made_is_said_before_anything_is_taught(
    dataset, tmp_path, monkeypatch
):
    parent, config, wanted = make(dataset)
    monkeypatch.setattr(library_fitting, "_teach", None)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="the block library .* cannot be made: Not a"):
        fit_library(parent, wanted, dataset, config, tmp_path / "file" / "library")


def test_older_libraries_are_known_by_what_they_say_of_their_making(dataset):
    _, config, wanted = make(dataset)
    key = next(iter(wanted))
    parent = make_parent()
    before = library_fitting._all_made(parent, wanted, config)[key]
    assert "'mean'" not in before
    data = config.data.model_copy(update={"mean": [0.0], "std": [1.0]})
    other = config.model_copy(update={"data": data})
    assert library_fitting._all_made(parent, wanted, other)[key] != before
    texts = set()
    for std in (0.0, 1.0):
        changes = {"randaugment": 5, "randaugment_library": "timm"}
        training = config.training.model_copy(
            update={**changes, "randaugment_std": std}
        )
        augmented = config.model_copy(update={"training": training})
        texts.add(library_fitting._all_made(parent, wanted, augmented)[key])
    assert len(texts) == 2


def test_what_is_random_in_a_users_block_follows_from_the_seed(
    dataset, tmp_path, monkeypatch
):
    parent, config, wanted = make(dataset)
    real = parent.candidate
    monkeypatch.setattr(
        parent, "candidate", lambda spec: nn.Sequential(real(spec), nn.Dropout(0.5))
    )
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        directory = tmp_path / str(seed)
        found.append(fit_library(parent, wanted, dataset, config, directory))
        assert torch.equal(torch.get_rng_state(), before)
    assert same(*found)


def test_blocks_that_diverge_are_no_library(dataset, tmp_path):
    parent, config, wanted = make(dataset, learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"blocks 1.1-M, .* a smaller parent.libr"):
        fit_library(parent, wanted, dataset, config, tmp_path)
    assert not (tmp_path / LIBRARY_FILE).exists()
