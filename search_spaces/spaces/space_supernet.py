"""The supernet of a search space."""

from search_spaces.backbone import Backbone
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks.alternet import Head, make_stem
from search_spaces.networks.supernet import Supernet
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace


def supernet_specs(space: SearchSpace) -> list[dict[str, BlockSpec]]:
    """The shapes of every block of a supernet.

    Args:
        space: Placements of an AlterNet.

    Returns:
        For each slot, the shapes of the block of every letter that it may have.
    """
    plain = Placement.all_conv(space.backbone.depths)
    found = []
    for index, slot in enumerate(plain.slots()):
        blocks = {}
        for letter in space.slot_letters(slot.stage, slot.block):
            placement = plain.replace(slot.stage, slot.block, letter)
            blocks[letter] = space.architecture(placement).block_specs[index]
        found.append(blocks)
    return found


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
    specs = supernet_specs(space)
    if all(len(slot) == 1 for slot in specs):
        raise InputError(
            "a supernet needs a slot with a choice: all slots of this space are "
            "strided, or space.kinds is C; space.strided_msas: true frees strided slots"
        )
    slots = [
        {letter: block_kind(letter).build(spec) for letter, spec in slot.items()}
        for slot in specs
    ]
    stem = make_stem(space.backbone.stem, space.in_channels, space.backbone.stem_width)
    head = Head(specs[-1]["C"].out_channels, space.num_classes)
    return Supernet(stem, slots, space.backbone.depths, head)
