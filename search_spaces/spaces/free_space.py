"""The space of all placements: any slot may be of any of its stage's kinds."""

from collections import Counter
from math import comb
from typing import Any

from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.spaces.space import Counts, SearchSpace, SuggestingTrial


class FreeSpace(SearchSpace):
    """Any slot may be replaced (``strided_msas`` decides on the strided ones)."""

    def _fillings(self, stage: int, first: str, counts: Counts) -> int:
        rest = self._rest(stage, first, counts)
        if rest is None:
            return 0
        left = self.backbone.depths[stage] - 1
        found = 1
        for _, number in rest:
            found *= comb(left, number)
            left -= number
        return found

    def _fill(self, stage: int, first: str, counts: Counts, index: int) -> str:
        places = list(range(self.backbone.depths[stage] - 1))
        letters = ["C"] * len(places)
        for letter, number in self._rest(stage, first, counts) or ():
            index, mine = divmod(index, comb(len(places), number))
            taken = _combination(len(places), number, mine)
            for position in taken:
                letters[places[position]] = letter
            places = [p for i, p in enumerate(places) if i not in taken]
        return first + "".join(letters)

    def _rest(self, stage: int, first: str, counts: Counts) -> Counts | None:
        """The counts of all blocks but the first; ``None`` if there are none such."""
        left = Counter(dict(counts))
        left["C"] = self.backbone.depths[stage] - left.total()
        left[first] -= 1
        if min(left.values()) < 0 or first not in self.slot_letters(stage + 1, 1):
            return None
        return tuple((letter, left[letter]) for letter, _ in counts)

    def _suggest_placement(self, trial: SuggestingTrial) -> Placement:
        stages = []
        for stage, depth in enumerate(self.backbone.depths, start=1):
            letters = [
                str(trial.suggest_categorical(f"s{stage}b{block}", list(options)))
                if len(options := self.slot_letters(stage, block)) > 1
                else "C"
                for block in range(1, depth + 1)
            ]
            stages.append("".join(letters))
        return Placement(tuple(stages))

    def _placement_parameters(self, placement: Placement) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for stage, block, letter in placement.slots():
            allowed = self.slot_letters(stage, block)
            if letter not in allowed:
                raise InputError(
                    f"this space allows {' or '.join(allowed)} at stage {stage}, block "
                    f"{block}"
                    + (
                        " (strided first blocks stay C; strided_msas: true frees them)"
                        if len(allowed) == 1
                        else ""
                    )
                    + f"; got {letter} in {placement}"
                )
            if len(allowed) > 1:
                found[f"s{stage}b{block}"] = letter
        return found


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
