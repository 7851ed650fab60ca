"""Truth: loops over images and bins, and cases solved by hand."""

import math

import pytest
import torch
from block_cases import alternet, random_data
from torch import nn

from evaluators.classification.calibration import Calibration, ReliabilityBins
from evaluators.data import EvaluationData, ImageSet
from search_spaces.errors import InputError


def naive_ece(confidence: list[float], correct: list[float], num_bins: int) -> float:
    total = 0.0
    for index in range(num_bins):
        low, high = index / num_bins, (index + 1) / num_bins
        members = [
            i
            for i, value in enumerate(confidence)
            if low < value <= high or (index == 0 and value == 0)
        ]
        if members:
            gap = sum(correct[i] for i in members) - sum(confidence[i] for i in members)
            total += abs(gap)
    return total / len(confidence)


@pytest.mark.parametrize("num_bins", [1, 7, 10, 15])
def test_ece_equals_a_loop(num_bins):
    generator = torch.Generator().manual_seed(num_bins)
    confidence = torch.rand(500, generator=generator, dtype=torch.float64)
    correct = (torch.rand(500, generator=generator) < confidence).double()
    bins = ReliabilityBins.of(confidence, correct, num_bins)
    expected = naive_ece(confidence.tolist(), correct.tolist(), num_bins)
    assert bins.ece() == pytest.approx(expected, abs=1e-12)
    assert float(bins.counts.sum()) == 500


def test_bins_are_closed_on_the_right():
    confidence = torch.tensor([0.0, 0.5, 0.500001, 1.0], dtype=torch.float64)
    bins = ReliabilityBins.of(confidence, torch.ones(4).double(), 2)
    assert bins.counts.tolist() == [2, 2]


class Fixed(nn.Module):
    """Says class 0 with probability 0.75, whatever the image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = torch.tensor([math.log(3.0), 0.0])
        return logits.expand(len(x), 2)


def labelled(labels: list[int]) -> EvaluationData:
    split = ImageSet(
        torch.zeros(len(labels), 1, 2, 2), torch.tensor(labels), (0.0,), (1.0,)
    )
    return EvaluationData(split, split)


@pytest.mark.parametrize(
    ("labels", "ece"), [([0, 0, 0, 1] * 5, 0.0), ([0] * 8, 0.25), ([1] * 8, 0.75)]
)
def test_a_constant_prediction_by_hand(labels, ece):
    result = Calibration().evaluate(Fixed(), labelled(labels))
    wrong = sum(labels) / len(labels)
    nll = -(1 - wrong) * math.log(0.75) - wrong * math.log(0.25)
    brier = (1 - wrong) * 2 * 0.25**2 + wrong * 2 * 0.75**2
    assert result.metrics["ece"] == pytest.approx(ece, abs=1e-7)
    assert result.metrics["nll"] == pytest.approx(nll, abs=1e-6)
    assert result.metrics["brier"] == pytest.approx(brier, abs=1e-6)
    assert result.details["bins"]["counts"][11] == len(labels)


def test_a_network_equals_loops_over_its_images():
    net, data = alternet(), random_data(num_images=33)
    images, labels = data.validation.batch(slice(None), torch.device("cpu"))
    with torch.no_grad():
        probabilities = net(images).double().softmax(1)
    nll, brier, confidence, correct = [], [], [], []
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        nll.append(-math.log(row[label]))
        brier.append(sum((p - (c == label)) ** 2 for c, p in enumerate(row)))
        confidence.append(max(row))
        correct.append(float(row.index(max(row)) == label))
    result = Calibration(batch_size=10).evaluate(net, data)
    assert result.metrics["nll"] == pytest.approx(sum(nll) / 33, rel=1e-5)
    assert result.metrics["brier"] == pytest.approx(sum(brier) / 33, rel=1e-5)
    expected = naive_ece(confidence, correct, 15)
    assert result.metrics["ece"] == pytest.approx(expected, rel=1e-5)
    spread = float(torch.tensor(nll).std()) / 33**0.5
    assert result.standard_errors["nll"] == pytest.approx(spread, rel=1e-4)


def test_the_error_of_the_ece_shrinks_with_the_number_of_images():
    net = alternet()
    few, many = (
        Calibration().evaluate(net, random_data(num_images=num)).standard_errors["ece"]
        for num in (40, 1000)
    )
    # 25 times the images: a fifth of the error, roughly.
    assert 2 < few / many < 12


def test_options_are_checked():
    with pytest.raises(InputError, match="'num_bins' .* at least 1, got 0"):
        Calibration(num_bins=0)
