"""What can be built: placements, backbones, architectures, networks and spaces."""

from search_spaces.alternet import AlterNet, BlockRef
from search_spaces.architecture import Architecture
from search_spaces.attention import Attention
from search_spaces.backbone import PRESETS, Backbone
from search_spaces.blocks import ConvBlock, MSABlock
from search_spaces.cost import Cost, architecture_cost, count_macs, count_params
from search_spaces.errors import InputError
from search_spaces.placement import Placement, Slot

__all__ = [
    "PRESETS",
    "AlterNet",
    "Architecture",
    "Attention",
    "Backbone",
    "BlockRef",
    "ConvBlock",
    "Cost",
    "InputError",
    "MSABlock",
    "Placement",
    "Slot",
    "architecture_cost",
    "count_macs",
    "count_params",
]
