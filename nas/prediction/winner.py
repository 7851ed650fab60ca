"""What the best trial of a study is worth once its luck is taken off.

The best of many noisy measurements is lucky (the winner's curse). The model of
:mod:`nas.prediction.placement_model` pulls it towards what its letters promise.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas.prediction.placement_model import PlacementModel
from nas.prediction.trained import TrainedTable
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.study.study import Study

MIN_TRAINED = 20
"""Fewest trained placements of which a winner is judged (our choice: below it the model
knows little more than the mean)."""

_WORLDS = 4_000
_DRAWS = 8_000_000
"""Most draws (worlds times placements): with more contenders there are fewer worlds."""
_OUT_OF_REACH = 4.0
"""A placement is no contender if its expected value lies further behind the leader
than so many of both deviations together (at most 3 in 100,000 worlds)."""


@dataclass(frozen=True)
class Winner:
    """The placement with the best measured mean, judged by the model.

    Attributes:
        metric: The study's first objective.
        placement: The placement.
        measured: Mean over its trainings.
        expected: Posterior mean of what it gives over seeds.
        low: Lower end of the 95% interval.
        high: Upper end.
        p_best: Probability of being the best of the trained placements.
        p_better_than_parent: Probability of being better than the all-Conv parent;
            ``None`` if that was not trained or is the winner.
    """

    metric: str
    placement: str
    measured: float
    expected: float
    low: float
    high: float
    p_best: float
    p_better_than_parent: float | None

    def sentence(self) -> str:
        """The judgement in one sentence."""
        said = (
            f"{self.placement} measured {self.metric} {self.measured:.4g}, the best of "
            f"the trained placements; expected over seeds is {self.expected:.4g} "
            f"[{self.low:.4g}, {self.high:.4g}], and it is the best of them with "
            f"probability {self.p_best:.2f}"
        )
        p = self.p_better_than_parent
        if p is None:
            return f"{said}."
        if p < 0.95:
            return (
                f"{said}; it cannot be told from the all-Conv parent (better with "
                f"probability {p:.2f})."
            )
        return (
            f"{said}; it is better than the all-Conv parent with probability {p:.2f}."
        )


def judge_winner(study: "Study", seed: int = 0) -> Winner | None:
    """Judge the best placement of a study by its first objective.

    Args:
        study: An open study.
        seed: Of the draws.

    Returns:
        The judgement, or ``None`` with fewer than :data:`MIN_TRAINED` trained
        placements or nothing to learn from.
    """
    objective = study.objectives[0]
    try:
        table = TrainedTable.of_frame(study.table(), objective.metric, str(study.path))
    except InputError:
        return None
    if len(table.placements) < MIN_TRAINED:
        return None
    sign = 1.0 if objective.maximize else -1.0
    names = list(table.placements)
    best = int((sign * table.means).argmax())
    model = PlacementModel(table, table.space, seed=seed)
    mean, deviation = model.expected(names)
    parents = [i for i, name in enumerate(names) if set(name) <= {"C", "-"}][:1]
    lead = int((sign * mean).argmax())
    reach = sign * (mean - mean[lead]) + _OUT_OF_REACH * (deviation + deviation[lead])
    drawn = [i for i in range(len(names)) if reach[i] >= 0 or i in (best, *parents)]
    count = min(_WORLDS, max(_DRAWS // len(drawn), 400))
    worlds = sign * model.worlds(
        [names[i] for i in drawn], count, np.random.default_rng(seed)
    )
    winner = drawn.index(best)
    better = None
    if parents and parents[0] != best:
        parent = drawn.index(parents[0])
        better = float((worlds[:, winner] > worlds[:, parent]).mean())
    return Winner(
        objective.metric,
        names[best],
        float(table.means[best]),
        float(mean[best]),
        float(mean[best] - 1.96 * deviation[best]),
        float(mean[best] + 1.96 * deviation[best]),
        float((worlds.argmax(axis=1) == winner).mean()),
        better,
    )
