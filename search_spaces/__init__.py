"""What can be built: placements, backbones, architectures, networks and spaces."""

from search_spaces.alternet import AlterNet, BlockRef
from search_spaces.architecture import Architecture
from search_spaces.attention import Attention
from search_spaces.backbone import PRESETS, Backbone
from search_spaces.blocks import ConvBlock, MSABlock
from search_spaces.constraints import Constraints
from search_spaces.cost import Cost, architecture_cost, count_macs, count_params
from search_spaces.errors import InputError
from search_spaces.free_space import FreeSpace
from search_spaces.per_stage_count_space import PerStageCountSpace
from search_spaces.placement import Placement, Slot
from search_spaces.space import SearchSpace

KINDS: dict[str, type[SearchSpace]] = {
    "free": FreeSpace,
    "per_stage_count": PerStageCountSpace,
}
"""Spaces by the name a config file uses."""

__all__ = [
    "KINDS",
    "PRESETS",
    "AlterNet",
    "Architecture",
    "Attention",
    "Backbone",
    "BlockRef",
    "Constraints",
    "ConvBlock",
    "Cost",
    "FreeSpace",
    "InputError",
    "MSABlock",
    "PerStageCountSpace",
    "Placement",
    "SearchSpace",
    "Slot",
    "architecture_cost",
    "count_macs",
    "count_params",
]
