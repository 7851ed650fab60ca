"""Top-1 accuracy on the whole validation set, with NLL and ECE of the same pass."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from evaluators.classification.calibration import ECE, NLL, ece_and_error
from evaluators.data import EvaluationData
from evaluators.evaluator import Evaluation, Evaluator, Metric, untouched
from evaluators.options import require_at_least
from evaluators.predictions import predict
from evaluators.sampling import mean_and_error


@dataclass(frozen=True)
class Accuracy(Evaluator):
    """Accuracy, NLL and ECE, each with the standard error of its image sample.

    Attributes:
        seed: Of the bootstrap behind the standard error of the ECE.
        max_images: Images of the validation set; all if ``None``.
        batch_size: Images in a forward pass; changes nothing but speed.
        test_time_flip: Measure the mean of the logits of each image and its mirror
            image (Jordan, 2024, arXiv 2404.00498). Off, because it asks for
            twice the MACs that ``cost`` reports, and a plain deployment does without.
    """

    name: ClassVar[str] = "accuracy"
    cost_in_epochs: ClassVar[float | None] = 0.07
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="accuracy",
            unit="fraction",
            direction="maximize",
            definition="Share of validation images whose largest logit is the label's",
            source="Park & Kim 2022, sec. 4",
        ),
        NLL,
        ECE,
    )

    seed: int = 0
    max_images: int | None = None
    batch_size: int = 256
    test_time_flip: bool = False

    def __post_init__(self) -> None:
        require_at_least(self, 2, max_images=self.max_images)
        require_at_least(self, 1, batch_size=self.batch_size)

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Measure accuracy; see the base class."""
        with untouched(model) as device:
            predictions = predict(
                model,
                data.validation,
                device=device,
                batch_size=self.batch_size,
                max_images=self.max_images,
                flip=self.test_time_flip,
            )
        accuracy, accuracy_error = mean_and_error(predictions.correct())
        nll, nll_error = mean_and_error(predictions.losses())
        ece, ece_error, _ = ece_and_error(
            predictions, num_bins=15, num_resamples=100, seed=self.seed
        )
        return Evaluation(
            metrics={"accuracy": accuracy, "nll": nll, "ece": ece},
            standard_errors={
                "accuracy": accuracy_error,
                "nll": nll_error,
                "ece": ece_error,
            },
            details={"num_images": len(predictions.labels)},
        )
