"""The trials of a study beside each other: which are on the front, and why not.

One row per trained trial. A trial that breaks a constraint stays in the table, marked
infeasible. The axes are the study's objectives, or any other metrics asked for.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from nas.human_number import SHORT, human_number, parse_number
from nas.ledger.held_out_results import TEST_COLUMNS, TestResult
from nas.ledger.json_null import json_null
from nas.ledger.trial import Objective, Trial, TrialState
from nas.pareto.front import Floats, ParetoFront
from nas.pareto.seeds import average_seeds
from search_spaces.errors import InputError

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class TrialSource(Protocol):
    """The part of `nas.study.study.Study` that a table needs."""

    @property
    def name(self) -> str:
        """Name of the study."""
        ...

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What the search improves."""
        ...

    def trials(self) -> list[Trial]:
        """Every trial of the study."""
        ...


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric, e.g. ``params<=100000``.

    Attributes:
        metric: Name of the metric, or ``epochs``, ``seed``, ``num_msas``,
            ``duration_s``.
        relation: One of `OPERATORS`.
        bound: Value to compare with.
    """

    metric: str
    relation: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> "Constraint":
        """Read ``metric<=number``; the inverse of ``str``.

        Args:
            text: For example ``"params<=100000"`` or ``"accuracy > 0.9"``.

        Returns:
            The constraint.

        Raises:
            InputError: The text is anything else.
        """
        match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>)\s*(\S.*)", text)
        try:
            if match is None:
                raise ValueError(text)
            bound = parse_number(match[3])
        except ValueError:
            raise InputError(
                "a constraint is a metric, one of <= >= < >, and a number, "
                f"e.g. 'params<=100000' or 'macs<=11M'; got {text!r}"
            ) from None
        return cls(match[1], match[2], bound)

    def __str__(self) -> str:
        return f"{self.metric}{self.relation}{self.bound:g}"

    def holds(self, trial: Trial) -> bool:
        """Whether the trial keeps the bound; a missing value does not."""
        value = trial_value(trial, self.metric)
        return OPERATORS[self.relation](value, self.bound)


@dataclass(frozen=True)
class ParetoTable:
    """The trained trials of a study and the front among them.

    Attributes:
        name: Name of the study.
        trials: Trials that were trained to their budget, in the order of their
            numbers.
        front: Their values; one point per trial.
        constraints: Bounds that decide which points are feasible.
        num_seeds: Over how many seeds each point is a mean; empty if every trial is
            a point of its own.
        trainings: Every single training behind the points.
    """

    name: str
    trials: tuple[Trial, ...]
    front: ParetoFront
    constraints: tuple[Constraint, ...] = ()
    num_seeds: tuple[int, ...] = ()
    trainings: tuple[Trial, ...] = ()

    @property
    def on_front(self) -> tuple[Trial, ...]:
        """The trials that no other trial beats."""
        marks = zip(self.trials, self.front.is_pareto, strict=True)
        return tuple(trial for trial, is_in in marks if is_in)

    @classmethod
    def of(
        cls,
        study: TrialSource,
        axes: Sequence[Objective] | None = None,
        constraints: Sequence[Constraint] = (),
        *,
        mean_of_seeds: bool = False,
    ) -> "ParetoTable":
        """Collect the trained trials of a study.

        Args:
            study: The study; read once.
            axes: Metrics that span the front; the study's objectives if ``None``.
            constraints: Bounds; a trial that breaks one is infeasible.
            mean_of_seeds: One point for each architecture, the mean over its seeds,
                instead of one for each trial.

        Returns:
            The table.

        Raises:
            InputError: No trained trial has a metric that was asked for.
        """
        axes = tuple(study.objectives if axes is None else axes)
        trials = tuple(
            sorted(
                (t for t in study.trials() if t.state == TrialState.COMPLETE),
                key=lambda trial: trial.number,
            )
        )
        num_seeds: list[int] = []
        trainings = trials
        if mean_of_seeds:
            merged, num_seeds = average_seeds(trials)
            trials = tuple(merged)
        names = [axis.metric for axis in axes] + [c.metric for c in constraints]
        for name in names if trials else ():
            if all(math.isnan(trial_value(trial, name)) for trial in trials):
                raise InputError(
                    f"no trained trial of {study.name!r} has the metric {name!r}; "
                    f"there are {', '.join(metric_names(trials))}"
                )
        front = ParetoFront.of(
            [[trial_value(t, axis.metric) for axis in axes] for t in trials],
            [axis.metric for axis in axes],
            [axis.direction for axis in axes],
            [all(c.holds(trial) for c in constraints) for trial in trials],
        )
        return cls(
            study.name,
            trials,
            front,
            tuple(constraints),
            tuple(num_seeds),
            trainings,
        )

    def rows(
        self,
        tested: Mapping[int, TestResult] | None = None,
        judged: Mapping[str, Mapping[str, float | None]] | None = None,
    ) -> list[dict[str, Any]]:
        """One plain row per trial, all of the same keys.

        Args:
            tested: How trials did on the test images, by number.
            judged: Further columns by placement: what a model makes of it.

        Returns:
            Number, placement, ``is_pareto``, ``is_feasible``, baseline, seed (or
            ``num_seeds`` of a mean), epochs, every metric and its standard error
            (``<metric>_se``) where there is one, and if anything was tested (and rows
            are no means) ``test_accuracy``, ``test_accuracy_se`` and ``test_nll``, and
            the columns of ``judged``. A missing value is ``None``.
        """
        judged = judged or {}
        unknown = dict.fromkeys(next(iter(judged.values()), {}))
        metrics = metric_names(self.trials)
        sampled = [
            m for m in metrics if any(m in t.standard_errors for t in self.trials)
        ]
        rows = []
        seeds = [{"num_seeds": num} for num in self.num_seeds] or [
            {"seed": trial.seed} for trial in self.trials
        ]
        for trial, seed, on_front, feasible in zip(
            self.trials, seeds, self.front.is_pareto, self.front.feasible, strict=True
        ):
            row: dict[str, Any] = {
                "number": trial.number,
                "state": str(trial.state),
                "placement": trial.placement,
                "is_pareto": bool(on_front),
                "is_feasible": bool(feasible),
                "baseline": trial.baseline,
                **seed,
                "epochs": trial.epochs,
            }
            for metric in metrics:
                row[metric] = json_null(trial.metrics.get(metric))
            for metric in sampled:
                row[f"{metric}_se"] = json_null(trial.standard_errors.get(metric))
            if tested and not self.num_seeds:
                result = tested.get(trial.number)
                values = result.columns() if result else dict.fromkeys(TEST_COLUMNS)
                row |= json_null(values)
            row |= json_null(dict(judged.get(trial.placement, unknown)))
            row["duration_s"] = json_null(trial.duration_s)
            rows.append(row)
        return rows

    def summary(self, reference: Floats | None = None) -> dict[str, Any]:
        """What the front is worth, as plain data.

        Args:
            reference: ``(objectives,)``; the default reference if ``None``.

        Returns:
            Study, objectives, constraints, counts, the reference point, the
            hypervolume and its share of the box up to the best of each objective.
        """
        point = self.front.reference() if reference is None else reference
        metrics = self.front.metrics
        volume = self.front.hypervolume(point)
        box = self.front.box(point)
        return {
            "study": self.name,
            "objectives": [
                {"metric": metric, "direction": direction}
                for metric, direction in zip(
                    metrics, self.front.directions, strict=True
                )
            ],
            "constraints": [str(constraint) for constraint in self.constraints],
            "num_trials": len(self.trials),
            "num_pareto": int(self.front.is_pareto.sum()),
            "reference": {
                metric: json_null(float(value))
                for metric, value in zip(metrics, point, strict=True)
            },
            "hypervolume": json_null(volume),
            "hypervolume_share": json_null(volume / box) if box > 0 else None,
        }


def best_trial(table: ParetoTable) -> Trial:
    """The trial with the best value of the first axis.

    Args:
        table: The trained trials.

    Returns:
        Among equals one on the front, then the first trained.

    Raises:
        InputError: No trial is trained and feasible.
    """
    on_front = table.front.is_pareto
    if not on_front.any():
        raise InputError(f"no trial of {table.name!r} is trained yet; there is no best")
    sign = 1 if table.front.directions[0] == "maximize" else -1
    values = sign * table.front.values[:, 0]
    # Some best value is always on the front: it can only be beaten by an equal.
    best = max((i for i in range(len(values)) if on_front[i]), key=lambda i: values[i])
    return table.trials[best]


def parse_axes(
    text: str,
    objectives: Sequence[Objective],
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Objective, ...]:
    """Read the axes a user asked for.

    Args:
        text: Names joined by commas, each optionally with a direction, e.g.
            ``"accuracy,params"`` or ``"accuracy,hessian_max:minimize"``.
        objectives: The study's objectives, which know their direction.
        facts: What the study recorded about its metrics. Others take their direction
            from the evaluator that yields them.

    Returns:
        One objective per axis.

    Raises:
        InputError: Fewer than two names, one twice, or one without a direction.
    """
    known = {name: str(one["direction"]) for name, one in (facts or {}).items()}
    known |= {o.metric: o.direction for o in objectives}
    axes = [_axis(part.strip(), known) for part in text.split(",")]
    names = [axis.metric for axis in axes]
    if len(set(names)) < len(names) or len(names) < 2:
        raise InputError(
            f"axes are two or more different metrics joined by commas, got {text!r}"
        )
    return tuple(axes)


def parse_axis(
    text: str,
    objectives: Sequence[Objective],
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Objective:
    """Read one axis, e.g. ``"accuracy"``; otherwise as :func:`parse_axes`."""
    known = {name: str(one["direction"]) for name, one in (facts or {}).items()}
    known |= {o.metric: o.direction for o in objectives}
    return _axis(text.strip(), known)


def _axis(part: str, known: Mapping[str, str]) -> Objective:
    metric, _, direction = part.partition(":")
    direction = direction or known.get(metric) or _usual_direction(metric)
    if not direction:
        raise InputError(
            f"no metric {metric!r} is known; the study has "
            f"{', '.join(known)}, and docs/metrics.md lists the others (an "
            f"evaluator's own needs a direction: {metric}:maximize)"
        )
    if direction not in ("maximize", "minimize"):
        raise InputError(
            f"the metric {metric!r} has no better direction of its own; say "
            f"{metric}:maximize or {metric}:minimize"
        )
    return Objective(metric, cast(Literal["maximize", "minimize"], direction))


def metric_names(trials: Iterable[Trial]) -> list[str]:
    """Names of all metrics of the trials, in the order of their first use."""
    return list(dict.fromkeys(name for trial in trials for name in trial.metrics))


def trial_value(trial: Trial, name: str) -> float:
    """A metric of a trial, or a number that describes it.

    Args:
        trial: The trial.
        name: A metric, or ``epochs``, ``seed``, ``num_msas``, ``duration_s``.

    Returns:
        The value; NaN if the trial has none.
    """
    if name in trial.metrics:
        return float(trial.metrics[name])
    if name == "num_msas":
        return float(trial.placement.count("M"))
    if name in ("epochs", "seed", "duration_s"):
        value = getattr(trial, name)
        return math.nan if value is None else float(value)
    return math.nan


def format_value(value: float | None, error: float | None = None) -> str:
    """Write a number for a table.

    Args:
        value: The number; ``None`` and NaN are a dash.
        error: Its standard error, written behind ±.

    Returns:
        Whole numbers with separators, others with four significant digits; with an
        error as many decimals as its two digits have.
    """
    if value is None or math.isnan(value):
        return "–"
    if error is not None and 1e-6 < error < 1e4 and math.isfinite(value):
        decimals = max(0, 1 - math.floor(math.log10(error)))
        return f"{value:,.{decimals}f} ± {error:,.{decimals}f}"
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        text = f"{int(value):,}"
    else:
        text = f"{value:.4g}"
    return text if error is None else f"{text} ± {error:.2g}"


def short_value(value: float | None, error: float | None = None) -> str:
    """As :func:`format_value`, with large counts in units that people read.

    Args:
        value: The number; ``None`` and NaN are a dash.
        error: Its standard error.

    Returns:
        ``1.45 M`` for a large number without an error.
    """
    if value is not None and error is None and abs(value) >= SHORT:
        return human_number(value)
    return format_value(value, error)


def _usual_direction(metric: str) -> str:
    from evaluators.registry import all_metrics

    known = all_metrics()
    if metric in known:
        return known[metric].direction
    return "none" if metric in ("epochs", "seed", "num_msas", "duration_s") else ""
