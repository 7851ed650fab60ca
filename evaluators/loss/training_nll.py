"""NLL of training images: how well the network fits what it was trained on.

Park & Kim (ICLR 2022, section 2) put it beside the test error: a network that is worse
on test images *and* on training images does not overfit, it is hard to train. The loss
in a training curve will not do for that, because it is smoothed, mixed and measured
with the weights of the epoch's every step.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from evaluators.data import EvaluationData
from evaluators.evaluator import (
    Evaluation,
    EvaluationError,
    Evaluator,
    Metric,
    untouched,
)
from evaluators.loss.minibatches import draw_minibatches
from evaluators.options import require_at_least
from evaluators.predictions import Predictions, check_deterministic, check_logits
from evaluators.sampling import mean_and_error


@dataclass(frozen=True)
class TrainingNLL(Evaluator):
    """NLL of augmented training images with the final weights, in eval mode.

    Attributes:
        max_images: Images of the training set, drawn once. Our choice: 2000, whose
            standard error (0.02 nats where the NLL is 1) is below the spread between
            training seeds.
        batch_size: Images in a forward pass.
        seed: Which images and which augmentation; the same for all networks.
    """

    max_images: int = 2000
    batch_size: int = 250
    seed: int = 0

    name: ClassVar[str] = "training_nll"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="train_nll",
            unit="nats",
            direction="minimize",
            definition="Mean negative log likelihood of augmented training images, "
            "without label smoothing and mixing, BatchNorm in eval mode",
            source="Park & Kim 2022, sec. 2.1 (training NLL beside test error); "
            "without mixing is our choice, because its NLL has a floor that depends "
            "on the mixing alone",
        ),
    )

    def __post_init__(self) -> None:
        require_at_least(self, 2, max_images=self.max_images)
        require_at_least(self, 1, batch_size=self.batch_size)

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Measure the fit; see the base class."""
        size = min(self.batch_size, self.max_images)
        losses: list[torch.Tensor] = []
        with untouched(model) as device, torch.no_grad():
            for batch in draw_minibatches(
                data, size, self.max_images // size, self.seed, device
            ):
                if not losses:
                    check_deterministic(model, batch.images[:4])
                logits = model(batch.images)
                check_logits(logits, batch.labels)
                found = Predictions(logits.float().cpu(), batch.labels.cpu())
                losses.append(found.losses())
        values = torch.cat(losses)
        if len(values) < 2:
            raise EvaluationError(
                f"at least 2 training images are needed, got {len(values)}"
            )
        nll, error = mean_and_error(values)
        return Evaluation(
            {"train_nll": nll},
            {"train_nll": error},
            {"num_images": len(values), "augmented": data.augment is not None},
        )
