"""Scores of a supernet's placements, against networks that are calibrated alone."""

from copy import deepcopy
from itertools import product

import pytest
import torch
from torch import nn

from evaluators.classification.accuracy import Accuracy
from nas.config import config_from_dict
from nas.data.augmentation import make_augmentation
from nas.data.datasets import load_dataset
from nas.scoring.supernet_scores import SupernetScores
from nas.scoring.supernet_training import drawn_supernet

CALIBRATION = 300
"""Two batches of different sizes."""


@pytest.fixture(scope="module")
def parts():
    config = config_from_dict(
        {
            "data": {"name": "digits", "max_train": 400, "max_validation": 60},
            "space": {
                "backbone": {
                    "block": "basic", "stem": "patch2",
                    "depths": [2, 1], "widths": [4, 8],
                },
                "attention": {"heads": 1},
                "kinds": ["CM", "CMP"],
                "strided_msas": True,
            },
            "training": {"crop_padding": 1, "horizontal_flip": 0.5},
        }
    )  # fmt: skip
    dataset = load_dataset(config.data)
    space = config.space.make(
        dataset.num_classes, dataset.in_channels, dataset.image_size
    )
    supernet = drawn_supernet(space, 0)
    generator = torch.Generator().manual_seed(3)
    for module in supernet.modules():  # as if it were trained
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                for tensor in (module.weight, module.bias, module.running_mean):
                    tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator))
    return config, dataset, supernet


def calibrated_alone(config, dataset, supernet, letters, batchnorm, seed):
    """torch's own cumulative average, one network, nothing shared."""
    network = deepcopy(supernet.path(letters)).eval()
    if batchnorm == "kept":
        return network
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
            module.train()
    augment = None
    if batchnorm == "augmented":
        augment = make_augmentation(config.training, dataset.image_size)
    images = dataset.image_set(dataset.train)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)[:CALIBRATION]
    with torch.no_grad():
        for rows in torch.split(order, 250):
            pixels = images.pixels(rows, torch.device("cpu"))
            if augment is not None:
                pixels = augment(pixels, generator)
            network(images.normalise(pixels))
    return network.eval()


@pytest.mark.parametrize("batchnorm", ["augmented", "plain", "kept"])
def test_scores_are_those_of_networks_calibrated_alone(parts, batchnorm):
    config, dataset, supernet = parts
    reader = SupernetScores(
        deepcopy(supernet),
        dataset,
        config.training,
        batchnorm=batchnorm,
        calibration_images=CALIBRATION,
        seed=4,
    )
    placements = ["".join(one) for one in product(*supernet.letters)]
    found = reader.scores(placements)
    assert sorted(found) == sorted(placements)
    nlls = {one: found[one].metrics["nll"] for one in placements}
    assert len({round(value, 9) for value in nlls.values()}) == len(placements)
    data = dataset.evaluation_data()
    for letters in placements:
        network = calibrated_alone(config, dataset, supernet, letters, batchnorm, 4)
        truth = Accuracy().evaluate(network, data)
        for metric in ("accuracy", "nll"):
            value = found[letters].metrics[metric]
            assert value == pytest.approx(truth.metrics[metric], rel=1e-4)
            error = found[letters].standard_errors[metric]
            assert error == pytest.approx(truth.standard_errors[metric], rel=1e-3)
        ours = Accuracy().evaluate(reader.network(letters), data)
        assert ours.metrics["nll"] == pytest.approx(nlls[letters], rel=1e-6)


def test_a_score_does_not_depend_on_what_is_scored_with_it(parts):
    """Sharing prefixes is exact: alone, together and in another order are equal."""
    config, dataset, supernet = parts

    def scores(placements):
        reader = SupernetScores(
            deepcopy(supernet), dataset, config.training, calibration_images=100
        )
        return {one: r.metrics for one, r in reader.scores(placements).items()}

    together = scores(["CCC", "CCM", "MCC", "MMP"])
    assert scores(["MMP", "CCM", "MCC", "CCC", "CMC"]).items() >= together.items()
    for letters, metrics in together.items():
        assert scores([letters]) == {letters: metrics}


def test_reading_leaves_the_weights_alone(parts):
    config, dataset, supernet = parts
    own = deepcopy(supernet)
    SupernetScores(
        own, dataset, config.training, calibration_images=100, num_images=30
    ).scores(["CMC"])
    for (name, before), after in zip(
        supernet.named_parameters(), own.parameters(), strict=True
    ):
        assert torch.equal(before, after), name
    momenta = {m.momentum for m in own.modules() if isinstance(m, nn.BatchNorm2d)}
    assert momenta == {0.1}
