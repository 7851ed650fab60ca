"""What is to be expected of placements: of those that nobody trained, and of the front.

Also how far that is to be trusted: each trained placement, predicted without its own
trainings, beside what was measured.
"""

import math
from typing import TYPE_CHECKING, Any

from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.prediction.prediction import Prediction
    from nas.study.study import Study

MAX_PREDICTED = 150
"""Untrained placements on the page, the best first (our choice: what one would train
next is among the first dozen)."""

MAX_LEFT_OUT = 500
"""Left-out predictions that are drawn (our choice: more points are one cloud)."""

MAX_JUDGED = 30
"""Placements of the front whose luck is taken off, the best first."""

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
        ``macs``; ``left_out`` with columns ``placement``, ``predicted``, ``measured``
        and the half width ``noise`` of the band in which a perfect prediction would
        lie; ``front``, what the model makes of the placements on the front; or
        ``reason``, why there is no prediction.
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
        "left_out": _left_out(found),
        "front": _front(study),
    }


def _left_out(found: "Prediction") -> dict[str, Any]:
    from nas.figures.prediction import noise_of_means

    rows = found.left_out
    if len(rows) > MAX_LEFT_OUT:
        rows = rows.sample(MAX_LEFT_OUT, random_state=0)
    noise = noise_of_means(found)
    return {
        "placement": rows["placement"].tolist(),
        "predicted": [_number(value) for value in rows["predicted"].tolist()],
        "measured": [_number(value) for value in rows["measured"].tolist()],
        "noise": None if noise is None else _number(noise),
    }


def _front(study: "Study") -> list[dict[str, Any]]:
    from nas.pareto.table import ParetoTable
    from nas.prediction.winner import judge_placements

    on_front = ParetoTable.of(study).on_front
    names = dict.fromkeys(trial.placement for trial in on_front)
    judged = judge_placements(study, names)
    best_first = sorted(names, key=lambda name: -judged[name].p_best if judged else 0)
    return [
        {
            "placement": one.placement,
            **{
                name: _number(getattr(one, name))
                for name in ("measured", "expected", "low", "high", "p_best")
            },
            "p_better_than_parent": one.p_better_than_parent,
        }
        for one in (judged[name] for name in best_first if name in judged)
    ][:MAX_JUDGED]


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
