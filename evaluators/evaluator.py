"""The contract every evaluator fulfils.

An evaluator answers one question about a trained network ("how flat is its
loss?", "how accurate is it?"). It knows networks and data, not that a search
exists, and it leaves the network exactly as it found it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer

from evaluators.data import EvaluationData

Direction = Literal["maximize", "minimize", "none"]


@dataclass(frozen=True)
class Metric:
    """What one number means; the rows of docs/metrics.md.

    Attributes:
        name: Column name in every table.
        unit: Unit of the value, e.g. ``"fraction"``, ``"nats"``, ``"1"``.
        direction: Which way is better, or ``"none"`` where neither is.
        definition: One sentence that defines the value.
        source: Paper section, reference file, or "our choice, because ...".
        noise: Where the metric of a single network was measured to be mostly noise:
            reliability, from what and where. Such a metric is good for means over many
            networks, and no objective unless ``search.allow_noisy`` is set.
    """

    name: str
    unit: str
    direction: Direction
    definition: str
    source: str
    noise: str = ""


@dataclass(frozen=True)
class Evaluation:
    """The outcome of one evaluator on one network.

    Attributes:
        metrics: Value of each metric. A metric that is not defined for this
            network (a mean over MSA blocks of a net without any) is absent.
        standard_errors: Standard error of each sampled metric, by metric name.
        details: What a figure needs (spectra, curves, per-block values), as
            plain lists, numbers and strings that JSON can hold.
    """

    metrics: dict[str, float]
    standard_errors: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


class EvaluationError(RuntimeError):
    """An evaluator's assumption does not hold for this network or its data.

    Raised for instance when the forward pass is not deterministic or a value
    is not finite: a number would be meaningless, so there is none.
    """


class Evaluator(ABC):
    """Base of all evaluators; concrete ones are frozen dataclasses of options.

    Attributes:
        name: Name in configurations and tables.
        metrics: What it yields.
        cost_in_epochs: Time of one evaluation with default options, as a share of one
            training epoch; ``None`` if nobody measured it. How it was measured:
            benchmarks/evaluator_cost.py.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    cost_in_epochs: ClassVar[float | None] = None

    @abstractmethod
    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Measure a trained network.

        Args:
            model: Network that maps images ``(batch, channels, height, width)``
                to logits ``(batch, classes)``.
            data: Training and validation images.

        Returns:
            The metrics, their standard errors, and details for figures.

        Raises:
            EvaluationError: An assumption of the evaluator does not hold.
        """

    def __call__(self, model: nn.Module, data: EvaluationData) -> dict[str, float]:
        """Return only the metrics of :meth:`evaluate`."""
        return self.evaluate(model, data).metrics


@contextmanager
def untouched(model: nn.Module) -> Iterator[torch.device]:
    """Lend a network in eval mode and give it back exactly as it was.

    Restores the training flag of every submodule, ``.grad`` and
    ``requires_grad`` of every parameter, every buffer (a network may count or average
    in eval mode too) and the global random state.

    Args:
        model: The network to lend.

    Yields:
        The device of the network's parameters.
    """
    modes = [(module, module.training) for module in model.modules()]
    gradients = [(p, p.grad, p.requires_grad) for p in model.parameters()]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None and not isinstance(buffer, UninitializedBuffer)
    ]
    device = gradients[0][0].device if gradients else torch.device("cpu")
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        model.eval()
        try:
            yield device
        finally:
            for module, training in modes:
                module.training = training
            for parameter, gradient, requires_grad in gradients:
                parameter.grad = gradient
                parameter.requires_grad_(requires_grad)
            for owner, name, buffer, before in buffers:
                owner._buffers[name] = buffer
                if not torch.equal(buffer, before):
                    buffer.detach().copy_(before)
