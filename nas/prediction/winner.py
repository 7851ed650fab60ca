"""What the trials of a study are worth once their luck is taken off.

The best of many noisy measurements is lucky (the winner's curse). The model of
:mod:`nas.prediction.placement_model` pulls it towards what its letters promise.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.study.study import Study

MIN_TRAINED = 20
"""Fewest trained placements of which a winner is judged (our choice: below it the model
knows little more than the mean)."""

CERTAIN = 0.95
"""Probability from which a placement is told from the parent."""

MAX_TRAINED = 5_000
"""Most trained placements that are judged beside a front, which must not wait for it
(our choice: 10,000 take four times as long as the front). `nas predict` takes more."""

_WORLDS = 4_000
_MANY = 2_000
"""From so many placements on the variances are known so well that one draw of them does
(of 10,000, the winner's expected value changed by 0.0001)."""
_DRAWS = 4_000_000
"""Most draws (worlds times placements): with more contenders there are fewer worlds."""
_OUT_OF_REACH = 4.0
"""A placement is no contender if its expected value lies further behind the leader
than so many of both deviations together (at most 3 in 100,000 worlds)."""


@dataclass(frozen=True)
class JudgedPlacement:
    """A trained placement, judged by the model.

    Attributes:
        metric: The study's first objective.
        placement: The placement.
        measured: Mean over its trainings.
        expected: Posterior mean of what it gives over seeds.
        low: Lower end of the 95% interval.
        high: Upper end.
        p_best: Probability of being the best of the trained placements.
        p_better_than_parent: Probability of being better than the all-Conv parent;
            ``None`` if that was not trained, or is this one.
        is_winner: Whether it measured best of all.
    """

    metric: str
    placement: str
    measured: float
    expected: float
    low: float
    high: float
    p_best: float
    p_better_than_parent: float | None
    is_winner: bool = False

    @property
    def is_told_from_parent(self) -> bool | None:
        """Whether it is better than the parent at 95%; ``None`` without a parent."""
        p = self.p_better_than_parent
        return None if p is None else p >= CERTAIN

    def sentence(self) -> str:
        """The judgement in one sentence."""
        rank = ", the best of the measured placements" if self.is_winner else ""
        said = (
            f"{self.placement} measured {self.metric} {self.measured:.4g}{rank}; "
            f"expected over seeds is {self.expected:.4g} "
            f"[{self.low:.4g}, {self.high:.4g}], and it is the best of "
            f"{'them' if rank else 'the measured placements'} with probability "
            f"{self.p_best:.2f}"
        )
        p = self.p_better_than_parent
        if p is None:
            return f"{said}."
        if not self.is_told_from_parent:
            return (
                f"{said}; it cannot be told from the all-Conv parent (better with "
                f"probability {p:.2f})."
            )
        return (
            f"{said}; it is better than the all-Conv parent with probability {p:.2f}."
        )

    def columns(self) -> dict[str, float | None]:
        """What stands beside the measured value in a table."""
        return {
            f"{self.metric}_expected": self.expected,
            f"{self.metric}_low": self.low,
            f"{self.metric}_high": self.high,
            "p_best": self.p_best,
            "p_better_than_parent": self.p_better_than_parent,
        }


def judge_placements(
    study: "Study", asked: Collection[str] = (), *, seed: int = 0
) -> dict[str, JudgedPlacement]:
    """Judge the trained placements of a study by its first objective.

    Args:
        study: An open study.
        asked: Placements that are compared with the parent however weak they are.
        seed: Of the draws.

    Returns:
        By placement; empty with fewer than :data:`MIN_TRAINED` trained placements,
        more than :data:`MAX_TRAINED`, or nothing to learn from. A placement far behind
        the leader that is not asked about has probability 0 of being best and is not
        compared with the parent.
    """
    num_placements = len({trial.placement for trial in study.trials()})
    if not MIN_TRAINED <= num_placements <= MAX_TRAINED:
        return {}
    # scipy and pandas: only where they are used
    from nas.prediction.linear_model import NUM_DRAWS
    from nas.prediction.placement_model import PlacementModel
    from nas.prediction.trained import TrainedTable

    objective = study.objectives[0]
    try:
        table = TrainedTable.of_frame(study.table(), objective.metric, str(study.path))
    except InputError:
        return {}
    if len(table.placements) < MIN_TRAINED:
        return {}
    sign = 1.0 if objective.maximize else -1.0
    names = list(table.placements)
    best = int((sign * table.means).argmax())
    draws = NUM_DRAWS if len(names) < _MANY else 0
    model = PlacementModel(table, table.space, draws=draws, seed=seed)
    mean, deviation = model.expected(names)
    parents = [i for i, name in enumerate(names) if set(name) <= {"C", "-"}][:1]
    lead = int((sign * mean).argmax())
    reach = sign * (mean - mean[lead]) + _OUT_OF_REACH * (deviation + deviation[lead])
    wanted = {best, *parents, *(i for i, name in enumerate(names) if name in asked)}
    drawn = [i for i in range(len(names)) if reach[i] >= 0 or i in wanted]
    count = min(_WORLDS, max(_DRAWS // len(drawn), 400))
    worlds = sign * model.worlds(
        [names[i] for i in drawn], count, np.random.default_rng(seed)
    )
    shares = np.bincount(worlds.argmax(axis=1), minlength=len(drawn)) / count
    p_best = dict(zip(drawn, shares.tolist(), strict=True))
    p_better: dict[int, float] = {}
    if parents:
        above = (worlds > worlds[:, [drawn.index(parents[0])]]).mean(axis=0)
        p_better = dict(zip(drawn, above.tolist(), strict=True))
        del p_better[parents[0]]
    return {
        name: JudgedPlacement(
            objective.metric,
            name,
            float(table.means[i]),
            float(mean[i]),
            float(mean[i] - 1.96 * deviation[i]),
            float(mean[i] + 1.96 * deviation[i]),
            p_best.get(i, 0.0),
            p_better.get(i),
            i == best,
        )
        for i, name in enumerate(names)
    }
