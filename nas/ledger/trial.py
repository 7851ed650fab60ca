"""The values a study is made of: objectives, trial states and trials.

Plain frozen records without Ray, Optuna or torch, so that everything that only
reads a study (tables, figures, reports) starts fast.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from nas.ledger.cause import Cause
from search_spaces.errors import InputError


class TrialState(StrEnum):
    """What became of a trial; the values of the column ``state``."""

    COMPLETE = "complete"  # trained to its budget, every objective measured
    FAILED = "failed"  # ended without its metrics; the record says why
    PRUNED = "pruned"  # stopped at a rung: its metrics are of a smaller budget
    RUNNING = "running"
    WAITING = "waiting"


@dataclass(frozen=True)
class Objective:
    """One metric that the search improves.

    Attributes:
        metric: Name of the metric.
        direction: Which way is better.
    """

    metric: str
    direction: Literal["maximize", "minimize"]

    def __post_init__(self) -> None:
        if self.direction not in ("maximize", "minimize"):
            raise InputError(
                "an objective's direction must be 'maximize' or 'minimize', "
                f"got {self.direction!r} for {self.metric!r}"
            )

    @property
    def maximize(self) -> bool:
        """Whether larger values are better."""
        return self.direction == "maximize"


@dataclass(frozen=True)
class Trial:
    """One architecture trained for one budget with one seed, and its metrics.

    Attributes:
        number: Number in the study, from 0; also the name of its directory.
        state: What became of it.
        architecture: The architecture as ``Architecture.to_dict`` gives it.
        placement: Its placement, e.g. ``"CCC-CCCM"``.
        seed: Seed of initialisation, data order and augmentation.
        epochs: Budget in epochs that was asked for.
        metrics: Value of each metric. For a pruned trial, the values at its rung.
        standard_errors: Standard error of each sampled metric, by metric name.
        duration_s: Seconds from start to end; ``None`` while it is not finished.
        baseline: Name of the baseline that it is, or ``None``.
        sampled: Part of a search in two steps that it belongs to: ``random`` or
            ``promising``; ``None`` in other searches.
        scorer: How it got its metrics: a value of ``scoring.kind``.
        error: Why it failed or was lost, in one line, or ``""``.
        cause: What ended it, if it is not complete, else ``None``.
        signal: What its process died of, e.g. ``"SIGABRT"`` or ``"out of memory"``, or
            ``None``; ``"SIGKILL"`` also if it vanished without a trace.
        started: Start as seconds since 1970, or ``None``.
        finished: End as seconds since 1970, or ``None``.
        rung: Epochs after which successive halving stopped it, or ``None``.
        architecture_id: Canonical id of the architecture.
        node: Host on which it ran, or ``""``.
        retry_of: Number of the lost trial that this one repeats, or ``None``.
        retried_as: Number of the trial that repeats this lost one, or ``None``.
        split_seed: Seed with which its training and validation images were drawn anew,
            or ``None`` if it has those of the study.
        params: What the sampler chose, by parameter name.
    """

    number: int
    state: TrialState
    architecture: Mapping[str, Any]
    placement: str
    seed: int
    epochs: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    duration_s: float | None = None
    baseline: str | None = None
    sampled: str | None = None
    scorer: str = "scratch"
    error: str = ""
    cause: Cause | None = None
    signal: str | None = None
    started: float | None = None
    finished: float | None = None
    rung: int | None = None
    architecture_id: str = ""
    node: str = ""
    retry_of: int | None = None
    retried_as: int | None = None
    split_seed: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def supernet(self) -> int | None:
        """The supernet that it was scored by, ``None`` if it has weights of its own."""
        return self.seed if self.scorer == "supernet" else None

    @property
    def was_interrupted(self) -> bool:
        """Whether it was stopped with its search, and is done again on resumption."""
        return self.retried_as is not None and self.cause is Cause.INTERRUPTED

    @property
    def was_lost(self) -> bool:
        """Whether it was lost with its worker, node or driver, and is done again."""
        return self.retried_as is not None and not self.was_interrupted

    def _repr_html_(self) -> str:
        """Diagram, state and metrics, for notebooks."""
        from html import escape

        from search_spaces.diagram import to_svg
        from search_spaces.placement import Placement

        try:
            picture = to_svg(Placement.parse(self.placement))
        except InputError:  # of kinds that are not registered here
            picture = escape(self.placement)
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{value:.4g}</td></tr>"
            for name, value in self.metrics.items()
        )
        title = f"trial {self.number}, seed {self.seed}: {self.state}"
        return f"<p>{escape(title)}</p>{picture}<table><tbody>{rows}</tbody></table>"


def no_trial(study: str, number: int, numbers: Collection[int]) -> InputError:
    """The error of a trial that does not exist.

    Args:
        study: Name of the study.
        number: What was asked for.
        numbers: Of the trials there are.
    """
    known = f"0 to {max(numbers)}" if numbers else "none yet"
    return InputError(
        f"study {study!r} has no trial {number}; numbers: {known} "
        "(proposals that were not trained leave gaps)"
    )
