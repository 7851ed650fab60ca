"""The networks that are compared: ResNet, AlterNet of the rule, ViT, local ViTs.

All have the MACs of the ResNet, to a stated tolerance. MACs are what the paper's own
comparisons roughly hold fixed; parameters and times are not equal then, and the table
prints them.
"""

from collections.abc import Iterator
from dataclasses import replace

from nas.claims.plan import ClaimsPlan
from nas.config import SearchConfig
from nas.sampling.baselines import all_conv, paper_rule
from nas.train_run import Candidate
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.kinds.attention import Attention
from search_spaces.parents.whole_network import default_patch, whole_network
from search_spaces.spaces.free_space import FreeSpace

RESNET, ALTERNET, VIT = "ResNet", "AlterNet", "ViT"
VIT_5, VIT_3 = "ViT 5x5", "ViT 3x3"
LABELS = (RESNET, ALTERNET, VIT, VIT_5, VIT_3)

REACHES: dict[str, int | None] = {VIT: None, VIT_5: 5, VIT_3: 3}
"""Reach of the attention; 5x5 and 3x3 are those of the paper's Conv-ViT."""


def compared(config: SearchConfig, plan: ClaimsPlan) -> list[Candidate]:
    """The networks, sized for the images of a config.

    Args:
        config: Gives data, backbone and attention settings.
        plan: Gives tolerance and shape of the ViTs.

    Returns:
        One candidate for each of :data:`LABELS`.

    Raises:
        InputError: The rule puts no MSA into the backbone, or a network cannot be
            brought within the tolerance.
    """
    from nas.data.datasets import image_shape

    shape = image_shape(config.data)
    space = config.space.make(*shape)
    if not isinstance(space, FreeSpace):
        raise InputError(
            "claims compare placements of one backbone: space.kind is free, got "
            f"{config.space.kind}"
        )
    resnet = space.architecture(all_conv(space))
    alternet = _sized(space, resnet.macs, plan)
    if alternet == resnet:
        raise InputError(
            "the paper's rule must put an MSA somewhere, but every slot of this "
            f"backbone stays Conv ({resnet.placement}): give it more blocks or stages"
        )
    found = [Candidate(RESNET, resnet), Candidate(ALTERNET, alternet)]
    width = vit_width(resnet.macs, plan, shape)
    for label, reach in REACHES.items():
        source = _vit(plan, shape[2], width) + (f",reach={reach}" if reach else "")
        network = whole_network(
            source, num_classes=shape[0], in_channels=shape[1], image_size=shape[2]
        )
        found.append(Candidate(label, network))
    for one in found:
        gap = one.architecture.macs / resnet.macs - 1
        if abs(gap) > plan.mac_tolerance:
            raise InputError(
                f"the networks must have equal MACs to claims.mac_tolerance "
                f"{plan.mac_tolerance:g}; {one.label} has {gap:+.0%} of the ResNet's "
                f"{resnet.macs:,}: change claims.vit_depth, space.attention (size: "
                "matched) or the tolerance"
            )
    return found


def _sized(space: FreeSpace, macs: int, plan: ClaimsPlan) -> Architecture:
    """The AlterNet of the rule; if it is too large or small, with other heads.

    Args:
        space: Placements of the ResNet's backbone.
        macs: MACs of the ResNet.
        plan: Gives the tolerance.

    Returns:
        As the config has it where that is within the tolerance; else with the
        channels of a head, one number for all stages, that come nearest.
    """
    own = space.architecture(paper_rule(space))
    if abs(own.macs / macs - 1) <= plan.mac_tolerance:
        return own
    heads = own.attention.heads
    window = own.attention.window
    others = [
        replace(own, attention=Attention(heads, head_dim, window))
        for head_dim in range(1, MAX_HEAD_DIM + 1)
    ]
    return min((own, *others), key=lambda one: abs(one.macs - macs))


MAX_HEAD_DIM = 128
"""Twice the paper's 64: heads beyond that are no longer usual."""


def _vit(plan: ClaimsPlan, image_size: int, width: int) -> str:
    return (
        f"vit,patch={default_patch(image_size)},width={width},depth={plan.vit_depth},"
        f"heads={plan.vit_heads}"
    )


def vit_width(macs: int, plan: ClaimsPlan, shape: tuple[int, int, int]) -> int:
    """Channels of a ViT whose MACs are nearest to a number.

    Args:
        macs: Wanted MACs of one image.
        plan: Gives depth and heads.
        shape: Classes, channels and size of the images.

    Returns:
        A multiple of the heads.
    """
    classes, channels, size = shape
    patch = default_patch(size)
    tokens = (size // patch) ** 2

    def cost(width: int) -> int:
        layer = 12 * tokens * width**2 + 2 * tokens**2 * width  # MLP ratio 4
        stem = tokens * width * channels * patch**2
        return stem + plan.vit_depth * layer + width * classes

    def widths() -> Iterator[int]:
        width = plan.vit_heads
        yield width
        while cost(width) < macs:
            width += plan.vit_heads
            yield width

    return min(widths(), key=lambda width: abs(cost(width) - macs))
