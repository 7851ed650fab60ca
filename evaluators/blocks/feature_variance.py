"""Spatial variance of the feature map before and after every block.

Park & Kim (ICLR 2022, section 2.3, Fig. 9; featuremap_variance.ipynb): the unbiased
variance over the positions of a feature map, averaged over images and channels
(``latent.var(dim=[-1, -2]).mean(dim=[0, 1])``; not a variance over samples, as an
early thread of the paper's repository has it). The change a block makes is the
logarithm of the ratio of the output's variance to the skip tensor's: unlike the
difference it does not depend on the scale of the features.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evaluators.blocks.block_statistics import measure_blocks
from evaluators.data import EvaluationData
from evaluators.evaluator import (
    Evaluation,
    EvaluationError,
    Evaluator,
    Metric,
    untouched,
)
from evaluators.options import require_at_least
from evaluators.sampling import mean_and_error
from search_spaces.kinds.block_kind import BranchKind
from search_spaces.networks.chain_of import chain_of


def spatial_variances(feature_map: Tensor) -> Tensor:
    """Unbiased spatial variance of each image, averaged over channels.

    A vector norm of the centred values: several times faster than ``Tensor.var`` over
    two dimensions on CPU, without the cancellation of raw moments at large means.

    Args:
        feature_map: ``(batch, channels, height, width)``.

    Returns:
        ``(batch, 1)``; 0 for maps of one pixel, whose variance is not defined.
    """
    batch, channels, height, width = feature_map.shape
    num = height * width
    flat = feature_map.reshape(batch, channels, num)
    if flat.dtype.itemsize < 4:
        flat = flat.float()
    mean = flat.mean(dim=-1, keepdim=True)
    norms: Tensor = torch.linalg.vector_norm(flat - mean, dim=-1)
    return norms.square().mean(dim=1, keepdim=True) / max(num - 1, 1)


@dataclass(frozen=True)
class FeatureVariance(Evaluator):
    """Log ratio of the spatial variance after a block to that before it.

    *Before* is the skip tensor (at stage transitions the shortcut's output). Blocks
    whose map is a single pixel are left out.

    Attributes:
        max_images: Images of the validation set. 512 put the worst block's log ratio
            within 0.025 (95 %; measured on CIFAR-10 nets).
        batch_size: Images in a forward pass; changes nothing but speed.
        blocks: Module names by hand for models without adapter.
    """

    name: ClassVar[str] = "feature_variance"
    cost_in_epochs: ClassVar[float | None] = 0.02
    metrics: ClassVar[tuple[Metric, ...]] = tuple(
        Metric(
            name=f"variance_change{suffix}",
            unit="nats",
            direction="none",
            definition=(
                f"Mean over {blocks} of log(variance after / variance before the "
                "block); the variance is over positions, averaged over images and "
                "channels; negative: the block aggregates features"
            ),
            source=(
                "Park & Kim 2022, sec. 2.3, Fig. 9; featuremap_variance.ipynb; the log "
                "ratio is our choice, because it does not depend on scale"
            ),
        )
        for suffix, blocks in (
            ("", "all blocks"),
            ("_msa", "MSA blocks"),
            ("_conv", "Conv blocks"),
        )
    )

    max_images: int | None = 512
    batch_size: int = 128
    blocks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_at_least(self, 2, max_images=self.max_images)
        require_at_least(self, 1, batch_size=self.batch_size)

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Measure every block; see the base class."""
        chain = chain_of(model, self.blocks)
        with untouched(model) as device:
            statistics = measure_blocks(
                model,
                chain,
                data,
                spatial_variances,
                device=device,
                max_images=self.max_images,
                batch_size=self.batch_size,
            )
        influences: dict[int, Tensor] = {}
        changes: dict[int, float] = {}
        rows: list[dict[str, Any]] = []
        for index, (block, values) in enumerate(
            zip(chain.blocks, statistics, strict=True)
        ):
            before, after = values.before[:, 0], values.after[:, 0]
            row: dict[str, Any] = {
                "name": block.name,
                "kind": block.kind,
                "stage": block.stage,
                "size": values.size,
                "before": float(before.mean()),
                "after": float(after.mean()),
                "after_se": float(after.std()) / len(after) ** 0.5,
            }
            if values.size > 1:
                if not (before.mean() > 0 and after.mean() > 0):
                    raise EvaluationError(
                        f"the feature map at block {block.name} is constant over its "
                        "positions for every image: the log of its variance is not "
                        "defined (a collapsed network)"
                    )
                changes[index], influences[index] = _log_ratio(before, after)
                row["change"] = changes[index]
                row["change_se"] = _error(influences[index])
                if values.branch is not None and values.branch.mean() > 0:
                    branch, influence = _log_ratio(before, values.branch[:, 0])
                    row["branch_change"] = branch
                    row["branch_change_se"] = _error(influence)
            rows.append(row)

        metrics: dict[str, float] = {}
        errors: dict[str, float] = {}
        kinds: tuple[tuple[str, BranchKind], ...] = (("_msa", "msa"), ("_conv", "conv"))
        groups = {"": list(changes)} | {
            suffix: [i for i in chain.of_kind(kind) if i in changes]
            for suffix, kind in kinds
        }
        for suffix, indices in groups.items():
            if indices:
                name = f"variance_change{suffix}"
                metrics[name] = sum(changes[i] for i in indices) / len(indices)
                errors[name] = _error(
                    torch.stack([influences[i] for i in indices]).mean(0)
                )
        return Evaluation(
            metrics=metrics,
            standard_errors=errors,
            details={
                "num_images": len(statistics[0].after) if statistics else 0,
                "blocks": rows,
            },
        )


def _log_ratio(before: Tensor, after: Tensor) -> tuple[float, Tensor]:
    """Log ratio of two means, and each image's influence on it (delta method)."""
    influence = after / after.mean() - before / before.mean()
    return float(torch.log(after.mean() / before.mean())), influence


def _error(influence: Tensor) -> float:
    return mean_and_error(influence)[1]
