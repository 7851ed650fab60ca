"""One of this project's own networks as a parent."""

from copy import deepcopy
from dataclasses import replace

from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.backbone import Backbone
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks.alternet import AlterNet
from search_spaces.parents.parent import Candidates, Parent, replace_modules


class AlterNetParent(Parent):
    """An all-Conv AlterNet, usually trained.

    Args:
        architecture: Its architecture.
        model: The network; drawn if ``None``.
        source: Where it comes from.

    Raises:
        InputError: It has blocks other than Conv: what would then stay at a ``C``?
    """

    def __init__(
        self,
        architecture: Architecture,
        model: AlterNet | None = None,
        source: str = "alternet",
    ) -> None:
        if set(architecture.placement.letters) != {"C"}:
            raise InputError(
                "a parent is made of Conv blocks alone, because C means its own block; "
                f"{source} is {architecture.placement}"
            )
        self._architecture = architecture
        self._network = (architecture.build() if model is None else model).eval()
        self.model = self._network
        self.source = source
        self.num_classes = architecture.num_classes
        self.in_channels = architecture.in_channels
        self.image_size = architecture.image_size

    @property
    def backbone(self) -> Backbone:
        """Its backbone, with its own depths."""
        backbone = self._architecture.alternet_backbone
        depths = self._architecture.placement.depths
        if backbone.depths == depths:
            return backbone
        return replace(backbone, depths=depths, name="")

    @property
    def block_names(self) -> tuple[str, ...]:
        """``stages.0.0``, ``stages.0.1``, ..."""
        return tuple(block.name for block in self._network.blocks())

    def candidate(self, spec: BlockSpec, drop_path: float = 0.0) -> nn.Module:
        """A block of the kind."""
        return block_kind(spec.letter).build(spec, drop_path)

    def network(
        self, architecture: Architecture, candidates: Candidates | None = None
    ) -> AlterNet:
        """Build the network of a placement; see :meth:`Parent.network`."""
        self._check(architecture)
        model = deepcopy(self._network)
        replace_modules(model, self._replacements(architecture, candidates))
        model.letters = architecture.placement.stages
        return model.eval()
