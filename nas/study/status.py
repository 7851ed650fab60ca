"""How far a search is: counts, best so far, time left."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.ledger.json_null import json_null
from nas.ledger.trial import Trial, TrialState
from nas.study.best_so_far import best_so_far
from nas.study.layout import StudyLayout
from nas.study.lease import driver_text, living_owner, owner_text
from nas.study.live_history import read_epochs
from nas.study.preparing import preparing_lines
from nas.study.remaining_time import Expected, Underway, remaining_seconds
from nas.study.study import Study
from nas.study.worker_file import read_worker


@dataclass(frozen=True)
class RunningTrial:
    """A trial that is being trained.

    Attributes:
        number: Its number.
        placement: Its placement.
        seconds: Since when.
        host: Where, or ``""`` if no worker has it yet.
        pid: The worker's process, or ``None``.
        epochs: Epochs that are done.
        wanted_epochs: Epochs it is to have.
        last: What was measured after the last of them, e.g. ``val_accuracy``.
    """

    number: int
    placement: str
    seconds: float
    host: str
    pid: int | None
    epochs: int = 0
    wanted_epochs: int = 0
    last: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyStatus:
    """A study at one moment.

    Attributes:
        name: Name of the study.
        state: ``running``, ``finished`` or ``interrupted``; ``starting`` before the
            search has written its settings, of which nothing else is known then.
        driver: ``PID on HOST`` of a running search, else ``""``.
        num_trials: Trials wanted.
        counts: Trials by state; lost ones that were queued again are not among them.
        num_lost: Trials that were lost with their worker and queued again; those that
            were stopped with the search are not among them.
        num_repeated: Proposals that were known already, and not trained.
        num_refused: Proposals that broke a constraint, and were not trained.
        best: The best trial for each objective on its own.
        preparing: How far the tasks are that run before the first trial: supernets,
            the blocks of a library.
        running: What is being trained.
        seconds_left: Estimate for a running search, ``None`` if unknown.
        failures: Reasons of failed trials with their number.
        problems: Damaged parts of the study that were left out.
    """

    name: str
    state: str
    driver: str
    num_trials: int
    counts: dict[str, int]
    num_lost: int
    num_repeated: int
    num_refused: int
    best: dict[str, Trial]
    preparing: tuple[str, ...]
    running: tuple[RunningTrial, ...]
    seconds_left: float | None
    failures: dict[str, int]
    problems: tuple[str, ...]

    @classmethod
    def of(cls, study: Study) -> "StudyStatus":
        """Look at a study.

        Args:
            study: The study, live or finished.
        """
        now = time.time()
        rows = study.rows()
        trials = study.trials()
        kept = [trial for trial in trials if trial.retried_as is None]
        counts = Counter(str(trial.state) for trial in kept)
        num_ended = sum(counts[s] for s in ("complete", "failed", "pruned"))
        owner = living_owner(study.path)
        if owner:
            state = "running"
        elif num_ended >= study.num_trials or study.is_exhausted:
            state = "finished"
        else:
            state = "interrupted"
        running = tuple(
            _running(study, trial, now)
            for trial in kept
            if trial.state == TrialState.RUNNING and owner
        )
        left = None
        if state == "running":
            from nas.study.launch_cost import LaunchCost

            todo = study.num_trials - num_ended
            cost = LaunchCost.read(study.layout.launch_cost)
            expected = None if cost is None else cost.expected
            left = _seconds_left(trials, running, todo, now, owner, expected)
        return cls(
            name=study.name,
            state=state,
            driver=owner_text(owner),
            num_trials=study.num_trials,
            counts={str(s): counts[s] for s in TrialState},
            num_lost=sum(trial.was_lost for trial in trials),
            num_repeated=sum("duplicate_of" in row.user_attrs for row in rows),
            num_refused=sum("infeasible" in row.user_attrs for row in rows),
            best=best_so_far(kept, study.objectives),
            preparing=preparing_lines(study.layout.preparing) if owner else (),
            running=running,
            seconds_left=left,
            failures=dict(
                Counter(t.error for t in kept if t.state == TrialState.FAILED)
            ),
            problems=study.problems,
        )

    @classmethod
    def of_start(cls, path: Path) -> "StudyStatus | None":
        """A search that has not written its settings yet, ``None`` if it is no such.

        Args:
            path: The study directory.
        """
        if StudyLayout(path).exists() or not (driver := driver_text(path)):
            return None
        return cls(
            name=path.absolute().name,
            state="starting",
            driver=driver,
            num_trials=0,
            counts={str(s): 0 for s in TrialState},
            num_lost=0,
            num_repeated=0,
            num_refused=0,
            best={},
            preparing=(),
            running=(),
            seconds_left=None,
            failures={},
            problems=(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``--format json``."""
        return {
            "name": self.name,
            "state": self.state,
            "driver": self.driver,
            "num_trials": self.num_trials,
            "counts": self.counts,
            "num_lost": self.num_lost,
            "num_repeated": self.num_repeated,
            "num_refused": self.num_refused,
            "best": {
                metric: {
                    "number": trial.number,
                    "placement": trial.placement,
                    "value": trial.metrics[metric],
                }
                for metric, trial in self.best.items()
            },
            "preparing": list(self.preparing),
            "running": [json_null(vars(one)) for one in self.running],
            "seconds_left": self.seconds_left,
            "failures": self.failures,
            "problems": list(self.problems),
        }


def _running(study: Study, trial: Trial, now: float) -> RunningTrial:
    worker = read_worker(study.layout.trial(trial.number))
    started = worker.get("started", trial.started or now)
    done = read_epochs(study.layout.trial(trial.number))
    return RunningTrial(
        trial.number,
        trial.placement,
        max(0.0, now - started),
        worker.get("host", ""),
        worker.get("pid"),
        done.number,
        trial.epochs,
        done.last,
    )


def _seconds_left(
    trials: list[Trial],
    running: tuple[RunningTrial, ...],
    todo: int,
    now: float,
    owner: dict[str, Any],
    expected: Expected | None,
) -> float | None:
    since = float(owner.get("since", now))
    ended = [
        trial.duration_s
        for trial in trials
        if trial.finished is not None
        and trial.finished >= since
        and trial.duration_s is not None
        and trial.retried_as is None
    ]
    underway = [Underway(one.seconds, one.epochs, one.wanted_epochs) for one in running]
    return remaining_seconds(ended, underway, todo, expected)


def to_json(status: StudyStatus) -> str:
    """The status as a JSON text."""
    return json.dumps(status.to_dict(), indent=2)
