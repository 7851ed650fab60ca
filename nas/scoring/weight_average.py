"""Exponential moving average of a network's weights during training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Moving average of weights and BatchNorm statistics, beside the trained network.

    Before the first update it is the network itself: a training of fewer steps would
    otherwise end in the weights that it began with.

    After update ``k`` (from 1) the average is ``d * average + (1 - d) * weights`` with
    ``d = min(decay ** every, k / (k + 10))``: the warm-up of the decay keeps the first,
    untrained weights out, as in TensorFlow's ``num_updates`` and timm's
    ``ModelEmaV3``. Averaging every few steps instead of every step costs less and gives
    the same window (hlb-CIFAR10 and airbench average every 5 steps).

    Args:
        model: The network; its tensors are not written except by :meth:`in_place`
            and :meth:`copy_to_model`.
        decay: Weight of the old average per training step, below 1.
        every: Training steps between two updates.
    """

    def __init__(self, model: nn.Module, decay: float, every: int = 5) -> None:
        self._model = model
        self._decay = decay
        self._every = every
        self._num_steps = 0
        self._average = [tensor.detach().clone() for tensor in self._tensors()]

    def _tensors(self) -> list[Tensor]:
        return [
            tensor
            for tensor in self._model.state_dict().values()
            if tensor.is_floating_point()
        ]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a training step."""
        self._num_steps += 1
        if self._num_steps % self._every:
            return
        num_updates = self._num_steps // self._every
        decay = min(self._decay**self._every, num_updates / (num_updates + 10))
        torch._foreach_lerp_(self._average, self._tensors(), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the network and its own weights back afterwards."""
        own = [tensor.detach().clone() for tensor in self._tensors()]
        self.copy_to_model()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._tensors(), own)

    @torch.no_grad()
    def copy_to_model(self) -> None:
        """Replace the network's weights by the average, if there is one yet."""
        if 0 < self._num_steps < self._every:
            return
        torch._foreach_copy_(self._tensors(), self._average)

    def state_dict(self) -> dict[str, int | list[Tensor]]:
        """What a checkpoint needs."""
        return {"num_steps": self._num_steps, "average": self._average}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, int | list[Tensor]]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        num_steps, average = state["num_steps"], state["average"]
        assert isinstance(num_steps, int) and isinstance(average, list)
        self._num_steps = num_steps
        torch._foreach_copy_(self._average, average)
