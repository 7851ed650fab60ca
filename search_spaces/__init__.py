"""What can be built: placements, backbones, architectures, networks and spaces.

Names are imported when they are first used: reading a study needs errors alone, and
the import of torch takes seconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

from search_spaces.errors import InputError

if TYPE_CHECKING:
    from search_spaces.architecture import Architecture
    from search_spaces.backbone import PRESETS, Backbone
    from search_spaces.block_cost import Cost
    from search_spaces.blocks.conv_block import ConvBlock
    from search_spaces.blocks.msa_block import MSABlock
    from search_spaces.counting import count_macs, count_params
    from search_spaces.kinds.attention import Attention
    from search_spaces.kinds.block_kind import BlockKind
    from search_spaces.kinds.block_kinds import block_kind, register_block_kind
    from search_spaces.latency_table import LatencyTable
    from search_spaces.networks.alternet import AlterNet, BlockRef
    from search_spaces.parents.network_files import draw_network
    from search_spaces.placement import Placement, Slot
    from search_spaces.spaces.constraints import Constraints
    from search_spaces.spaces.free_space import FreeSpace
    from search_spaces.spaces.per_stage_count_space import PerStageCountSpace
    from search_spaces.spaces.space import SearchSpace
    from search_spaces.spaces.space_kinds import KINDS

_HOMES = {
    "AlterNet": "networks.alternet",
    "Architecture": "architecture",
    "Attention": "kinds.attention",
    "Backbone": "backbone",
    "BlockKind": "kinds.block_kind",
    "BlockRef": "networks.alternet",
    "Constraints": "spaces.constraints",
    "ConvBlock": "blocks.conv_block",
    "Cost": "block_cost",
    "FreeSpace": "spaces.free_space",
    "KINDS": "spaces.space_kinds",
    "LatencyTable": "latency_table",
    "MSABlock": "blocks.msa_block",
    "PRESETS": "backbone",
    "PerStageCountSpace": "spaces.per_stage_count_space",
    "Placement": "placement",
    "SearchSpace": "spaces.space",
    "Slot": "placement",
    "block_kind": "kinds.block_kinds",
    "draw_network": "parents.network_files",
    "count_macs": "counting",
    "count_params": "counting",
    "register_block_kind": "kinds.block_kinds",
}
"""The module of each name that is imported late."""

__all__ = [
    "KINDS",
    "PRESETS",
    "AlterNet",
    "Architecture",
    "Attention",
    "Backbone",
    "BlockKind",
    "BlockRef",
    "Constraints",
    "ConvBlock",
    "Cost",
    "FreeSpace",
    "InputError",
    "LatencyTable",
    "MSABlock",
    "PerStageCountSpace",
    "Placement",
    "SearchSpace",
    "Slot",
    "block_kind",
    "draw_network",
    "count_macs",
    "count_params",
    "register_block_kind",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"search_spaces.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
