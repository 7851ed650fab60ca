"""Parameters and multiply-accumulates (MACs) of a network that is not built.

A search rejects placements by cost before anything is trained, so an
Architecture's cost is computed in closed form from its shapes.
:mod:`search_spaces.counting` counts those of any built module instead.
"""

from collections.abc import Sequence

from search_spaces.backbone import Backbone
from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks.parent_backbone import ParentBackbone


def network_cost(
    backbone: Backbone | ParentBackbone,
    block_specs: Sequence[BlockSpec],
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
) -> Cost:
    """Exact cost of a whole network, without building it.

    Args:
        backbone: Its stem, or what a parent has besides its slots.
        block_specs: Shapes of its blocks.
        num_classes: Number of logits.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.

    Returns:
        Parameters, and MACs of one image.
    """
    if isinstance(backbone, Backbone):
        kernel = 7 if backbone.stem == "imagenet" else 3
        stem = kernel * kernel * in_channels * backbone.stem_width
        size = image_size
        if backbone.stem != "cifar":
            size = (size + 1) // 2  # the conv's own map, before any pool
        features = block_specs[-1].out_channels
        params = stem + 2 * features + (features + 1) * num_classes
        macs = stem * size * size + features * num_classes
    else:
        params, macs = backbone.fixed
    for spec in block_specs:
        cost = block_kind(spec.letter).cost(spec)
        params += cost.params
        macs += cost.macs
    return Cost(params, macs)
