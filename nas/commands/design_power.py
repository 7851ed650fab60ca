"""What a search that measures will be able to tell, known before it starts."""

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.config import SearchConfig
    from nas.rule.power import VerdictPower
    from search_spaces.placement import Placement


def planned_placements(config: "SearchConfig") -> "list[Placement]":
    """The placements that a design for measuring is going to train.

    Each placement counts once: further seeds of it tell how large the noise is, and
    make the power a little better than is said.

    Args:
        config: The search.

    Returns:
        The placements; none if the sampler looks at results, or if the space cannot be
        made without the images.
    """
    from nas.sampling.balanced_designs import factorial_architectures, uniform_design
    from nas.sampling.swaps import swap_design

    wanted = config.search
    designs = {
        "uniform": uniform_design,
        "factorial": factorial_architectures,
        "swaps": swap_design,
    }
    if wanted.sampler not in designs:
        return []
    try:
        space = config.space.make(10, 3, config.data.image_size or 32)
    except InputError:
        return []
    num_placements = wanted.trials // wanted.replicates
    if wanted.replicate_first is not None:
        first = min(wanted.replicate_first, num_placements)
        num_placements = wanted.trials - first * (wanted.replicates - 1)
    design = designs[wanted.sampler](space, config.seed)
    return [one.placement for one in islice(design, num_placements)]


def power_of_search(config: "SearchConfig") -> "VerdictPower | None":
    """The power of the verdict with the design of a search.

    Args:
        config: The search.

    Returns:
        Its power; ``None`` if there is no design to judge.
    """
    from nas.rule.power import VerdictPower

    placements = planned_placements(config)
    if not placements:
        return None
    strided = config.space.make_backbone().strided_blocks
    return VerdictPower.of(placements, strided=strided)


def thin_slots(config: "SearchConfig") -> str:
    """A warning if a slot will have few placements of one letter, or ``""``.

    Args:
        config: The search.
    """
    from nas.rule.letters import letters_of
    from nas.rule.slot_effects import FEW_OF_A_LETTER

    placements = planned_placements(config)
    if not placements:
        return ""
    letters = letters_of(placements)
    least = np.minimum((letters == "M").sum(axis=0), (letters == "C").sum(axis=0))
    slots = [slot[:2] for slot in placements[0].slots()]
    thin = [
        f"stage {stage} block {block}"
        for (stage, block), count in zip(slots, least, strict=True)
        if 0 < count < FEW_OF_A_LETTER
    ]
    if not thin:
        return ""
    return (
        f"fewer than {FEW_OF_A_LETTER} placements with either letter in "
        f"{', '.join(thin)}: too few to tell what an MSA does there"
    )
