"""Hessian max-eigenvalue spectra: how sharp and how non-convex the loss is.

Paper: section 3, figures 1 and 4, appendix C (arXiv 2202.06709). The authors' Hessian
code was never released; issue 12 of their repository describes it: for each mini-batch
of augmented training images, the five eigenvalues of largest magnitude of the Hessian
of NLL + L2, pooled over mini-batches. We keep the definition and replace their power
iteration by Lanczos, whose five values are far more accurate for fewer products.

Choices that are part of the definition: BatchNorm in eval mode (as PyHessian); all
trainable weights; NLL without label smoothing; L2 = weight_decay / 2 * |w|^2 of all of
them, whose Hessian adds exactly weight_decay to every eigenvalue and is therefore never
differentiated (a recipe may exempt biases; 0.05 on values of 100 is nothing). Values
depend on the batch size (largest eigenvalues of 392, 252 and 218 at 16, 64 and 256
images on one network): compare equal settings only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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
from evaluators.loss.batch_loss import Precision, batch_losses, full_precision
from evaluators.loss.hvp import Hessian, Method
from evaluators.loss.lanczos import LanczosResult, lanczos
from evaluators.loss.minibatches import generator_for
from evaluators.options import require_at_least
from search_spaces.errors import InputError

_SOURCE = "paper section 3 and appendix C; authors' issue 12"

MAX_ASYMMETRY = {"exact": 1e-2, "finite_difference": 5e-2}
"""Refuse a Hessian that is less symmetric than this (relative to its largest
eigenvalue). Rounding gives 1e-6 at 10^5 weights and 1e-4 at 10^7, finite differences
1e-3 on smooth networks and 0.1 to 0.6 on those with ReLU; a kernel whose backward
silently drops second derivatives gives order 1."""


@dataclass(frozen=True)
class Flatness(Evaluator):
    """Top eigenvalues of the Hessian of each mini-batch, and what they sum up to.

    Attributes:
        batch_size: Images in a mini-batch (default 16: the paper's).
        max_batches: Mini-batches. The default 24 gives APE to about 9%: its spread
            between mini-batches is 15 to 26%, and between training seeds 13%. With
            few of them the standard error of NEP is too small: see
            :func:`summarise_spectra`.
        top_k: Eigenvalues of largest magnitude taken from each (default 5: paper).
        tolerance: Largest relative residual of an eigenvalue. Our choice: 1e-3, the
            loosest that made no error in the *set* of five on 24 mini-batches.
        max_products: Hessian-vector products after which a mini-batch is flagged as
            not converged; 12 to 30 are usual.
        seed: Which mini-batches, augmentations and start vectors.
        precision: ``"float32"``, or ``"float64"`` for checks on small networks.
        method: How products are computed, see :class:`evaluators.loss.hvp.Hessian`.
    """

    batch_size: int = 16
    max_batches: int = 24
    top_k: int = 5
    tolerance: float = 1e-3
    max_products: int = 60
    seed: int = 0
    precision: Precision = "float32"
    method: Method = "auto"

    name: ClassVar[str] = "flatness"
    cost_in_epochs: ClassVar[float | None] = 2.9
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "hessian_max",
            "1",
            "minimize",
            "Mean over mini-batches of the largest eigenvalue of the Hessian of "
            "NLL + L2 on augmented training images.",
            _SOURCE,
        ),
        Metric(
            "hessian_min",
            "1",
            "maximize",
            "Mean over mini-batches of the smallest (most negative) eigenvalue of "
            "the Hessian of NLL + L2 on augmented training images.",
            "our choice, because it comes free with the Krylov space and shows the "
            "negative curvature that the top five hide",
        ),
        Metric(
            "ape",
            "1",
            "minimize",
            "Average of the positive max eigenvalues: mean of the positive values "
            "among the top-k by magnitude, pooled over mini-batches; absent if none "
            "is positive.",
            _SOURCE,
        ),
        Metric(
            "nep",
            "fraction",
            "minimize",
            "Negative max eigenvalue proportion: share of negative values among the "
            "top-k by magnitude, pooled over mini-batches.",
            _SOURCE,
            noise="reliability (ICC) of a single training -0.01 [-0.75, 0.38], from 24 "
            "of 136 placements trained twice in results/cifar10-placement",
        ),
    )

    def __post_init__(self) -> None:
        require_at_least(
            self,
            1,
            batch_size=self.batch_size,
            max_batches=self.max_batches,
            top_k=self.top_k,
            max_products=self.max_products,
        )
        require_at_least(self, self.top_k + 1, max_products=self.max_products)
        if not 0 < self.tolerance < 1:
            raise InputError(
                "option 'tolerance' of evaluator 'flatness' must lie between 0 and 1, "
                f"got {self.tolerance!r}"
            )

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Measure the Hessian spectrum of a trained network.

        Args:
            model: Network to logits ``(batch, classes)``.
            data: ``train``, ``augment`` and ``weight_decay`` are used.

        Returns:
            The metrics. ``details["minibatches"]`` holds for each mini-batch the
            eigenvalues, their residuals, the smallest eigenvalue, the products used,
            whether they converged, and whether a further start vector verified that
            none is missing: in the first mini-batch, and in all others if it found one.

        Raises:
            EvaluationError: The forward pass is not deterministic, a value is not
                finite, or the Hessian is not symmetric.
        """
        rows: list[dict[str, Any]] = []
        is_degenerate = False
        with untouched(model) as device, full_precision():
            for index, loss in batch_losses(model, data, device, self):
                hessian = Hessian(loss, self.method)
                result = lanczos(
                    hessian.__matmul__,
                    hessian.size,
                    generator_for(self.seed, 2, index),
                    num_eigenvalues=self.top_k,
                    tolerance=self.tolerance,
                    max_products=self.max_products,
                    # Multiple eigenvalues come from the network's structure, so the
                    # first mini-batch shows them; verifying all takes 28% longer.
                    verify=index == 0 or is_degenerate,
                    shift=data.weight_decay,
                    device=device,
                    dtype=hessian.dtype,
                )
                check_symmetric(hessian, result)
                is_degenerate |= result.num_starts > 2
                rows.append(_row(index, hessian, result))
                num_parameters = loss.num_parameters
        tops = [row["eigenvalues"] for row in rows]
        metrics, errors = summarise_spectra(tops, [row["smallest"] for row in rows])
        details = {
            "minibatches": rows,
            "num_converged": sum(
                row["converged"] and row["smallest_converged"] for row in rows
            ),
            "num_parameters": num_parameters,
            "weight_decay": data.weight_decay,
            "augmented": data.augment is not None,
            "batch_size": min(self.batch_size, len(data.train)),
            "tolerance": self.tolerance,
            "seed": self.seed,
            "precision": self.precision,
        }
        return Evaluation(metrics, errors, details)


def summarise_spectra(
    tops: Sequence[Sequence[float]], smallest: Sequence[float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Reduce the eigenvalues of every mini-batch to the four metrics.

    The mini-batch is the unit of sampling, so standard errors come from the spread
    between mini-batches (for APE, a ratio of two means, by linearisation).

    NEP comes in steps and is often nought in most mini-batches, so few mini-batches
    show too little of its spread. Where 5% of the top five are negative, the standard
    error from 4 mini-batches is on average 0.6 to 0.8 of the true one, from 24 it is
    0.90 to 0.96. Where every mini-batch has the same share nothing is known about the
    spread, and there is none.

    Args:
        tops: Eigenvalues of largest magnitude of each mini-batch.
        smallest: Smallest eigenvalue of each mini-batch.

    Returns:
        Metrics and their standard errors; no standard errors for one mini-batch.
    """
    largest = torch.tensor([max(values) for values in tops], dtype=torch.float64)
    lowest = torch.tensor(list(smallest), dtype=torch.float64)
    share = torch.tensor(
        [sum(v < 0 for v in values) / len(values) for values in tops],
        dtype=torch.float64,
    )
    metrics = {
        "hessian_max": float(largest.mean()),
        "hessian_min": float(lowest.mean()),
        "nep": float(share.mean()),
    }
    sums = torch.tensor(
        [math.fsum(v for v in values if v > 0) for values in tops], dtype=torch.float64
    )
    counts = torch.tensor(
        [sum(v > 0 for v in values) for values in tops], dtype=torch.float64
    )
    has_positive = bool(counts.sum() > 0)
    if has_positive:
        metrics["ape"] = float(sums.sum() / counts.sum())
    if len(tops) < 2:
        return metrics, {}
    errors = {
        "hessian_max": standard_error(largest),
        "hessian_min": standard_error(lowest),
    }
    if bool((share != share[0]).any()):
        errors["nep"] = standard_error(share)
    if has_positive:
        residual = (sums - metrics["ape"] * counts) / counts.mean()
        errors["ape"] = standard_error(residual)
    return metrics, errors


def standard_error(values: torch.Tensor) -> float:
    """Standard error of the mean of independent values ``(num,)``, num >= 2."""
    return float(values.std(correction=1) / math.sqrt(len(values)))


def check_symmetric(hessian: Hessian, result: LanczosResult) -> None:
    """Refuse a Hessian whose products are not those of a symmetric matrix.

    Full reorthogonalisation computes entries of ``Q' H Q`` that vanish for a
    symmetric matrix, so the check costs nothing.

    Args:
        hessian: The operator, after its products.
        result: What Lanczos found with it.

    Raises:
        EvaluationError: It is not symmetric.
    """
    allowed = MAX_ASYMMETRY[hessian.method]
    if result.asymmetry <= allowed:
        return
    if hessian.method == "finite_difference":
        why = (
            "differences of gradients are no Hessian here, probably because the "
            "network has kinks (ReLU, max pooling) at which its gradient jumps; use "
            'the method "exact", or smooth activations (GELU, SiLU) if an operation '
            "of the network has no second derivative"
        )
    else:
        why = (
            "an operation of this network drops second derivatives silently; the "
            'method "finite_difference" measures networks with smooth activations'
        )
    raise EvaluationError(
        f"the Hessian is not symmetric (relative deviation {result.asymmetry:.2g}, "
        f"allowed {allowed:g}): {why}"
    )


def _row(index: int, hessian: Hessian, result: LanczosResult) -> dict[str, Any]:
    return {
        "index": index,
        "eigenvalues": list(result.eigenvalues),
        "residuals": list(result.residuals),
        "smallest": result.smallest,
        "smallest_residual": result.smallest_residual,
        "converged": result.converged,
        "smallest_converged": result.smallest_converged,
        "verified": result.verified,
        "num_products": hessian.num_products,
        "asymmetry": result.asymmetry,
        "method": hessian.method,
    }
