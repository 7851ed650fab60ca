"""Products of the Hessian of a mini-batch's loss with vectors.

The Hessian ``H = d2 L / dw2`` over all trainable weights is never built. The exact
product ``H v`` is reverse-over-reverse on a graph of the gradient that is built once
and kept for all products: half the time of forward-over-reverse on CPU.

Attention: PyTorch's fused kernels of scaled_dot_product_attention have no second
derivative. The default kernel hides this while a learned position bias needs a
gradient and breaks once the bias is frozen, so the graph is always built with the
plain "math" kernel. Kernels of other libraries without a second derivative are met by
central differences of gradients, which hold for smooth networks alone: the gradient of
a network with ReLU or max pooling jumps at kinks, and a difference divides the jump by
the step, whatever the step. The exact product is the Hessian between the kinks.
"""

import re
from typing import Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from evaluators.evaluator import EvaluationError
from evaluators.loss.batch_loss import BatchLoss, require_finite

Method = Literal["auto", "exact", "finite_difference"]

_NO_SECOND_DERIVATIVE = re.compile(
    r"derivative for .* is not implemented|once_differentiable|double backward"
    r"|does not require grad and does not have a grad_fn",
    re.IGNORECASE,
)
_STEP = {torch.float32: 3e-2, torch.float64: 1e-4}
"""Length of the finite-difference step along a unit vector. Measured on nets
with smooth activations in float32: relative error 1e-4 to 3e-4 for steps from 0.01 to
0.1."""


class Hessian:
    """The Hessian of a mini-batch's NLL as a linear operator: ``hessian @ vector``.

    Args:
        loss: NLL of one mini-batch as a function of the weights.
        method: ``"exact"``: automatic differentiation. ``"finite_difference"``:
            central differences of gradients, for networks without ReLU and other
            kinks (relative error about 3e-4 there; see above).
            ``"auto"``: exact, or finite differences if some operation of the
            network has no second derivative.

    Attributes:
        size: Number of rows, the number of trainable weights.
        method: What is in use; ``"auto"`` has become one of the others after the
            first product.
        num_products: Products computed so far.

    Raises:
        EvaluationError: The loss or its gradient is not finite, or (``"exact"``)
            an operation has no second derivative.
    """

    def __init__(self, loss: BatchLoss, method: Method = "auto") -> None:
        self._loss = loss
        self._parameters = loss.parameters
        self.size = loss.num_parameters
        self.device = self._parameters[0].device
        self.dtype = self._parameters[0].dtype
        self.method: Method = method
        self.num_products = 0
        self._gradients: tuple[Tensor, ...] = ()
        if method != "finite_difference":
            self._build_graph()

    def __matmul__(self, vector: Tensor) -> Tensor:
        """Multiply the Hessian with a vector.

        Args:
            vector: ``(size,)``.

        Returns:
            ``H v``, ``(size,)``.

        Raises:
            EvaluationError: The product cannot be computed or is not finite.
        """
        if self.method == "auto":
            try:
                product = self._exact_product(vector)
                self.method = "exact"
            except RuntimeError as error:
                if not _NO_SECOND_DERIVATIVE.search(str(error)):
                    raise
                self.method, self._gradients = "finite_difference", ()
                product = self._difference_product(vector)
        elif self.method == "exact":
            try:
                product = self._exact_product(vector)
            except RuntimeError as error:
                if not _NO_SECOND_DERIVATIVE.search(str(error)):
                    raise
                raise EvaluationError(
                    "an operation of this network has no second derivative; use the "
                    f'method "auto" or "finite_difference" ({error})'
                ) from error
        else:
            product = self._difference_product(vector)
        self.num_products += 1
        require_finite("Hessian-vector product", product)
        return product

    def _build_graph(self) -> None:
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            loss = self._loss()
            require_finite("loss", loss)
            self._gradients = torch.autograd.grad(
                loss, self._parameters, create_graph=True, materialize_grads=True
            )
        require_finite("gradient", *self._gradients)

    def _exact_product(self, vector: Tensor) -> Tensor:
        pairs = [
            (gradient, part)
            for gradient, part in zip(self._gradients, self._split(vector), strict=True)
            if gradient.requires_grad  # else constant in the weights: no rows
        ]
        outputs = [gradient for gradient, _ in pairs]
        if not outputs:
            raise RuntimeError(
                "the gradient does not require grad and does not have a grad_fn"
            )
        rows = torch.autograd.grad(
            outputs,
            self._parameters,
            grad_outputs=[part for _, part in pairs],
            retain_graph=True,
            materialize_grads=True,
        )
        return torch.cat([row.reshape(-1) for row in rows])

    def _difference_product(self, vector: Tensor) -> Tensor:
        length = float(torch.linalg.vector_norm(vector))
        if length == 0.0:
            return torch.zeros_like(vector)
        step = _STEP[self.dtype] / length
        forward = self._gradient_at(vector, step)
        return (forward - self._gradient_at(vector, -step)) / (2 * step)

    def _gradient_at(self, vector: Tensor, step: float) -> Tensor:
        moved = [
            (parameter.detach() + step * part).requires_grad_()
            for parameter, part in zip(
                self._parameters, self._split(vector), strict=True
            )
        ]
        with torch.enable_grad():
            rows = torch.autograd.grad(self._loss(moved), moved, materialize_grads=True)
        return torch.cat([row.reshape(-1) for row in rows])

    def _split(self, vector: Tensor) -> list[Tensor]:
        parts = torch.split(vector, [p.numel() for p in self._parameters])
        return [
            part.view_as(parameter)
            for part, parameter in zip(parts, self._parameters, strict=True)
        ]
