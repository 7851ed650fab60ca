"""A trial as loggers see it: a readable name and plain hyper-parameters.

Tune's own trial has a random name, and one JSON text as its config.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.ledger.trial import Trial, TrialState
from search_spaces.architecture import Architecture


@dataclass(eq=False)
class TrackedTrial:
    """A trial before the loggers of all trackers.

    Has what Tune's logger for TensorBoard, which is used as it is, asks of a
    ``ray.tune.experiment.Trial``.

    Attributes:
        trial_id: Tune's random id; the id of the run in W&B.
        name: Name of the run: number and placement, e.g. ``0007-CCC-CCM``.
        config: Hyper-parameters.
        directory: Where TensorBoard's files go; by the number, which a retry or a
            resumed search never uses again.
        experiment_dir_name: What the runs of one study have in common.
        step: Epoch of the last result.
        state: ``running``, then ``complete``, ``failed``, ``pruned`` or ``lost``.
        error: Why it failed, in one line, or ``""``.
    """

    trial_id: str
    name: str
    config: dict[str, Any]
    directory: Path
    experiment_dir_name: str
    step: int = 0
    state: str = "running"
    error: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def evaluated_params(self) -> dict[str, Any]:
        """What TensorBoard's table of hyper-parameters shows, once it has ended."""
        return {**self.config, "state": self.state}

    @property
    def local_path(self) -> str:
        """The directory as a text."""
        return str(self.directory)

    def init_local_path(self) -> None:
        """Make the directory."""
        self.directory.mkdir(parents=True, exist_ok=True)


def run_name(trial: Trial) -> str:
    """Number and placement; padded, so that lists of names are in order."""
    return f"{trial.number:04d}-{trial.placement}"


def hyper_parameters(trial: Trial) -> dict[str, Any]:
    """What was chosen before the training, as plain numbers and texts.

    Args:
        trial: The record of the trial.

    Returns:
        ``number``, ``placement``, ``architecture`` (its id), ``seed``, ``epochs``,
        ``num_msas``, ``params`` and ``macs``; ``heads``, ``head_dim`` and ``window``
        with one value per stage; ``baseline`` and ``retry_of`` where they apply.
    """
    architecture = Architecture.from_dict(dict(trial.architecture))
    found: dict[str, Any] = {
        "number": trial.number,
        "placement": trial.placement,
        "architecture": trial.architecture_id,
        "seed": trial.seed,
        "epochs": trial.epochs,
        "num_msas": trial.placement.count("M"),
        "params": architecture.params,
        "macs": architecture.macs,
    }
    for name in ("heads", "head_dim", "window"):
        found[name] = " ".join(map(str, trial.architecture["attention"][name]))
    if trial.baseline:
        found["baseline"] = trial.baseline
    if trial.retry_of is not None:
        found["retry_of"] = trial.retry_of
    return found


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Those values that a curve can show: finite numbers."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def final_numbers(trial: Trial) -> dict[str, float]:
    """All metrics of a trial that ended, their standard errors, and its duration."""
    errors = {f"standard_error/{k}": v for k, v in trial.standard_errors.items()}
    return numbers({**trial.metrics, **errors, "duration_s": trial.duration_s})


def final_state(trial: Trial) -> str:
    """What became of a trial, in one word."""
    return "lost" if trial.retried_as is not None else str(trial.state)


def has_ended(trial: Trial) -> bool:
    """Whether the ledger knows how the trial ended."""
    return trial.state not in (TrialState.RUNNING, TrialState.WAITING)
