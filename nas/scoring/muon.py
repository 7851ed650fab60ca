"""Muon: momentum SGD whose update matrices are made orthogonal before the step.

Own code, because ``torch.optim.Muon`` takes matrices only and computes in bfloat16
(slow on a CPU without AVX-512), and timm, whose Muon takes convs, is optional here.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration (Jordan, kellerjordan.github.io/posts/muon): they send every
singular value from (0, 1] into about 0.7 to 1.2 in five steps."""

NUM_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024) for convs and matrices.

    ``buffer = momentum * buffer + gradient`` and the Nesterov update ``gradient +
    momentum * buffer`` is flattened to ``(out, in * height * width)``, replaced by the
    nearest matrix with orthonormal rows or columns (:func:`orthogonalise`), and
    scaled by ``sqrt(max(1, out / in))`` as in the reference.

    Args:
        parameters: Tensors with two dimensions or more, or groups of such.
        lr: Learning rate; the size of a step does not depend on the gradient's.
        momentum: Of the buffer. 0.95 in the reference.
        weight_decay: Decoupled: weights shrink by ``lr * weight_decay`` a step.

    Raises:
        ValueError: A parameter has fewer than two dimensions.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim < 2:
                    raise ValueError(
                        "Muon takes parameters of two dimensions or more, got shape "
                        f"{tuple(parameter.shape)}"
                    )

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """One step; parameters without a gradient stay."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # Equal shapes go through one batched iteration: few large matrix
            # products instead of many small ones.
            by_shape: dict[tuple[int, int], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shape = (len(parameter), parameter[0].numel())
                    by_shape.setdefault(shape, []).append(parameter)
            for (rows, columns), parameters in by_shape.items():
                self._step_shape(parameters, rows, columns, group)
        return loss

    def _step_shape(
        self,
        parameters: list[Tensor],
        rows: int,
        columns: int,
        group: dict[str, Any],
    ) -> None:
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        buffers = [self.state[p]["momentum_buffer"] for p in parameters]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, gradients)
        updates = torch._foreach_add(gradients, buffers, alpha=group["momentum"])
        stacked = torch.stack([update.reshape(rows, columns) for update in updates])
        directions = orthogonalise(stacked)
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(
            parameters,
            [one.view(p.shape) for one, p in zip(directions, parameters, strict=True)],
            alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5,
        )


def orthogonalise(matrices: Tensor) -> Tensor:
    """Bring all singular values close to 1, keeping the singular vectors.

    Five Newton-Schulz iterations with the reference's coefficients, which trade
    exactness (values end between about 0.7 and 1.2) for speed.

    Args:
        matrices: ``(batch, rows, columns)``.

    Returns:
        Tensor of the same shape.
    """
    a, b, c = COEFFICIENTS
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x if wide else x.mT
