"""Whether the network's confidence can be believed: NLL, ECE, Brier score.

The expected calibration error is biased upwards on few images (the same model:
0.071 on 250 images, 0.025 on 2000), so compare networks by it only on the same
images and bins; rank by NLL or Brier score, which are proper.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.data import EvaluationData
from evaluators.evaluator import Evaluation, Evaluator, Metric, untouched
from evaluators.options import require_at_least
from evaluators.predictions import Predictions, predict
from evaluators.sampling import mean_and_error

NLL = Metric(
    name="nll",
    unit="nats",
    direction="minimize",
    definition="Mean negative log likelihood of the validation labels",
    source="Park & Kim 2022, sec. 2.1 and Fig. C.1",
)
ECE = Metric(
    name="ece",
    unit="fraction",
    direction="minimize",
    definition=(
        "Expected calibration error: mean over the images of |accuracy - confidence| "
        "of the image's bin; equal-width confidence bins, closed on the right"
    ),
    source=(
        "Guo et al. 2017, eq. 3, with its 15 bins; the paper's ops/tests.py uses 10 "
        "and closes bins on different sides for confidence and count"
    ),
)
BRIER = Metric(
    name="brier",
    unit="1",
    direction="minimize",
    definition="Mean over images of the squared distance between the predicted "
    "probabilities and the one-hot label (0 to 2)",
    source="Brier 1950; our choice, because it is proper and needs no bins",
)


@dataclass(frozen=True)
class ReliabilityBins:
    """Confidence against accuracy.

    Attributes:
        counts: Images in each bin, ``(bins,)``.
        confidence: Mean confidence of each bin, 0 where it is empty.
        accuracy: Share of correct predictions of each bin, 0 where it is empty.
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor

    @classmethod
    def of(
        cls, confidence: Tensor, correct: Tensor, num_bins: int
    ) -> "ReliabilityBins":
        """Sort predictions into equal-width bins, closed on the right.

        Args:
            confidence: Largest probability of each image, ``(images,)``.
            correct: 1 where the prediction is right, ``(images,)``.
            num_bins: Number of bins of [0, 1].

        Returns:
            The bins.
        """
        edges = torch.linspace(0, 1, num_bins + 1, dtype=torch.float64)[1:-1]
        index = torch.bucketize(confidence, edges)
        counts = torch.bincount(index, minlength=num_bins).double()
        sums = [
            torch.bincount(index, weights=values, minlength=num_bins)
            for values in (confidence, correct)
        ]
        filled = counts.clamp(min=1)
        return cls(counts, sums[0] / filled, sums[1] / filled)

    def ece(self) -> float:
        """Expected calibration error."""
        gaps = (self.accuracy - self.confidence).abs()
        return float((gaps * self.counts).sum() / self.counts.sum())


def ece_and_error(
    predictions: Predictions, num_bins: int, num_resamples: int, seed: int
) -> tuple[float, float, ReliabilityBins]:
    """Expected calibration error and its bootstrap standard error.

    Args:
        predictions: Logits and labels.
        num_bins: Confidence bins.
        num_resamples: Bootstrap resamples of the images.
        seed: Of the resampling.

    Returns:
        The error, its standard error, and the bins.
    """
    confidence = functional.softmax(predictions.logits.double(), dim=1).amax(dim=1)
    correct = predictions.correct()
    bins = ReliabilityBins.of(confidence, correct, num_bins)
    generator = torch.Generator().manual_seed(seed)
    resampled = []
    for _ in range(num_resamples):
        rows = torch.randint(len(correct), (len(correct),), generator=generator)
        resampled.append(
            ReliabilityBins.of(confidence[rows], correct[rows], num_bins).ece()
        )
    return bins.ece(), float(torch.tensor(resampled).std()), bins


@dataclass(frozen=True)
class Calibration(Evaluator):
    """NLL, ECE and Brier score on the validation set.

    Attributes:
        num_bins: Confidence bins; 15 as in Guo et al. 2017.
        num_resamples: Bootstrap resamples for the standard error of the ECE; 100 give
            it to about 7 %.
        seed: Of the bootstrap.
        max_images: Images of the validation set; all if ``None``, because the ECE is
            biased on few.
        batch_size: Images in a forward pass; changes nothing but speed.
    """

    name: ClassVar[str] = "calibration"
    cost_in_epochs: ClassVar[float | None] = 0.08
    metrics: ClassVar[tuple[Metric, ...]] = (NLL, ECE, BRIER)

    num_bins: int = 15
    num_resamples: int = 100
    seed: int = 0
    max_images: int | None = None
    batch_size: int = 256

    def __post_init__(self) -> None:
        require_at_least(self, 1, num_bins=self.num_bins, batch_size=self.batch_size)
        require_at_least(
            self, 2, num_resamples=self.num_resamples, max_images=self.max_images
        )

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Measure calibration; see the base class."""
        with untouched(model) as device:
            predictions = predict(
                model,
                data.validation,
                device=device,
                batch_size=self.batch_size,
                max_images=self.max_images,
            )
        nll, nll_error = mean_and_error(predictions.losses())
        ece, ece_error, bins = ece_and_error(
            predictions, self.num_bins, self.num_resamples, self.seed
        )
        probabilities = functional.softmax(predictions.logits.double(), dim=1)
        one_hot = functional.one_hot(predictions.labels, probabilities.shape[1])
        brier, brier_error = mean_and_error(
            (probabilities - one_hot).square().sum(dim=1)
        )
        return Evaluation(
            metrics={"nll": nll, "ece": ece, "brier": brier},
            standard_errors={"nll": nll_error, "ece": ece_error, "brier": brier_error},
            details={
                "num_images": len(predictions.labels),
                "bins": {
                    "counts": bins.counts.tolist(),
                    "confidence": bins.confidence.tolist(),
                    "accuracy": bins.accuracy.tolist(),
                },
            },
        )
