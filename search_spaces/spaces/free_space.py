"""The space of all placements: any slot may be a Conv or an MSA block."""

from collections.abc import Iterator
from math import comb
from typing import Any

from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace, SuggestingTrial


class FreeSpace(SearchSpace):
    """Any slot may be C or M (``strided_msas`` decides on the strided ones)."""

    def _fillings(self, stage: int, first: str, num_msas: int) -> int:
        if first == "M" and not self.slot_is_free(stage + 1, 1):
            return 0
        rest = num_msas - (first == "M")
        others = self.backbone.depths[stage] - 1
        return comb(others, rest) if 0 <= rest <= others else 0

    def _fill(self, stage: int, first: str, num_msas: int, index: int) -> str:
        others = self.backbone.depths[stage] - 1
        rest = num_msas - (first == "M")
        letters = ["C"] * others
        for position in _combination(others, rest, index):
            letters[position] = "M"
        return first + "".join(letters)

    def _suggest_placement(self, trial: SuggestingTrial) -> Placement:
        stages = []
        for stage, depth in enumerate(self.backbone.depths, start=1):
            letters = [
                str(trial.suggest_categorical(f"s{stage}b{block}", ["C", "M"]))
                if self.slot_is_free(stage, block)
                else "C"
                for block in range(1, depth + 1)
            ]
            stages.append("".join(letters))
        return Placement(tuple(stages))

    def _placement_parameters(self, placement: Placement) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for stage, block, letter in placement.slots():
            if self.slot_is_free(stage, block):
                found[f"s{stage}b{block}"] = letter
            elif letter == "M":
                raise InputError(
                    "this space keeps strided first blocks C "
                    f"(strided_msas: true allows them); got M at stage {stage}, "
                    f"block 1 of {placement}"
                )
        return found

    def _moves(self, placement: Placement) -> Iterator[Placement]:
        for stage, block, letter in placement.slots():
            if self.slot_is_free(stage, block):
                yield placement.replace(stage, block, "C" if letter == "M" else "M")


def _combination(num: int, chosen: int, index: int) -> tuple[int, ...]:
    """The combination number ``index`` in lexicographic order, without listing all."""
    picked = []
    start = 0
    while chosen:
        below = comb(num - start - 1, chosen - 1)
        if index < below:
            picked.append(start)
            chosen -= 1
        else:
            index -= below
        start += 1
    return tuple(picked)
