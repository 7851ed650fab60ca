"""The supernet of a search space."""

from search_spaces.backbone import Backbone
from search_spaces.errors import InputError
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks.alternet import Head, make_stem
from search_spaces.networks.supernet import Supernet
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace


def build_supernet(space: SearchSpace) -> Supernet:
    """Build a network that holds all placements of a space, with drawn weights.

    Constraints are not looked at: blocks are there for every letter of every slot.

    Args:
        space: Placements of an AlterNet.

    Returns:
        The supernet, in training mode, without drop-path.

    Raises:
        InputError: The space is of another parent, searches settings of attention, or
            leaves no slot a choice.
    """
    if not isinstance(space.backbone, Backbone):
        raise InputError(
            "a supernet is made of an AlterNet's blocks; the placements of another "
            "parent are scored with scoring.kind distilled"
        )
    searched = [
        what
        for what, values in space.choices.items()
        if any(len(v) > 1 for v in values)
    ]
    if searched:
        raise InputError(
            "a supernet holds one block per slot and kind, so space.choices must be "
            f"empty; got {', '.join(searched)}"
        )
    depths = space.backbone.depths
    letters = [
        space.slot_letters(stage, block)
        for stage, depth in enumerate(depths, start=1)
        for block in range(1, depth + 1)
    ]
    if all(len(one) == 1 for one in letters):
        raise InputError(
            "a supernet needs a slot with a choice: all slots of this space are "
            "strided, or space.kinds is C; space.strided_msas: true frees strided slots"
        )
    plain = space.architecture(Placement.all_conv(depths))
    slots = []
    for index, spec in enumerate(plain.block_specs):
        blocks = {}
        for letter in letters[index]:
            placement = plain.placement.replace(spec.stage, spec.block, letter)
            own = space.architecture(placement).block_specs[index]
            blocks[letter] = block_kind(letter).build(own)
        slots.append(blocks)
    stem = make_stem(space.backbone.stem, space.in_channels, space.backbone.stem_width)
    head = Head(plain.block_specs[-1].out_channels, space.num_classes)
    return Supernet(stem, slots, depths, head)
