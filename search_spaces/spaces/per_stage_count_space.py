"""The paper's family: a number of MSAs per stage, alternating from its end."""

from typing import Any

from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.spaces.space import Counts, SearchSpace, SuggestingTrial


class PerStageCountSpace(SearchSpace):
    """How many MSAs per stage has, alternating from its end as in the paper.

    Raises:
        InputError: ``kinds`` is not C and one other letter, the same in all stages.
    """

    def __post_init__(self) -> None:
        letters = {self.kinds} if isinstance(self.kinds, str) else set(self.kinds)
        if len(letters) != 1 or len(next(iter(letters))) != 2:
            raise InputError(
                "a space of counts alternates C with one other kind, so its kinds are "
                f"two letters such as CM; got {self.kinds!r}"
            )
        super().__post_init__()

    @property
    def _letter(self) -> str:
        return self.kinds[0][1]

    def _counts(self, stage: int) -> range:
        return range(self.backbone.depths[stage] // 2 + 1)

    def _pattern(self, stage: int, counts: Counts) -> str:
        depth, count = self.backbone.depths[stage], dict(counts)[self._letter]
        return Placement.alternating((depth,), (count,), self._letter).letters

    def _fillings(self, stage: int, first: str, counts: Counts) -> int:
        if dict(counts)[self._letter] not in self._counts(stage):
            return 0
        return int(self._pattern(stage, counts)[0] == first)

    def _fill(self, stage: int, first: str, counts: Counts, index: int) -> str:
        return self._pattern(stage, counts)

    def _suggest_placement(self, trial: SuggestingTrial) -> Placement:
        counts = [
            trial.suggest_int(f"msas_s{stage + 1}", 0, self._counts(stage)[-1])
            for stage in range(self.backbone.num_stages)
        ]
        return Placement.alternating(self.backbone.depths, counts, self._letter)

    def _placement_parameters(self, placement: Placement) -> dict[str, Any]:
        counts = [stage.count(self._letter) for stage in placement.stages]
        pattern = Placement.alternating(self.backbone.depths, counts, self._letter)
        if pattern != placement:
            raise InputError(
                f"this space alternates {self._letter} from the end of a stage; "
                f"{counts} per stage give {pattern}, got {placement}"
            )
        return {f"msas_s{i}": count for i, count in enumerate(counts, start=1)}
