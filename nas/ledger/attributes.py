"""How a trial is written down: the attributes of its row in the ledger.

The ledger is an Optuna study. Each trial's architecture, seed, budget, node,
timings and metrics are user attributes of the Optuna trial, one attribute each, so
that optuna-dashboard shows them. This module knows their names and turns them back
into a :class:`nas.ledger.trial.Trial`; it imports neither Optuna nor torch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.ledger.trial import Trial, TrialState

STUDY_FORMAT = "nas-study/1"
"""Version of everything in a study directory; another one is refused."""

RESERVED = frozenset(
    {
        "architecture",
        "architecture_id",
        "placement",
        "seed",
        "epochs",
        "baseline",
        "standard_errors",
        "duration_s",
        "node",
        "error",
        "rung",
        "rungs",
        "retry_of",
        "retried_as",
        "losses",
        "duplicate_of",
        "infeasible",
        "not_finite",
    }
)
"""Names that are no metrics: every other user attribute of a trial is one."""

_STATES = (
    TrialState.RUNNING,
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAILED,
    TrialState.WAITING,
)  # in the order of optuna.trial.TrialState's values


@dataclass(frozen=True)
class Row:
    """One row of the ledger as any storage gives it.

    Attributes:
        number: Number of the trial in the study.
        state: Value of ``optuna.trial.TrialState``, 0 to 4.
        user_attrs: The attributes described above.
        params: What the sampler chose.
        started: Seconds since 1970, or ``None``.
        finished: Seconds since 1970, or ``None``.
    """

    number: int
    state: int
    user_attrs: Mapping[str, Any]
    params: Mapping[str, Any]
    started: float | None
    finished: float | None

    @property
    def is_trial(self) -> bool:
        """Whether the row stands for a training run.

        A repeated proposal, one that breaks a constraint, and one that the sampler
        is still thinking about are rows of the ledger, but nothing was trained.
        """
        attrs = self.user_attrs
        return (
            "architecture" in attrs
            and "duplicate_of" not in attrs
            and "infeasible" not in attrs
        )

    def trial(self) -> Trial:
        """The row as a record; only for rows that stand for a training run."""
        attrs = self.user_attrs
        metrics = {
            name: float(value)
            for name, value in attrs.items()
            if name not in RESERVED and type(value) in (float, int)
        }
        rung = attrs.get("rung")
        if rung is not None and not metrics:
            metrics = attrs.get("rungs", {}).get(str(rung), {})
        duration = attrs.get("duration_s")
        if duration is None and self.started is not None and self.finished is not None:
            duration = self.finished - self.started
        return Trial(
            number=self.number,
            state=_STATES[self.state],
            architecture=attrs["architecture"],
            placement=attrs.get("placement", ""),
            seed=attrs.get("seed", 0),
            epochs=attrs.get("epochs", 0),
            metrics=metrics,
            standard_errors=attrs.get("standard_errors", {}),
            duration_s=duration,
            is_baseline=attrs.get("baseline", ""),
            error=attrs.get("error", ""),
            started=self.started,
            finished=self.finished,
            rung=rung,
            architecture_id=attrs.get("architecture_id", ""),
            node=attrs.get("node", ""),
            retry_of=attrs.get("retry_of"),
            retried_as=attrs.get("retried_as"),
            params=self.params,
        )


def finite_only(metrics: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Split off what JSON and samplers cannot hold.

    Args:
        metrics: Values by metric name, as an evaluator gave them.

    Returns:
        The finite values, and the names of the others.
    """
    finite: dict[str, float] = {}
    others: list[str] = []
    for name, value in metrics.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            others.append(name)
            continue
        if math.isfinite(number):
            finite[name] = number
        else:
            others.append(name)
    return finite, others
