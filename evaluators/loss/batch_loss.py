"""The loss of one mini-batch as a pure function of the weights.

Flatness is about ``L(w)``: how the negative log-likelihood (NLL) of fixed images
changes with the weights. Everything here goes through
:func:`torch.func.functional_call`, so the network's own tensors are never written.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.data import EvaluationData
from evaluators.evaluator import EvaluationError
from evaluators.loss.minibatches import draw_minibatches
from search_spaces.blocks.strided_conv import safe_conv_gradients

Precision = Literal["float32", "float64"]
"""Arithmetic of a flatness measure; float64 is meant for checks on small networks."""

_DETERMINISM_TOLERANCE = 1e-3
"""Allowed relative difference of two forward passes. Our choice: atomics on CUDA
give about 1e-6, a forgotten dropout about 1."""


class BatchLoss:
    """NLL of a network on one mini-batch, differentiable in its trainable weights.

    The network should be in eval mode: BatchNorm then uses its running statistics,
    as in PyHessian (train mode gives other eigenvalues and writes buffers).

    Args:
        model: Maps images ``(batch, channels, height, width)`` to logits
            ``(batch, classes)``.
        images: Network input ``(batch, channels, height, width)``.
        labels: Class indices ``(batch,)``.
        precision: Weights, buffers and images are cast to it (the network is not).

    Attributes:
        names: Name of each trainable parameter.
        parameters: The trainable parameters as leaves that share the network's
            storage where no cast was needed; not to be written.

    Raises:
        EvaluationError: The network has no trainable parameter, or is compiled by
            TorchScript or wrapped in ``DataParallel``.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        precision: Precision = "float32",
    ) -> None:
        dtype = getattr(torch, precision)
        if isinstance(model, torch.jit.ScriptModule | nn.DataParallel):
            raise EvaluationError(
                "flatness changes the weights of a plain module, and this network is a "
                f"{type(model).__name__}; give the module that it was made from"
            )
        trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
        if not trainable:
            raise EvaluationError(
                "flatness is measured over the trainable parameters, and this network "
                "has none; call requires_grad_() on the parameters to include"
            )
        self._model = model
        self._images = images.to(dtype)
        self._labels = labels
        self._constants = {
            name: tensor.detach().to(dtype) if tensor.is_floating_point() else tensor
            for name, tensor in (*model.named_parameters(), *model.named_buffers())
            if name not in trainable
        }
        self.names = tuple(trainable)
        self._places = _places(model)
        self.parameters = tuple(
            p.detach().to(dtype).requires_grad_() for p in trainable.values()
        )

    @property
    def num_parameters(self) -> int:
        """Number of trainable weights, the side of the Hessian."""
        return sum(p.numel() for p in self.parameters)

    @property
    def num_images(self) -> int:
        """Images in the mini-batch."""
        return len(self._images)

    def logits(self, parameters: Sequence[Tensor] | None = None) -> Tensor:
        """Run the network with the given weights.

        Args:
            parameters: One tensor for each of ``names``; the network's own weights
                if ``None``.

        Returns:
            Logits ``(batch, classes)``.

        Raises:
            EvaluationError: The network does not return one tensor of logits.
        """
        weights = self.parameters if parameters is None else parameters
        state = {**self._constants, **dict(zip(self.names, weights, strict=True))}
        state = {
            place: tensor
            for name, tensor in state.items()
            for place in self._places[name]
        }
        with safe_conv_gradients(self._images.device):
            logits = torch.func.functional_call(
                self._model, state, (self._images,), tie_weights=False
            )
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits)
            raise EvaluationError(
                f"the network must return logits (batch, classes), got {got}"
            )
        if torch.is_grad_enabled() and not logits.requires_grad:
            raise EvaluationError(
                "the logits have no gradient: the network detaches them, or runs under "
                "torch.no_grad or torch.inference_mode itself"
            )
        return logits

    def __call__(self, parameters: Sequence[Tensor] | None = None) -> Tensor:
        """NLL, the mean cross entropy without label smoothing.

        Args:
            parameters: One tensor for each of ``names``; the network's own weights
                if ``None``.

        Returns:
            Scalar loss.
        """
        return functional.cross_entropy(self.logits(parameters), self._labels)

    def gradient(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Loss and its gradient at the network's weights.

        Returns:
            The loss and one gradient for each parameter (zeros where unused).

        Raises:
            EvaluationError: The loss or the gradient is not finite.
        """
        with torch.enable_grad():
            loss = self()
            gradients = torch.autograd.grad(
                loss, self.parameters, materialize_grads=True
            )
        require_finite("loss", loss)
        require_finite("gradient", *gradients)
        return loss.detach(), gradients

    def check_deterministic(self) -> None:
        """Refuse a network whose two forward passes differ.

        Raises:
            EvaluationError: The logits changed by more than rounding.
        """
        with torch.no_grad():
            first, second = self.logits(), self.logits()
        require_finite("output", first)
        difference = float((first - second).abs().max())
        if difference > _DETERMINISM_TOLERANCE * float(first.abs().max()):
            raise EvaluationError(
                "two forward passes in eval mode on the same images differ by "
                f"{difference:.2g}; a Hessian needs a deterministic network "
                "(dropout applied regardless of eval mode?)"
            )


def _places(model: nn.Module) -> dict[str, list[str]]:
    """Where each tensor of a network is: weights may be shared between modules.

    PyTorch ties weights by every *path* to them, and so puts a module that is called
    twice back with the weights that it was lent.

    Args:
        model: The network.

    Returns:
        One path for each place, by the tensor's first path, which names it.
    """
    paths: dict[int, list[str]] = {}
    for prefix, module in model.named_modules():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                path = f"{prefix}.{name}" if prefix else name
                paths.setdefault(id(tensor), []).append(path)
    return {places[0]: places for places in paths.values()}


def require_finite(what: str, *tensors: Tensor) -> None:
    """Refuse NaN and infinity.

    Args:
        what: Name of the quantity in the message.
        *tensors: The values.

    Raises:
        EvaluationError: A value is not finite.
    """
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
        raise EvaluationError(
            f"the {what} is not finite (NaN or infinite), so flatness is undefined; "
            "did the training diverge?"
        )


@contextmanager
def full_precision() -> Iterator[None]:
    """Turn TF32 convolutions off, which CUDA has on by default.

    TF32 keeps 10 bits of the mantissa: too few for differences of gradients.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


class MiniBatchOptions(Protocol):
    """The options of an evaluator that looks at the loss of mini-batches.

    Attributes:
        batch_size: Images in a mini-batch.
        max_batches: Mini-batches at most.
        seed: Decides which images and which augmentation.
        precision: Arithmetic.
    """

    @property
    def batch_size(self) -> int: ...  # noqa: D102
    @property
    def max_batches(self) -> int: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def precision(self) -> Precision: ...  # noqa: D102


def batch_losses(
    model: nn.Module,
    data: EvaluationData,
    device: torch.device,
    options: MiniBatchOptions,
) -> Iterator[tuple[int, BatchLoss]]:
    """The loss on each of some mini-batches of augmented training images.

    Args:
        model: Network to logits ``(batch, classes)``, in eval mode.
        data: ``train`` and ``augment`` are used.
        device: Where the network is.
        options: Of the evaluator.

    Yields:
        Index and loss of each mini-batch.

    Raises:
        EvaluationError: The forward pass is not deterministic, or a loss is not
            finite.
    """
    batches = draw_minibatches(
        data, options.batch_size, options.max_batches, options.seed, device
    )
    for batch in batches:
        loss = BatchLoss(model, batch.images, batch.labels, options.precision)
        if batch.index == 0:
            loss.check_deterministic()
        yield batch.index, loss
