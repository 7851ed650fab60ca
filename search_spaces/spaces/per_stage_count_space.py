"""The paper's family: a number of MSAs a stage, alternating from its end."""

from collections.abc import Iterator
from typing import Any

from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace, SuggestingTrial


class PerStageCountSpace(SearchSpace):
    """How many MSAs a stage has, alternating from its end as in the paper."""

    def _counts(self, stage: int) -> range:
        return range(self.backbone.depths[stage] // 2 + 1)

    def _fillings(self, stage: int, first: str, num_msas: int) -> int:
        if num_msas not in self._counts(stage):
            return 0
        depth = self.backbone.depths[stage]
        pattern = Placement.alternating((depth,), (num_msas,)).letters
        return int(pattern[0] == first)

    def _fill(self, stage: int, first: str, num_msas: int, index: int) -> str:
        depth = self.backbone.depths[stage]
        return Placement.alternating((depth,), (num_msas,)).letters

    def _suggest_placement(self, trial: SuggestingTrial) -> Placement:
        counts = [
            trial.suggest_int(f"msas_s{stage + 1}", 0, self._counts(stage)[-1])
            for stage in range(self.backbone.num_stages)
        ]
        return Placement.alternating(self.backbone.depths, counts)

    def _placement_parameters(self, placement: Placement) -> dict[str, Any]:
        counts = placement.msa_counts
        pattern = Placement.alternating(self.backbone.depths, counts)
        if pattern != placement:
            raise InputError(
                "this space alternates MSAs from the end of a stage; "
                f"{list(counts)} MSAs a stage give {pattern}, got {placement}"
            )
        return {f"msas_s{i}": count for i, count in enumerate(counts, start=1)}

    def _moves(self, placement: Placement) -> Iterator[Placement]:
        for stage, count in enumerate(placement.msa_counts):
            for near in (count - 1, count + 1):
                if near in self._counts(stage):
                    counts = list(placement.msa_counts)
                    counts[stage] = near
                    yield Placement.alternating(self.backbone.depths, counts)
