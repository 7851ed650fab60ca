"""A network with slots that a placement fills.

A parent is a trained CNN, or a CNN that will be trained. Where a placement has a
``C``, the parent's own block stays, weights included; every other letter puts a block
of its kind there, sized to the block that it replaces. :class:`AlterNetParent
<search_spaces.parents.alternet_parent.AlterNetParent>` is one of this project's
networks, :class:`ModuleParent <search_spaces.parents.module_parent.ModuleParent>`
any other one.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property

import torch
from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.backbone import Backbone
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError
from search_spaces.kinds.attention import Attention
from search_spaces.networks.parent_backbone import ParentBackbone
from search_spaces.placement import Placement

Slot = tuple[int, int]
"""Stage and block, both from 1."""

Candidates = Mapping[tuple[int, int, str], nn.Module]
"""Blocks by stage, block and letter."""


class Parent(ABC):
    """A network with slots; in eval mode, never changed.

    Attributes:
        model: The network.
        source: Where it comes from, as the user wrote it.
        num_classes: Number of logits.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.
    """

    model: nn.Module
    source: str
    num_classes: int
    in_channels: int
    image_size: int

    @property
    @abstractmethod
    def backbone(self) -> Backbone | ParentBackbone:
        """Its slots, as a search space wants them."""

    @property
    @abstractmethod
    def block_names(self) -> tuple[str, ...]:
        """Module names of the blocks in its slots, in the order of the forward pass."""

    @abstractmethod
    def candidate(self, spec: BlockSpec, drop_path: float = 0.0) -> nn.Module:
        """Build a block of another kind for one slot, with freshly drawn weights.

        Args:
            spec: Of :attr:`Architecture.block_specs`, with a letter other than ``C``.
            drop_path: Probability to drop the branch during training.

        Returns:
            A block with the signature of the parent's own.
        """

    @abstractmethod
    def network(
        self, architecture: Architecture, candidates: Candidates | None = None
    ) -> nn.Module:
        """Build the network of a placement; it shares no tensor with the parent.

        Args:
            architecture: A placement of this parent.
            candidates: Blocks to copy in, by stage, block and letter; what is not
                there is drawn.

        Returns:
            The network in eval mode. ``blocks()`` names its blocks, and all-``C`` is
            the parent bit for bit.

        Raises:
            InputError: The architecture is of another parent.
        """

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Stage and block of each slot, in the order of the forward pass."""
        return tuple((s.stage, s.block) for s in self.architecture().block_specs)

    def own_blocks(self) -> tuple[nn.Module, ...]:
        """The parent's own block of each slot: the objects, not copies."""
        return tuple(self.model.get_submodule(name) for name in self.block_names)

    def architecture(
        self, placement: Placement | None = None, attention: Attention | None = None
    ) -> Architecture:
        """A placement of this parent.

        Args:
            placement: All ``C`` if ``None``.
            attention: Settings of MSA blocks; sized to what they replace if ``None``.
        """
        return Architecture(
            self.backbone,
            placement or Placement.all_conv(self.backbone.depths),
            attention or Attention(size="matched"),
            self.num_classes,
            self.in_channels,
            self.image_size,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with its slots and its weights."""
        digest = hashlib.sha256(repr(self.block_names).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            # As bytes, for NumPy has no bfloat16.
            digest.update(flat.view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    def _replacements(
        self, architecture: Architecture, candidates: Candidates | None
    ) -> dict[str, nn.Module]:
        """The blocks of a placement that are not the parent's own, by module name."""
        found = {}
        for name, spec in zip(self.block_names, architecture.block_specs, strict=True):
            if spec.letter != "C":
                known = (candidates or {}).get((spec.stage, spec.block, spec.letter))
                new = self.candidate(spec) if known is None else deepcopy(known)
                found[name] = new
        return found

    def _check(self, architecture: Architecture) -> None:
        if self.architecture(architecture.placement, architecture.attention) != (
            architecture
        ):
            raise InputError(
                f"a placement of the parent {self.source} is wanted, got one of "
                f"{architecture.backbone.name or 'another backbone'} with "
                f"{architecture.num_classes} classes and {architecture.image_size} px"
            )


def replace_modules(model: nn.Module, blocks: Mapping[str, nn.Module]) -> None:
    """Put modules in the places of others.

    A module may be registered under several names, of which the forward pass uses any:
    it is replaced under all of them.

    Args:
        model: Is changed.
        blocks: New modules by a name of those they replace.
    """
    new = {id(model.get_submodule(name)): block for name, block in blocks.items()}
    for owner in list(model.modules()):
        for last, module in list(owner._modules.items()):
            if id(module) in new:  # in its place: the order of the others stays
                owner.add_module(last, new[id(module)])
