"""Training of a supernet: against a loop written out, resumed, and its recipe."""

import pytest
import torch
from torch.nn import functional

from nas.config import config_from_dict
from nas.config.supernet import SupernetConfig
from nas.data.datasets import load_dataset
from nas.scoring.optimizer import make_optimizer
from nas.scoring.path_sampling import PathSampling
from nas.scoring.supernet_training import (
    drawn_supernet,
    supernet_recipe,
    train_supernet,
)


@pytest.fixture(scope="module")
def config():
    return config_from_dict(
        {
            "data": {"name": "digits", "max_train": 64},
            "space": {
                "backbone": {
                    "block": "basic", "stem": "patch2",
                    "depths": [1, 1], "widths": [4, 8],
                },
                "attention": {"heads": 1},
                "kinds": "CM",
                "strided_msas": True,
            },
            "training": {
                "epochs": 2, "warmup_epochs": 0, "batch_size": 32, "drop_path": 0.5,
                "crop_padding": 0, "horizontal_flip": 0, "clip_norm": 0,
                "label_smoothing": 0, "optimizer": "sgd", "learning_rate": 0.05,
            },
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def dataset(config):
    return load_dataset(config.data)


@pytest.fixture(scope="module")
def space(config, dataset):
    return config.space.make(
        dataset.num_classes, dataset.in_channels, dataset.image_size
    )


def test_the_recipe_is_that_of_the_candidates_longer_and_without_drop_path(config):
    recipe = supernet_recipe(config.training, SupernetConfig())
    assert (recipe.epochs, recipe.drop_path) == (6, 0)
    assert recipe.weight_decay == config.training.weight_decay
    changed = supernet_recipe(
        config.training, SupernetConfig(epochs=4, weight_decay=0, averaging=0.9)
    )
    assert (changed.epochs, changed.weight_decay, changed.averaging) == (4, 0, 0.9)


def test_a_step_takes_the_mean_gradient_of_its_paths(config, dataset, space):
    """One epoch of two steps, against a loop that is written out here."""
    settings = SupernetConfig(epochs=1)
    ours = train_supernet(space, dataset, config.training, settings, seed=5)
    recipe = supernet_recipe(config.training, settings)
    theirs = drawn_supernet(space, 5).train().to(memory_format=torch.channels_last)
    optimizer = make_optimizer(theirs, recipe)
    images = dataset.image_set(dataset.train)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(5))
    sampling = PathSampling(theirs.letters, "pairs", 5)
    for step in range(2):
        batch, labels = images.batch(order[32 * step :][:32], torch.device("cpu"))
        batch = batch.contiguous(memory_format=torch.channels_last)
        # half a cosine from the first step on, there is no warm-up
        rate = recipe.learning_rate * (1 + torch.cos(torch.tensor(step * torch.pi / 2)))
        optimizer.set_learning_rate(float(rate) / 2)
        optimizer.zero_grad()
        losses = [
            functional.cross_entropy(theirs(batch, path), labels)
            for path in sampling(step)
        ]
        assert len(losses) == 2
        (sum(losses) / 2).backward()
        optimizer.step()
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(
            ours.state_dict()[name], tensor, rtol=1e-4, atol=1e-5
        )


def test_every_block_learns(config, dataset, space):
    before = drawn_supernet(space, 0)
    after = train_supernet(
        space, dataset, config.training, SupernetConfig(epochs=1), seed=0
    )
    learned = dict(after.named_parameters())
    for name, tensor in before.named_parameters():
        if tensor.ndim > 1:  # a bias before a BatchNorm has no gradient
            assert not torch.equal(tensor, learned[name]), name


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_what_is_interrupted_ends_the_same(config, dataset, space, tmp_path, averaging):
    settings = SupernetConfig(epochs=3, averaging=averaging)

    class Stop(Exception):
        pass

    def stop(epoch):
        if epoch.epoch == 2:
            raise Stop

    def trained(**options):
        return train_supernet(
            space, dataset, config.training, settings, seed=1, **options
        )

    whole = trained()
    checkpoint = tmp_path / "supernet.pt"
    with pytest.raises(Stop):
        trained(checkpoint=checkpoint, watch=stop)
    seen = []
    again = trained(checkpoint=checkpoint, watch=lambda e: seen.append(e.epoch))
    assert seen == [1, 2, 3]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_seeds_differ_and_the_same_seed_does_not(space):
    one, same, other = (drawn_supernet(space, seed) for seed in (0, 0, 1))
    name = "slots.0.M.reduce.weight"
    assert torch.equal(one.state_dict()[name], same.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])
