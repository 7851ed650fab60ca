"""How a trial is written down: the attributes of its row in the ledger.

The ledger is an Optuna study. Each trial's architecture, seed, budget, node,
timings and metrics are user attributes of the Optuna trial, one attribute each, so
that optuna-dashboard shows them. This module knows their names and turns them back
into a :class:`nas.ledger.trial.Trial`; it imports neither Optuna nor torch.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from nas.ledger.cause import recorded_cause
from nas.ledger.columns import is_reserved
from nas.ledger.trial import Trial, TrialState

STUDY_FORMAT = "nas-study/1"
"""Version of everything in a study directory; another one is refused."""

_SPECIFICATION = frozenset(
    ("architecture", "architecture_id", "placement", "seed", "epochs")
)
"""What says which training run a row stands for; written before anything is trained."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "architecture": dict,
    "architecture_id": str,
    "placement": str,
    "seed": int,
    "epochs": int,
    "baseline": str,
    "sampled": str,
    "standard_errors": dict,
    "duration_s": (int, float),
    "node": str,
    "error": str,
    "cause": str,
    "signal": str,
    "rung": int,
    "rungs": dict,
    "retry_of": int,
    "retried_as": int,
    "split_seed": int,
}

_STATES = (
    TrialState.RUNNING,
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAILED,
    TrialState.WAITING,
)  # in the order of optuna.trial.TrialState's values
RUNNING, WAITING = _STATES.index(TrialState.RUNNING), _STATES.index(TrialState.WAITING)
"""States of rows that may still change."""


class Row(NamedTuple):
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
        is still thinking about are rows of the ledger, but nothing was trained. Nor
        was one whose specification a killed driver has left unfinished.
        """
        attrs = self.user_attrs
        return (
            attrs.keys() >= _SPECIFICATION
            and "duplicate_of" not in attrs
            and "infeasible" not in attrs
        )

    def trial(self, known: Collection[str] | None = None) -> Trial:
        """The row as a record; only for rows that stand for a training run.

        Args:
            known: Names of the study's metrics, as recorded in it; ``None``
                for studies that have not recorded them: then every numeric attribute
                that is no column is one.

        Raises:
            ValueError: An attribute is not what this version writes: the ledger is
                damaged.
        """
        attrs = self.user_attrs
        metrics = {}
        for name, value in attrs.items():  # ten thousand trials are read at once
            if (kind := _TYPES.get(name)) is not None:
                if not isinstance(value, kind):
                    raise ValueError(f"{name} of trial {self.number} is {value!r}")
            elif (type(value) is float or type(value) is int) and (
                name in known if known is not None else not is_reserved(name)
            ):
                metrics[name] = float(value)
        rung = attrs.get("rung")
        if rung is not None and not metrics:
            metrics = attrs.get("rungs", {}).get(str(rung), {})
        duration = attrs.get("duration_s")
        if duration is None and self.started is not None and self.finished is not None:
            duration = self.finished - self.started
        error = attrs.get("error", "")
        return Trial(
            number=self.number,
            state=_STATES[self.state],
            architecture=attrs["architecture"],
            placement=attrs["placement"],
            seed=attrs["seed"],
            epochs=attrs["epochs"],
            metrics=metrics,
            standard_errors=attrs.get("standard_errors", {}),
            duration_s=duration,
            baseline=attrs.get("baseline"),
            sampled=attrs.get("sampled"),
            scorer=attrs.get("scorer", "scratch"),
            error=error,
            cause=recorded_cause(attrs.get("cause"), error),
            signal=attrs.get("signal"),
            started=self.started,
            finished=self.finished,
            rung=rung,
            architecture_id=attrs["architecture_id"],
            node=attrs.get("node", ""),
            retry_of=attrs.get("retry_of"),
            retried_as=attrs.get("retried_as"),
            split_seed=attrs.get("split_seed"),
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
