"""Truth: ``Tensor.var`` as in the paper's notebook."""

from math import log

import pytest
import torch
from block_cases import alternet, random_data, walk
from torch import nn

from evaluators.blocks.feature_variance import FeatureVariance, spatial_variances
from evaluators.data import EvaluationData, ImageSet
from evaluators.evaluator import EvaluationError


@pytest.mark.parametrize("mean", [0.0, 100.0])
@pytest.mark.parametrize("shape", [(3, 4, 5, 5), (2, 3, 4, 6), (2, 1, 1, 2)])
def test_equals_torch_var(shape, mean):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + mean
    expected = x.double().var(dim=(-1, -2)).mean(dim=1, keepdim=True)
    torch.testing.assert_close(
        spatial_variances(x).double(), expected, rtol=1e-4, atol=0
    )


def test_a_checkerboard_by_hand():
    x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).view(1, 1, 2, 2)
    assert float(spatial_variances(x)) == pytest.approx(4 / 3)


def test_alternet_equals_a_naive_twin():
    net = alternet("CM-CMC")
    data = random_data(num_images=19)
    result = FeatureVariance(batch_size=8).evaluate(net, data)
    images, _ = data.validation.batch(slice(None), torch.device("cpu"))
    truth = [
        {k: x.double().var(dim=(-1, -2)).mean().item() for k, x in block.items()}
        for block in walk(net, images)
    ]
    changes = [log(block["after"] / block["before"]) for block in truth]
    for row, block, change in zip(
        result.details["blocks"], truth, changes, strict=True
    ):
        assert row["after"] == pytest.approx(block["after"], rel=1e-4)
        assert row["change"] == pytest.approx(change, abs=1e-4)
        branch = log(block["branch"] / block["before"])
        assert row["branch_change"] == pytest.approx(branch, abs=1e-3)
    for suffix, members in (("", range(5)), ("_msa", [1, 3]), ("_conv", [0, 2, 4])):
        expected = sum(changes[i] for i in members) / len(list(members))
        assert result.metrics[f"variance_change{suffix}"] == pytest.approx(
            expected, abs=1e-4
        )


def test_standard_error_covers_the_spread_of_resampled_images():
    net = alternet("CM-CM")
    num = 200
    data = random_data(num_images=num)
    # Images of different contrast, so that their variances differ.
    contrast = torch.rand(num, 1, 1, 1, generator=torch.Generator().manual_seed(3))
    images = ImageSet(
        data.validation.images * contrast,
        data.validation.labels,
        data.validation.mean,
        data.validation.std,
    )
    reported = FeatureVariance().evaluate(net, EvaluationData(images, images))
    generator = torch.Generator().manual_seed(5)
    resampled = []
    for _ in range(40):
        rows = torch.randint(num, (num,), generator=generator)
        part = ImageSet(
            images.images[rows], images.labels[rows], images.mean, images.std
        )
        metrics = FeatureVariance()(net, EvaluationData(part, part))
        resampled.append(metrics["variance_change"])
    bootstrap = float(torch.tensor(resampled).std())
    # 40 resamples know their spread to about 11 %.
    assert reported.standard_errors["variance_change"] == pytest.approx(
        bootstrap, rel=0.35
    )


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.block = nn.Identity()
        self.block.register_forward_hook(lambda _, __, x: x * factor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x).mean((2, 3))


def test_scaling_by_three_adds_the_log_of_nine():
    result = FeatureVariance(blocks=("block:msa",)).evaluate(
        Scaled(3.0), random_data(image_size=6)
    )
    assert result.metrics["variance_change_msa"] == pytest.approx(log(9), abs=1e-5)
    assert result.standard_errors["variance_change_msa"] < 1e-5


def test_a_collapsed_network_is_named():
    with pytest.raises(EvaluationError, match="block block is constant"):
        FeatureVariance(blocks=("block",)).evaluate(
            Scaled(0.0), random_data(image_size=6)
        )
