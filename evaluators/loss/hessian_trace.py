"""Trace and spectral density of the Hessian.

The trace, the sum of all eigenvalues, is Lanczos-deflated Hutchinson estimation: the
basis ``Q`` of a Lanczos run holds the large eigenvalues, whose part ``tr(Q' H Q)`` is
known exactly, and random probes estimate only the rest,

    tr H = tr T + E[p' H p],    p = (I - Q Q') g,  g of independent signs,

which is unbiased whatever the basis (the idea of Hutch++, Meyer et al., 2021, with a
Krylov basis that is there already). How large the error is depends on how much of the
spectrum lies outside the basis: ``probe_standard_error`` in the details says it for
each mini-batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evaluators.data import EvaluationData
from evaluators.evaluator import Evaluation, Evaluator, Metric, untouched
from evaluators.loss.batch_loss import Precision, batch_losses, full_precision
from evaluators.loss.flatness import check_symmetric, standard_error
from evaluators.loss.hvp import Hessian, Method
from evaluators.loss.lanczos import KrylovBasis, LanczosResult, lanczos
from evaluators.loss.minibatches import generator_for
from evaluators.loss.spectral_density import SpectralDensity
from evaluators.options import require_at_least


@dataclass(frozen=True)
class HessianTrace(Evaluator):
    """Mean curvature of the loss over all directions in weight space.

    Unlike the eigenvalues, the expected trace does not depend on the batch size: it is
    linear in the images.

    Attributes:
        batch_size: Images in a mini-batch (default 16, as for the eigenvalues).
        max_batches: Mini-batches (default 8: our choice, half the cost of the
            eigenvalues at their defaults).
        num_products: Products of the Lanczos run, which is also the resolution of the
            density (default 16: what the top eigenvalues take).
        num_probes: Products spent on random probes (default 14: our choice, as many
            as make 30 products with those of Lanczos).
        seed: Which mini-batches, augmentations, start vectors and probes; the
            mini-batches are those of ``Flatness``.
        precision: ``"float32"`` or ``"float64"``.
        method: How products are computed, see :class:`evaluators.loss.hvp.Hessian`.
    """

    batch_size: int = 16
    max_batches: int = 8
    num_products: int = 16
    num_probes: int = 14
    seed: int = 0
    precision: Precision = "float32"
    method: Method = "auto"

    name: ClassVar[str] = "hessian_trace"
    cost_in_epochs: ClassVar[float | None] = 1.3
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "hessian_trace",
            "1",
            "minimize",
            "Trace of the Hessian of the NLL on augmented training images, mean over "
            "mini-batches; without L2, which adds weight_decay times the number of "
            "weights.",
            "our choice, because it sees all directions where hessian_max sees one; "
            "PyHessian offers it, the paper does not use it",
        ),
    )

    def __post_init__(self) -> None:
        require_at_least(
            self,
            1,
            batch_size=self.batch_size,
            max_batches=self.max_batches,
            num_products=self.num_products,
            num_probes=self.num_probes,
        )

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Estimate the trace for a trained network.

        Args:
            model: Network to logits ``(batch, classes)``.
            data: ``train``, ``augment`` and ``weight_decay`` are used.

        Returns:
            ``hessian_trace``; its standard error covers mini-batches and probes.
            ``details["density"]`` holds nodes and weights of the spectral density of
            the NLL, ``details["l2_trace"]`` what the L2 term adds to the trace.

        Raises:
            EvaluationError: The forward pass is not deterministic, a value is not
                finite, or the Hessian is not symmetric.
        """
        rows: list[dict[str, Any]] = []
        runs: list[LanczosResult] = []
        with untouched(model) as device, full_precision():
            for index, loss in batch_losses(model, data, device, self):
                hessian = Hessian(loss, self.method)
                run = lanczos(
                    hessian.__matmul__,
                    hessian.size,
                    generator_for(self.seed, 3, index),
                    tolerance=0,
                    max_products=self.num_products,
                    device=device,
                    dtype=hessian.dtype,
                )
                check_symmetric(hessian, run)
                probes = probe_complement(
                    hessian.__matmul__,
                    run.basis,
                    hessian.size,
                    self.num_probes,
                    generator_for(self.seed, 4, index),
                )
                rest = torch.tensor(probes, dtype=torch.float64)
                rows.append(
                    {
                        "index": index,
                        "trace": run.trace + float(rest.mean()),
                        "basis_trace": run.trace,
                        "probe_standard_error": (
                            standard_error(rest) if len(rest) > 1 else None
                        ),
                        "num_products": hessian.num_products,
                        "method": hessian.method,
                    }
                )
                runs.append(run)
                num_parameters = loss.num_parameters
        traces = torch.tensor([row["trace"] for row in rows], dtype=torch.float64)
        density = SpectralDensity.from_runs(runs)
        return Evaluation(
            metrics={"hessian_trace": float(traces.mean())},
            standard_errors=(
                {"hessian_trace": standard_error(traces)} if len(traces) > 1 else {}
            ),
            details={
                "minibatches": rows,
                "density": {
                    "nodes": density.nodes.tolist(),
                    "weights": density.weights.tolist(),
                },
                "num_parameters": num_parameters,
                "l2_trace": data.weight_decay * num_parameters,
                "augmented": data.augment is not None,
                "batch_size": min(self.batch_size, len(data.train)),
                "seed": self.seed,
            },
        )


def probe_complement(
    matvec: Callable[[Tensor], Tensor],
    basis: KrylovBasis,
    size: int,
    num_probes: int,
    generator: torch.Generator,
) -> list[float]:
    """Independent unbiased estimates of the trace outside a subspace.

    Args:
        matvec: Product of a symmetric ``(size, size)`` matrix with a vector.
        basis: Orthonormal basis of the subspace.
        size: Number of rows.
        num_probes: How many estimates, one product each; none is computed where the
            subspace is the whole space.
        generator: CPU generator of the probes.

    Returns:
        ``p' H p`` for each probe ``p``, a random vector of signs with the subspace
        projected out.
    """
    if len(basis) >= size:
        return [0.0]
    estimates = []
    for _ in range(num_probes):
        signs = torch.randint(0, 2, (size,), generator=generator) * 2 - 1
        template = basis.vectors()[0]
        probe, _ = basis.remove(signs.to(template))
        estimates.append(float(torch.dot(probe, matvec(probe))))
    return estimates
