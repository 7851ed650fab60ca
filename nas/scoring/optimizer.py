"""The optimizers of a recipe: which parameter is moved by what, decayed or not."""

from typing import Any

import torch
from torch import nn

from nas.config import TrainingConfig
from nas.scoring.muon import Muon


class RecipeOptimizer:
    """One or two optimizers that step together, each with its own learning rate.

    Attributes:
        parts: Pairs of an optimizer and its peak learning rate as a multiple of
            ``training.learning_rate``.
    """

    def __init__(self, parts: list[tuple[torch.optim.Optimizer, float]]) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all parts."""
        return [group for one, _ in self.parts for group in one.param_groups]

    def set_learning_rate(self, rate: float) -> None:
        """Set the rate of the next step; each part multiplies its own factor in."""
        for optimizer, factor in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimizer, _ in self.parts:
            optimizer.zero_grad(set_to_none=True)

    def step(self) -> None:
        """One step of all parts."""
        for optimizer, _ in self.parts:
            optimizer.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """What a checkpoint needs."""
        return [optimizer.state_dict() for optimizer, _ in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        for (optimizer, _), state in zip(self.parts, states, strict=True):
            optimizer.load_state_dict(state)


def make_optimizer(model: nn.Module, config: TrainingConfig) -> RecipeOptimizer:
    """The optimizer of a recipe, which decays weight matrices and convs alone.

    Norms, biases and position-bias tables are not decayed, as is usual (timm's
    default groups); the reference decays everything. With ``muon``, the weights
    inside the residual blocks are Muon's, undecayed; the stem (its input is the
    image), the linear head, norms, biases and position biases are moved by Nesterov
    SGD, as in airbench's ``airbench94_muon.py``.

    Args:
        model: The network.
        config: The recipe.

    Returns:
        The optimizer.
    """
    inner: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    outer = _first_and_last(model)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if _is_free(name, parameter):
            free.append(parameter)
        elif config.optimizer == "muon" and parameter not in outer:
            inner.append(parameter)
        else:
            decayed.append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    rate = config.learning_rate
    if config.optimizer == "adamw":
        return RecipeOptimizer([(torch.optim.AdamW(groups, lr=rate, fused=True), 1.0)])
    sgd = torch.optim.SGD(
        groups, lr=rate, momentum=config.momentum, nesterov=True, fused=True
    )
    # PyTorch 2.15's fused step fails where some parameters have had a gradient before
    # and others have not, as the blocks of a supernet. With zeros the first step is the
    # same: momentum * 0 + gradient.
    for group in groups:
        for parameter in group["params"]:
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    parts: list[tuple[torch.optim.Optimizer, float]] = [(sgd, 1.0)]
    if inner:
        factor = config.muon_learning_rate / rate
        muon = Muon(inner, config.muon_learning_rate, config.momentum)
        parts.append((muon, factor))
    return RecipeOptimizer(parts)


_POSITIONS = ("position_bias", "pos_embed", "cls_token")
"""Ends of the names of tables that say where a token is; timm's list, and ours."""


def _is_free(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim < 2 or name.endswith(_POSITIONS)


def _first_and_last(model: nn.Module) -> set[nn.Parameter]:
    """The first and the last weight of a network, in the order of its modules."""
    weights = [p for name, p in model.named_parameters() if not _is_free(name, p)]
    return {weights[0], weights[-1]} if weights else set()
