import math

import pytest
import torch
from torch import nn

from evaluators.data import EvaluationData, ImageSet
from evaluators.loss.training_nll import TrainingNLL


class Brightness(nn.Module):
    """Logits (pixel, 0): the NLL of class 1 is softplus(pixel)."""

    def forward(self, x):
        return torch.cat([x[:, :, 0, 0], torch.zeros_like(x[:, :, 0, 0])], dim=1)


def data(pixels, augment=None):
    images = torch.tensor(pixels).view(-1, 1, 1, 1)
    split = ImageSet(images, torch.ones(len(pixels), dtype=torch.int64), (0.0,), (1.0,))
    nothing = ImageSet(images[:0], split.labels[:0], (0.0,), (1.0,))
    return EvaluationData(split, nothing, augment)


def test_it_is_the_mean_softplus_of_known_logits():
    pixels = [0.0, 0.25, 0.5, 1.0]
    found = TrainingNLL(batch_size=2).evaluate(Brightness(), data(pixels))
    losses = [math.log1p(math.exp(p)) for p in pixels]
    assert found.metrics["train_nll"] == pytest.approx(sum(losses) / 4, rel=1e-6)
    spread = torch.tensor(losses).std() / 2
    assert found.standard_errors["train_nll"] == pytest.approx(float(spread), rel=1e-5)


def test_the_images_are_augmented_as_in_training():
    augmented = data([0.0] * 8, lambda pixels, _: pixels + 1.0)
    found = TrainingNLL().evaluate(Brightness(), augmented)
    assert found.metrics["train_nll"] == pytest.approx(math.log1p(math.e), rel=1e-6)
    assert found.details == {"num_images": 8, "augmented": True}
