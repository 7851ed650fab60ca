"""The placements that the paper compares, for any space: part of every study."""

from collections.abc import Callable

from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace


def baselines(space: SearchSpace) -> dict[str, Architecture]:
    """Architectures to train beside whatever a search proposes.

    Slots that the space keeps Conv stay Conv. A baseline that breaks an upper bound of
    the space (MSAs, parameters, MACs), or that cannot be built because no window fits,
    is left out; the all-Conv parent never is: it is what everything is compared with.
    Of equal placements (possible in stages of one or two blocks) the first is kept.

    Args:
        space: The search space; a baseline may lie outside it.

    Returns:
        Architectures by name, the parent first.
    """
    found: dict[str, Architecture] = {}
    for name, place in BASELINES.items():
        try:
            architecture = space.architecture(place(space))
        except InputError:
            continue
        if name == "all_conv" or not _breaks_upper_bound(space, architecture):
            found[name] = architecture
    unique: dict[str, str] = {}
    for name, architecture in found.items():
        unique.setdefault(architecture.id, name)
    return {name: found[name] for name in unique.values()}


def _breaks_upper_bound(space: SearchSpace, architecture: Architecture) -> bool:
    return any(
        value > 0
        for name, value in space.violations(architecture).items()
        if name.startswith("max_")
    )


def paper_counts(depths: tuple[int, ...]) -> tuple[int, ...]:
    """MSAs of each stage by the paper's rule.

    One at the end of every stage but the first, and a second one in the last stage if
    that has four blocks: m = (0, 1, 1, 2) of the CIFAR-100 Alter-ResNet-50 with depths
    (3, 4, 6, 4), the end point of the paper's build-up (Figure 3 and 11). A stage that
    has no room for the alternation gets fewer.

    Args:
        depths: Blocks of each stage.

    Returns:
        MSA count of each stage.
    """
    counts = [min(1, depth // 2) for depth in depths]
    counts[-1] = min(2, depths[-1] // 2)
    if len(depths) > 1:
        counts[0] = 0
    return tuple(counts)


def all_conv(space: SearchSpace) -> Placement:
    """The parent: Conv blocks alone."""
    return Placement.all_conv(space.backbone.depths)


def paper_rule(space: SearchSpace) -> Placement:
    """The paper's rule: from the end of each stage, every second block."""
    depths = space.backbone.depths
    return _of_free_slots(space, Placement.alternating(depths, paper_counts(depths)))


def stage_starts(space: SearchSpace) -> Placement:
    """As many MSAs in the same stages, but from the stage's first free slot on.

    Every second block as in the paper's rule, or one after the other where that would
    reach the last block.
    """
    stages = []
    for stage, letters in enumerate(paper_rule(space).stages, start=1):
        count, depth = len(letters) - letters.count("C"), len(letters)
        first = 1 if space.slot_is_free(stage, 1) else 2
        blocks = [first + 2 * i for i in range(count)]
        if blocks and blocks[-1] >= depth:
            blocks = [first + i for i in range(count)]
        stages.append("".join("CM"[b in blocks] for b in range(1, depth + 1)))
    return _of_free_slots(space, Placement(tuple(stages)))


def last_stage(space: SearchSpace) -> Placement:
    """All MSAs in the last stage, as in BoTNet (Srinivas et al., 2021)."""
    stages = ["C" * depth for depth in space.backbone.depths]
    stages[-1] = "M" * len(stages[-1])
    return _of_free_slots(space, Placement(tuple(stages)))


def all_msa(space: SearchSpace) -> Placement:
    """An MSA in every slot that the space frees (its first other kind without MSAs)."""
    return _of_free_slots(space, Placement.all_msa(space.backbone.depths))


def _of_free_slots(space: SearchSpace, placement: Placement) -> Placement:
    """Keep to the letters of each slot; a space without MSAs takes its first other."""
    for stage, block, letter in placement.slots():
        allowed = space.slot_letters(stage, block)
        if letter not in allowed:
            placement = placement.replace(stage, block, (allowed + "C")[1])
    return placement


BASELINES: dict[str, Callable[[SearchSpace], Placement]] = {
    "all_conv": all_conv,
    "paper_rule": paper_rule,
    "stage_starts": stage_starts,
    "last_stage": last_stage,
    "all_msa": all_msa,
}
"""Placements by name, in the order in which they are trained."""
