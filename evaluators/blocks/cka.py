"""Similarity of the representations of different blocks: linear CKA.

Park & Kim (ICLR 2022, Fig. D.3): multi-stage networks show one square of similar blocks
per stage. Kornblith et al. 2019 define CKA as normalised HSIC; Nguyen et al. 2021
(eq. 2 and 3) accumulate its unbiased estimator over mini-batches, which needs neither
all feature maps nor a Gram matrix of all images at once, and does not depend on the
batch size up to noise.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from evaluators.blocks.listening import listening
from evaluators.data import EvaluationData
from evaluators.evaluator import (
    Evaluation,
    EvaluationError,
    Evaluator,
    Metric,
    untouched,
)
from evaluators.options import require_at_least
from evaluators.predictions import check_enough
from search_spaces.networks.chain_of import chain_of


def hsic_matrix(grams: Tensor) -> Tensor:
    """Unbiased HSIC of every pair of Gram matrices.

    Args:
        grams: ``(layers, batch, batch)``, symmetric, batch of 4 or more.

    Returns:
        ``(layers, layers)``.
    """
    num = grams.shape[-1]
    grams = grams.clone()
    grams.diagonal(dim1=1, dim2=2).zero_()
    flat, rows = grams.flatten(1), grams.sum(dim=2)
    totals = rows.sum(dim=1)
    trace = flat @ flat.T
    mixed = rows @ rows.T
    product = totals[:, None] * totals / ((num - 1) * (num - 2))
    return (trace + product - 2 / (num - 2) * mixed) / (num * (num - 3))


def cka_matrix(hsic: Tensor) -> Tensor:
    """Normalise accumulated HSIC values to CKA.

    Args:
        hsic: ``(layers, layers)``.

    Returns:
        ``(layers, layers)`` with ones on the diagonal.

    Raises:
        EvaluationError: A layer has the same features for all images.
    """
    scale = hsic.diagonal()
    if not (scale > 0).all():
        raise EvaluationError(
            f"CKA is not defined: block {int((scale > 0).int().argmin()) + 1} of "
            f"{len(scale)} has (nearly) the same features for all images"
        )
    return hsic / (scale[:, None] * scale).sqrt()


@dataclass(frozen=True)
class CKA(Evaluator):
    """Linear CKA between the outputs of all blocks.

    Attributes:
        max_images: Images of the validation set; the last incomplete batch is left
            out. 1024 put the largest difference to the estimate from all 1000 images at
            once at 0.0025 (batches of 250, CIFAR-10 nets).
        batch_size: Images in a mini-batch; halved sets are used if there are fewer than
            two batches, because the standard error comes from their spread.
        blocks: Module names by hand for models without adapter.
    """

    name: ClassVar[str] = "cka"
    cost_in_epochs: ClassVar[float | None] = 0.03
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="cka_adjacent",
            unit="1",
            direction="none",
            definition=(
                "Mean over neighbouring blocks of the linear CKA of their outputs, "
                "unbiased HSIC accumulated over mini-batches; 1: same representation"
            ),
            source="Nguyen et al. 2021, eq. 2-3; Park & Kim 2022, Fig. D.3",
        ),
    )

    max_images: int | None = 1024
    batch_size: int = 128
    blocks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_at_least(self, 8, max_images=self.max_images)
        require_at_least(self, 4, batch_size=self.batch_size)

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Compare all pairs of blocks; see the base class."""
        chain = chain_of(model, self.blocks)
        images = data.validation
        check_enough(images, self.max_images, minimum=8)
        num = min(len(images), self.max_images or len(images))
        batch_size = min(self.batch_size, num // 2)
        num_images = num - num % batch_size
        grams: dict[int, Tensor] = {}

        def receive(index: int, feature_map: Tensor) -> None:
            features = feature_map.flatten(1)
            features = features.float() if features.dtype.itemsize < 4 else features
            # HSIC does not change when features are centred; rounding errors do.
            features = features - features.mean(dim=0)
            grams[index] = (features @ features.T).double()

        taps = [(index, block.after) for index, block in enumerate(chain.blocks)]
        per_batch = []
        with untouched(model) as device, torch.no_grad(), listening(taps, receive):
            for batch, _ in images.batches(batch_size, device, num_images):
                grams.clear()
                model(batch)
                if len(grams) != len(taps):
                    raise EvaluationError("the forward pass does not reach every block")
                stacked = torch.stack([grams[index] for index in range(len(taps))])
                if not stacked.isfinite().all():
                    raise EvaluationError("a feature map is not finite")
                per_batch.append(hsic_matrix(stacked).cpu())
        hsic = torch.stack(per_batch)
        cka = cka_matrix(hsic.sum(dim=0))
        metrics, errors = {}, {}
        if len(chain.blocks) > 1:
            metrics["cka_adjacent"] = float(cka.diagonal(1).mean())
            # Jackknife over mini-batches.
            left_out = torch.stack(
                [
                    cka_matrix(hsic.sum(dim=0) - part).diagonal(1).mean()
                    for part in per_batch
                ]
            )
            errors["cka_adjacent"] = float(
                ((len(hsic) - 1) * left_out.var(correction=0)).sqrt()
            )
        return Evaluation(
            metrics=metrics,
            standard_errors=errors,
            details={
                "num_images": num_images,
                "batch_size": batch_size,
                "blocks": [
                    {"name": b.name, "kind": b.kind, "stage": b.stage}
                    for b in chain.blocks
                ],
                "cka": cka.tolist(),
            },
        )
