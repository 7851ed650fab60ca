"""The loss on a plane through the trained weights.

Paper: figures 1 and 5, appendix B; method of Li et al. (2018): two random directions,
scaled filter by filter to the norm of the weights, span a plane, and the loss is drawn
over it. NLL and NLL + L2 are kept apart, because they tell different stories: in the
reference's own ResNet-50 grid 97% of the plotted height at the centre is L2 (the
authors agree, issue 10).

The reference's code (ops/loss_landscapes.py, ops/norm.py) differs from the paper and
from Li et al. in two points, offered as ``variant="reference"``: it takes norms over
dimension 0, that is *across* filters, and its L2 is ``weight_decay`` times the sum of
unsquared norms of the tensors. It also draws directions without a seed and evaluates
with mixup, which we do not.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from evaluators.data import EvaluationData
from evaluators.evaluator import Evaluation, Evaluator, Metric, untouched
from evaluators.loss.batch_loss import BatchLoss, Precision, require_finite
from evaluators.loss.minibatches import draw_minibatches, generator_for
from evaluators.options import require_at_least

Variant = Literal["filter", "reference"]

FROZEN = ("pos_embed", "relative_position", "position_bias")
"""Parts of names whose tensors stay put, as in the reference (``pos_embed``,
``relative_position``); ``position_bias`` is our name of the same tensors."""

_EPSILON = 1e-7
"""Keeps directions of zero norm finite; ops/loss_landscapes.py."""


@dataclass(frozen=True)
class LossLandscape(Evaluator):
    """NLL and L2 on a grid around the trained weights, a picture in the first place.

    Attributes:
        num_points: Points along each axis; odd numbers include the trained weights
            themselves (default 21: the authors' notebook).
        radius: The axes run from -radius to radius (default 1: the notebook).
        dimensions: 2 for a plane, 1 for a line, which costs ``num_points`` times less.
        variant: ``"filter"``: Li et al.'s normalisation and the squared L2 norm.
            ``"reference"``: as the paper's code does.
        batch_size: Images in a forward pass (default 128: our choice, memory only).
        max_images: Training images, augmented once and used at every point (default
            512: our choice; the reference takes the whole training set).
        seed: Which images, augmentations and directions.
        precision: ``"float32"`` or ``"float64"``.
    """

    num_points: int = 21
    radius: float = 1.0
    dimensions: Literal[1, 2] = 2
    variant: Variant = "filter"
    batch_size: int = 128
    max_images: int = 512
    seed: int = 0
    precision: Precision = "float32"

    name: ClassVar[str] = "loss_landscape"
    cost_in_epochs: ClassVar[float | None] = 6.3
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "landscape_rise",
            "nats",
            "minimize",
            "Median over the grid of NLL minus the NLL at the trained weights; absent "
            "if it overflowed at half of the points.",
            "our choice, because a picture cannot be compared; the median withstands "
            "the cliffs at the corners",
        ),
    )

    def __post_init__(self) -> None:
        require_at_least(
            self, 1, batch_size=self.batch_size, max_images=self.max_images
        )
        require_at_least(self, 3, num_points=self.num_points)
        require_at_least(self, 1e-6, radius=self.radius)

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Compute the grid.

        Args:
            model: Network to logits ``(batch, classes)``.
            data: ``train``, ``augment`` and ``weight_decay`` are used.

        Returns:
            ``landscape_rise``. Details: ``axis`` (positions), ``nll`` and ``l2`` as
            rows over the second axis (one row for one dimension), ``None`` where a
            value overflowed; the centre's values; and the settings. The loss that
            the paper plots is ``nll + l2``.

        Raises:
            EvaluationError: The forward pass is not deterministic or the loss at the
                trained weights is not finite.
        """
        size = min(self.batch_size, self.max_images, len(data.train))
        with untouched(model) as device, torch.no_grad():
            num_batches = max(1, self.max_images // size)
            losses = [
                BatchLoss(model, batch.images, batch.labels, self.precision)
                for batch in draw_minibatches(
                    data, size, num_batches, self.seed, device
                )
            ]
            losses[0].check_deterministic()
            weights = [p.detach() for p in losses[0].parameters]
            names = losses[0].names
            directions = [
                random_direction(
                    names, weights, generator_for(self.seed, 5, axis), self.variant
                )
                for axis in range(self.dimensions)
            ]
            axis = torch.linspace(
                -self.radius, self.radius, self.num_points, dtype=torch.float64
            ).tolist()
            centre = _mean_nll(losses, weights)
            require_finite("loss at the trained weights", torch.tensor(centre))
            decay = data.weight_decay
            nll: list[list[float | None]] = []
            l2: list[list[float | None]] = []
            for second in axis if self.dimensions == 2 else [0.0]:
                nll.append([])
                l2.append([])
                for first in axis:
                    moved = _move(weights, directions, (first, second))
                    nll[-1].append(_finite(_mean_nll(losses, moved)))
                    l2[-1].append(_finite(l2_penalty(moved, decay, self.variant)))
            details: dict[str, Any] = {
                "axis": axis,
                "nll": nll,
                "l2": l2,
                "centre_nll": centre,
                "centre_l2": l2_penalty(weights, decay, self.variant),
                "weight_decay": decay,
                "variant": self.variant,
                "dimensions": self.dimensions,
                "num_images": sum(loss.num_images for loss in losses),
                "augmented": data.augment is not None,
                "seed": self.seed,
            }
        rises = [math.inf if z is None else z - centre for row in nll for z in row]
        rise = statistics.median(rises)
        metrics = {"landscape_rise": rise} if math.isfinite(rise) else {}
        return Evaluation(metrics=metrics, details=details)


def random_direction(
    names: Sequence[str],
    weights: Sequence[Tensor],
    generator: torch.Generator,
    variant: Variant = "filter",
) -> list[Tensor]:
    """A Gaussian direction scaled to the weights.

    Biases, norms and other tensors of fewer than two dimensions, and position biases,
    do not move: Li et al. and the reference agree on the former.

    Args:
        names: Name of each tensor.
        weights: Trained weights.
        generator: CPU generator of the direction.
        variant: ``"filter"``: the norm of each filter, a slice along dimension 0,
            equals that of the weights (Li et al., 2018, section 4). ``"reference"``:
            norms over dimension 0.

    Returns:
        One tensor for each of the weights.
    """
    direction = []
    for name, weight in zip(names, weights, strict=True):
        noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        noise = noise.to(weight)
        if weight.ndim < 2 or any(part in name for part in FROZEN):
            direction.append(torch.zeros_like(weight))
            continue
        axes = tuple(range(1, weight.ndim)) if variant == "filter" else (0,)
        target = torch.linalg.vector_norm(weight, dim=axes, keepdim=True)
        length = torch.linalg.vector_norm(noise, dim=axes, keepdim=True)
        direction.append(noise * (target / (length + _EPSILON)))
    return direction


def l2_penalty(
    weights: Sequence[Tensor], weight_decay: float, variant: Variant = "filter"
) -> float:
    """The L2 term of the loss.

    Args:
        weights: All trainable tensors.
        weight_decay: Its coefficient.
        variant: ``"filter"``: weight_decay / 2 times the squared norm of all weights,
            the function whose gradient is weight decay. ``"reference"``:
            weight_decay times the sum of the tensors' unsquared norms.

    Returns:
        The penalty.
    """
    norms = [float(torch.linalg.vector_norm(w.double())) for w in weights]
    if variant == "reference":
        return weight_decay * math.fsum(norms)
    return weight_decay / 2 * math.fsum(norm**2 for norm in norms)


def _move(
    weights: Sequence[Tensor],
    directions: Sequence[Sequence[Tensor]],
    position: tuple[float, float],
) -> list[Tensor]:
    moved = [weight.clone() for weight in weights]
    for amount, direction in zip(position, directions, strict=False):
        for tensor, step in zip(moved, direction, strict=True):
            tensor.add_(step, alpha=amount)
    return moved


def _mean_nll(losses: Sequence[BatchLoss], weights: Sequence[Tensor]) -> float:
    num_images = sum(loss.num_images for loss in losses)
    total = math.fsum(loss.num_images * float(loss(weights)) for loss in losses)
    return total / num_images


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
