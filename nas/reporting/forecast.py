"""Placements that nobody trained, with what is to be expected of them."""

import math
from typing import TYPE_CHECKING, Any

from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.study.study import Study

MAX_PREDICTED = 150
"""Untrained placements on the page, the best first (our choice: what one would train
next is among the first dozen)."""

MIN_PLACEMENTS = 20
"""Fewer trained placements are no ground for a prediction on the page (our choice, as
for the judgement of the winner)."""

MAX_PLACEMENTS = 2_000
"""More trained placements take minutes: that is for `nas predict` (our choice)."""


def forecast(study: "Study") -> dict[str, Any]:
    """Predict the study's first objective for untrained placements.

    Args:
        study: The study.

    Returns:
        ``metric`` and columns ``placement``, ``mean``, ``low``, ``high``, ``params``,
        ``macs``; or ``reason``, why there is no prediction.
    """
    metric = study.objectives[0].metric
    trials = study.trials()
    distinct = {t.placement for t in trials if metric in t.metrics}
    if len(distinct) < MIN_PLACEMENTS:
        return {
            "reason": f"a prediction needs {MIN_PLACEMENTS} trained placements; there "
            f"are {len(distinct)}"
        }
    if len(distinct) > MAX_PLACEMENTS:
        return {"reason": "the study is large; nas predict STUDY predicts it"}
    from nas.prediction.prediction import predict

    try:
        found = predict(study, metric)
    except (InputError, ValueError) as error:
        return {"reason": str(error)}
    table = found.table
    rows = table[table["num_trainings"] == 0].head(MAX_PREDICTED)
    columns = ("mean", "low", "high", "params", "macs")
    return {
        "metric": metric,
        "space_size": found.space_size,
        "trust": found.trust.sentence(),
        "placement": rows["placement"].tolist(),
        **{
            name: [_number(value) for value in rows[name].tolist()]
            for name in columns
            if name in rows
        },
    }


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
