import pytest
import torch
from block_cases import alternet, random_data
from torch import nn

from evaluators.classification.accuracy import Accuracy
from evaluators.classification.calibration import Calibration
from evaluators.data import EvaluationData, ImageSet
from evaluators.evaluator import EvaluationError


@pytest.mark.parametrize("batch_size", [7, 256])
def test_counts_every_image_once(batch_size):
    net, data = alternet(), random_data(num_images=33)
    right = 0
    with torch.no_grad():
        for i in range(33):
            image, label = data.validation.batch(slice(i, i + 1), torch.device("cpu"))
            right += int(net(image)[0].argmax() == label[0])
    assert 0 < right < 33
    result = Accuracy(batch_size=batch_size).evaluate(net, data)
    accuracy = right / 33
    assert result.metrics["accuracy"] == pytest.approx(accuracy)
    error = (accuracy * (1 - accuracy) / 32) ** 0.5
    assert result.standard_errors["accuracy"] == pytest.approx(error)


def test_a_test_time_flip_is_the_mean_of_two_forward_passes():
    net, data = alternet(), random_data(num_images=33)
    with torch.no_grad():
        images, labels = data.validation.batch(slice(None), torch.device("cpu"))
        logits = (net(images) + net(images.flip(3))) / 2
    nll = float(nn.functional.cross_entropy(logits, labels))
    right = float((logits.argmax(1) == labels).float().mean())
    result = Accuracy(test_time_flip=True, batch_size=10)(net, data)
    assert result["accuracy"] == pytest.approx(right)
    assert result["nll"] == pytest.approx(nll, rel=1e-5)
    assert result["nll"] != Accuracy()(net, data)["nll"]


def test_nll_and_ece_are_those_of_calibration():
    net, data = alternet(), random_data()
    accuracy, calibration = Accuracy()(net, data), Calibration()(net, data)
    for name in ("nll", "ece"):
        assert accuracy[name] == calibration[name]


def test_max_images():
    net, data = alternet(), random_data(num_images=30)
    head = data.validation
    part = head.order(12)
    head = ImageSet(head.images[part], head.labels[part], head.mean, head.std)
    short = Accuracy().evaluate(net, EvaluationData(head, head))
    found = Accuracy(max_images=12).evaluate(net, data).metrics
    # Sums of other lengths are added in another order, on some processors.
    assert found == pytest.approx(short.metrics, rel=1e-12)


class Noisy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.randn(len(x), 4)


class Pooled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_a_random_forward_pass_is_refused():
    with pytest.raises(EvaluationError, match="two forward passes .* differ"):
        Accuracy().evaluate(Noisy(), random_data())


def test_outputs_that_are_no_logits_are_refused():
    with pytest.raises(EvaluationError, match=r"logits \(batch, classes\), got"):
        Accuracy().evaluate(Pooled(), random_data())


def test_a_label_without_logit_is_refused():
    with pytest.raises(EvaluationError, match="4 classes, got the label"):
        Accuracy().evaluate(alternet(), random_data(num_classes=9))


def test_one_image_has_no_standard_error():
    with pytest.raises(EvaluationError, match="at least 2 images"):
        Accuracy().evaluate(alternet(), random_data(num_images=1))
