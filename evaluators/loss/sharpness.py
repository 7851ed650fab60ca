"""m-SAM sharpness: the cheap stand-in for the Hessian inside large searches.

``L(w + rho g / |g|) - L(w)`` of a mini-batch, g its gradient (Foret et al., ICLR 2021,
arXiv 2010.01412, the "m-sharpness" of section 4.2 with m the batch size). Two forward
passes and one backward pass a mini-batch instead of about twenty Hessian-vector
products. Over 136 placements trained on CIFAR-10 it ranked like APE (Spearman 0.94, 95%
interval 0.91 to 0.95) but said nothing about NEP (benchmarks/README.md).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from evaluators.data import EvaluationData
from evaluators.evaluator import Evaluation, Evaluator, Metric, untouched
from evaluators.loss.batch_loss import (
    BatchLoss,
    Precision,
    batch_losses,
    full_precision,
    require_finite,
)
from evaluators.loss.flatness import standard_error
from evaluators.options import require_at_least
from search_spaces.errors import InputError


@dataclass(frozen=True)
class Sharpness(Evaluator):
    """How much one normalised ascent step raises the loss of a mini-batch.

    Attributes:
        rho: Length of the step in weight space (default 0.05: SAM's default).
        batch_size: Images in a mini-batch (default 16, as for the Hessian).
        max_batches: Mini-batches (default 16: our choice; 1 to 3 CPU seconds on
            CIFAR-sized networks).
        seed: Which mini-batches and augmentations; equal to those of ``Flatness``.
        precision: ``"float32"`` or ``"float64"``.
    """

    rho: float = 0.05
    batch_size: int = 16
    max_batches: int = 16
    seed: int = 0
    precision: Precision = "float32"

    name: ClassVar[str] = "sharpness"
    cost_in_epochs: ClassVar[float | None] = 0.07
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "sharpness",
            "nats",
            "minimize",
            "Mean over mini-batches of augmented training images of "
            "NLL(w + rho g/|g|) - NLL(w), g the gradient of that mini-batch.",
            "Foret et al. 2021 (SAM), section 4.2; our choice, because it ranks like "
            "ape at about a thirtieth of the cost",
        ),
    )

    def __post_init__(self) -> None:
        require_at_least(
            self, 1, batch_size=self.batch_size, max_batches=self.max_batches
        )
        if not self.rho > 0:
            raise InputError(
                "option 'rho' of evaluator 'sharpness' must be positive, "
                f"got {self.rho!r}"
            )

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Measure the sharpness of a trained network.

        Args:
            model: Network to logits ``(batch, classes)``.
            data: ``train`` and ``augment`` are used.

        Returns:
            ``sharpness`` with its standard error; each mini-batch in the details.

        Raises:
            EvaluationError: The forward pass is not deterministic or a value is not
                finite.
        """
        rises: list[float] = []
        losses: list[float] = []
        with untouched(model) as device, full_precision():
            for _, loss in batch_losses(model, data, device, self):
                before, rise = ascent(loss, self.rho)
                losses.append(before)
                rises.append(rise)
        values = torch.tensor(rises, dtype=torch.float64)
        return Evaluation(
            metrics={"sharpness": float(values.mean())},
            standard_errors=(
                {"sharpness": standard_error(values)} if len(values) > 1 else {}
            ),
            details={
                "rises": rises,
                "losses": losses,
                "rho": self.rho,
                "augmented": data.augment is not None,
                "batch_size": min(self.batch_size, len(data.train)),
                "seed": self.seed,
            },
        )


def ascent(loss: BatchLoss, rho: float) -> tuple[float, float]:
    """Climb the loss of one mini-batch by a step of length rho along its gradient.

    Args:
        loss: NLL of the mini-batch as a function of the weights.
        rho: Length of the step.

    Returns:
        The loss before the step, and by how much the step raised it; no rise where
        the gradient vanishes.

    Raises:
        EvaluationError: A value is not finite.
    """
    before, gradients = loss.gradient()
    length = torch.linalg.vector_norm(
        torch.stack([torch.linalg.vector_norm(g) for g in gradients])
    )
    if length == 0:
        return float(before), 0.0
    with torch.no_grad():
        after = loss(
            [
                p + (rho / length) * g
                for p, g in zip(loss.parameters, gradients, strict=True)
            ]
        )
    require_finite("loss after the ascent step", after)
    return float(before), float(after) - float(before)
