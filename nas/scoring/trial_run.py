"""What a worker is asked to do, and what it answers.

A trial function trains and measures one network: ``TrialRun -> TrialOutcome``. It
runs in a worker process that is reused from trial to trial, so it seeds everything
itself. Any exception it raises fails that one trial.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FAILED_BY_TRIAL = "NAS-TRIAL-FAILED:"
"""Marks an exception of which the trial, not its worker, is the cause."""


class TrialStopped(Exception):
    """Raised inside a trial that successive halving stops at a rung."""


def _ignore(epoch: int, metrics: Mapping[str, float]) -> None:
    """Report to nobody: the default of a run without rungs."""


def _watch(epoch: Mapping[str, float]) -> None:
    """Tell nobody: the default of a run that is not tracked."""


@dataclass(frozen=True)
class TrialRun:
    """One training run, as the worker sees it.

    Attributes:
        number: Number of the trial.
        architecture: The architecture as ``Architecture.to_dict`` gives it.
        seed: Seed of everything random.
        epochs: Budget in epochs.
        directory: Where its artifacts go; exists.
        checkpoint: File for its checkpoint. The same for every attempt at this
            architecture, seeds and budget: if it exists, an earlier attempt was lost
            and is to be continued. Its directory may not exist yet.
        settings: What the search passed on, e.g. the configuration.
        data: What the search passed on; arrays are shared and read-only.
        cpus: CPUs reserved for this run.
        gpus: GPUs reserved for this run; may be a fraction.
        rungs: Epochs at which :attr:`report` is to be called.
        split_seed: Seed with which the training and validation images of this run are
            drawn anew; ``None`` for those in :attr:`data`.
        report: ``report(epoch, metrics)`` says what was measured at a rung. Returns
            if the run should go on, raises :class:`TrialStopped` if not.
        watch: ``watch({"epoch": 1, "train_loss": ...})`` shows an epoch to those who
            track the search. Returns at once and decides nothing.
    """

    number: int
    architecture: Mapping[str, Any]
    seed: int
    epochs: int
    directory: Path
    checkpoint: Path
    settings: Any = None
    data: Any = None
    cpus: float = 1.0
    gpus: float = 0.0
    rungs: tuple[int, ...] = ()
    split_seed: int | None = None
    report: Callable[[int, Mapping[str, float]], None] = _ignore
    watch: Callable[[Mapping[str, float]], None] = _watch


@dataclass(frozen=True)
class TrialOutcome:
    """What a training run has measured.

    Attributes:
        metrics: Value of each metric.
        standard_errors: Standard error of each sampled metric, by metric name.
    """

    metrics: Mapping[str, float]
    standard_errors: Mapping[str, float] = field(default_factory=dict)


TrialFunction = Callable[[TrialRun], TrialOutcome]
